-- Deployments: a row for each job run that began to work on an environment. Made from the run's log, in one transaction
-- with `reported`. Times are milliseconds since 1970 (UTC).
CREATE TABLE deployments (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    run         INTEGER NOT NULL,
    job         TEXT NOT NULL,
    repository  TEXT NOT NULL,
    environment TEXT NOT NULL,
    state       TEXT NOT NULL,               -- in_progress, success, failure, error
    url         TEXT,
    started_at  INTEGER NOT NULL,
    ended_at    INTEGER,
    UNIQUE (run, job)
) STRICT;
CREATE INDEX deployments_of_environment ON deployments (repository, environment, id);
CREATE INDEX deployments_that_stand ON deployments (repository, environment, id) WHERE state = 'success';
