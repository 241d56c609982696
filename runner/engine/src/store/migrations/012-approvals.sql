-- Other names of users: logins at forges, addresses of commits. In lower case, `KIND:NAME`.
CREATE TABLE aliases (
    alias      TEXT PRIMARY KEY,
    user       INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX aliases_of ON aliases (user);

-- Reviews that were asked for by mail, each of exactly one thing. Times are milliseconds since 1970 (UTC).
CREATE TABLE approvals (
    id          TEXT PRIMARY KEY,
    run         INTEGER NOT NULL,
    attempt     INTEGER NOT NULL,
    repository  TEXT NOT NULL,
    environment TEXT NOT NULL,
    sha         TEXT NOT NULL,
    subject     TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    tries       INTEGER NOT NULL DEFAULT 0, -- that were wrong
    UNIQUE (run, environment, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX approvals_old ON approvals (expires_at);

-- What links let people decide. Only a digest of each token is kept.
CREATE TABLE approval_tokens (
    digest     BLOB PRIMARY KEY,
    approval   TEXT NOT NULL REFERENCES approvals (id) ON DELETE CASCADE,
    recipient  TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    used_at    INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX approval_tokens_of ON approval_tokens (approval, recipient);
