-- Which attempt wrote a checkpoint: by no clock, which may be wrong. NULL in rows older than this column, and in a fork's.
ALTER TABLE checkpoint ADD COLUMN attempt INTEGER REFERENCES attempt (id) ON DELETE SET NULL;
