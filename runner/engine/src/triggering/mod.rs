//! From an event to the runs that it starts: the commit is fetched, its workflows are read as blobs, their triggers are
//! asked, and what comes of it is a list of [`RunSpec`]s, or the reasons why there is none.
//!
//! Nothing is stored here but what default branches want by themselves (schedules, and which workflows they follow); whoever asks makes the runs. Asked again, it answers the
//! same, as long as the repository has not changed.
//! Follows <https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows>.

mod catch_up;
mod complete;
mod dispatch;
mod followed;
mod known;
mod late;
mod offers;
mod schedule;
mod sources;
#[cfg(test)]
mod tests;
mod trust;
mod workflows;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use workflow::event::{Event, EventName, Forge, GitRef};

use crate::mirror::{CommitText, MirrorError, Mirrors, Origin, RemoteUrl};
use crate::service::{RunSpec, Trust};
use crate::store::deliveries::deleted_reason;
use crate::store::followers::{Followers, Following};
use crate::store::repositories::{Repositories, Repository};
use crate::store::schedules::{CronLine, Schedules};
use crate::store::{RefOf, RunId, RunNumbers, SqliteStore, StoreError};

use late::Order;

pub use catch_up::{CaughtUp, Page, SentHooks, Try, catch_up};
pub use dispatch::{DispatchError, DispatchOrder, RepositoryDispatchOrder};
pub(crate) use followed::{Activity, RunSeen, seen};
pub use known::Known;
pub use offers::{Offer, OfferedInput, Offers};
pub use schedule::Scheduler;
pub use sources::Sources;
pub use trust::{ForkApproval, TrustPolicy};

/// How long a repository that cannot be reached is tried again for one delivery.
const TRIED_FOR: Duration = Duration::from_secs(15 * 60);
/// Shortest and longest pause between two tries.
const PAUSE_MIN: Duration = Duration::from_secs(5);
const PAUSE_MAX: Duration = Duration::from_secs(120);

/// What an event starts.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// These runs; and why other workflows of the commit do not run, a sentence each.
    Runs {
        /// Never empty.
        specs: Vec<RunSpec>,
        /// May be empty.
        others: Vec<String>,
    },
    /// Nothing, and why.
    Nothing(String),
    /// Somebody asked at the forge for something to run again.
    Rerun(RerunAsked),
    /// It should have started something and cannot, and why.
    Failed(String),
    /// It cannot be said now; ask again after this time.
    Later(Duration, String),
}

/// What an event says of the end of a ref.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// Nothing, or the ref is there again.
    No,
    /// This ref is gone.
    Ref(RefOf),
    /// It cannot be said now; ask again after this time.
    Later(Duration, String),
}

/// A check that somebody wants to run again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RerunAsked {
    /// `external_id` of the check run, as we gave it; `None` where all checks of the commit are meant.
    pub external_id: Option<String>,
    /// The commit.
    pub sha: String,
    /// Who asked.
    pub by: String,
}

/// Makes what was found.
#[async_trait]
pub trait RunMaker: Send + Sync + std::fmt::Debug {
    /// Makes runs and ends the delivery that they come from, both or none. `None` if the delivery was over already.
    ///
    /// # Errors
    /// The store said no; nothing was written.
    async fn make(&self, delivery: Option<u64>, specs: Vec<RunSpec>) -> Result<Option<Vec<RunNumbers>>, StoreError>;

    /// Runs something again that was asked for at the forge. Asked twice, the second time finds it under way. A sentence
    /// that tells what became of it.
    ///
    /// # Errors
    /// The store said no.
    async fn again(&self, asked: &RerunAsked) -> Result<String, StoreError>;

    /// Cancels what pushes to a ref that is gone asked for and what is not over. How many runs were told.
    ///
    /// # Errors
    /// The store said no.
    async fn end_of_ref(&self, of: &RefOf) -> Result<usize, StoreError>;
}

/// Finds out what events start. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Triggering {
    /// Copies of the repositories.
    pub mirrors: Mirrors,
    /// Which there are.
    pub repositories: Repositories,
    /// Cron lines of default branches.
    pub schedules: Schedules,
    /// Which workflows those of default branches follow.
    pub followers: Followers,
    /// The runs that were made, to know what is newer.
    pub store: SqliteStore,
    /// What is trusted.
    pub trust: TrustPolicy,
    /// What their workflows may use: actions, and workflows of other repositories.
    pub actions: Arc<Known>,
}

/// What the workflows of a default branch want to happen without a push.
#[derive(Debug, Default)]
struct OfDefault {
    crons: Vec<CronLine>,
    followed: Vec<Following>,
}

