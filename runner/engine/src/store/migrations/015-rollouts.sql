-- Rollouts of services to environments. What happened is in the facts; the view is what people see of them, kept beside.
CREATE TABLE rollouts (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    key         TEXT NOT NULL UNIQUE,       -- of the step that asks: asked twice, it is one rollout
    environment TEXT NOT NULL COLLATE NOCASE,
    service     TEXT NOT NULL,
    repository  TEXT NOT NULL COLLATE NOCASE,
    run         INTEGER NOT NULL,           -- 0: of no run
    job         TEXT NOT NULL,
    actor       TEXT NOT NULL,
    plan_hash   TEXT NOT NULL,
    state       TEXT NOT NULL,              -- active, ended (something is left to do), closed
    token       INTEGER NOT NULL DEFAULT 0, -- the newest under which facts are taken
    seq         INTEGER NOT NULL DEFAULT 0, -- how many facts there are
    view        TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX rollouts_of_place ON rollouts (environment, service, id);
CREATE INDEX rollouts_of_run ON rollouts (run, job);
CREATE INDEX rollouts_not_closed ON rollouts (id) WHERE state <> 'closed';

CREATE TABLE rollout_facts (
    rollout INTEGER NOT NULL REFERENCES rollouts (id) ON DELETE CASCADE,
    seq     INTEGER NOT NULL,
    at      INTEGER NOT NULL,               -- microseconds since 1970
    fact    TEXT NOT NULL,
    PRIMARY KEY (rollout, seq)
) STRICT, WITHOUT ROWID;

-- Who may change what stands. Tokens only grow, also when nobody holds it.
CREATE TABLE rollout_locks (
    environment TEXT NOT NULL COLLATE NOCASE,
    service     TEXT NOT NULL,
    holder      INTEGER,
    token       INTEGER NOT NULL,
    PRIMARY KEY (environment, service)
) STRICT, WITHOUT ROWID;

CREATE TABLE rollout_orders (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    rollout INTEGER NOT NULL REFERENCES rollouts (id) ON DELETE CASCADE,
    word    TEXT NOT NULL,
    actor   TEXT NOT NULL,
    comment TEXT NOT NULL,
    at      INTEGER NOT NULL
) STRICT;
CREATE INDEX rollout_orders_of_one ON rollout_orders (rollout, id);
