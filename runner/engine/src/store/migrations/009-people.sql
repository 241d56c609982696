-- People who may sign in. Times are milliseconds since 1970 (UTC). Numbers are never given again: old rows name them.
CREATE TABLE users (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT NOT NULL UNIQUE COLLATE NOCASE,
    full_name  TEXT NOT NULL,
    password   TEXT, -- argon2id with its parameters; null: signs in elsewhere only
    issuer     TEXT, -- who else vouches for them, and as whom
    subject    TEXT,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    seen_at    INTEGER,
    UNIQUE (issuer, subject)
) STRICT;

CREATE TABLE teams (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT NOT NULL UNIQUE COLLATE NOCASE,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL
) STRICT;

-- `source` is `local`, or `oidc` for what the last login there said.
CREATE TABLE members (
    team   INTEGER NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    user   INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    source TEXT NOT NULL,
    PRIMARY KEY (team, user)
) STRICT, WITHOUT ROWID;

-- What a user or a team may do. An empty repository or environment means: all.
CREATE TABLE roles (
    id          INTEGER PRIMARY KEY,
    user        INTEGER REFERENCES users (id) ON DELETE CASCADE,
    team        INTEGER REFERENCES teams (id) ON DELETE CASCADE,
    role        TEXT NOT NULL,
    repository  TEXT NOT NULL COLLATE NOCASE,
    environment TEXT NOT NULL COLLATE NOCASE,
    source      TEXT NOT NULL,
    CHECK ((user IS NULL) <> (team IS NULL))
) STRICT;
CREATE UNIQUE INDEX roles_once ON roles (coalesce(user, 0), coalesce(team, 0), role, repository, environment);

-- Who is signed in. Only a digest of each session's cookie is kept.
CREATE TABLE sessions (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    user       INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    digest     BLOB NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL,
    ended_at   INTEGER,
    address    TEXT NOT NULL,
    agent      TEXT NOT NULL,
    way        TEXT NOT NULL -- password, oidc or code
) STRICT;
CREATE INDEX sessions_of ON sessions (user, ended_at);
