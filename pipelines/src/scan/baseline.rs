//! What findings are compared with: what stands in production, as it is judged with the advisories of today.

use scanners::advisory::Index;
use scanners::inventory;
use scanners::package::Inventory;
use scanners::policy::{Baseline, BaselineState};
use scanners::source::Source;

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
