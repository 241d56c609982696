//! Who wrote what a run would bring to environments whose authors may not approve it (row A01 of the attacks).
//!
//! It is looked at whenever a run is taken up, so also when a review comes for one that waits: what stands there may be
//! another commit since, and then a review is of something else.

use std::sync::Arc;

use workflow::run::{Environments, Written};

use super::{Inner, RunSpec};
use crate::mirror::{self, WRITTEN_MAX};
use crate::step::RepositoryFacts;
use crate::store::approvals::Approvals;
use crate::store::deployments::Deployments;
use crate::store::{RunId, StoreError};

/// The environments of a run, with the authors where they are asked for.
pub(super) async fn environments(
    inner: &Inner,
    (run, spec): (RunId, &RunSpec),
    repository: &RepositoryFacts,
) -> Result<Arc<Environments>, StoreError> {
    let rules = &inner.parts.environments;
    // A workflow without the word has no job with an environment, however its names are made.
    let has_any = || spec.sources.values().any(|text| text.contains("environment"));
    if rules.of_authors().next().is_none() || !has_any() {
        return Ok(Arc::clone(rules));
    }
    let deployments = Deployments::on(inner.parts.database.clone());
    let standing = deployments.standing(Some(spec.repository.clone())).await?;
    let mut own = Environments::clone(rules);
    for name in rules.of_authors() {
        let is_there = |sha: &&str| !sha.is_empty();
        let old = standing
            .iter()
            .find(|one| one.environment.eq_ignore_ascii_case(name) && one.state == "success" && one.run != run);
        let old = old.map(|one| one.sha.as_str()).filter(is_there).map(str::to_owned);
        let new = spec.event.sha.clone().unwrap_or_default();
        let written = written(inner, repository, old, new).await?;
        own.written.insert(name.to_owned(), written);
    }
    Ok(Arc::new(own))
}

async fn written(
    inner: &Inner,
    repository: &RepositoryFacts,
    old: Option<String>,
    new: String,
) -> Result<Written, StoreError> {
    let folder = repository.folder.clone();
    let read = tokio::task::spawn_blocking(move || {
        let mirror = crate::git::open(&folder).map_err(|error| error.to_string())?;
        let written = mirror::written(&mirror, old.as_deref(), &new).map_err(|error| error.to_string())?;
        written
            .ok_or_else(|| format!("more than {WRITTEN_MAX} commits come at once; deploy an older one of them first"))
    });
    let mut names = match read.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic())) {
        Ok(names) => names,
        Err(reason) => return Ok(Err(reason)),
    };
    // By their own names as well, so that it is known whether anybody is left.
    let approvals = Approvals::on(inner.parts.database.clone());
    for address in names.clone().iter().filter(|name| name.contains('@')) {
        names.push(approvals.reviewer_at(address).await?.name.to_lowercase());
    }
    names.sort_unstable();
    names.dedup();
    Ok(Ok(names))
}
