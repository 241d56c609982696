//! Slack with a bot's token: one message of a run, which changes as the run goes on.
//!
//! What Slack calls the message is kept beside the outbox, so that a later process changes it too. See
//! <https://docs.slack.dev/reference/methods/chat.postMessage> and <https://docs.slack.dev/reference/methods/chat.update>.

use async_trait::async_trait;
use hyper::Uri;
use jiff::Timestamp;
use serde_json::Value as Json;
use workflow::secret::Secret;

use super::forms::slack;
use super::post::{Wording, of_channel, read};
use super::{Announcement, UPDATE};
use crate::outbound::{Poster, meaning, retry_after};
use crate::reporting::{Outcome, Scope, Target};
use crate::store::outbox::{Message, Outbox};

/// A bot in a channel.
#[derive(Debug)]
pub(super) struct Bot {
    pub(super) poster: Poster,
    pub(super) post: Uri,
    pub(super) update: Uri,
    pub(super) token: Secret,
    pub(super) channel: String,
    pub(super) wording: Wording,
}

#[async_trait]
impl Target for Bot {
    async fn send(&self, message: &Message, outbox: &Outbox) -> Outcome {
        let announcement = match read(message) {
            Ok(announcement) => announcement,
            Err(outcome) => return outcome,
        };
        let key = announcement.run.as_ref().map(|run| format!("run {}", run.id));
        let known = match &key {
            Some(key) => match outbox.remote(&message.target, key).await {
                Ok(known) => known,
                Err(error) => return later(error.to_string(), false),
            },
            None => None,
        };
        let outcome = match known.as_deref().and_then(|known| known.split_once(' ')) {
            None if message.kind == UPDATE => return Outcome::Unwanted,
            None => self.say(&self.post, &announcement, &self.channel, None).await,
            Some((channel, at)) => match self.say(&self.update, &announcement, channel, Some(at)).await {
                // Somebody deleted it: who wants to be told is told anew.
                Err(Outcome::Refused { problem, .. }) if problem.contains("message_not_found") => {
                    if message.kind == UPDATE {
                        return Outcome::Unwanted;
                    }
                    self.say(&self.post, &announcement, &self.channel, None).await
                }
                said => said,
            },
        };
        match (outcome, key) {
            (Err(outcome), _) => of_channel(outcome),
            (Ok(_), None) => Outcome::Arrived { remote: None },
            (Ok(remote), Some(key)) => match outbox.note(&message.target, &key, &remote, Timestamp::now()).await {
                Ok(()) => Outcome::Arrived { remote: None },
                Err(error) => later(error.to_string(), true),
            },
        }
    }
}

impl Bot {
    /// One request; gives channel and time of the message, which name it.
    async fn say(
        &self,
        method: &Uri,
        announcement: &Announcement,
        channel: &str,
        at: Option<&str>,
    ) -> Result<String, Outcome> {
        let (own, mention) = (self.wording.own(announcement), self.wording.mention(announcement));
        let mut body = slack::message(announcement, own.as_deref(), mention);
        body["channel"] = channel.into();
        if let Some(at) = at {
            body["ts"] = at.into();
        }
        let token = ("authorization".to_owned(), format!("Bearer {}", self.token.expose()));
        let said = self.poster.exchange(method, &[token], body.to_string()).await?;
        if !said.status.is_success() {
            return Err(meaning(said.status, &said.headers));
        }
        let answer: Json = said.body.and_then(|body| serde_json::from_slice(&body).ok()).unwrap_or_default();
        if answer["ok"] == true {
            let text = |name: &str| answer[name].as_str().filter(|text| !text.contains(' ')).map(str::to_owned);
            return match (text("channel"), text("ts")) {
                (Some(channel), Some(at)) => Ok(format!("{channel} {at}")),
                _ => Err(later("Slack's answer names no message".to_owned(), true)),
            };
        }
        match answer["error"].as_str() {
            None => Err(later("Slack's answer is none".to_owned(), true)),
            Some(error @ ("ratelimited" | "rate_limited")) => Err(Outcome::Later {
                problem: error.to_owned(),
                after: retry_after(&said.headers, Timestamp::now()),
                scope: Scope::Target,
                uncertain: false,
            }),
            Some(error @ ("fatal_error" | "internal_error" | "service_unavailable" | "request_timeout")) => {
                Err(later(error.to_owned(), true))
            }
            Some(error) => {
                // Who invites the bot or gives it another token need not do more.
                let for_now =
                    matches!(error, "not_in_channel" | "channel_not_found" | "invalid_auth" | "token_revoked");
                Err(Outcome::Refused { problem: format!("Slack says {}", super::text::plain(error, 100)), for_now })
            }
        }
    }
}

fn later(problem: String, uncertain: bool) -> Outcome {
    Outcome::Later { problem, after: None, scope: Scope::Target, uncertain }
}
