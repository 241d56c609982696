//! Tells channels what comes of no run's log: thresholds, trials, and what was held back.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{Announcement, Audience, Form, Occasion, ReviewWanted};
use crate::clock::Clock;
use crate::reporting::{Knowing, Known};
use crate::store::outbox::{Outbox, RATE_TIME};
use crate::store::{RunId, StoreError};

/// How often it is looked whether something was held back.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How long the first message of a flood waits for a summary at most.
const PATIENCE: Duration = Duration::from_secs(5 * RATE_TIME.as_secs());

/// A channel as the configuration has it, without what is secret.
#[derive(Debug, Clone)]
pub struct Channel {
    /// Its name.
    pub name: String,
    /// How it is written to.
    pub form: Form,
    /// A host, an id or addresses.
    pub place: String,
    /// Whom it tells of what.
    pub audience: Audience,
}

/// Something to tell that stands in no run's log.
#[derive(Debug, Clone)]
pub struct Notice {
    /// What it is; channels that do not want it are not told.
    pub occasion: Occasion,
    /// What makes it the same: it is told once for each subject, such as `budget shop 2026-11 80`.
    pub subject: String,
    /// One line. No text of users is a template.
    pub title: String,
    /// More, a line each.
    pub lines: Vec<String>,
    /// The repository that it is about, if it is about one.
    pub repository: Option<String>,
    /// The page with more, such as `/costs`.
    pub path: Option<String>,
    /// The run that it is about, if it is about one: then its branch and workflow are told and count for who is.
    pub run: Option<RunId>,
    /// The environment that it is about.
    pub environment: Option<String>,
    /// What people are asked.
    pub review: Option<ReviewWanted>,
}

/// Why nothing can be told.
#[derive(Debug, thiserror::Error)]
pub enum TellError {
    /// There is no such channel.
    #[error("there is no channel `{0}`; `[notify.{0}]` of pipe.toml makes one")]
    NoChannel(String),
    /// There is none at all.
    #[error("no channel is configured; `[notify.NAME]` of pipe.toml makes one")]
    None,
    /// The database said no.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// All channels of a server. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Herald {
    outbox: Outbox,
    channels: Arc<[Channel]>,
    url: Option<String>,
    made: Arc<Notify>,
    /// Where runs are looked up.
    knowing: Option<Knowing>,
}

impl Herald {
    /// For these channels; `made` is told when there are messages, `url` is the server's own address.
    #[must_use]
    pub fn new(outbox: Outbox, channels: Vec<Channel>, url: Option<String>, made: Arc<Notify>) -> Self {
        Self { outbox, channels: channels.into(), url, made, knowing: None }
    }

    /// With runs to tell of.
    pub(crate) fn with_runs(self, knowing: Knowing) -> Self {
        Self { knowing: Some(knowing), ..self }
    }

    /// The address of a page; `None` where the server does not know its own.
    #[must_use]
    pub fn page(&self, path: &str) -> Option<String> {
        self.url.as_ref().map(|url| format!("{}{path}", url.trim_end_matches('/')))
    }

    /// The channels, as they stand in the configuration.
    #[must_use]
    pub fn channels(&self) -> &[Channel] {
        &self.channels
    }

    /// Tells all channels that want to know; how many. It does not wait for anything to arrive, and may be called again
    /// with the same subject: then nobody is told twice.
    ///
    /// # Errors
    /// The database said no; nobody is told.
    pub async fn tell(&self, notice: Notice, now: Timestamp) -> Result<usize, StoreError> {
        let known = match (&self.knowing, notice.run) {
            (Some(knowing), Some(run)) if !self.channels.is_empty() => {
                knowing.of(run, true, notice.environment.as_deref()).await?
            }
            (Some(_) | None, Some(_) | None) => None,
        };
        let wanted: Vec<_> =
            self.channels.iter().map(|one| &one.audience).filter(|one| wants(one, &notice, known.as_ref())).collect();
        let subject = notice.subject.clone();
        let lane = known.as_ref().map(|known| format!("{} {}", known.about.repository, known.about.run));
        let announcement = self.announcement(notice, known.as_ref(), now);
        self.put(&wanted, &announcement, (lane.as_deref().unwrap_or("notices"), &subject), now).await?;
        Ok(wanted.len())
    }

