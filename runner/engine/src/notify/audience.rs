//! Who is told of what: filters, and the messages that a fact of a run is worth.

use std::collections::BTreeSet;

use workflow::run::{Conclusion, Recorded, RunEvent};
use workflow::trigger::Glob;

use super::text::in_path;
use super::{Announcement, Deployed, Gathered, KIND, Occasion, ReviewWanted, Story, UPDATE};
use crate::github::{Course, DeploymentState, Report};
use crate::store::outbox::NewMessage;

/// Who is told, and of what.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Audience {
    /// The target's name in the outbox.
    pub target: String,
    /// Of what.
    pub on: BTreeSet<Occasion>,
    /// Only of these repositories, as patterns such as `octo/*`; empty: of all.
    pub repositories: Vec<String>,
    /// Only of these branches, as patterns.
    pub branches: Vec<String>,
    /// Only of these workflows: names, or paths of files.
    pub workflows: Vec<String>,
    /// Only of reviews and deployments of these environments.
    pub environments: Vec<String>,
    /// Messages a minute.
    pub per_minute: u32,
    /// Whether one message of a run is changed as it goes on.
    pub is_live: bool,
}

/// A fact that is worth telling.
#[derive(Debug, Clone)]
pub(crate) struct News {
    /// The first of these that somebody wants.
    occasions: Vec<Occasion>,
    /// What makes it the same when it is told again.
    key: String,
    /// Without event and state, which are the occasion's.
    announcement: Announcement,
}

impl News {
    /// What a fact is worth to people: at most one thing.
    pub(crate) fn of(
        course: &Course,
        story: &Story,
        fact: &Recorded,
        reports: &[Report],
        (had_failed, url): (bool, Option<&str>),
    ) -> Option<Self> {
        let about = course.about();
        let summary = reports.iter().find_map(|report| {
            let Report::Status(status) = report else { return None };
            Some(status.description.as_str())
        });
        let announcement = |environment: Option<&str>| Announcement {
            environment: environment.map(str::to_owned),
            run: Some(story.told(about, summary.unwrap_or_default())),
            ..Announcement::bare(Occasion::Success, fact.at)
        };
        if let RunEvent::ReviewRequested { environment, reviewers, wait_ms, terms, .. } = &fact.event {
            // Who waits only for a time wants nothing of people.
            if reviewers.is_empty() {
                return None;
            }
            let mut announcement = announcement(Some(environment));
            let page =
                |url: &str| format!("{}/runs/{}/review/{}", url.trim_end_matches('/'), about.run, in_path(environment));
            announcement.review = Some(ReviewWanted {
                reviewers: reviewers.clone(),
                required: terms.required,
                expires_at: fact.at.checked_add(std::time::Duration::from_millis(terms.expires_ms)).ok(),
                url: url.map(page),
                gate: None,
            });
            // Jobs of one environment ask together; with other rules it is asked anew.
            let rules = format!("{reviewers:?} {} {} {wait_ms}", terms.required, terms.expires_ms);
            let key = format!("approval {} {}", environment.to_lowercase(), digest(&rules));
            return Some(Self { occasions: vec![Occasion::Approval], key, announcement });
        }
        if let RunEvent::JobRunFinished { key, .. } = &fact.event {
            let ended = reports.iter().find_map(deployment_end)?;
            let mut announcement = announcement(Some(&ended.environment));
            let state = ended.state.word().to_owned();
            announcement.deployment = Some(Deployed { state, url: ended.environment_url.clone() });
            return Some(Self {
                occasions: vec![Occasion::Deployment],
                key: format!("deployment {key}"),
                announcement,
            });
        }
        if let RunEvent::RunFinished { conclusion } = &fact.event {
            let occasions = match conclusion {
                Conclusion::Failure => vec![Occasion::Failure],
                Conclusion::Success if had_failed => vec![Occasion::Recovery, Occasion::Success],
                Conclusion::Success => vec![Occasion::Success],
                Conclusion::Cancelled => vec![Occasion::Cancelled],
                Conclusion::Skipped => return None,
            };
            return Some(Self { occasions, key: "end".to_owned(), announcement: announcement(None) });
        }
        // Only a message that is there tells of it.
        let goes_on = matches!(fact.event, RunEvent::Reviewed { passed: true, .. });
        goes_on.then(|| Self { occasions: Vec::new(), key: "reviewed".to_owned(), announcement: announcement(None) })
    }
}

fn deployment_end(report: &Report) -> Option<&crate::github::DeploymentStatusReport> {
    let Report::DeploymentStatus(status) = report else { return None };
    (status.state != DeploymentState::InProgress).then_some(status)
}

