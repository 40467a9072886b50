-- What attacks made of the finished net, inside the box of radius eps.
CREATE TABLE attack (
    step INTEGER PRIMARY KEY,     -- of the net
    eps TEXT NOT NULL,            -- an exact fraction: 8/255
    samples INTEGER NOT NULL,
    under_pgd REAL NOT NULL,      -- accuracy under PGD alone
    under_all REAL NOT NULL,      -- accuracy under all attacks
    fates BLOB NOT NULL,          -- a byte for each test sample, see src/experiment/fate.rs
    seconds REAL NOT NULL,
    time_ms INTEGER NOT NULL
) STRICT;

-- Images of another class that were found, the first of them.
CREATE TABLE adversarial (
    step INTEGER NOT NULL REFERENCES attack (step) ON DELETE CASCADE,
    sample INTEGER NOT NULL,
    image BLOB NOT NULL,          -- as the net reads it: float32, little-endian, normalised, [C, H, W]
    PRIMARY KEY (step, sample)
) STRICT, WITHOUT ROWID;
