-- What gates said of images. The last word about an image counts, so an older pass does not outlive a later fail.
CREATE TABLE verdicts (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    repository    TEXT NOT NULL COLLATE NOCASE, -- whose run asked
    image         TEXT NOT NULL,                -- sha256:… of its configuration: what Docker shows as its id
    target        TEXT NOT NULL,                -- as it was named
    run           INTEGER NOT NULL,
    job           TEXT NOT NULL,
    step          INTEGER NOT NULL,
    outcome       TEXT NOT NULL,                -- pass, fail, untrusted
    sentence      TEXT NOT NULL,
    advisories    TEXT,                         -- digest of what it was compared with; NULL: with nothing
    advisories_at INTEGER,                      -- when their sources were asked, milliseconds since 1970
    policy        TEXT NOT NULL,                -- digest
    policy_name   TEXT NOT NULL,
    at            INTEGER NOT NULL,             -- milliseconds since 1970
    UNIQUE (run, job, step)                     -- a step that is taken up says it once
) STRICT;
CREATE INDEX verdicts_of_image ON verdicts (image, repository, id);
CREATE INDEX verdicts_by_time ON verdicts (at);