impl OfDefault {
    fn of(read: &[workflows::ReadWorkflow]) -> Self {
        Self { crons: workflows::schedules(read), followed: workflows::followed(read) }
    }
}

/// A repository whose event is looked at.
#[derive(Debug, Clone)]
struct Place {
    repository: Repository,
    origin: Origin,
}

impl Place {
    fn of(repository: Repository) -> Result<Self, MirrorError> {
        let url = RemoteUrl::parse(&repository.url)?;
        let origin = Origin { id: repository.id, url };
        Ok(Self { repository, origin })
    }
}

impl Triggering {
    /// What an event of a registered repository starts. `received_at` bounds how long an unreachable repository is tried.
    ///
    /// # Errors
    /// The store said no.
    pub async fn look(
        &self,
        forge: Forge,
        repository: &str,
        event: Event,
        received_at: Timestamp,
        now: Timestamp,
    ) -> Result<Found, StoreError> {
        let Some(known) = self.repositories.find(forge, repository).await? else {
            return Ok(Found::Failed(format!("{repository} is not registered any more")));
        };
        if let Some(rerun) = rerun(&event) {
            return Ok(Found::Rerun(rerun));
        }
        let place = match Place::of(known) {
            Ok(place) => place,
            Err(error) => return Ok(Found::Failed(error.to_string())),
        };
        if event.name == EventName::Push && event.deleted {
            return self.forget(&place, &event, now).await;
        }
        match self.complete(&place, event).await {
            Ok(complete::Completed::Event(event)) => match self.order(&place, &event).await? {
                Order::Gone => Ok(Found::Nothing(format!("`{}` was deleted since", event.git_ref))),
                Order::Newest => self.start(&place, event, now).await,
                Order::Behind(newer) => Ok(behind(self.start(&place, event, now).await?, &newer)),
            },
            Ok(complete::Completed::Nothing(reason)) => Ok(Found::Nothing(reason)),
            Err(error) => Ok(answer(&error, received_at, now)),
        }
    }

    /// The runs of an event whose commit is in the mirror.
    async fn start(&self, place: &Place, event: Event, now: Timestamp) -> Result<Found, StoreError> {
        let is_of_default = event.name == EventName::Push
            && event.git_ref.as_str().strip_prefix("refs/heads/") == Some(&event.repository.default_branch);
        let (forge, trust) = (place.repository.forge, self.trust.of(&event));
        let held = self.trust.holds(&event);
        let event = Arc::new(event);
        let name = place.repository.full_name.clone();
        let branch = event.repository.default_branch.clone();
        let actions = match trust {
            Trust::Trusted => Arc::clone(&self.actions),
            Trust::Fork => Arc::new(self.actions.for_forks()),
        };
        let reading = self.mirrors.read(place.origin.id, move |repository| {
            let sha = event.sha.clone().unwrap_or_default();
            let read = workflows::read(repository, &sha, &actions)?;
            // The branch may have gone on since.
            let tip =
                is_of_default.then(|| CommitText::tip(repository, &event.git_ref).map(|tip| tip.id)).transpose()?;
            let of_default = match tip {
                Some(tip) if tip != sha => Some(OfDefault::of(&workflows::read(repository, &tip, &actions)?)),
                Some(_) => Some(OfDefault::of(&read)),
                None => None,
            };
            let asked = workflows::Asked { forge, repository: &name, event: &event, trust, held };
            Ok((asked.decide(&read), of_default))
        });
        let (found, of_default) = match reading.await {
            Ok(answer) => answer,
            Err(error) => return Ok(Found::Failed(error.to_string())),
        };
        if let Some(of_default) = of_default {
            self.keep(place.repository.id, &branch, of_default, now).await?;
        }
        Ok(found)
    }

    /// Keeps what the default branch of a repository has now.
    async fn keep(&self, repository: u64, branch: &str, kept: OfDefault, now: Timestamp) -> Result<(), StoreError> {
        self.followers.set(repository, kept.followed).await?;
        self.schedules.set(repository, branch, kept.crons, now).await
    }

