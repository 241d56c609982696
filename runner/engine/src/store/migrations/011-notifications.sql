-- What is told to people is told once for each subject, kept after it arrived, and held back where it would be a flood.
-- States: waiting, sending, given_up; for people also arrived, held, gathered (told of in a summary).
ALTER TABLE outbox ADD COLUMN for_people INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN settled_at INTEGER;
DROP INDEX outbox_open;
CREATE INDEX outbox_open ON outbox (target, lane, id) WHERE state IN ('waiting', 'sending');
CREATE INDEX outbox_people ON outbox (target, created_at) WHERE for_people = 1;
CREATE INDEX outbox_subject ON outbox (target, subject) WHERE for_people = 1;
CREATE INDEX outbox_held ON outbox (target, id) WHERE state = 'held';
