//! Brings announcements to people by mail, each to each of them alone, over SMTP.
//!
//! A mail has the same Message-ID whenever it is tried, and belongs to the thread of its run. Who has it is kept beside the
//! outbox, so that one address that is refused does not send the others theirs twice. Follows
//! <https://datatracker.ietf.org/doc/html/rfc5322#section-3.6.4>, RFC 2919 (List-Id) and RFC 3834 (Auto-Submitted).

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use sha2::{Digest as _, Sha256};
use workflow::run::Recorded;

use super::Announcement;
use super::forms::letter::letter;
use super::post::{Wording, of_channel, read};
use super::table::MailTls;
use crate::reporting::{Outcome, Scope, Target};
use crate::service::{Waiting, waiting};
use crate::store::approvals::NewApproval;
use crate::store::outbox::{Message, Outbox};
use crate::store::{RunId, StoreError};

/// How long one mail may take.
const MAIL_TIME_MAX: Duration = Duration::from_secs(20);
/// How long a server may be silent.
const SILENT_TIME_MAX: Duration = Duration::from_secs(10);

/// Where mail is handed in.
#[derive(Debug, Clone)]
pub(super) struct Relay {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: MailTls,
    pub(super) login: Option<(String, workflow::secret::Secret)>,
    /// Who may vouch for it beside those that this machine trusts.
    pub(super) vouched_by: Vec<Certificate>,
}

/// A channel of mail.
#[derive(Debug)]
pub(super) struct Mail {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    name: String,
    from: Mailbox,
    to: Vec<Address>,
    wording: Wording,
    /// The server's own address, where links let people without an account decide.
    links_at: Option<String>,
    /// What belongs together, if not what is of one run.
    thread: Option<String>,
}

impl Mail {
    /// A channel. Addresses come from the configuration only.
    ///
    /// # Errors
    /// TLS cannot be used.
    pub(super) fn new(
        relay: Relay,
        (name, from): (&str, Mailbox),
        to: Vec<Address>,
        wording: Wording,
    ) -> Result<Self, String> {
        let parameters = || {
            let builder = TlsParameters::builder(relay.host.clone());
            let vouched = relay.vouched_by.iter().cloned();
            let builder = vouched.fold(builder, |builder, one| builder.add_root_certificate(one));
            builder.build().map_err(|error| error.to_string())
        };
        let tls = match relay.tls {
            MailTls::Tls => Tls::Wrapper(parameters()?),
            MailTls::Starttls => Tls::Required(parameters()?),
            MailTls::None => Tls::None,
        };
        let hello = ClientId::Domain(from.email.domain().to_owned());
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(relay.host)
            .port(relay.port)
            .tls(tls)
            .hello_name(hello)
            .timeout(Some(SILENT_TIME_MAX));
        if let Some((user, password)) = relay.login {
            builder = builder.credentials(Credentials::new(user, password.expose().to_owned()));
        }
        Ok(Self { transport: builder.build(), name: name.to_owned(), from, to, wording, links_at: None, thread: None })
    }

    /// With links that let the one who gets the mail decide, once. `url`: the server's own address.
    pub(super) fn with_links(mut self, url: Option<String>) -> Self {
        self.links_at = url.map(|url| url.trim_end_matches('/').to_owned());
        self
    }

    /// In a thread of its own. Only a digest of the name is written: it may be anything.
    pub(super) fn in_thread(mut self, name: Option<&str>) -> Self {
        self.thread = name.map(|name| Sha256::digest(name)[..12].iter().map(|byte| format!("{byte:02x}")).collect());
        self
    }

    /// What it says, without its head.
    pub(super) fn text(&self, announcement: &Announcement) -> String {
        let letter = letter(announcement, self.wording.own(announcement).as_deref(), &[]);
        format!("Subject: {}\n\n{}", letter.subject, letter.text)
    }

    /// One attempt to one of them, without links.
    pub(super) async fn send_to(&self, message: &Message, announcement: &Announcement, to: &Address) -> Outcome {
        match self.write(message, announcement, to, &[]) {
            Err(problem) => Outcome::Refused { problem, for_now: false },
            Ok(mail) => self.hand_in(mail).await.map_or_else(|outcome| outcome, |()| Outcome::Arrived { remote: None }),
        }
    }

