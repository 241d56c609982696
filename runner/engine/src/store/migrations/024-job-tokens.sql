-- Tokens that jobs have while they go on; only digests.
CREATE TABLE job_tokens (
    digest     BLOB PRIMARY KEY,
    run        INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    job        TEXT NOT NULL,
    repository TEXT NOT NULL,
    scopes     TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX job_tokens_of_run ON job_tokens (run, job);
