-- What was found, in short, so that two images can be compared; NULL: said before this was kept.
ALTER TABLE verdicts ADD COLUMN found INTEGER;  -- how many
ALTER TABLE verdicts ADD COLUMN findings TEXT;  -- the worst of them, a JSON list
