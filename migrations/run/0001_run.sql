-- The run file: all that one run is and measured. Written by its worker alone.

-- One row.
CREATE TABLE config (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    text TEXT NOT NULL,           -- TOML as written, overrides applied
    json TEXT NOT NULL            -- all defaults filled in
) STRICT;

-- One row for each worker that took the run.
CREATE TABLE attempt (
    id INTEGER PRIMARY KEY,
    nonce TEXT NOT NULL UNIQUE,
    identity TEXT NOT NULL,       -- JSON
    device TEXT NOT NULL,
    threads INTEGER NOT NULL,
    program TEXT NOT NULL,
    steps_per_epoch INTEGER NOT NULL,
    started_ms INTEGER NOT NULL,
    heartbeat_ms INTEGER NOT NULL,
    outcome TEXT                  -- JSON; NULL while it works, and for ever where it was killed
) STRICT;

CREATE TABLE metric (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- One value a step of each metric. What is no number is stored as infinity: SQLite would turn NaN into NULL.
CREATE TABLE series (
    metric INTEGER NOT NULL REFERENCES metric (id),
    step INTEGER NOT NULL,
    value REAL NOT NULL,
    PRIMARY KEY (metric, step)
) STRICT, WITHOUT ROWID;

-- The same by hundreds of steps: bin b holds the steps from 100 b to 100 b + 99. Kept in the transaction that inserts.
CREATE TABLE rollup (
    metric INTEGER NOT NULL REFERENCES metric (id),
    bin INTEGER NOT NULL,
    n INTEGER NOT NULL,
    min REAL NOT NULL,
    max REAL NOT NULL,
    sum REAL NOT NULL,
    PRIMARY KEY (metric, bin)
) STRICT, WITHOUT ROWID;

CREATE TABLE epoch (
    epoch INTEGER PRIMARY KEY,
    step INTEGER NOT NULL,
    p REAL NOT NULL,              -- p = ∞ is stored as infinity
    lr REAL NOT NULL,
    lambda REAL NOT NULL,
    loss REAL NOT NULL,
    accuracy REAL NOT NULL,
    surrogate REAL NOT NULL,
    scalar REAL NOT NULL,
    seconds REAL NOT NULL,
    time_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE eval (
    id INTEGER PRIMARY KEY,
    epoch REAL NOT NULL,
    step INTEGER NOT NULL,
    train_p REAL NOT NULL,
    eps TEXT NOT NULL,            -- an exact fraction: 8/255
    samples INTEGER NOT NULL,
    clean REAL NOT NULL,
    certified REAL NOT NULL,
    certified_margin REAL NOT NULL,
    surrogate_clean REAL,
    surrogate_certified REAL,
    seconds REAL NOT NULL,
    time_ms INTEGER NOT NULL
) STRICT;

-- What an evaluation found of each test sample, in the order of the test set.
CREATE TABLE margins (
    eval INTEGER PRIMARY KEY REFERENCES eval (id) ON DELETE CASCADE,
    margin BLOB NOT NULL,         -- float32, little-endian
    label BLOB NOT NULL,          -- a byte each
    prediction BLOB NOT NULL,     -- a byte each
    certified BLOB NOT NULL       -- a bit each, lowest first
) STRICT;

CREATE TABLE event (
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- a reader asks for what is new by this number, so none is given twice
    time_ms INTEGER NOT NULL,
    step INTEGER,
    kind TEXT NOT NULL,
    text TEXT NOT NULL
) STRICT;

-- Files in checkpoints/. A row is written after its file lies there whole.
CREATE TABLE checkpoint (
    step INTEGER PRIMARY KEY,
    epoch REAL NOT NULL,
    p REAL NOT NULL,
    kind TEXT NOT NULL,
    file TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    hash TEXT NOT NULL,
    time_ms INTEGER NOT NULL
) STRICT;
