//! Pages about environments and rollouts: what stands somewhere, what goes on in an environment, and what people order.

use engine::store::tokens::Scope;

use super::{JSON, Page, page};

/// All of them.
pub(super) const PAGES: &[Page] = &[
    Page {
        query: &[
            ("repository", "owner/name"),
            ("by", "name: one entry an environment, with all that stands there in `stands`"),
        ],
        answer: (
            200,
            JSON,
            "environments: name, repository, rules, how many secrets and variables, what stands there; lag: commits that are not there yet; services: what was rolled out",
        ),
        ..page("get", "/environments", Scope::RunsRead, "Deployment environments")
    },
    Page {
        query: &[
            ("environment", "only to this one"),
            ("service", "only of this one"),
            ("repository", "owner/name"),
            ("run", "only of this run"),
            ("open", "true: something is left to do; false: nothing is"),
            ("newest", "true: only the newest of each service, by environment and service"),
            ("cursor", "`next` of the page before"),
            ("limit", "1 to 200, else 50"),
        ],
        answer: (200, JSON, "rollouts, newest first, each as `GET /rollouts/{id}` answers; next"),
        ..page("get", "/rollouts", Scope::RunsRead, "Rollouts of services to environments")
    },
    Page {
        answer: (
            200,
            JSON,
            "id, environment, service, repository, run, job, actor, plan_hash, state (active, ended, closed), step, may_order; \
             view: phase, outcome, cause, words, weight (in thousandths), blue, green, steps, evidence, timeline, orders",
        ),
        ..page("get", "/rollouts/{id}", Scope::RunsRead, "A rollout: split, steps, evidence, timeline")
    },
    Page {
        answer: (
            200,
            JSON,
            "old, new: image, version, commit; apart: commits and files, or problem; settings and plan that differ; \
             migrations; irreversible",
        ),
        ..page("get", "/rollouts/{id}/changes", Scope::RunsRead, "What a rollout changes against what stands")
    },
    Page {
        answer: (
            200,
            "text/event-stream",
            "the rollout, whole, whenever something changes; `event: end` after its end",
        ),
        ..page("get", "/rollouts/{id}/events", Scope::RunsRead, "A rollout live, until it has ended")
    },
    Page {
        body: &[
            (
                "order*",
                "promote, promote-full, pause, resume, abort or rollback; the rollout's `view.orders` has those that are possible",
            ),
            ("comment", "why"),
            ("step", "the step that was looked at, from 0: what has gone on since is refused"),
            ("plan", "the `plan_hash` that was looked at: another plan is refused"),
        ],
        answer: (202, JSON, "rollout, order, word; 409 where it is not possible now"),
        ..page("post", "/rollouts/{id}/orders", Scope::Deploy, "Order something of a rollout that goes on")
    },
    Page {
        answer: (200, JSON, "name, rules, stands: what stands of each service; rollouts: the newest of each service"),
        ..page(
            "get",
            "/environments/{environment}",
            Scope::RunsRead,
            "One environment: what stands there and what goes on",
        )
    },
    Page {
        body: &[
            ("service", "which; needed where the environment has several"),
            ("to", "the number of a rollout that succeeded: what it brought shall stand; else what stood before"),
            ("comment", "why"),
        ],
        answer: (201, JSON, "rollout: the one that takes it back; 202 with order where one goes on, which goes back"),
        ..page("post", "/environments/{environment}/rollback", Scope::Deploy, "Take back what goes on or what stands")
    },
];
