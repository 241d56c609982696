//! Pages about what steps leave and what tools report.

use engine::store::tokens::Scope;

use super::{JSON, Page, page};

const FINDINGS: &[(&str, &str)] = &[
    ("repository", "owner/name; else the first that was scanned"),
    ("branch", "a branch, or a whole ref such as refs/tags/v1; else main"),
    ("environment", "what stands there is compared with; else production"),
    ("subject", "an image without its tag, or a path of sources"),
    ("severity", "critical, high, medium, low or unknown"),
    ("state", "open (else this one), new (not in the environment), standing (there) or fixed"),
    ("limit", "at most so many; 5000 at most"),
];

/// All of them.
pub(super) const PAGES: &[Page] = &[
    Page {
        answer: (
            200,
            JSON,
            "annotations: job, step, annotation (level, message, title, file, line, end_line, column, end_column, code); \
             more: how many were not kept",
        ),
        ..page("get", "/runs/{id}/annotations", Scope::RunsRead, "Errors, warnings and notices of a run's steps")
    },
    Page {
        answer: (200, JSON, "summaries: job, step, markdown (as the step wrote it: do not trust it)"),
        ..page("get", "/runs/{id}/summaries", Scope::RunsRead, "What a run's steps wrote to their summaries")
    },
    Page {
        query: &[
            ("outcome", "error, failed, flaky, skipped or passed"),
            ("cursor", "`next` of the page before"),
            ("limit", "1 to 500, else 50"),
        ],
        answer: (200, JSON, "totals, failed (the first names), reports; cases, the worst first; next"),
        ..page("get", "/runs/{id}/tests", Scope::RunsRead, "Results of the tests of a run")
    },
    Page {
        answer: (
            200,
            JSON,
            "coverage: lines, branches, percent, change against the last green run of the default branch",
        ),
        ..page("get", "/runs/{id}/coverage", Scope::RunsRead, "Which lines the tests of a run reach")
    },
    Page {
        answer: (200, JSON, "files: path, lines, branches"),
        ..page("get", "/runs/{id}/coverage/{report}", Scope::RunsRead, "The files of a report of coverage")
    },
    Page {
        query: FINDINGS,
        answer: (
            200,
            JSON,
            "repository, ref, environment; subjects: their newest scans, counts, how many are new against the environment; counts \
             by severity; findings: name, place, subject, severity, fails, first_run, first_at, last_run, last_at, fixed_run, \
             fixed_at, is_later (advisories that came after the scan say it), stands (in the environment); more: how many were left out",
        ),
        ..page("get", "/findings", Scope::RunsRead, "What scans found over time, against what stands")
    },
    Page {
        query: FINDINGS,
        answer: (200, JSON, "the same as SARIF 2.1.0"),
        ..page("get", "/findings/sarif", Scope::RunsRead, "What scans found, for other tools")
    },
    Page {
        query: &[
            ("repository", "owner/name; must be given"),
            ("text", "a part of suite, class or name"),
            ("order", "failing (else this one), flaky, slow or name"),
            ("cursor", "`next` of the page before"),
            ("limit", "1 to 200, else 50"),
        ],
        answer: (
            200,
            JSON,
            "tests: id, suite, class, name, results, failures, flaky, flaky_score, time_us, last; next",
        ),
        ..page("get", "/tests", Scope::RunsRead, "Tests of a repository, by their newest results")
    },
    Page {
        query: &[("limit", "1 to 200, else 50")],
        answer: (200, JSON, "test; history: its results, newest first"),
        ..page("get", "/tests/{id}/history", Scope::RunsRead, "The results of one test")
    },
];
