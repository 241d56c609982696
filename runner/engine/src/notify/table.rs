//! `[notify.NAME]` of `pipe.toml`, and what the form alone does not say of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use lettre::Address;
use lettre::message::Mailbox;
use serde::{Deserialize, Serialize};

use super::Occasion;
use super::forms::{discord, slack};
use crate::outbound::is_this_machine;

/// Messages a minute, where nothing is said.
pub(super) const PER_MINUTE: u32 = 20;
/// The most that can be asked for.
const PER_MINUTE_MAX: u32 = 600;
/// Most addresses of a channel.
const RECIPIENTS_MAX: usize = 50;

/// How a channel is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// JSON, signed where there is a secret.
    Webhook,
    /// Slack: an incoming webhook, or a bot.
    Slack,
    /// Mail.
    Mail,
    /// Teams: the webhook of a workflow.
    Teams,
    /// Discord: the webhook of a channel.
    Discord,
}

/// How a mail server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MailTls {
    /// Begins in the clear and goes on with TLS, or not at all.
    Starttls,
    /// TLS from the first byte.
    Tls,
    /// In the clear; on this machine only.
    None,
}

/// What the link of a mail that asks for a review can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EmailLink {
    /// Lead to the page, where who is signed in decides.
    #[default]
    Login,
    /// Let the one who got the mail decide, once.
    Token,
}

/// The table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct NotifyTable {
    /// How it is written to.
    pub form: Option<Form>,
    /// A file with the address, since addresses of hooks are secrets; read by its owner only. Instead: the variable
    /// `PIPE_NOTIFY_NAME_URL`.
    pub url_file: Option<PathBuf>,
    /// A file with the secret that hooks are signed with. Instead: `PIPE_NOTIFY_NAME_SECRET`.
    pub secret_file: Option<PathBuf>,
    /// A file with the token of a bot of Slack. Instead: `PIPE_NOTIFY_NAME_TOKEN`.
    pub token_file: Option<PathBuf>,
    /// Where the bot writes: the id of a channel.
    pub channel: Option<String>,
    /// Where Slack's methods are, if not at `https://slack.com/api`.
    pub api_url: Option<String>,
    /// The mail server: `HOST` or `HOST:PORT`.
    pub server: Option<String>,
    /// How it is spoken to; `starttls` where absent, `tls` at port 465.
    pub tls: Option<MailTls>,
    /// A file with certificates (PEM) that the mail server may be vouched for by, beside those that this machine trusts.
    pub ca_file: Option<PathBuf>,
    /// Who hands mail in.
    pub user: Option<String>,
    /// A file with their password. Instead: `PIPE_NOTIFY_NAME_PASSWORD`.
    pub password_file: Option<PathBuf>,
    /// The sender, such as `pipe <ci@example.com>`.
    pub from: Option<String>,
    /// Who gets it.
    pub to: Vec<String>,
    /// What links in mails that ask for a review can do.
    pub email_link: EmailLink,
    /// Of what; see [`Occasion::defaults`] where absent.
    pub on: Option<BTreeSet<Occasion>>,
    /// Only of these repositories.
    pub repositories: Vec<String>,
    /// Only of these branches.
    pub branches: Vec<String>,
    /// Only of these workflows.
    pub workflows: Vec<String>,
    /// Only of these environments.
    pub environments: Vec<String>,
    /// By login or mail address of a commit's author, what the channel calls them: they are mentioned when a run fails.
    pub people: BTreeMap<String, String>,
    /// Messages a minute, 20 where absent; what is more is told in a summary.
    pub per_minute: Option<u32>,
    /// A file with the channel's own words.
    pub template_file: Option<PathBuf>,
}

impl NotifyTable {
    /// What is wrong with it: the word in question, and why.
    #[must_use]
    pub fn problem(&self, name: &str) -> Option<(String, String)> {
        let table = format!("notify.{name}");
        let here = |why: String| Some((table.clone(), why));
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || name.len() > 40 || !name.chars().all(is_name) {
            let why = format!("`{name}` is no name of a channel: use small letters, digits and `-`, at most 40");
            return Some((name.to_owned(), why));
        }
        let Some(form) = self.form else {
            return here(format!("`[{table}]` needs `form`: webhook, slack, mail, teams or discord"));
        };
        if let Some((key, forms)) = self.misplaced(form) {
            return here(format!("`{key}` of `[{table}]` is for {forms} only"));
        }
        match form {
            Form::Mail => self.mail_problem(&table),
            Form::Slack if self.token_file.is_some() && self.channel.is_none() => {
                here(format!("`[{table}]` needs `channel`: where the bot writes"))
            }
            Form::Slack | Form::Webhook | Form::Teams | Form::Discord => None,
        }
        .or_else(|| self.people_problem(form))
        .or_else(|| {
            let count = self.per_minute.filter(|count| !(1..=PER_MINUTE_MAX).contains(count))?;
            Some(("per-minute".to_owned(), format!("`per-minute` is from 1 to {PER_MINUTE_MAX}, not {count}")))
        })
    }

