-- Keys of this database that are sealed with the master key, such as that of the audit log.
CREATE TABLE sealed (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;

-- Secrets (sealed) and variables. An empty scope means: all. Times are milliseconds since 1970 (UTC).
CREATE TABLE settings (
    id          INTEGER PRIMARY KEY,
    kind        TEXT NOT NULL CHECK (kind IN ('secret', 'variable')),
    name        TEXT NOT NULL,
    repository  TEXT NOT NULL COLLATE NOCASE,
    environment TEXT NOT NULL COLLATE NOCASE,
    branch      TEXT NOT NULL,
    version     INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    updated_by  TEXT NOT NULL,
    value       BLOB NOT NULL,
    UNIQUE (kind, name, repository, environment, branch)
) STRICT;

-- Tokens of the API. Only a digest of each is kept.
CREATE TABLE tokens (
    id           INTEGER PRIMARY KEY,
    name         TEXT NOT NULL,
    digest       BLOB NOT NULL UNIQUE,
    scopes       TEXT NOT NULL,
    repositories TEXT NOT NULL, -- a JSON list; empty: all
    created_at   INTEGER NOT NULL,
    created_by   TEXT NOT NULL,
    expires_at   INTEGER NOT NULL,
    used_at      INTEGER,
    revoked_at   INTEGER
) STRICT;

-- Who did what. `hash` is a keyed digest of the row and of the hash before it; rows are never changed.
CREATE TABLE audit (
    seq    INTEGER PRIMARY KEY,
    at     INTEGER NOT NULL,
    who    TEXT NOT NULL,
    origin TEXT NOT NULL,
    what   TEXT NOT NULL,
    target TEXT NOT NULL,
    detail TEXT NOT NULL,
    hash   BLOB NOT NULL
) STRICT;
