-- The catalog: the queue and one summary row per run. What a run is and what it measured stands in its own folder;
-- all of that can be rebuilt from there.

-- One row: the counters of the store. Kept apart so that a run's number is never given twice, not even after its
-- removal: it names a folder.
CREATE TABLE counter (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    revision INTEGER NOT NULL,
    last_run INTEGER NOT NULL
) STRICT;
INSERT INTO counter VALUES (1, 0, 0);

CREATE TABLE run (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    sweep TEXT,                   -- the group's name; GROUP is a word of SQL
    variant TEXT NOT NULL,
    tags TEXT NOT NULL,           -- JSON array of strings
    note TEXT NOT NULL,
    word TEXT NOT NULL,           -- the state in one word, to select by
    state TEXT NOT NULL,          -- JSON
    desired TEXT NOT NULL,
    config TEXT NOT NULL,         -- JSON, all defaults filled in
    config_text TEXT NOT NULL,    -- TOML as written, overrides applied
    added_ms INTEGER NOT NULL,
    started_ms INTEGER,
    ended_ms INTEGER,
    attempts INTEGER NOT NULL DEFAULT 0,
    summary TEXT NOT NULL,        -- JSON
    revision INTEGER NOT NULL     -- the counter's value when the row last changed
) STRICT;
CREATE INDEX run_revision ON run (revision);
CREATE INDEX run_word ON run (word);

-- Removed runs, so that a poller that asks for changes learns of them.
CREATE TABLE removed (
    id INTEGER PRIMARY KEY,
    revision INTEGER NOT NULL
) STRICT;

-- Every transition of every run.
CREATE TABLE journal (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    time_ms INTEGER NOT NULL,
    step INTEGER,
    kind TEXT NOT NULL,
    text TEXT NOT NULL
) STRICT;
CREATE INDEX journal_run ON journal (run);
