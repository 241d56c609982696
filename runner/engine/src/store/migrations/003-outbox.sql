-- How far the log of each run is reported. Written with the reports in one transaction.
CREATE TABLE reported (
    run     INTEGER PRIMARY KEY,
    seq     INTEGER NOT NULL,
    is_over INTEGER NOT NULL
) STRICT;
CREATE INDEX reported_open ON reported (run) WHERE is_over = 0;

-- Messages to other servers. Times are milliseconds since 1970 (UTC). Within a lane they are sent in the order of `id`.
CREATE TABLE outbox (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    target       TEXT NOT NULL,
    kind         TEXT NOT NULL,
    lane         TEXT NOT NULL,
    subject      TEXT NOT NULL,
    body         TEXT NOT NULL,
    state        TEXT NOT NULL DEFAULT 'waiting', -- waiting, sending, given_up
    attempts     INTEGER NOT NULL DEFAULT 0,
    is_uncertain INTEGER NOT NULL DEFAULT 0,      -- an earlier attempt may have arrived
    not_before   INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    problem      TEXT
) STRICT;
CREATE INDEX outbox_open ON outbox (target, lane, id) WHERE state <> 'given_up';
CREATE INDEX outbox_given_up ON outbox (created_at) WHERE state = 'given_up';

-- What the other side calls the things that were made there.
CREATE TABLE outbox_remote (
    target  TEXT NOT NULL,
    subject TEXT NOT NULL,
    remote  TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    PRIMARY KEY (target, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX outbox_remote_old ON outbox_remote (made_at);
