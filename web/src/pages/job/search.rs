//! A text in the log of a job: all its places, and the one that is looked at.

use serde::Serialize;

use super::steps::{Sight, StepLog};
use crate::Problem;
use crate::api::answer::{bad, unreadable};
use crate::pages::filters::encoded;
use crate::pages::log::search;

/// Longest text.
const WANTED_CHARACTERS_MAX: usize = 256;
/// Places that are given; all are counted.
const LISTED_MAX: usize = 10_000;

/// Where it is.
#[derive(Debug, Default, Serialize)]
pub(super) struct Hits {
    /// In how many lines.
    total: u64,
    /// Step and line, the first ones.
    hits: Vec<(String, u64)>,
    /// Whether a log was too long to be read to its end.
    is_cut: bool,
}

/// What a page shows of it.
#[derive(Debug, Serialize)]
pub(super) struct Chosen {
    total: u64,
    is_cut: bool,
    /// Which one is looked at, from 1; 0: none.
    number: usize,
    previous: String,
    next: String,
}

pub(super) async fn all(steps: &[StepLog], wanted: &str) -> Result<Hits, Problem> {
    if wanted.chars().count() > WANTED_CHARACTERS_MAX {
        return Err(bad("query", format!("`q` has at most {WANTED_CHARACTERS_MAX} characters")));
    }
    let (wanted, steps) = (wanted.to_owned(), steps.to_vec());
    let read = tokio::task::spawn_blocking(move || {
        let mut all = Hits::default();
        for step in steps.iter().filter(|step| step.path.exists()) {
            let found = search(&step.path, &wanted)?;
            all.total += found.total;
            all.is_cut |= found.is_cut;
            let room = LISTED_MAX.saturating_sub(all.hits.len());
            all.hits.extend(found.lines.into_iter().take(room).map(|line| (step.id.clone(), line)));
        }
        Ok::<_, std::io::Error>(all)
    });
    read.await.map_err(|error| unreadable(&error))?.map_err(|error| unreadable(&error))
}

/// Lets the page show one place, with links to those beside it.
pub(super) fn choose(hits: Hits, number: Option<usize>, wanted: &str, sight: &mut Sight) -> Chosen {
    let count = hits.hits.len();
    let number = number.unwrap_or(1).clamp(usize::from(count > 0), count.max(1)).min(count);
    let link = |number: usize| {
        let place = number.checked_sub(1).and_then(|place| hits.hits.get(place));
        place.map_or_else(String::new, |(step, line)| format!("?q={}&n={number}#{step}-L{line}", encoded(wanted)))
    };
    let (previous, next) = (link(number.saturating_sub(1)), link(number + 1));
    if let Some((step, line)) = number.checked_sub(1).and_then(|place| hits.hits.get(place)) {
        sight.hits.insert(step.clone(), *line);
    }
    Chosen { total: hits.total, is_cut: hits.is_cut, number, previous, next }
}
