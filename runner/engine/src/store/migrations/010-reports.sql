-- What test tools reported. A row a report: a step that collected one, whole once `complete` is set. Times are milliseconds
-- since 1970 (UTC).
CREATE TABLE test_reports (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    run        INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    job        TEXT NOT NULL,
    step       INTEGER NOT NULL,
    name       TEXT NOT NULL,
    repository TEXT NOT NULL,
    sha        TEXT NOT NULL,
    git_ref    TEXT NOT NULL,
    at         INTEGER NOT NULL,
    complete   INTEGER NOT NULL DEFAULT 0,
    files      INTEGER NOT NULL,
    more       INTEGER NOT NULL,             -- cases beyond those that are kept
    cases      INTEGER NOT NULL,
    passed     INTEGER NOT NULL,
    failed     INTEGER NOT NULL,
    errors     INTEGER NOT NULL,
    skipped    INTEGER NOT NULL,
    flaky      INTEGER NOT NULL,
    time_ms    INTEGER NOT NULL,
    UNIQUE (run, job, step)
) STRICT;
CREATE INDEX test_reports_of_repository ON test_reports (repository, id) WHERE complete = 1;

-- A test of a repository, by which its results are found.
CREATE TABLE tests (
    id         INTEGER PRIMARY KEY,
    repository TEXT NOT NULL,
    suite      TEXT NOT NULL,
    class      TEXT NOT NULL,
    name       TEXT NOT NULL,
    UNIQUE (repository, suite, class, name)
) STRICT;

CREATE TABLE test_cases (
    report   INTEGER NOT NULL REFERENCES test_reports (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    test     INTEGER NOT NULL REFERENCES tests (id),
    outcome  TEXT NOT NULL,                  -- passed, failed, error, skipped, flaky
    time_us  INTEGER,
    file     TEXT,
    line     INTEGER,
    message  TEXT,
    details  TEXT,
    retries  INTEGER NOT NULL,
    PRIMARY KEY (report, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX test_cases_of_test ON test_cases (test, report);

-- Which lines tests reach: a row a report, and one a file.
CREATE TABLE coverage_reports (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    run              INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    job              TEXT NOT NULL,
    step             INTEGER NOT NULL,
    name             TEXT NOT NULL,
    repository       TEXT NOT NULL,
    sha              TEXT NOT NULL,
    git_ref          TEXT NOT NULL,
    at               INTEGER NOT NULL,
    lines            INTEGER NOT NULL,
    lines_covered    INTEGER NOT NULL,
    branches         INTEGER NOT NULL,
    branches_covered INTEGER NOT NULL,
    before           INTEGER REFERENCES coverage_reports (id) ON DELETE SET NULL, -- what it is compared with
    files            BLOB NOT NULL,          -- each with its lines and branches: JSON, packed with zstd
    UNIQUE (run, job, step)
) STRICT;
CREATE INDEX coverage_of_ref ON coverage_reports (repository, name, git_ref, id);
