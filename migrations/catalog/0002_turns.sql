-- When a queued run's turn comes, where a forked one comes from, and orders to runs under way.

ALTER TABLE run ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
ALTER TABLE run ADD COLUMN place REAL;           -- NULL: its number
ALTER TABLE run ADD COLUMN start_at_ms INTEGER;
ALTER TABLE run ADD COLUMN waits_for TEXT NOT NULL DEFAULT '[]'; -- JSON
ALTER TABLE run ADD COLUMN parent TEXT;          -- JSON; NULL: it began from nothing
ALTER TABLE run ADD COLUMN device TEXT;          -- what the dispatcher gave it last

-- How many runs of a group may train at once. A group without a row has no limit.
CREATE TABLE group_slots (
    name TEXT PRIMARY KEY,
    slots INTEGER NOT NULL CHECK (slots > 0)
) STRICT;

-- Orders to a run under way. Its worker reads them and writes down in the run file which it obeyed, and at which step.
CREATE TABLE steering (
    key TEXT PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    time_ms INTEGER NOT NULL,
    json TEXT NOT NULL
) STRICT;
CREATE INDEX steering_run ON steering (run);
