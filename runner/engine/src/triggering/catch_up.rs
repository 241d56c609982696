//! Hooks that were sent while the server was down: the forge is asked what it could not deliver, and to send it again.
//!
//! What comes again comes through the front door, signed, as if for the first time; a delivery that is known stays one.
//! GitHub keeps deliveries for three days and never tries again by itself.
//! Follows <https://docs.github.com/en/webhooks/using-webhooks/handling-failed-webhook-deliveries>.

use std::collections::HashMap;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use workflow::event::Forge;

use super::followed::RUN_ID;
use super::schedule::SCHEDULE_ID;
use crate::store::StoreError;
use crate::store::deliveries::{Deliveries, Delivery, DeliveryFilter};
use crate::store::repositories::Repository;

/// What is older is not sent again.
const KEPT: SignedDuration = SignedDuration::from_hours(3 * 24);
/// Deliveries are looked at from this long before the last one that came, since they overtake each other.
const OVERLAP: SignedDuration = SignedDuration::from_mins(10);
/// Deliveries asked for again in one go; the next look takes the rest.
const AGAIN_MAX: usize = 200;
/// Deliveries that are looked at for the last one of the forge.
const LOOKED_AT_MAX: usize = 200;
/// Pages of a forge's list.
const PAGES_MAX: usize = 50;

/// One try of the forge to deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Try {
    /// The try's number at the forge.
    pub id: u64,
    /// The delivery's id, the same for all its tries.
    pub guid: String,
    /// When.
    pub delivered_at: Timestamp,
    /// The name of the event.
    pub event: String,
    /// Whether our server said that it has it.
    pub arrived: bool,
}

/// A page of tries, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// The tries.
    pub tries: Vec<Try>,
    /// What to ask for the next page with.
    pub next: Option<String>,
}

/// A forge's list of what it sent.
#[async_trait]
pub trait SentHooks: Send + Sync + std::fmt::Debug {
    /// The numbers of the repository's hooks that lead to this server.
    ///
    /// # Errors
    /// The forge does not say; a sentence.
    async fn hooks(&self, repository: &Repository) -> Result<Vec<u64>, String>;

    /// A page of what a hook sent.
    ///
    /// # Errors
    /// The forge does not say; a sentence.
    async fn page(&self, repository: &Repository, hook: u64, cursor: Option<&str>) -> Result<Page, String>;

    /// Asks for a delivery to be sent again.
    ///
    /// # Errors
    /// The forge does not; a sentence.
    async fn again(&self, repository: &Repository, hook: u64, id: u64) -> Result<(), String>;
}

/// What came of a look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CaughtUp {
    /// Ids of deliveries that were asked for.
    pub asked: Vec<String>,
    /// What went wrong, a sentence each.
    pub problems: Vec<String>,
}

/// Asks for what a repository's hooks could not deliver since the last delivery that came from it (three days at most).
/// It may be done as often as one likes.
///
/// # Errors
/// The store cannot be read.
pub async fn catch_up(
    forge: &dyn SentHooks,
    deliveries: &Deliveries,
    repository: &Repository,
    now: Timestamp,
) -> Result<CaughtUp, StoreError> {
    let mut outcome = CaughtUp::default();
    if repository.forge != Forge::Github {
        return Ok(outcome);
    }
    let since = since(deliveries, repository, now).await?;
    let hooks = match forge.hooks(repository).await {
        Ok(hooks) => hooks,
        Err(problem) => {
            outcome.problems.push(problem);
            return Ok(outcome);
        }
    };
    for hook in hooks {
        let tries = match tries(forge, repository, hook, since).await {
            Ok(tries) => tries,
            Err(problem) => {
                outcome.problems.push(problem);
                continue;
            }
        };
        for missed in missed(&tries) {
            if outcome.asked.len() >= AGAIN_MAX {
                return Ok(outcome);
            }
            // It arrived although the forge did not hear our answer.
            if deliveries.find(&missed.guid).await?.is_some() {
                continue;
            }
            match forge.again(repository, hook, missed.id).await {
                Ok(()) => outcome.asked.push(missed.guid.clone()),
                Err(problem) => outcome.problems.push(problem),
            }
        }
    }
    Ok(outcome)
}

async fn since(deliveries: &Deliveries, repository: &Repository, now: Timestamp) -> Result<Timestamp, StoreError> {
    let oldest = now.saturating_sub(KEPT).unwrap_or(Timestamp::MIN);
    let repository = Some(repository.full_name.clone());
    let filter = DeliveryFilter { repository, limit: LOOKED_AT_MAX, ..DeliveryFilter::default() };
    // What comes from ourselves comes whether the forge reaches us or not.
    let ours = |one: &Delivery| one.guid.starts_with(SCHEDULE_ID) || one.guid.starts_with(RUN_ID);
    let came = |one: &Delivery| one.forge == Forge::Github && !ours(one);
    let last = deliveries.list(filter).await?.into_iter().find(came);
    let last = last.and_then(|last| last.received_at.saturating_sub(OVERLAP).ok());
    // A repository without deliveries is new: what was before it was registered is not wanted.
    Ok(last.map_or(now, |last| last.max(oldest)))
}

async fn tries(
    forge: &dyn SentHooks,
    repository: &Repository,
    hook: u64,
    since: Timestamp,
) -> Result<Vec<Try>, String> {
    let (mut tries, mut cursor) = (Vec::new(), None);
    for _ in 0..PAGES_MAX {
        let page = forge.page(repository, hook, cursor.as_deref()).await?;
        let over = page.tries.last().is_none_or(|last| last.delivered_at < since);
        tries.extend(page.tries.into_iter().filter(|one| one.delivered_at >= since));
        cursor = page.next;
        if over || cursor.is_none() {
            break;
        }
    }
    Ok(tries)
}

