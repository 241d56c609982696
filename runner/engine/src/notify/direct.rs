//! News that a step tells itself, to an address that its workflow gives: the forms of channels, without an outbox.
//!
//! Nothing is kept here and nothing tried again: the step waits, and says what became of it. Addresses are held to the rules of
//! configured ones: TLS, or this machine. What the other side answers is never shown, so that nobody can read with it.

use jiff::Timestamp;
use lettre::Address;
use lettre::message::Mailbox;
use workflow::secret::Secret;

use super::forms::letter::letter;
use super::forms::{discord, slack, teams};
use super::mail::{Mail, Relay};
use super::post::{Hook, Wording, signature};
use super::table::host_and_port;
use super::template::{Escape, TEMPLATE_BYTES_MAX, Template};
use super::{Announcement, Form, MailTls, text};
use crate::outbound::{OutboundError, Poster, is_this_machine, safe_address};
use crate::reporting::Outcome;
use crate::store::outbox::Message;

/// Most addresses of a mail.
const RECIPIENTS_MAX: usize = 50;

/// Somewhere to tell news.
#[derive(Debug)]
pub struct Direct {
    way: Way,
    place: String,
}

#[derive(Debug)]
enum Way {
    Hook(Box<Hook>),
    Mail { mail: Box<Mail>, to: Vec<Address> },
}

/// Why something did not arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsent {
    /// In words, without the address.
    pub problem: String,
    /// How long the other side asks to be left alone.
    pub after: Option<std::time::Duration>,
    /// Whether another attempt may go well.
    pub is_for_now: bool,
}

/// Who takes mail.
#[derive(Debug, Clone, Default)]
pub struct MailServer {
    /// `HOST` or `HOST:PORT`.
    pub server: String,
    /// Who hands it in, with their password.
    pub login: Option<(String, Secret)>,
    /// The sender.
    pub from: String,
}

impl Direct {
    /// A hook of Slack, Teams or Discord, or one's own. `template` is for all but one's own, `secret` for that alone.
    ///
    /// # Errors
    /// The address or the template cannot be used; the address is not repeated.
    pub fn hook(form: Form, address: &str, template: Option<&str>, secret: Option<Secret>) -> Result<Self, String> {
        let address = safe_address(address.trim()).map_err(|error| match error {
            OutboundError::Address(_) => OutboundError::Address("of the hook".into()).to_string(),
            OutboundError::Plain | OutboundError::Certificates(_) => error.to_string(),
        });
        let address = address.map_err(|error| format!("cannot {error}"))?;
        let escape: Escape = match form {
            Form::Slack => text::slack,
            Form::Discord => text::discord,
            Form::Teams => text::teams,
            Form::Webhook | Form::Mail => str::to_owned,
        };
        let wording = wording(template, escape)?;
        let place = address.host().unwrap_or_default().to_owned();
        let poster = Poster::new().map_err(|error| format!("cannot {error}"))?;
        Ok(Self { way: Way::Hook(Box::new(Hook { poster, address, form, secret, wording })), place })
    }

    /// Mail. What has the same `thread` is shown together.
    ///
    /// # Errors
    /// Something of it cannot be used.
    pub fn mail(server: MailServer, to: &[&str], thread: Option<&str>, template: Option<&str>) -> Result<Self, String> {
        let name = &server.server;
        let (host, port) =
            host_and_port(name).ok_or_else(|| format!("`{name}` is no mail server: use HOST or HOST:PORT"))?;
        let tls = match port {
            465 => MailTls::Tls,
            _ if is_this_machine(&host) => MailTls::None,
            _ => MailTls::Starttls,
        };
        let from: Mailbox = server
            .from
            .parse()
            .map_err(|_| format!("`{}` is no sender, such as `pipe <ci@example.com>`", server.from))?;
        let read = |to: &&str| to.parse::<Address>().map_err(|_| format!("`{to}` is no mail address"));
        let to = to.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        if to.is_empty() || to.len() > RECIPIENTS_MAX {
            return Err(format!("a mail goes to 1 to {RECIPIENTS_MAX} addresses, not {}", to.len()));
        }
        let relay = Relay { host, port, tls, login: server.login, vouched_by: Vec::new() };
        let mail = Mail::new(relay, ("step", from), to.clone(), wording(template, str::to_owned)?)?.in_thread(thread);
        let place = to.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        Ok(Self { way: Way::Mail { mail: Box::new(mail), to }, place })
    }

    /// Where it goes, as far as that is no secret: the host, or who gets the mail.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// What would be sent.
    #[must_use]
    pub fn preview(&self, announcement: &Announcement) -> String {
        match &self.way {
            Way::Hook(hook) => body(hook, announcement),
            Way::Mail { mail, .. } => mail.text(announcement),
        }
    }

