//! News of runs for people: a signed JSON hook, or a message to Slack. Sent through the outbox.
//!
//! A hook carries `X-Pipe-Event`, `X-Pipe-Delivery` (the same for every attempt, so that a repetition is known) and
//! `X-Pipe-Signature-256: sha256=HMAC(body)`, as GitHub signs its own. Addresses come from the configuration only.

use std::collections::BTreeSet;

use async_trait::async_trait;
use hyper::Uri;
use ring::hmac;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use workflow::run::{Conclusion, Recorded, RunEvent};
use workflow::secret::Secret;

use super::{Outcome, Target};
use crate::github::Course;
use crate::outbound::{self, OutboundError, Poster};
use crate::store::outbox::{Message, NewMessage, Outbox};

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Occasion {
    /// A run failed.
    Failure,
    /// A run succeeded, and the one before it on the same ref had failed.
    Recovery,
    /// A run succeeded.
    Success,
    /// A run was cancelled.
    Cancelled,
    /// A job waits for a review.
    Approval,
}

/// Who is told, and of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audience {
    /// The target's name in the outbox.
    pub target: String,
    /// Of what.
    pub on: BTreeSet<Occasion>,
    /// Only of these repositories; empty: of all.
    pub repositories: Vec<String>,
}

impl Audience {
    /// The message that a fact is worth, if it is.
    pub(crate) fn message(&self, course: &Course, fact: &Recorded, had_failed: bool) -> Option<NewMessage> {
        let about = course.about();
        if !self.repositories.is_empty() && !self.repositories.contains(&about.repository) {
            return None;
        }
        let (occasion, environment) = occasion(fact, had_failed && self.on.contains(&Occasion::Recovery))?;
        if !self.on.contains(&occasion) {
            return None;
        }
        let (event, state) = occasion.words();
        let body = json!({
            "event": event,
            "at": fact.at.to_string(), "state": state, "environment": environment,
            "run": {
                "id": about.run, "attempt": about.attempt, "repository": about.repository, "commit": about.commit,
                "ref": about.git_ref, "workflow": about.workflow, "trigger": about.event, "url": about.url,
            },
        });
        Some(NewMessage {
            target: self.target.clone(),
            kind: "notification".to_owned(),
            lane: format!("{} {}", about.repository, about.run),
            subject: format!("run {} fact {}", about.run, fact.seq),
            replaces: false,
            body: body.to_string(),
        })
    }
}

impl Occasion {
    /// The name of the event, and what happened to the run.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Failure => ("run_failed", "failed"),
            Self::Recovery => ("run_recovered", "succeeded again"),
            Self::Success => ("run_succeeded", "succeeded"),
            Self::Cancelled => ("run_cancelled", "was cancelled"),
            Self::Approval => ("review_requested", "waits for a review"),
        }
    }
}

/// What a fact is to people, and the environment that it is about.
fn occasion(fact: &Recorded, is_recovery: bool) -> Option<(Occasion, Option<&str>)> {
    if let RunEvent::ReviewRequested { environment, reviewers, .. } = &fact.event {
        return (!reviewers.is_empty()).then_some((Occasion::Approval, Some(environment)));
    }
    let RunEvent::RunFinished { conclusion } = &fact.event else { return None };
    let occasion = match conclusion {
        Conclusion::Failure => Occasion::Failure,
        Conclusion::Success if is_recovery => Occasion::Recovery,
        Conclusion::Success => Occasion::Success,
        Conclusion::Cancelled => Occasion::Cancelled,
        Conclusion::Skipped => return None,
    };
    Some((occasion, None))
}

/// How a hook is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// JSON, signed where there is a secret.
    #[default]
    Webhook,
    /// Slack's incoming webhooks.
    Slack,
}

/// Brings news to one address.
#[derive(Debug)]
pub struct Notifier {
    poster: Poster,
    address: Uri,
    form: Form,
    secret: Option<Secret>,
}

impl Notifier {
    /// For this address.
    ///
    /// # Errors
    /// The address is none, or TLS cannot be used.
    pub fn new(address: &Secret, form: Form, secret: Option<Secret>) -> Result<Self, OutboundError> {
        // Addresses of hooks hold a token: it is not repeated in the error.
        let address = outbound::address(address.expose()).map_err(|_| OutboundError::Address("of the hook".into()))?;
        Ok(Self { poster: Poster::new()?, address, form, secret })
    }
}

#[async_trait]
impl Target for Notifier {
    async fn send(&self, message: &Message, _outbox: &Outbox) -> Outcome {
        let (body, event) = match serde_json::from_str::<Json>(&message.body) {
            Ok(news) if self.form == Form::Slack => (slack(&news).to_string(), String::new()),
            Ok(news) => (message.body.clone(), news["event"].as_str().unwrap_or_default().to_owned()),
            Err(error) => return Outcome::Refused { problem: error.to_string(), for_now: false },
        };
        let mut headers = Vec::new();
        if self.form == Form::Webhook {
            headers.push(("x-pipe-event".to_owned(), event));
            headers.push(("x-pipe-delivery".to_owned(), message.id.to_string()));
        }
        if let (Form::Webhook, Some(secret)) = (self.form, &self.secret) {
            headers.push(("x-pipe-signature-256".to_owned(), signature(secret, &body)));
        }
        self.poster.post(&self.address, &headers, body).await
    }
}

/// `sha256=` and the HMAC in hexadecimal, as GitHub writes it.
fn signature(secret: &Secret, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    let digits = hmac::sign(&key, body.as_bytes());
    digits.as_ref().iter().fold("sha256=".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

/// One line, with a link where there is one. See
/// <https://docs.slack.dev/messaging/formatting-message-text#escaping>.
fn slack(news: &Json) -> Json {
    let text = |value: &Json| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
    };
    let run = &news["run"];
    let title = format!("run {}", text(&run["id"]));
    let title = match run["url"].as_str() {
        Some(url) if !url.contains(['|', '>']) => format!("<{url}|{title}>"),
        Some(_) | None => title,
    };
    let commit = text(&run["commit"]).chars().take(7).collect::<String>();
    let environment = news["environment"].as_str().map(|_| format!(" of {}", text(&news["environment"])));
    let line = format!(
        "*{}* {} {title} {}{} ({commit})",
        text(&run["repository"]),
        text(&run["workflow"]),
        text(&news["state"]),
        environment.unwrap_or_default(),
    );
    json!({ "text": line, "blocks": [{ "type": "section", "text": { "type": "mrkdwn", "text": line } }] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_is_signed_as_github_signs() {
        // The example of GitHub's page on validating deliveries.
        let secret = Secret::new("It's a Secret to Everybody");
        let expected = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert_eq!(signature(&secret, "Hello, World!"), expected);
    }

    #[test]
    fn t12_slack_is_told_in_one_line_without_the_markup_of_others() {
        let news = json!({
            "state": "failed", "environment": null,
            "run": { "id": 7, "repository": "mona/shop", "commit": "c".repeat(40), "workflow": "<!channel> & CI",
                     "url": "https://ci.example/runs/7" },
        });
        let line = "*mona/shop* &lt;!channel&gt; &amp; CI <https://ci.example/runs/7|run 7> failed (ccccccc)";
        assert_eq!(slack(&news)["text"], line);
    }
}
