-- Runs of a server: attempts share a number, and what listing and the queue need is a column, kept in the transaction of
-- the facts that it comes from. Both tables are made anew, since SQLite cannot drop a UNIQUE.
CREATE TABLE new_runs (
    id          INTEGER PRIMARY KEY,
    repository  TEXT NOT NULL,
    workflow    TEXT NOT NULL,
    number      INTEGER NOT NULL,
    attempt     INTEGER NOT NULL DEFAULT 1,
    event       TEXT NOT NULL,
    git_ref     TEXT NOT NULL,
    sha         TEXT NOT NULL,
    started_at  TEXT NOT NULL, -- when it was made
    forge       TEXT NOT NULL DEFAULT '',
    actor       TEXT NOT NULL DEFAULT '',
    title       TEXT NOT NULL DEFAULT '',
    priority    INTEGER NOT NULL DEFAULT 0,
    trust       TEXT NOT NULL DEFAULT 'trusted',
    rerun_of    INTEGER REFERENCES new_runs (id), -- the attempt before
    first       INTEGER REFERENCES new_runs (id), -- the first attempt; its id is `github.run_id` of all
    latest      INTEGER NOT NULL DEFAULT 1, -- whether no later attempt was made
    status      TEXT NOT NULL DEFAULT 'queued', -- queued, waiting (for a review), in_progress, completed
    conclusion  TEXT, -- success, failure, cancelled, skipped
    finished_at TEXT,
    UNIQUE (repository, workflow, number, attempt)
) STRICT;
INSERT INTO new_runs (id, repository, workflow, number, event, git_ref, sha, started_at, status, conclusion, finished_at)
SELECT runs.id, repository, workflow, number, event, git_ref, sha, started_at,
       CASE WHEN last.kind = 'run_finished' THEN 'completed' ELSE 'in_progress' END,
       CASE WHEN last.kind = 'run_finished' THEN last.conclusion END,
       CASE WHEN last.kind = 'run_finished' THEN last.at END
FROM runs LEFT JOIN (
    SELECT run, max(seq), body ->> '$.event.type' AS kind, body ->> '$.event.conclusion' AS conclusion, body ->> '$.at' AS at
    FROM events GROUP BY run
) AS last ON last.run = runs.id;

CREATE TABLE new_events (
    run  INTEGER NOT NULL REFERENCES new_runs (id),
    seq  INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (run, seq)
) STRICT, WITHOUT ROWID;
INSERT INTO new_events SELECT run, seq, body FROM events;
DROP TABLE events;
DROP TABLE runs;
ALTER TABLE new_runs RENAME TO runs;
ALTER TABLE new_events RENAME TO events;
CREATE INDEX runs_unfinished ON runs (id) WHERE status <> 'completed';
CREATE INDEX runs_of_repository ON runs (repository, id);
CREATE INDEX runs_of_commit ON runs (sha, id);
CREATE INDEX runs_of_attempts ON runs (first) WHERE first IS NOT NULL;

-- What a run was asked for: `engine::service::RunSpec` as JSON, packed with zstd. Never changed.
CREATE TABLE run_specs (
    run  INTEGER PRIMARY KEY REFERENCES runs (id),
    body BLOB NOT NULL
) STRICT;