    fn announcement(&self, notice: Notice, known: Option<&Known>, now: Timestamp) -> Announcement {
        let Notice { occasion, title, lines, path, environment, review, .. } = notice;
        let masked = |text: String| match known {
            Some(known) => known.masker.mask_str(&text).into_owned(),
            None => text,
        };
        Announcement {
            title: Some(masked(title)),
            lines: lines.into_iter().map(masked).collect(),
            url: path.and_then(|path| self.page(&path)),
            run: known.map(|known| known.story.told(&known.about, "")),
            environment,
            review,
            ..Announcement::bare(occasion, now)
        }
    }

    /// Sends a trial to one channel or to all, whatever they want to know; the names and numbers of the messages.
    ///
    /// # Errors
    /// There is no such channel, or the database said no.
    pub async fn test(&self, name: Option<&str>, by: &str, now: Timestamp) -> Result<Vec<(String, u64)>, TellError> {
        let meant: Vec<_> =
            self.channels.iter().filter(|channel| name.is_none_or(|name| channel.name == name)).collect();
        if meant.is_empty() {
            return Err(name.map_or(TellError::None, |name| TellError::NoChannel(name.to_owned())));
        }
        let announcement = Announcement {
            event: "test".to_owned(),
            state: "works".to_owned(),
            title: Some("A trial of pipe's notifications".to_owned()),
            lines: vec![format!("Sent by {by}. What is told here stands in pipe.toml.")],
            url: self.url.clone(),
            ..Announcement::bare(Occasion::Success, now)
        };
        let audiences: Vec<_> = meant.iter().map(|channel| &channel.audience).collect();
        self.put(&audiences, &announcement, ("notices", &format!("test {}", now.as_microsecond())), now).await?;
        let mut sent = Vec::new();
        for channel in meant {
            let newest = self.outbox.told(Some(channel.audience.target.clone()), None, 1).await?;
            sent.extend(newest.first().map(|message| (channel.name.clone(), message.id)));
        }
        Ok(sent)
    }

    /// Sends a message once more. False if there is none that can be.
    ///
    /// # Errors
    /// The database said no.
    pub async fn send_again(&self, id: u64, now: Timestamp) -> Result<bool, StoreError> {
        let is_there = self.outbox.send_again(id, now).await?;
        self.made.notify_one();
        Ok(is_there)
    }

    async fn put(
        &self,
        audiences: &[&Audience],
        announcement: &Announcement,
        (lane, subject): (&str, &str),
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let body = serde_json::to_string(announcement).expect("an announcement is JSON: its maps have names as keys");
        let message = |audience: &&Audience| {
            let mut message = audience.envelope(lane.to_owned(), subject.to_owned(), body.clone());
            // Somebody waits for a trial; it is never held back.
            if announcement.event == "test" {
                message.at_most = Some(u32::MAX);
            }
            message
        };
        self.outbox.put(audiences.iter().map(message).collect(), now).await?;
        self.made.notify_one();
        Ok(())
    }
}

fn wants(audience: &Audience, notice: &Notice, known: Option<&Known>) -> bool {
    if !audience.on.contains(&notice.occasion) {
        return false;
    }
    let Some(repository) = &notice.repository else { return true };
    match known {
        Some(Known { story, about, .. }) => {
            audience.is_about(repository, story, &about.workflow, notice.environment.as_deref())
        }
        None => {
            audience.is_about_repository(repository)
                && notice.environment.as_deref().is_none_or(|environment| audience.is_about_environment(environment))
        }
    }
}

/// Tells of what was held back, once the flood is over, until `stop`.
pub(crate) async fn tell_of_held(
    outbox: Outbox,
    audiences: Vec<Audience>,
    clock: Arc<dyn Clock>,
    made: Arc<Notify>,
    stop: CancellationToken,
) {
    loop {
        let now = clock.now();
        match outbox.held(now, PATIENCE).await {
            Ok(all) => {
                for held in all {
                    let audience = audiences.iter().find(|audience| audience.target == held.target);
                    let summary = audience.and_then(|audience| audience.summary(&held, now));
                    let Some(summary) = summary else { continue };
                    match outbox.gather(summary, held.last, now).await {
                        Ok(()) => made.notify_one(),
                        Err(error) => tracing::warn!(%error, "what was held back cannot be told now"),
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "what was held back cannot be told now"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = clock.wait_until(clock.now() + LOOK_EVERY) => {}
        }
    }
}
