-- What runs used, by day (days since 1970, UTC), so that months of 100,000 runs are read in milliseconds.
ALTER TABLE runs ADD COLUMN counted INTEGER NOT NULL DEFAULT 0;
CREATE INDEX runs_not_counted ON runs (id) WHERE counted = 0 AND status = 'completed';

CREATE TABLE job_days (
    day        INTEGER NOT NULL,
    repository TEXT NOT NULL COLLATE NOCASE,
    workflow   TEXT NOT NULL,
    job        TEXT NOT NULL,
    service    TEXT NOT NULL,
    labels     TEXT NOT NULL,
    runs       INTEGER NOT NULL,
    failed     INTEGER NOT NULL,
    ms         INTEGER NOT NULL,
    minutes    INTEGER NOT NULL,            -- billed: each job by itself, rounded up
    queue_ms   INTEGER NOT NULL,
    PRIMARY KEY (day, repository, workflow, job, service, labels)
) STRICT, WITHOUT ROWID;

CREATE TABLE step_days (
    day        INTEGER NOT NULL,
    repository TEXT NOT NULL COLLATE NOCASE,
    workflow   TEXT NOT NULL,
    job        TEXT NOT NULL,
    step       TEXT NOT NULL,
    runs       INTEGER NOT NULL,
    ms         INTEGER NOT NULL,
    longest_ms INTEGER NOT NULL,
    PRIMARY KEY (day, repository, workflow, job, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE cache_days (
    day        INTEGER NOT NULL,
    repository TEXT NOT NULL COLLATE NOCASE,
    workflow   TEXT NOT NULL,
    hits       INTEGER NOT NULL,
    partial    INTEGER NOT NULL,            -- found by the beginning of the key
    misses     INTEGER NOT NULL,
    PRIMARY KEY (day, repository, workflow)
) STRICT, WITHOUT ROWID;

-- How many runs took, and how many jobs waited, about so long.
CREATE TABLE time_days (
    day        INTEGER NOT NULL,
    repository TEXT NOT NULL COLLATE NOCASE,
    workflow   TEXT NOT NULL,
    kind       TEXT NOT NULL,               -- run, queue
    bucket     INTEGER NOT NULL,
    count      INTEGER NOT NULL,
    PRIMARY KEY (day, repository, workflow, kind, bucket)
) STRICT, WITHOUT ROWID;

-- What time costs, as the server was told when it started last: JSON. So a folder without a server tells the same.
CREATE TABLE cost_rules (id INTEGER PRIMARY KEY CHECK (id = 1), body TEXT NOT NULL) STRICT;

-- Parts of the budget that were reached, each once a month.
CREATE TABLE budget_alerts (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    month    TEXT NOT NULL,                 -- 2026-03
    percent  INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    spent    REAL NOT NULL,
    budget   REAL NOT NULL,
    currency TEXT NOT NULL,
    UNIQUE (month, percent)
) STRICT;
