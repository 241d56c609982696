-- One row that is written to find out whether writing works.
CREATE TABLE probe (id INTEGER PRIMARY KEY CHECK (id = 1), count INTEGER NOT NULL) STRICT;
INSERT INTO probe VALUES (1, 0);

-- The last transactions of a server: number and running hash, compared with a file beside the database when it opens.
CREATE TABLE chain (slot INTEGER PRIMARY KEY, seq INTEGER NOT NULL, head BLOB NOT NULL) STRICT;

-- Repositories that hooks are taken from. `secret` is sealed.
CREATE TABLE repositories (
    id         INTEGER PRIMARY KEY,
    forge      TEXT NOT NULL,
    full_name  TEXT NOT NULL COLLATE NOCASE,
    url        TEXT NOT NULL,
    secret     BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (forge, full_name)
) STRICT;

-- Hooks as they came. Times are milliseconds since 1970 (UTC). `body` is zstd where `is_packed`.
CREATE TABLE deliveries (
    number      INTEGER PRIMARY KEY,
    guid        TEXT NOT NULL UNIQUE,
    forge       TEXT NOT NULL,
    event       TEXT NOT NULL,
    repository  TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    sha256      BLOB NOT NULL,
    state       TEXT NOT NULL,
    reason      TEXT,
    runs        TEXT NOT NULL DEFAULT '[]',
    headers     TEXT NOT NULL,
    is_packed   INTEGER NOT NULL,
    body        BLOB NOT NULL -- last, so that reading the others does not read through it
) STRICT;
CREATE INDEX deliveries_same ON deliveries (sha256, received_at);
CREATE INDEX deliveries_waiting ON deliveries (forge, repository, number) WHERE state = 'received';
CREATE INDEX deliveries_old ON deliveries (received_at);
