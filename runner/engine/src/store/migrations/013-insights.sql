-- What is looked up once, when a deployment is over, so that no page walks a history. Times are milliseconds since 1970.
ALTER TABLE deployments ADD COLUMN service TEXT NOT NULL DEFAULT '';
ALTER TABLE deployments ADD COLUMN noted INTEGER NOT NULL DEFAULT 0;
CREATE INDEX deployments_not_noted ON deployments (ended_at) WHERE noted = 0 AND ended_at IS NOT NULL;

CREATE TABLE deployment_notes (
    deployment   INTEGER PRIMARY KEY REFERENCES deployments (id) ON DELETE CASCADE,
    run          INTEGER NOT NULL,
    repository   TEXT NOT NULL COLLATE NOCASE,
    environment  TEXT NOT NULL COLLATE NOCASE,
    service      TEXT NOT NULL,             -- empty: all of the repository
    sha          TEXT NOT NULL,
    outcome      TEXT NOT NULL,             -- success, rolled_back, stopped
    signal_at    INTEGER,                   -- what made it go back
    made_at      INTEGER NOT NULL,
    first_at     INTEGER NOT NULL,
    ready_at     INTEGER NOT NULL,
    asked_at     INTEGER NOT NULL,
    passed_at    INTEGER NOT NULL,
    started_at   INTEGER NOT NULL,
    done_at      INTEGER NOT NULL,
    previous     INTEGER,                   -- the one before that succeeded
    label        TEXT,                      -- revert, hotfix, rollback, intent
    gone         INTEGER NOT NULL,          -- commits that it took away
    commits      INTEGER NOT NULL,          -- and brought
    commit_times BLOB NOT NULL,             -- committer dates, seconds since 1970, eight bytes each, the lowest first
    problem      TEXT                       -- why commits are not known
) STRICT;
CREATE INDEX deployment_notes_in_time ON deployment_notes (environment, done_at);
CREATE INDEX deployment_notes_in_order ON deployment_notes (repository, environment, service, done_at);

-- The commits that a deployment brought, for its page: JSON, packed with zstd.
CREATE TABLE deployment_commits (
    deployment INTEGER PRIMARY KEY REFERENCES deployments (id) ON DELETE CASCADE,
    body       BLOB NOT NULL
) STRICT;

-- What has been deployed where, and when last.
CREATE TABLE deployment_places (
    repository  TEXT NOT NULL COLLATE NOCASE,
    environment TEXT NOT NULL COLLATE NOCASE,
    service     TEXT NOT NULL,
    done_at     INTEGER NOT NULL,
    PRIMARY KEY (repository, environment, service)
) STRICT, WITHOUT ROWID;

-- What people say of a deployment afterwards.
CREATE TABLE deployment_marks (
    deployment INTEGER NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
    mark       TEXT NOT NULL,               -- failed, unplanned
    at         INTEGER NOT NULL,            -- since when it was so
    by         TEXT NOT NULL,
    marked_at  INTEGER NOT NULL,
    reason     TEXT NOT NULL,
    PRIMARY KEY (deployment, mark)
) STRICT, WITHOUT ROWID;

CREATE INDEX audit_of_target ON audit (target, seq);