    /// A key that another form has.
    fn misplaced(&self, form: Form) -> Option<(&'static str, &'static str)> {
        let is = |wanted: &[Form]| wanted.contains(&form);
        let web = [Form::Webhook, Form::Slack, Form::Teams, Form::Discord];
        [
            ("url-file", self.url_file.is_some(), is(&web), "webhook, slack, teams and discord"),
            ("secret-file", self.secret_file.is_some(), is(&[Form::Webhook]), "webhook"),
            ("token-file", self.token_file.is_some(), is(&[Form::Slack]), "slack"),
            ("channel", self.channel.is_some(), is(&[Form::Slack]), "slack"),
            ("api-url", self.api_url.is_some(), is(&[Form::Slack]), "slack"),
            ("server", self.server.is_some(), is(&[Form::Mail]), "mail"),
            ("tls", self.tls.is_some(), is(&[Form::Mail]), "mail"),
            ("ca-file", self.ca_file.is_some(), is(&[Form::Mail]), "mail"),
            ("user", self.user.is_some(), is(&[Form::Mail]), "mail"),
            ("password-file", self.password_file.is_some(), is(&[Form::Mail]), "mail"),
            ("from", self.from.is_some(), is(&[Form::Mail]), "mail"),
            ("to", !self.to.is_empty(), is(&[Form::Mail]), "mail"),
            ("email-link", self.email_link != EmailLink::Login, is(&[Form::Mail]), "mail"),
            ("template-file", self.template_file.is_some(), form != Form::Webhook, "slack, mail, teams and discord"),
            (
                "people",
                !self.people.is_empty(),
                is(&[Form::Slack, Form::Mail, Form::Discord]),
                "slack, mail and discord",
            ),
        ]
        .into_iter()
        .find_map(|(key, is_there, fits, forms)| (is_there && !fits).then_some((key, forms)))
    }

    fn mail_problem(&self, table: &str) -> Option<(String, String)> {
        let missing = |key: &str, what: &str| Some((table.to_owned(), format!("`[{table}]` needs `{key}`: {what}")));
        let Some(server) = &self.server else { return missing("server", "the mail server, `HOST` or `HOST:PORT`") };
        let Some((host, port)) = host_and_port(server) else {
            return Some((server.clone(), format!("`{server}` is no mail server: use `HOST` or `HOST:PORT`")));
        };
        if self.mail_tls(port) == MailTls::None && !is_this_machine(&host) {
            let why = "`tls = \"none\"` is for a mail server on this machine (127.0.0.1, localhost)";
            return Some((server.clone(), why.to_owned()));
        }
        if self.mail_tls(port) == MailTls::None && self.ca_file.is_some() {
            return Some(("ca-file".to_owned(), "`ca-file` vouches for nobody where `tls` is \"none\"".to_owned()));
        }
        let Some(from) = &self.from else { return missing("from", "the sender, such as `pipe <ci@example.com>`") };
        if from.parse::<Mailbox>().is_err() {
            return Some((from.clone(), format!("`{from}` is no sender, such as `pipe <ci@example.com>`")));
        }
        if self.to.is_empty() || self.to.len() > RECIPIENTS_MAX {
            return missing("to", "from one to 50 addresses");
        }
        let wrong = self.to.iter().find(|to| to.parse::<Address>().is_err())?;
        Some((wrong.clone(), format!("`{wrong}` is no mail address")))
    }

    fn people_problem(&self, form: Form) -> Option<(String, String)> {
        let (fits, what): (fn(&str) -> bool, _) = match form {
            Form::Slack => (slack::is_member, "the id of a member of Slack, such as `U024BE7LH`"),
            Form::Discord => (discord::is_member, "the id of a user of Discord, in digits"),
            Form::Mail => (|id| id.parse::<Address>().is_ok(), "a mail address"),
            Form::Webhook | Form::Teams => return None,
        };
        let (_, wrong) = self.people.iter().find(|(_, id)| !fits(id))?;
        Some((wrong.clone(), format!("`{wrong}` is not {what}")))
    }

    /// How a mail server at this port is spoken to.
    pub(super) fn mail_tls(&self, port: u16) -> MailTls {
        self.tls.unwrap_or(if port == 465 { MailTls::Tls } else { MailTls::Starttls })
    }
}

/// `HOST` (port 587) or `HOST:PORT`.
pub(super) fn host_and_port(server: &str) -> Option<(String, u16)> {
    let is_host = |host: &str| {
        !host.is_empty() && host.len() <= 255 && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b))
    };
    let (host, port) = match server.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok().filter(|port| *port > 0)?),
        None => (server, 587),
    };
    is_host(host).then(|| (host.to_owned(), port))
}