    /// Whether an event tells that a ref is gone, and it is. `received_at` bounds how long an unreachable repository is
    /// asked; after that the event is believed.
    ///
    /// # Errors
    /// The store said no.
    pub async fn ended(
        &self,
        forge: Forge,
        repository: &str,
        event: &Event,
        received_at: Timestamp,
        now: Timestamp,
    ) -> Result<Ended, StoreError> {
        let Some(name) = ended_ref(event) else { return Ok(Ended::No) };
        let Some(known) = self.repositories.find(forge, repository).await? else { return Ok(Ended::No) };
        let Ok(place) = Place::of(known) else { return Ok(Ended::No) };
        match self.is_gone(&place, &name).await {
            Ok(false) => return Ok(Ended::No),
            Ok(true) => {}
            Err(error) => {
                if let Found::Later(pause, reason) = answer(&error, received_at, now) {
                    return Ok(Ended::Later(pause, reason));
                }
            }
        }
        let repository = place.repository.full_name;
        Ok(Ended::Ref(RefOf { forge, repository, git_ref: name.to_string() }))
    }

    /// A ref went: it goes from the mirror too. On the default branch its schedules go with it.
    async fn forget(&self, place: &Place, event: &Event, now: Timestamp) -> Result<Found, StoreError> {
        let name = event.git_ref.to_string();
        if self.is_gone(place, &event.git_ref).await.is_ok_and(|gone| !gone) {
            // This was told late, or somebody made it again.
            return Ok(Found::Nothing(format!("`{name}` was deleted, and is there again")));
        }
        let of_default = name.strip_prefix("refs/heads/") == Some(&event.repository.default_branch);
        let removed = self.mirrors.read(place.origin.id, {
            let name = name.clone();
            move |repository| {
                if let Ok(mut found) = repository.find_reference(&name) {
                    // The next fetch of everything forgets it otherwise.
                    let _kept = found.delete();
                }
                Ok(())
            }
        });
        // There may be no mirror yet.
        let _none = removed.await;
        if of_default {
            self.keep(place.repository.id, &event.repository.default_branch, OfDefault::default(), now).await?;
        }
        Ok(Found::Nothing(deleted_reason(&name)))
    }
}

/// The ref that an event says is gone.
fn ended_ref(event: &Event) -> Option<GitRef> {
    if event.name == EventName::Push && event.deleted {
        return Some(event.git_ref.clone());
    }
    let text = |name: &str| event.payload.get(name).and_then(serde_json::Value::as_str);
    let name = text("ref").filter(|_| event.name == EventName::Delete)?;
    let kind = if text("ref_type") == Some("tag") { "tags" } else { "heads" };
    if name.starts_with("refs/") { GitRef::parse(name) } else { GitRef::parse(&format!("refs/{kind}/{name}")) }
}

/// What an event starts that came behind these runs.
fn behind(found: Found, newer: &[RunId]) -> Found {
    let Found::Runs { mut specs, others } = found else { return found };
    for spec in &mut specs {
        spec.newer = newer.to_vec();
    }
    Found::Runs { specs, others }
}

/// GitHub's buttons "Re-run" at a check run and at a commit.
fn rerun(event: &Event) -> Option<RerunAsked> {
    if event.action.as_deref() != Some("rerequested") {
        return None;
    }
    let text = |pointer: &str| Some(event.payload.pointer(pointer)?.as_str()?.to_owned());
    let by = event.actor.login.clone();
    if event.name == EventName::CheckRun {
        let external_id = text("/check_run/external_id").filter(|id| !id.is_empty())?;
        return Some(RerunAsked { external_id: Some(external_id), sha: text("/check_run/head_sha")?, by });
    }
    (event.name == EventName::CheckSuite)
        .then(|| Some(RerunAsked { external_id: None, sha: text("/check_suite/head_sha")?, by }))?
}

/// What to tell of a repository that cannot be had.
fn answer(error: &MirrorError, received_at: Timestamp, now: Timestamp) -> Found {
    let age = Duration::try_from(now.duration_since(received_at)).unwrap_or_default();
    if error.is_passing() && age < TRIED_FOR {
        return Found::Later((age / 4).clamp(PAUSE_MIN, PAUSE_MAX), error.to_string());
    }
    match error {
        // Somebody deleted or overwrote it since: there is nothing to run, and nobody's fault.
        MirrorError::Gone(_) | MirrorError::NoSuchRef(_) => Found::Nothing(error.to_string()),
        MirrorError::Url(_)
        | MirrorError::Unreachable(_)
        | MirrorError::TooSlow { .. }
        | MirrorError::Denied(_)
        | MirrorError::NotFound(_)
        | MirrorError::Empty
        | MirrorError::TooLarge { .. }
        | MirrorError::TooManyRefs { .. }
        | MirrorError::Damaged(_)
        | MirrorError::ObjectFormat
        | MirrorError::NoRoom
        | MirrorError::Program(_)
        | MirrorError::Mirror { .. }
        | MirrorError::Failed(_) => Found::Failed(error.to_string()),
    }
}
