//! What is told, in no form yet: as it lies in the outbox and as hooks get it. Written once, read by later programs.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::text::plain;

/// Longest value of one line, in characters.
const VALUE_CHARS_MAX: usize = 300;
/// Longest headline, in characters.
const HEADLINE_CHARS_MAX: usize = 140;

/// Something to tell people. Texts are masked and otherwise as users wrote them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Announcement {
    /// Such as `run_failed`; see [`super::Occasion::event`].
    pub event: String,
    /// When it happened.
    pub at: Timestamp,
    /// What happened, such as `failed`.
    pub state: String,
    /// The environment that it is about.
    #[serde(default)]
    pub environment: Option<String>,
    /// The run that it is about.
    #[serde(default)]
    pub run: Option<RunToldOf>,
    /// The review that is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<ReviewWanted>,
    /// The deployment that ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<Deployed>,
    /// What was held back before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gathered: Option<Gathered>,
    /// What is not about a run: its headline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// More of it, a line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<String>,
    /// Where there is more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// A run, as people are told of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RunToldOf {
    /// Its number in the server.
    pub id: u64,
    /// Its number in its workflow.
    pub number: u64,
    /// From 1.
    pub attempt: u32,
    /// `owner/name`.
    pub repository: String,
    /// The commit.
    pub commit: String,
    /// Such as `refs/heads/main`.
    #[serde(rename = "ref")]
    pub git_ref: String,
    /// Such as `main`; of a pull request the branch that it comes from.
    pub branch: String,
    /// The workflow's name.
    pub workflow: String,
    /// The event's name.
    pub trigger: String,
    /// Who is named as the actor.
    pub actor: String,
    /// First line of the commit's message.
    pub title: String,
    /// Who wrote the commit.
    pub author: Option<Author>,
    /// The pull request that it is for.
    pub pull_request: Option<u64>,
    /// How it went, such as `Failed after 3m: build`.
    pub summary: String,
    /// Its page.
    pub url: Option<String>,
}

/// Who wrote a commit, as far as the event says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Author {
    /// As the commit names them.
    pub name: String,
    /// At the forge.
    pub login: Option<String>,
    /// The commit's mail address.
    pub email: Option<String>,
}

/// A review that is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ReviewWanted {
    /// Who may: people and `team:NAME`.
    pub reviewers: Vec<String>,
    /// How many of them have to.
    pub required: u32,
    /// When it is too late.
    pub expires_at: Option<Timestamp>,
    /// The page to review at.
    pub url: Option<String>,
    /// The gate that asks, where it is a job in its middle and no rule of the environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<u64>,
}

/// A deployment that ended.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Deployed {
    /// `success`, `failure` or `error`.
    pub state: String,
    /// Where what was deployed can be seen.
    pub url: Option<String>,
}

/// What was held back.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Gathered {
    /// How many.
    pub count: u64,
    /// Since when.
    pub since: Option<Timestamp>,
}

/// How it is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Bad,
    Wanted,
    Plain,
}

/// What every form shows: plain texts, bounded, in one line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) headline: String,
    pub(super) tone: Tone,
    /// Label and value.
    pub(super) facts: Vec<(&'static str, String)>,
    /// More, a line each.
    pub(super) lines: Vec<String>,
    /// What to press: label and address.
    pub(super) links: Vec<(String, String)>,
}

impl Announcement {
    pub(super) fn tone(&self) -> Tone {
        let failed = self.deployment.as_ref().is_some_and(|deployed| deployed.state != "success");
        match self.event.as_str() {
            "run_failed" | "rollback" | "new_findings" => Tone::Bad,
            "deployment" if failed => Tone::Bad,
            "run_recovered" | "run_succeeded" | "deployment" => Tone::Good,
            "review_requested" | "budget" => Tone::Wanted,
            _ => Tone::Plain,
        }
    }

    /// One line that says it all.
    pub(super) fn headline(&self) -> String {
        let environment = self.environment.as_deref().unwrap_or_default();
        let text = match (&self.run, &self.title) {
            (Some(run), Some(title)) => {
                format!("{title}: {} #{} on {} ({})", run.workflow, run.number, run.branch, run.repository)
            }
            (Some(run), None) => {
                let of = format!("{} #{} on {}", run.workflow, run.number, run.branch);
                match self.event.as_str() {
                    "review_requested" => format!("Review wanted for {environment}: {of} ({})", run.repository),
                    "deployment" => {
                        let state = self.deployment.as_ref().map_or("", |deployed| deployed.state.as_str());
                        let word = if state == "success" { "Deployed to" } else { "Not deployed to" };
                        format!("{word} {environment}: {of} ({})", run.repository)
                    }
                    _ => format!("{of} {} ({})", self.state, run.repository),
                }
            }
            (None, Some(title)) => title.clone(),
            (None, None) => format!("pipe: {}", self.event),
        };
        plain(&text, HEADLINE_CHARS_MAX)
    }

    /// What is shown of it.
    pub(super) fn shown(&self) -> Shown {
        let mut facts = Vec::new();
        let mut fact = |label, value: &str| {
            let value = plain(value, VALUE_CHARS_MAX);
            if !value.is_empty() {
                facts.push((label, value));
            }
        };
        if let Some(run) = &self.run {
            fact("Repository", &run.repository);
            fact("Branch", &run.branch);
            fact("Commit", format!("{} {}", short(&run.commit), run.title).trim());
            fact("By", &run.actor);
            fact("Environment", self.environment.as_deref().unwrap_or_default());
            if self.review.is_none() && self.deployment.is_none() {
                fact("Result", &run.summary);
            }
        }
        if let Some(review) = &self.review {
            let who = review.reviewers.join(", ");
            fact("Reviewers", &if review.required > 1 { format!("{} of {who}", review.required) } else { who });
            fact("Until", &review.expires_at.map(time).unwrap_or_default());
        }
        if let Some(deployed) = &self.deployment {
            fact("Deployment", &deployed.state);
        }
        let lines = self.lines.iter().map(|line| plain(line, VALUE_CHARS_MAX)).filter(|line| !line.is_empty());
        let lines = lines.take(20).collect();
        Shown { headline: self.headline(), tone: self.tone(), facts, lines, links: self.links() }
    }

    fn links(&self) -> Vec<(String, String)> {
        let review = self.review.as_ref().and_then(|review| review.url.clone());
        let run = self.run.as_ref().and_then(|run| run.url.clone());
        let there = self.deployment.as_ref().and_then(|deployed| deployed.url.clone());
        let all = [("Review", review), ("Open the run", run), ("See it there", there), ("Open", self.url.clone())];
        let web = |url: &String| url.starts_with("https://") || url.starts_with("http://");
        all.into_iter().filter_map(|(label, url)| Some((label.to_owned(), url.filter(web)?))).collect()
    }
}

pub(super) fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}

pub(super) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}
