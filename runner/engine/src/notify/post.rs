//! Brings announcements to an address over HTTPS: Slack's incoming webhooks, Teams, Discord, hooks of one's own.
//!
//! A hook carries `X-Pipe-Event`, `X-Pipe-Delivery` (the same for every attempt, so that a repetition is known) and
//! `X-Pipe-Signature-256: sha256=HMAC(body)`, as GitHub signs its own.

use std::collections::BTreeMap;

use async_trait::async_trait;
use hyper::Uri;
use ring::hmac;
use workflow::secret::Secret;

use super::forms::{discord, slack, teams};
use super::template::Template;
use super::{Announcement, Form};
use crate::outbound::Poster;
use crate::reporting::{Outcome, Scope, Target};
use crate::store::outbox::{Message, Outbox};

/// What all forms of a channel know.
#[derive(Debug, Clone, Default)]
pub(super) struct Wording {
    /// The channel's own words.
    pub(super) template: Option<Template>,
    /// Whom to mention: by login or mail address, in lower case, what the channel calls them.
    pub(super) people: BTreeMap<String, String>,
}

impl Wording {
    pub(super) fn own(&self, announcement: &Announcement) -> Option<String> {
        self.template.as_ref().and_then(|template| template.render(announcement))
    }

    /// Who wrote the commit of a run that failed, as the channel calls them.
    pub(super) fn mention(&self, announcement: &Announcement) -> Option<&str> {
        let author = announcement.run.as_ref().filter(|_| announcement.event == "run_failed")?.author.as_ref()?;
        let names = [author.login.as_deref(), author.email.as_deref()];
        names.into_iter().flatten().find_map(|name| self.people.get(&name.to_lowercase())).map(String::as_str)
    }
}

/// A channel behind an address.
#[derive(Debug)]
pub(super) struct Hook {
    pub(super) poster: Poster,
    pub(super) address: Uri,
    pub(super) form: Form,
    pub(super) secret: Option<Secret>,
    pub(super) wording: Wording,
}

#[async_trait]
impl Target for Hook {
    async fn send(&self, message: &Message, _outbox: &Outbox) -> Outcome {
        let announcement = match read(message) {
            Ok(announcement) => announcement,
            Err(outcome) => return outcome,
        };
        let (own, mention) = (self.wording.own(&announcement), self.wording.mention(&announcement));
        let mut headers = Vec::new();
        let body = match self.form {
            Form::Slack => slack::message(&announcement, own.as_deref(), mention).to_string(),
            Form::Discord => discord::message(&announcement, own.as_deref(), mention).to_string(),
            Form::Teams => teams::message(&announcement, own.as_deref()).to_string(),
            Form::Webhook | Form::Mail => {
                headers.push(("x-pipe-event".to_owned(), announcement.event.clone()));
                headers.push(("x-pipe-delivery".to_owned(), message.id.to_string()));
                if let Some(secret) = &self.secret {
                    headers.push(("x-pipe-signature-256".to_owned(), signature(secret, &message.body)));
                }
                message.body.clone()
            }
        };
        of_channel(self.poster.post(&self.address, &headers, body).await)
    }
}

/// What a message says.
pub(super) fn read(message: &Message) -> Result<Announcement, Outcome> {
    let read = serde_json::from_str(&message.body);
    read.map_err(|error| Outcome::Refused { problem: format!("the message is unreadable: {error}"), for_now: false })
}

/// What goes wrong at a channel goes wrong for all of its messages: they wait together, so that order stays and one that
/// hangs keeps no place of others.
pub(super) fn of_channel(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Later { problem, after, uncertain, .. } => {
            Outcome::Later { problem, after, scope: Scope::Target, uncertain }
        }
        Outcome::Arrived { .. } | Outcome::Unwanted | Outcome::Refused { .. } => outcome,
    }
}

/// `sha256=` and the HMAC in hexadecimal, as GitHub writes it.
pub(super) fn signature(secret: &Secret, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    let digits = hmac::sign(&key, body.as_bytes());
    digits.as_ref().iter().fold("sha256=".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}
