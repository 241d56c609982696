-- Who we are when a repository is fetched: a user's name and a sealed token; without, nobody in particular.
ALTER TABLE repositories ADD COLUMN fetch_user TEXT;
ALTER TABLE repositories ADD COLUMN fetch_token BLOB;

-- Cron lines of the workflows on default branches. Times are milliseconds since 1970 (UTC); `next_at` is NULL where
-- there is no next time (30 February).
CREATE TABLE schedules (
    repository     INTEGER NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    workflow       TEXT NOT NULL,
    cron           TEXT NOT NULL,
    timezone       TEXT NOT NULL,
    default_branch TEXT NOT NULL,
    next_at        INTEGER,
    PRIMARY KEY (repository, workflow, cron, timezone)
) STRICT, WITHOUT ROWID;
CREATE INDEX schedules_due ON schedules (next_at) WHERE next_at IS NOT NULL;
