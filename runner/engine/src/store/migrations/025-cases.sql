-- What verdicts about images were made of (packages, policy, what else was found), so that they are made again when advisories
-- change, without the image. Of an image the last scan counts.
CREATE TABLE cases (
    repository TEXT NOT NULL COLLATE NOCASE,
    image      TEXT NOT NULL,               -- sha256:… of its configuration
    names      TEXT NOT NULL,               -- a JSON list: the same, and `name@sha256:…` of registries
    target     TEXT NOT NULL,               -- as it was named
    run        INTEGER NOT NULL,
    job        TEXT NOT NULL,
    step       INTEGER NOT NULL,
    body       BLOB NOT NULL,
    at         INTEGER NOT NULL,            -- when it was scanned, milliseconds since 1970
    advisories TEXT,                        -- which it was held against last; NULL: none
    matched_at INTEGER NOT NULL,            -- when
    problem    TEXT,                        -- why that said nothing
    known      TEXT NOT NULL DEFAULT '[]',  -- a JSON list: fingerprints that came since the scan, and were told
    PRIMARY KEY (repository, image)
) STRICT;
CREATE INDEX cases_by_time ON cases (repository, at);
CREATE INDEX cases_by_match ON cases (matched_at);

-- A scan's verdict and the last one that was made of its case stand beside each other.
CREATE TABLE verdicts_again (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    repository    TEXT NOT NULL COLLATE NOCASE,
    image         TEXT NOT NULL,
    target        TEXT NOT NULL,
    run           INTEGER NOT NULL,
    job           TEXT NOT NULL,
    step          INTEGER NOT NULL,
    outcome       TEXT NOT NULL,
    sentence      TEXT NOT NULL,
    advisories    TEXT,
    advisories_at INTEGER,
    policy        TEXT NOT NULL,
    policy_name   TEXT NOT NULL,
    at            INTEGER NOT NULL,
    found         INTEGER,
    findings      TEXT,
    again         INTEGER NOT NULL DEFAULT 0,  -- whether it was made later, of what the scan had found
    UNIQUE (run, job, step, again)
) STRICT;
INSERT INTO verdicts_again (id, repository, image, target, run, job, step, outcome, sentence, advisories, advisories_at, policy,
    policy_name, at, found, findings) SELECT id, repository, image, target, run, job, step, outcome, sentence, advisories,
    advisories_at, policy, policy_name, at, found, findings FROM verdicts;
DROP TABLE verdicts;
ALTER TABLE verdicts_again RENAME TO verdicts;
CREATE INDEX verdicts_of_image ON verdicts (image, repository, id);
CREATE INDEX verdicts_by_time ON verdicts (at);

-- What newer advisories say of what a scan looked at: it was there, and nobody knew.
CREATE TABLE scan_matches (
    scan        INTEGER NOT NULL,
    fingerprint TEXT NOT NULL,
    name        TEXT NOT NULL,
    place       TEXT NOT NULL,
    severity    TEXT NOT NULL,
    fails       INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    PRIMARY KEY (scan, fingerprint)
) STRICT, WITHOUT ROWID;