    /// The mail to one of them.
    pub(super) fn write(
        &self,
        message: &Message,
        announcement: &Announcement,
        to: &Address,
        extra: &[(String, String)],
    ) -> Result<lettre::Message, String> {
        let own = self.wording.own(announcement);
        let letter = letter(announcement, own.as_deref(), extra);
        let domain = self.from.email.domain();
        let thread = match &self.thread {
            Some(thread) => Some(format!("<thread.{thread}@{domain}>")),
            None => announcement.run.as_ref().map(|run| format!("<run.{}@{domain}>", run.id)),
        };
        let whom: String = Sha256::digest(to.to_string())[..6].iter().map(|byte| format!("{byte:02x}")).collect();
        let raw = |name: &'static str, value: String| HeaderValue::new(HeaderName::new_from_ascii_str(name), value);
        let mut builder = lettre::Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to.clone()))
            .date(message.created_at.into())
            .message_id(Some(format!("<{}.{whom}@{domain}>", message.id)))
            .subject(letter.subject)
            .raw_header(raw("List-Id", format!("<{}.pipe.{domain}>", self.name)))
            .raw_header(raw("Auto-Submitted", "auto-generated".to_owned()))
            .raw_header(raw("X-Pipe-Event", announcement.event.clone()));
        if let Some(thread) = thread {
            builder = builder.in_reply_to(thread.clone()).references(thread);
        }
        let body = MultiPart::alternative_plain_html(letter.text, letter.html);
        builder.multipart(body).map_err(|error| error.to_string())
    }

    /// Everybody who gets it: those of the channel, and who wrote the commit of a run that failed.
    fn recipients(&self, announcement: &Announcement) -> Vec<Address> {
        let mut all = self.to.clone();
        let author = self.wording.mention(announcement).and_then(|address| address.parse::<Address>().ok());
        all.extend(author.filter(|author| !self.to.contains(author)));
        all
    }

    /// What waits of what a mail asks for: `Err` where nothing does any more. `None`: it asks for nothing, or its link only
    /// leads to the page.
    async fn waiting(&self, announcement: &Announcement, outbox: &Outbox) -> Result<Option<Asked>, Outcome> {
        let (Some(url), Some(review)) = (&self.links_at, &announcement.review) else { return Ok(None) };
        // A gate is answered by who may deploy there, at its page.
        if review.gate.is_some() {
            return Ok(None);
        }
        let (Some(run), Some(environment)) = (&announcement.run, &announcement.environment) else { return Ok(None) };
        let run = RunId(run.id);
        let mut facts = Vec::new();
        loop {
            let after = facts.last().map_or(0, |fact: &Recorded| fact.seq);
            let more = outbox.facts(run, after).await.map_err(|error| not_now(error.to_string()))?;
            if more.is_empty() {
                break;
            }
            facts.extend(more);
        }
        let waits = waiting(&facts).into_iter().find(|one| one.environment.eq_ignore_ascii_case(environment));
        let Some(waits) = waits else { return Err(Outcome::Unwanted) };
        let expires_at = review.expires_at.unwrap_or(Timestamp::MAX);
        Ok(Some(Asked { url: url.clone(), run, waits, expires_at }))
    }

    /// The links of somebody who may decide by mail; none for others.
    async fn links(&self, asked: &Asked, to: &Address, outbox: &Outbox) -> Result<Vec<(String, String)>, StoreError> {
        let approvals = outbox.approvals();
        let to = to.to_string();
        let reviewer = approvals.reviewer_at(&to).await?;
        let is_asked = asked.waits.reviewers().iter().any(|name| reviewer.is_named(name));
        if !is_asked || asked.waits.check(asked.run, &reviewer).is_err() {
            return Ok(Vec::new());
        }
        let new = NewApproval {
            run: asked.run,
            environment: asked.waits.environment.clone(),
            subject: asked.waits.subject(),
            expires_at: asked.expires_at,
        };
        let Some((id, token)) = approvals.ask(new, &to, Timestamp::now()).await? else { return Ok(Vec::new()) };
        let (url, token) = (&asked.url, token.expose());
        Ok(vec![
            ("Review, approve or reject (for you alone, once)".to_owned(), format!("{url}/a/{id}#{token}")),
            ("The same where scripts do not run".to_owned(), format!("{url}/a/{id}?t={token}")),
        ])
    }

    async fn hand_in(&self, mail: lettre::Message) -> Result<(), Outcome> {
        let later = |problem, uncertain| Outcome::Later { problem, after: None, scope: Scope::Target, uncertain };
        match tokio::time::timeout(MAIL_TIME_MAX, self.transport.send(mail)).await {
            Err(_) => Err(later(format!("not taken within {} s", MAIL_TIME_MAX.as_secs()), true)),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) if error.is_permanent() => {
                Err(Outcome::Refused { problem: crate::outbound::chain_of(&error), for_now: true })
            }
            Ok(Err(error)) => Err(later(crate::outbound::chain_of(&error), !error.is_transient())),
        }
    }
}

/// A review that is asked for, as it waits now.
struct Asked {
    url: String,
    run: RunId,
    waits: Waiting,
    expires_at: Timestamp,
}

fn not_now(problem: String) -> Outcome {
    Outcome::Later { problem, after: None, scope: Scope::Target, uncertain: false }
}

#[async_trait]
impl Target for Mail {
    async fn send(&self, message: &Message, outbox: &Outbox) -> Outcome {
        let announcement = match read(message) {
            Ok(announcement) => announcement,
            Err(outcome) => return outcome,
        };
        let asked = match self.waiting(&announcement, outbox).await {
            Ok(asked) => asked,
            Err(outcome) => return outcome,
        };
        let (mut any, mut refused) = (false, None);
        for to in self.recipients(&announcement) {
            let sent = format!("mail {} {} {to}", message.id, message.created_at.as_millisecond());
            if matches!(outbox.remote(&message.target, &sent).await, Ok(Some(_))) {
                any = true;
                continue;
            }
            let links = match &asked {
                Some(asked) => match self.links(asked, &to, outbox).await {
                    Ok(links) => links,
                    Err(error) => return not_now(error.to_string()),
                },
                None => Vec::new(),
            };
            let mail = match self.write(message, &announcement, &to, &links) {
                Ok(mail) => mail,
                Err(problem) => return Outcome::Refused { problem, for_now: false },
            };
            match self.hand_in(mail).await {
                Ok(()) => {
                    any = true;
                    if let Err(error) = outbox.note(&message.target, &sent, "sent", Timestamp::now()).await {
                        tracing::warn!(%error, "who has a mail cannot be kept; it may come twice");
                    }
                }
                Err(Outcome::Refused { problem, .. }) => {
                    tracing::warn!(channel = self.name, %problem, "an address takes no mail");
                    refused = Some(problem);
                }
                Err(outcome) => return of_channel(outcome),
            }
        }
        match refused {
            Some(problem) if !any => Outcome::Refused { problem, for_now: true },
            Some(_) | None => Outcome::Arrived { remote: None },
        }
    }
}
