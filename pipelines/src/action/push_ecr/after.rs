//! What follows a push: rules of what stays, and copies in other regions.

use std::time::Duration;

use aws::{Ecr, Replicated, is_same_policy, lifecycle_policy};
use engine::step::{ActionCall, ActionError};
use rollout::read::duration as read_duration;
use serde_json::Value;
use workflow::catalogue::Wrong;

use super::super::aws_step::{failed, given, text};
use super::super::switch;

/// Days after which what has no tag goes.
const UNTAGGED_DAYS: u32 = 14;
/// The first pause between two looks at copies; each later one is longer.
const PAUSE_FIRST: Duration = Duration::from_millis(if cfg!(test) { 20 } else { 1_000 });
/// The longest.
const PAUSE_MAX: Duration = Duration::from_secs(15);

/// What is wanted.
#[derive(Debug)]
pub(super) struct Wanted {
    repository: String,
    policy: Option<Value>,
    regions: Vec<String>,
    time: Duration,
}

/// Whether it is a time.
pub(super) fn duration(name: &str, text: &str) -> Vec<Wrong> {
    Wrong::of(read_duration(text.trim()).map_err(|error| format!("`{name}`: {error}")))
}

/// Whether it is a number of images.
pub(super) fn counts(name: &str, text: &str) -> Vec<Wrong> {
    if text.trim().is_empty() { Vec::new() } else { Wrong::of(count(name, text)) }
}

fn count(name: &str, text: &str) -> Result<u32, String> {
    let read = text.trim().parse().ok().filter(|count| (1..=10_000).contains(count));
    read.ok_or_else(|| format!("`{name}: {text}` is not a number from 1 to 10000"))
}

impl Wanted {
    pub(super) fn of(call: &ActionCall<'_>) -> Result<Self, ActionError> {
        let number = |name: &str| given(call, name).map(|text| count(name, text)).transpose().map_err(failed);
        let deployed = number("lifecycle-keep-deployed")?.unwrap_or(100);
        let time = read_duration(text(call, "replication-timeout"));
        let time = time.map_err(|error| failed(format!("`replication-timeout`: {error}")))?;
        let waits = switch(call, "wait-for-replication").map_err(failed)?;
        let regions = text(call, "replicate-to").split(',').map(str::trim).filter(|one| waits && !one.is_empty());
        let regions = regions.map(|one| aws::region(Some(one), |_| None)).collect::<Result<_, _>>();
        Ok(Self {
            repository: text(call, "repository").to_owned(),
            policy: number("lifecycle-keep")?.map(|keep| lifecycle_policy(keep, deployed, UNTAGGED_DAYS)),
            regions: regions.map_err(|error| failed(format!("`replicate-to`: {error}")))?,
            time: Duration::try_from(time).unwrap_or_default(),
        })
    }

    pub(super) async fn say(&self, call: &mut ActionCall<'_>, ecr: &Ecr) -> Result<(), ActionError> {
        if let Some(policy) = &self.policy {
            let stands = ecr.lifecycle(&self.repository).await.map_err(failed)?;
            if !stands.as_deref().is_some_and(|stands| is_same_policy(stands, policy)) {
                call.log.line(&format!("  4. set the rules of what stays: {policy}")).await;
            }
        }
        if !self.regions.is_empty() {
            call.log.line(&format!("  5. wait for copies in {}", self.regions.join(", "))).await;
        }
        Ok(())
    }

    /// Sets the rules of what stays, if they are others.
    pub(super) async fn rules(&self, call: &mut ActionCall<'_>, ecr: &Ecr) -> Result<(), ActionError> {
        let Some(policy) = &self.policy else { return Ok(()) };
        let stands = ecr.lifecycle(&self.repository).await.map_err(failed)?;
        if stands.as_deref().is_some_and(|stands| is_same_policy(stands, policy)) {
            return Ok(());
        }
        // Rules that somebody else wrote are not ours to replace.
        let is_ours = |text: &str| text.contains("\"pipe: ");
        if stands.as_deref().is_some_and(|stands| !is_ours(stands)) {
            let words = format!(
                "{} has lifecycle rules that `pipe` did not write; they were left as they are. See that none removes tags that \
                 begin with `{}`: what is deployed has one",
                self.repository,
                aws::DEPLOYED_TAG
            );
            call.log.warning(&words).await;
            return Ok(());
        }
        ecr.set_lifecycle(&self.repository, &policy.to_string()).await.map_err(failed)?;
        call.log.line("Set the rules of what stays; what was deployed is kept first").await;
        Ok(())
    }

    /// Waits for copies, with pauses that grow.
    pub(super) async fn replicas(&self, call: &mut ActionCall<'_>, ecr: &Ecr, digest: &str) -> Result<(), ActionError> {
        if self.regions.is_empty() {
            return Ok(());
        }
        let until = tokio::time::Instant::now() + self.time;
        let mut pause = PAUSE_FIRST;
        loop {
            let all = ecr.replicas(&self.repository, digest).await.map_err(failed)?;
            let state = |region: &str| all.iter().find(|one| one.region == region).map(|one| &one.state);
            let mut missing = Vec::new();
            for region in &self.regions {
                match state(region) {
                    Some(Replicated::Yes) => {}
                    Some(Replicated::Failed { why }) => {
                        return Err(failed(format!(
                            "ECR does not copy the image to {region}: {why}. Nothing was deployed there; look at the registry's \
                             replication rules and the repository in {region}"
                        )));
                    }
                    Some(Replicated::Not) | None => missing.push(region.as_str()),
                }
            }
            if missing.is_empty() {
                call.log.line(&format!("Copies are in {}", self.regions.join(", "))).await;
                call.outputs.insert("replicated".to_owned(), self.regions.join(","));
                return Ok(());
            }
            if tokio::time::Instant::now() >= until {
                return Err(failed(format!(
                    "after {} s there is no copy in {}: is there a replication rule of the registry for the repository and that \
                     region? (`aws ecr describe-registry`). The push itself is done; running the step again goes on waiting",
                    self.time.as_secs(),
                    missing.join(", ")
                )));
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = (pause * 3 / 2).min(PAUSE_MAX),
                () = call.cancel.cancelled() => return Err(ActionError::Cancelled),
            }
        }
    }
}
