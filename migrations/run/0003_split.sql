-- Whose images an evaluation is of: test, or validation for training images that were held out.
ALTER TABLE eval ADD COLUMN split TEXT NOT NULL DEFAULT 'test';
