-- Which attempt wrote a checkpoint: by no clock, which may be wrong. NULL in rows older than this column, and in a fork's.
ALTER TABLE checkpoint ADD COLUMN attempt INTEGER REFERENCES attempt (id) ON DELETE SET NULL;
-- The largest radius at which intervals prove the class, in pixels: float32, little-endian; below 0 where they prove none,
-- NULL where it was not looked for.
ALTER TABLE margins ADD COLUMN radius BLOB;
