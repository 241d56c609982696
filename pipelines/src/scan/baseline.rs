//! What findings are compared with: what stands in production, as it is judged with the advisories of today.

use std::collections::HashMap;

use scanners::advisory::Index;
use scanners::inventory;
use scanners::package::Inventory;
use scanners::policy::{Baseline, BaselineState, Policy};
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

/// What is known of it.
pub(super) enum Known {
    Not(BaselineState<'static>),
    Is(Baseline),
}

impl Known {
    pub(super) fn state(&self) -> BaselineState<'_> {
        match self {
            Self::Not(state) => state.clone(),
            Self::Is(baseline) => BaselineState::Known(baseline),
        }
    }
}

pub(super) fn known(standing: Standing, index: Option<&Index>, options: &inventory::Options) -> Known {
    let unavailable = |why: String| Known::Not(BaselineState::Unavailable(why));
    let inventory = match standing {
        Standing::NotAsked => return Known::Not(BaselineState::NotAsked),
        Standing::Nothing => return Known::Not(BaselineState::Empty),
        Standing::Unavailable(why) => return unavailable(why),
        Standing::Report(inventory) => *inventory,
        Standing::Source { name, source } => {
            let options = inventory::Options { target: name, dockerfile: None, ..options.clone() };
            match inventory::read(source, &options) {
                Ok(inventory) => inventory,
                Err(error) => return unavailable(error.to_string()),
            }
        }
    };
    let Some(index) = index else { return unavailable("there are no advisories to judge it with".to_owned()) };
    match index.matching(&inventory) {
        Ok(matches) => Known::Is(Baseline::of(inventory.image_id.unwrap_or(inventory.target), &matches.findings)),
        Err(error) => unavailable(error.to_string()),
    }
}
