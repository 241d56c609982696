-- Lists of 100,000 runs: each filter that people use has its index, in the order of the list.
CREATE INDEX runs_of_ref ON runs (git_ref, id);
CREATE INDEX runs_of_actor ON runs (actor, id);
CREATE INDEX runs_of_event ON runs (event, id);
CREATE INDEX runs_of_workflow ON runs (workflow, id);
CREATE INDEX runs_of_conclusion ON runs (conclusion, id);

-- Answers to requests that may be sent again (`Idempotency-Key`). `key` is a digest of who sent it and the key.
CREATE TABLE answers (
    key     BLOB PRIMARY KEY,
    request BLOB NOT NULL, -- digest of method, path and body
    at      INTEGER NOT NULL,
    status  INTEGER NOT NULL,
    body    TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX answers_old ON answers (at);