/// The newest try of each delivery that never arrived, the oldest delivery first, so that pushes come in order.
fn missed(tries: &[Try]) -> Vec<&Try> {
    let mut newest: HashMap<&str, (&Try, bool, Timestamp)> = HashMap::new();
    for one in tries {
        let known = newest.entry(&one.guid).or_insert((one, false, one.delivered_at));
        known.1 |= one.arrived;
        known.2 = known.2.min(one.delivered_at);
        if one.id > known.0.id {
            known.0 = one;
        }
    }
    let mut missed: Vec<_> = newest.into_values().filter(|(one, arrived, _)| !arrived && one.event != "ping").collect();
    missed.sort_by_key(|(one, _, first)| (*first, one.id));
    missed.into_iter().map(|(one, _, _)| one).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::store::deliveries::NewDelivery;
    use crate::store::{Database, Options};

    /// A GitHub that is state: tries, newest last, three on a page.
    #[derive(Debug, Default)]
    struct Fake {
        tries: Mutex<Vec<Try>>,
        refuses: bool,
    }

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + minute * 60).unwrap()
    }

    impl Fake {
        fn sent(&self, guid: &str, minute: i64, arrived: bool) {
            let mut tries = self.tries.lock().unwrap();
            let event = if guid.starts_with("ping") { "ping" } else { "push" }.to_owned();
            let id = tries.len() as u64 + 1;
            tries.push(Try { id, guid: guid.to_owned(), delivered_at: at(minute), event, arrived });
        }
    }

    #[async_trait]
    impl SentHooks for Fake {
        async fn hooks(&self, _repository: &Repository) -> Result<Vec<u64>, String> {
            if self.refuses { Err("403 Resource not accessible".to_owned()) } else { Ok(vec![9]) }
        }

        async fn page(&self, _: &Repository, _hook: u64, cursor: Option<&str>) -> Result<Page, String> {
            let from: usize = cursor.map_or(0, |cursor| cursor.parse().unwrap());
            let tries = self.tries.lock().unwrap();
            let page: Vec<_> = tries.iter().rev().skip(from).take(3).cloned().collect();
            let next = (from + 3 < tries.len()).then(|| (from + 3).to_string());
            Ok(Page { tries: page, next })
        }

        async fn again(&self, _: &Repository, _hook: u64, id: u64) -> Result<(), String> {
            let mut tries = self.tries.lock().unwrap();
            let again = tries.iter().find(|one| one.id == id).cloned().ok_or("404 Not Found")?;
            let id = tries.len() as u64 + 1;
            tries.push(Try { id, arrived: true, delivered_at: at(200), ..again });
            Ok(())
        }
    }

    fn repository() -> Repository {
        Repository {
            id: 1,
            forge: Forge::Github,
            full_name: "o/r".into(),
            url: "https://github.com/o/r".into(),
            secret: Vec::new(),
            fetch: None,
        }
    }

    async fn came(deliveries: &Deliveries, guid: &str, minute: i64) {
        let delivery = NewDelivery {
            guid: guid.to_owned(),
            forge: Forge::Github,
            event: "push".to_owned(),
            repository: "o/r".to_owned(),
            received_at: at(minute),
            sha256: [u8::try_from(minute).unwrap(); 32],
            headers: Vec::new(),
            body: Vec::new(),
            ignored: None,
        };
        deliveries.keep(delivery).await.unwrap();
    }

    #[tokio::test]
    async fn what_did_not_arrive_is_asked_for_once_and_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let deliveries = Deliveries::on(Database::open(&folder.path().join("pipe.db"), Options::LOCAL).unwrap());
        let forge = Fake::default();
        let look = || async { catch_up(&forge, &deliveries, &repository(), at(100)).await.unwrap().asked };
        forge.sent("before it was registered", 1, false);
        assert_eq!(look().await, Vec::<String>::new(), "nothing has come yet, so nothing is missing");
        came(&deliveries, "a", 50).await;
        forge.sent("a", 50, true);
        forge.sent("long before", 20, false);
        // Down from here on; `b` was tried by a person meanwhile; the answer to `d` was lost on its way.
        forge.sent("b", 51, false);
        forge.sent("c", 52, false);
        forge.sent("ping", 52, false);
        forge.sent("b", 53, true);
        forge.sent("d", 54, false);
        forge.sent("e", 55, false);
        forge.sent("c", 56, false);
        came(&deliveries, "d", 54).await;
        assert_eq!(look().await, ["c", "e"]);
        assert_eq!(look().await, Vec::<String>::new(), "they arrived");
    }

    #[tokio::test]
    async fn a_forge_that_does_not_say_is_told_of() {
        let folder = tempfile::tempdir().unwrap();
        let deliveries = Deliveries::on(Database::open(&folder.path().join("pipe.db"), Options::LOCAL).unwrap());
        let forge = Fake { refuses: true, ..Fake::default() };
        let outcome = catch_up(&forge, &deliveries, &repository(), at(100)).await.unwrap();
        assert_eq!(outcome.problems, ["403 Resource not accessible"]);
        let other = Repository { forge: Forge::Gitea, ..repository() };
        assert_eq!(catch_up(&forge, &deliveries, &other, at(100)).await.unwrap(), CaughtUp::default());
    }
}
