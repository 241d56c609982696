//! The pages of the reference that are about notifications.

use engine::store::tokens::Scope;

use super::{JSON, Page, page};

/// Them.
pub(super) const PAGES: &[Page] = &[
    Page {
        answer: (
            200,
            JSON,
            "channels: name, form, place, on, filters, per_minute; standing: open, given_up, held, arrived_at, problem",
        ),
        ..page("get", "/notifications", Scope::Deliveries, "Whom people's news go to, and how it goes")
    },
    Page {
        body: &[("channel", "its name; else all")],
        answer: (202, JSON, "sent: channel and number of each message"),
        ..page("post", "/notifications/test", Scope::Deliveries, "Send a trial")
    },
    Page {
        query: &[("channel", "its name"), ("cursor", "`next` of the page before"), ("limit", "1 to 500, else 50")],
        answer: (
            200,
            JSON,
            "deliveries, newest first: channel, id, subject, state, attempts, created_at, problem; next",
        ),
        ..page("get", "/notifications/deliveries", Scope::Deliveries, "What people were told, for 30 days")
    },
    Page {
        answer: (202, JSON, "number, state"),
        ..page("post", "/notifications/deliveries/{number}/redeliver", Scope::Deliveries, "Send something once more")
    },
];