impl Audience {
    /// The message that news are worth to them, if they are.
    pub(crate) fn message(&self, news: &News, story: &Story) -> Option<NewMessage> {
        let mut announcement = news.announcement.clone();
        let run = announcement.run.as_ref()?;
        if !self.is_about(&run.repository, story, &run.workflow, announcement.environment.as_deref()) {
            return None;
        }
        let (id, lane) = (run.id, format!("{} {}", run.repository, run.id));
        let wanted = news.occasions.iter().find(|occasion| self.on.contains(occasion));
        let occasion = wanted.or(news.occasions.first()).copied();
        match occasion {
            Some(occasion) => announcement.occur(occasion),
            None => {
                ("run_goes_on".clone_into(&mut announcement.event), "goes on".clone_into(&mut announcement.state)).0
            }
        }
        let body = serde_json::to_string(&announcement).ok()?;
        if wanted.is_some() {
            let subject = format!("run {id} {}", news.key);
            return Some(self.envelope(lane, subject, body));
        }
        // What stands there is brought up to date, quietly.
        self.is_live.then(|| NewMessage {
            target: self.target.clone(),
            kind: UPDATE.to_owned(),
            lane,
            subject: format!("run {id} update"),
            replaces: true,
            at_most: None,
            body,
        })
    }

    /// A message for them.
    pub(crate) fn envelope(&self, lane: String, subject: String, body: String) -> NewMessage {
        NewMessage {
            target: self.target.clone(),
            kind: KIND.to_owned(),
            lane,
            subject,
            replaces: false,
            at_most: Some(self.per_minute),
            body,
        }
    }

    pub(super) fn is_about(&self, repository: &str, story: &Story, workflow: &str, environment: Option<&str>) -> bool {
        let file = story.path.rsplit('/').next().unwrap_or_default();
        self.is_about_repository(repository)
            && any(&self.branches, &[story.branch()])
            && any(&self.workflows, &[workflow, &story.path, file])
            && environment.is_none_or(|environment| self.is_about_environment(environment))
    }

    /// Whether they are told of an environment.
    pub(super) fn is_about_environment(&self, environment: &str) -> bool {
        any(&self.environments, &[&environment.to_lowercase(), environment])
    }

    /// Whether they are told of a repository.
    pub(crate) fn is_about_repository(&self, repository: &str) -> bool {
        any(&self.repositories, &[repository])
    }

    /// What a summary says of messages that were held back.
    pub(crate) fn summary(&self, held: &crate::store::outbox::HeldBack, now: jiff::Timestamp) -> Option<NewMessage> {
        let title = match held.count {
            1 => "1 message was held back".to_owned(),
            count => format!("{count} messages were held back: more than {} a minute", self.per_minute),
        };
        let first = held.first.iter().filter_map(|body| serde_json::from_str::<Announcement>(body).ok());
        let lines: Vec<String> = first
            .map(|told| {
                let review = told.review.as_ref().and_then(|review| review.url.clone());
                let url = review.or_else(|| told.run.as_ref()?.url.clone());
                url.map_or_else(|| told.headline(), |url| format!("{} {url}", told.headline()))
            })
            .collect();
        let announcement = Announcement {
            event: "gathered".to_owned(),
            state: "held back".to_owned(),
            title: Some(title),
            lines,
            gathered: Some(Gathered { count: held.count, since: Some(held.since) }),
            ..Announcement::bare(Occasion::Success, now)
        };
        let body = serde_json::to_string(&announcement).ok()?;
        let mut message = self.envelope("gathered".to_owned(), format!("gathered {}", held.last), body);
        message.at_most = Some(u32::MAX);
        Some(message)
    }
}

impl Announcement {
    /// Nothing but when, and on which occasion.
    pub(crate) fn bare(occasion: Occasion, at: jiff::Timestamp) -> Self {
        Self {
            event: occasion.event().to_owned(),
            at,
            state: occasion.state().to_owned(),
            environment: None,
            run: None,
            review: None,
            deployment: None,
            gathered: None,
            title: None,
            lines: Vec::new(),
            url: None,
        }
    }

    fn occur(&mut self, occasion: Occasion) {
        occasion.event().clone_into(&mut self.event);
        let failed = self.deployment.as_ref().is_some_and(|deployed| deployed.state != "success");
        let state = if failed { "was not deployed" } else { occasion.state() };
        state.clone_into(&mut self.state);
    }
}

/// An empty list is about all.
fn any(patterns: &[String], names: &[&str]) -> bool {
    let is = |pattern: &String| {
        let glob = Glob::new(pattern);
        names.iter().any(|name| pattern.eq_ignore_ascii_case(name) || glob.matches(name))
    };
    patterns.is_empty() || patterns.iter().any(is)
}

fn digest(text: &str) -> String {
    use sha2::{Digest as _, Sha256};
    Sha256::digest(text)[..6].iter().map(|byte| format!("{byte:02x}")).collect()
}
