//! What findings are compared with: what stands in production, as it is judged with the advisories of today.

use std::collections::HashMap;

use scanners::case::Compared;
use scanners::inventory;
use scanners::package::Inventory;
use scanners::policy::Policy;
use scanners::source::Source;

use super::target::{self, Leftover, Target};

/// Where the baseline comes from.
#[derive(Debug)]
pub enum Standing {
    /// Nobody asked for one.
    NotAsked,
    /// Nothing stands there.
    Nothing,
    /// An image or folder that is read as the target is.
    Source {
        /// As the user named it.
        name: String,
        /// To be read once.
        source: Source,
    },
    /// A report of an earlier scan: what was found is compared again, the image is not needed.
    Report(Box<Inventory>),
    /// It could not be had, and why: everything counts as new.
    Unavailable(String),
}

/// The name of what is compared with: what is named here counts more than what the policy names.
#[must_use]
pub fn compared_with<'a>(named: Option<&'a str>, policy: &'a Policy) -> Option<&'a str> {
    named.or(policy.baseline.as_ref().map(|rule| rule.image.as_str()))
}

/// Opens what is compared with, and gives what is to be removed afterwards.
pub async fn standing(name: &str, target: Target, labels: HashMap<String, String>) -> (Standing, Option<Leftover>) {
    match target::open(target, labels).await {
        Ok(opened) => {
            let (source, leftover) = opened.take();
            (Standing::Source { name: name.to_owned(), source }, Some(leftover))
        }
        Err(error) => (Standing::Unavailable(error.to_string()), None),
    }
}

/// What is in it. It is read as the target is, and judged when that is.
pub(super) fn compared(standing: Standing, options: &inventory::Options) -> Compared {
    match standing {
        Standing::NotAsked => Compared::NotAsked,
        Standing::Nothing => Compared::Nothing,
        Standing::Unavailable(why) => Compared::Unavailable(why),
        Standing::Report(inventory) => Compared::Inventory(inventory),
        Standing::Source { name, source } => {
            let options = inventory::Options { target: name, dockerfile: None, ..options.clone() };
            match inventory::read(source, &options) {
                Ok(inventory) => Compared::Inventory(Box::new(inventory)),
                Err(error) => Compared::Unavailable(error.to_string()),
            }
        }
    }
}