    /// One attempt. `id` is the same for every attempt, `thread` for everything that belongs together.
    ///
    /// # Errors
    /// It did not arrive, or nobody knows.
    pub async fn send(&self, announcement: &Announcement, id: u64, thread: Option<&str>) -> Result<(), Unsent> {
        match &self.way {
            Way::Hook(hook) => {
                let body = body(hook, announcement);
                let mut headers = Vec::new();
                if hook.form == Form::Webhook {
                    headers.push(("x-pipe-event".to_owned(), announcement.event.clone()));
                    headers.push(("x-pipe-delivery".to_owned(), id.to_string()));
                    headers.extend(thread.map(|thread| ("x-pipe-thread".to_owned(), thread.to_owned())));
                    headers.extend(
                        hook.secret.iter().map(|secret| ("x-pipe-signature-256".to_owned(), signature(secret, &body))),
                    );
                }
                of(hook.poster.post(&hook.address, &headers, body).await)
            }
            Way::Mail { mail, to } => {
                let message = message(id, announcement.at);
                let mut problems = Vec::new();
                for to in to {
                    if let Err(unsent) = of(mail.send_to(&message, announcement, to).await) {
                        problems.push(Unsent { problem: format!("{to}: {}", unsent.problem), ..unsent });
                    }
                }
                // Tried again, those who have it would get it twice.
                let is_for_now = problems.len() == to.len() && problems.iter().all(|unsent| unsent.is_for_now);
                let words: Vec<_> = problems.iter().map(|unsent| unsent.problem.as_str()).collect();
                let after = problems.first().and_then(|unsent| unsent.after);
                if words.is_empty() { Ok(()) } else { Err(Unsent { problem: words.join("; "), after, is_for_now }) }
            }
        }
    }
}

/// News in plain text, for places that are not known here.
#[derive(Debug)]
pub struct PlainText(Wording);

impl PlainText {
    /// With words of one's own, if there is a `template`.
    ///
    /// # Errors
    /// The template cannot be used.
    pub fn new(template: Option<&str>) -> Result<Self, String> {
        wording(template, str::to_owned).map(Self)
    }

    /// Headline and text.
    #[must_use]
    pub fn of(&self, announcement: &Announcement) -> (String, String) {
        let letter = letter(announcement, self.0.own(announcement).as_deref(), &[]);
        let text = letter.text_alone().to_owned();
        (letter.subject, text)
    }
}

/// Checks an address that requests go to: HTTPS, or this machine.
///
/// # Errors
/// It cannot be used; the address is not repeated.
pub fn checked_address(address: &str) -> Result<(), String> {
    safe_address(address).map(|_| ()).map_err(|error| match error {
        OutboundError::Address(_) => "it is no address".to_owned(),
        OutboundError::Plain | OutboundError::Certificates(_) => error.to_string(),
    })
}

fn wording(template: Option<&str>, escape: Escape) -> Result<Wording, String> {
    let Some(text) = template else { return Ok(Wording::default()) };
    if text.len() as u64 > TEMPLATE_BYTES_MAX {
        return Err(format!("a template has at most {TEMPLATE_BYTES_MAX} bytes"));
    }
    let template =
        Template::new(text.to_owned(), escape).map_err(|problem| format!("the template cannot be used: {problem}"))?;
    Ok(Wording { template: Some(template), ..Wording::default() })
}

fn body(hook: &Hook, announcement: &Announcement) -> String {
    let own = hook.wording.own(announcement);
    match hook.form {
        Form::Slack => slack::message(announcement, own.as_deref(), None).to_string(),
        Form::Discord => discord::message(announcement, own.as_deref(), None).to_string(),
        Form::Teams => teams::message(announcement, own.as_deref()).to_string(),
        Form::Webhook | Form::Mail => serde_json::to_string(announcement).unwrap_or_default(),
    }
}

fn message(id: u64, at: Timestamp) -> Message {
    let (target, kind) = ("step".to_owned(), super::KIND.to_owned());
    let (lane, subject, body) = (String::new(), String::new(), String::new());
    Message { id, target, kind, lane, subject, body, attempts: 0, uncertain: false, created_at: at }
}

fn of(outcome: Outcome) -> Result<(), Unsent> {
    match outcome {
        Outcome::Arrived { .. } | Outcome::Unwanted => Ok(()),
        Outcome::Refused { problem, for_now: _ } => Err(Unsent { problem, after: None, is_for_now: false }),
        Outcome::Later { problem, after, .. } => Err(Unsent { problem, after, is_for_now: true }),
    }
}
