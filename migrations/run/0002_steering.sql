-- What was changed while the run trained, and after which step. Never taken back, not even where training goes back to an
-- earlier checkpoint: there it is done again at the same step, so that the bits stay the same.
CREATE TABLE steering (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,     -- of the order, so that none is obeyed twice
    step INTEGER NOT NULL,
    epoch REAL NOT NULL,
    what TEXT NOT NULL,           -- JSON
    time_ms INTEGER NOT NULL
) STRICT;
