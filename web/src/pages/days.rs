//! Which days a page of figures is about: the part of its form that several pages share.

use std::collections::HashMap;

use minijinja::Value;
use minijinja::context;

use crate::api::costs::UsageWish;

/// Lengths of time that the form offers.
const SINCE: [(&str, &str); 4] = [("7d", "7 days"), ("30d", "30 days"), ("90d", "90 days"), ("365d", "a year")];
/// The one that holds where nothing is said.
const SINCE_DEFAULT: &str = "30d";

/// As asked for.
#[derive(Debug)]
pub(super) struct Days {
    pub(super) repository: Option<String>,
    pub(super) since: Option<String>,
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
}

/// A field that was filled in.
pub(super) fn filled(query: &HashMap<String, String>, name: &str) -> Option<String> {
    query.get(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

impl Days {
    pub(super) fn of(query: &HashMap<String, String>) -> Self {
        let get = |name: &str| filled(query, name);
        let (repository, from, to) = (get("repository"), get("from"), get("to"));
        // A form sends all of its fields: days that are given count more than a length.
        let since = get("since").filter(|_| from.is_none());
        Self { repository, since, from, to }
    }

    pub(super) fn wish(&self) -> UsageWish {
        let Self { repository, since, from, to } = self;
        UsageWish { repository: repository.clone(), since: since.clone(), from: from.clone(), to: to.clone() }
    }

    /// For the form.
    pub(super) fn context(self) -> Value {
        let default = if self.from.is_some() { "" } else { SINCE_DEFAULT };
        context! {
            lengths => SINCE, repository => self.repository.unwrap_or_default(),
            since => self.since.as_deref().unwrap_or(default),
            from => self.from.unwrap_or_default(), to => self.to.unwrap_or_default(),
        }
    }
}
