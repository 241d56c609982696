-- What scans found over time: each scan, and for each finding from which scan on it was there, in which last, in which no more. The
-- scans of one subject on one ref are one row of time; where a run ends later than a newer one, its scan is in none.
CREATE TABLE scans (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    repository TEXT NOT NULL COLLATE NOCASE,
    git_ref    TEXT NOT NULL,
    subject    TEXT NOT NULL,               -- name of an image without its tag, or a path of sources
    is_image   INTEGER NOT NULL,
    run        INTEGER NOT NULL,
    job        TEXT NOT NULL,
    step       INTEGER NOT NULL,
    outcome    TEXT NOT NULL,               -- pass, fail, untrusted
    sentence   TEXT NOT NULL,
    found      INTEGER NOT NULL,            -- how many; of more than are kept the worst are
    is_counted INTEGER NOT NULL,            -- whether it is in the row of time
    at         INTEGER NOT NULL,            -- milliseconds since 1970
    UNIQUE (run, job, step)                 -- a step that is taken up says it once
) STRICT;
CREATE INDEX scans_of ON scans (repository, git_ref, subject, id);
CREATE INDEX scans_by_time ON scans (at);

CREATE TABLE scan_findings (
    id          INTEGER PRIMARY KEY,
    repository  TEXT NOT NULL COLLATE NOCASE,
    git_ref     TEXT NOT NULL,
    subject     TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    name        TEXT NOT NULL,              -- CVE-…, or a rule
    place       TEXT NOT NULL,              -- the package or the file
    severity    TEXT NOT NULL,
    fails       INTEGER NOT NULL,
    first_scan  INTEGER NOT NULL,
    last_scan   INTEGER NOT NULL,
    fixed_scan  INTEGER                     -- the first one without it; it comes back as another row
) STRICT;
CREATE UNIQUE INDEX scan_findings_open ON scan_findings (repository, git_ref, subject, fingerprint) WHERE fixed_scan IS NULL;
CREATE INDEX scan_findings_fixed ON scan_findings (repository, git_ref, fixed_scan) WHERE fixed_scan IS NOT NULL;
