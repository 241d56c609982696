//! Pages about deployments one by one, and figures over them.

use engine::store::tokens::Scope;

use super::{JSON, Page, page};

const DAYS: &[(&str, &str)] = &[
    ("repository", "owner/name"),
    ("since", "so long back: 7d, 12w; else 30d. Whole days, in UTC"),
    ("from", "instead of since: the first day"),
    ("to", "the last day; else today"),
];

/// All of them.
pub(super) const PAGES: &[Page] = &[
    Page {
        query: &[
            ("environment", "else the one that is called production"),
            ("repository", "owner/name"),
            ("service", "only of this one"),
            ("since", "so long back: 7d, 12w, 36h; else 30d"),
            ("from", "instead of since: a day, or a moment (RFC 3339)"),
            ("to", "the last day, or the moment before which it ends; else now"),
            ("timezone", "such as Europe/Vienna, else UTC"),
        ],
        answer: (
            200,
            JSON,
            "environment, environments, window; all and services, each with deployments, per_day, bucket, lead_time (count, \
             median_seconds, p90_seconds), lead_time_parts, failed, change_fail_rate, recovery_time, unrecovered, rework, \
             rework_rate, stopped; failures",
        ),
        ..page("get", "/insights/dora", Scope::RunsRead, "DORA's five figures of an environment")
    },
    Page {
        query: DAYS,
        answer: (
            200,
            JSON,
            "window; all and workflows: runs, run_p50_seconds, run_p95_seconds, queue_p50_seconds, queue_p95_seconds; caches; \
             slowest_jobs",
        ),
        ..page("get", "/insights/speed", Scope::RunsRead, "How long runs take and jobs wait, caches, slow jobs")
    },
    Page {
        query: DAYS,
        answer: (
            200,
            JSON,
            "window, currency; total, workflows, jobs, services, labels: runs, failed, seconds, minutes (billed), money; \
             steps; caches; budget: month, budget, spent, alerts_at, alerts",
        ),
        ..page("get", "/costs", Scope::RunsRead, "Minutes and money of jobs, slow steps, caches, the budget")
    },
    Page {
        answer: (
            200,
            JSON,
            "the deployment; noted: its times and commits; verdict; marks; images; reviews: by, approved, comment, at, \
             origin (for who may see the audit log); subject",
        ),
        ..page(
            "get",
            "/deployments/{id}",
            Scope::RunsRead,
            "One deployment: its commit, images, approvals, and what became of it",
        )
    },
    Page {
        body: &[("reason*", "why"), ("at", "since when (RFC 3339): when a failure was noticed; else now")],
        answer: (200, JSON, "deployment, mark"),
        ..page(
            "put",
            "/deployments/{id}/marks/{mark}",
            Scope::RunsWrite,
            "Say that a deployment failed, or was unplanned",
        )
    },
    Page {
        answer: (200, JSON, "deployment, unmarked"),
        ..page("delete", "/deployments/{id}/marks/{mark}", Scope::RunsWrite, "Take back what was said of a deployment")
    },
];
