-- The store of one user (`pipe run`) or of one server. The event log is the truth; `runs` is what listing needs.
CREATE TABLE IF NOT EXISTS runs (
    id         INTEGER PRIMARY KEY,
    repository TEXT NOT NULL,
    workflow   TEXT NOT NULL,
    number     INTEGER NOT NULL,
    event      TEXT NOT NULL,
    git_ref    TEXT NOT NULL,
    sha        TEXT NOT NULL,
    started_at TEXT NOT NULL,
    UNIQUE (repository, workflow, number)
) STRICT;

-- `body` is one `workflow::run::Recorded` as JSON; rows are never changed.
CREATE TABLE IF NOT EXISTS events (
    run  INTEGER NOT NULL REFERENCES runs (id),
    seq  INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (run, seq)
) STRICT, WITHOUT ROWID;
