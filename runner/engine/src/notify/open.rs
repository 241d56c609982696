//! From a table to a channel: credentials are read from files of their owner, from variables, or from the sealed store of secrets,
//! and never shown.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use lettre::Address;
use lettre::message::Mailbox;
use lettre::transport::smtp::client::Certificate;
use tokio::sync::Mutex;
use workflow::secret::Secret;

use super::late::{Late, SealedCredentials};
use super::mail::{Mail, Relay};
use super::post::{Hook, Wording};
use super::slack_bot::Bot;
use super::table::{EmailLink, Form, NotifyTable, PER_MINUTE, host_and_port};
use super::template::{Escape, TEMPLATE_BYTES_MAX, Template};
use super::{Audience, Channel, Occasion, TARGET, text};
use crate::outbound::{self, OutboundError, Poster};
use crate::own_file;
use crate::reporting::{TableError, Target};

/// How long a channel may take for one message.
const POST_TIME_MAX: std::time::Duration = std::time::Duration::from_secs(5);
/// Where Slack's methods are.
const SLACK_API: &str = "https://slack.com/api";

/// How a certificate begins in a file.
const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// A channel that can be told.
pub(crate) struct Opened {
    pub(crate) audience: Audience,
    pub(crate) channel: Channel,
    pub(crate) target: Arc<dyn Target>,
}

/// Gives variables.
type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A table, and where credentials come from that it names no file for.
pub(super) struct Table<'a> {
    pub(super) name: &'a str,
    pub(super) table: &'a NotifyTable,
    pub(super) url: Option<&'a str>,
    pub(super) env: Env<'a>,
}

/// A credential that a channel has: its file, its word in names, whether there is no channel without it.
type Credential<'a> = (Option<&'a PathBuf>, &'static str, bool);

/// Opens a channel. `url` is the server's own address, `env` gives variables; what neither has is looked for in `sealed`, each time
/// that something is sent.
///
/// # Errors
/// A file or a variable is missing or cannot be used.
pub(crate) fn open(
    name: &str,
    table: &NotifyTable,
    (url, env): (Option<&str>, Env<'_>),
    sealed: Option<&Arc<dyn SealedCredentials>>,
) -> Result<Opened, TableError> {
    let it = Table { name, table, url, env };
    if let Some((_, problem)) = table.problem(name) {
        return Err(it.failed("the table", problem));
    }
    let form = it.form();
    let (target, place) = match sealed {
        Some(sealed) => it.late(sealed)?,
        None => it.target()?,
    };
    let audience = Audience {
        target: format!("{TARGET}{name}"),
        on: table.on.clone().unwrap_or_else(Occasion::defaults),
        repositories: table.repositories.clone(),
        branches: table.branches.clone(),
        workflows: table.workflows.clone(),
        environments: table.environments.clone(),
        per_minute: table.per_minute.unwrap_or(PER_MINUTE),
        is_live: form == Form::Slack && table.channel.is_some(),
    };
    let channel = Channel { name: name.to_owned(), form, place, audience: audience.clone() };
    Ok(Opened { audience, channel, target })
}

impl Table<'_> {
    fn form(&self) -> Form {
        self.table.form.unwrap_or(Form::Webhook)
    }

    /// The channel, and where it tells people, as far as that is no secret.
    pub(super) fn target(&self) -> Result<(Arc<dyn Target>, String), TableError> {
        match self.form() {
            Form::Mail => self.mail(),
            Form::Slack if self.table.channel.is_some() => self.bot(),
            form @ (Form::Slack | Form::Webhook | Form::Teams | Form::Discord) => self.hook(form),
        }
    }

    /// The same, with what is missing from the store of secrets.
    fn late(&self, sealed: &Arc<dyn SealedCredentials>) -> Result<(Arc<dyn Target>, String), TableError> {
        let (mut given, mut wanted, mut is_whole) = (BTreeMap::new(), Vec::new(), true);
        for (_, word, is_needed) in self.credentials().into_iter().filter(|(file, ..)| file.is_none()) {
            match self.credential(None, word)? {
                Some(value) => drop(given.insert(self.variable(word), value)),
                None => {
                    wanted.push(self.variable(word));
                    is_whole &= !is_needed;
                }
            }
        }
        if wanted.is_empty() {
            return self.target();
        }
        // What can be wrong with the rest is said at once.
        let place = match is_whole {
            true => self.target()?.1,
            false => match self.form() {
                Form::Mail => self.table.to.join(", "),
                Form::Slack | Form::Webhook | Form::Teams | Form::Discord => {
                    self.wording(str::to_owned)?;
                    let place = self.table.channel.clone();
                    place.unwrap_or_else(|| format!("where the secret {} leads", self.variable("URL")))
                }
            },
        };
        let late = Late {
            name: self.name.to_owned(),
            table: self.table.clone(),
            url: self.url.map(str::to_owned),
            given,
            wanted,
            sealed: Arc::clone(sealed),
            opened: Mutex::new(None),
        };
        Ok((Arc::new(late), place))
    }

    fn credentials(&self) -> Vec<Credential<'_>> {
        let table = self.table;
        match self.form() {
            Form::Mail if table.user.is_some() => vec![(table.password_file.as_ref(), "PASSWORD", true)],
            Form::Mail => Vec::new(),
            Form::Slack if table.channel.is_some() => vec![(table.token_file.as_ref(), "TOKEN", true)],
            Form::Webhook => {
                vec![(table.url_file.as_ref(), "URL", true), (table.secret_file.as_ref(), "SECRET", false)]
            }
            Form::Slack | Form::Teams | Form::Discord => vec![(table.url_file.as_ref(), "URL", true)],
        }
    }

    /// The name of a credential's variable, and of its secret.
    fn variable(&self, word: &str) -> String {
        format!("PIPE_NOTIFY_{}_{word}", self.name.to_ascii_uppercase().replace('-', "_"))
    }

    fn failed(&self, what: &str, reason: String) -> TableError {
        TableError::File { table: format!("notify.{}", self.name), path: what.to_owned(), reason }
    }

    /// What stands in a file of its owner, or in a variable of the name that it has everywhere.
    fn credential(&self, file: Option<&PathBuf>, word: &str) -> Result<Option<Secret>, TableError> {
        if let Some(path) = file {
            return own_file::secret(path).map(Some).map_err(|reason| self.failed(&path.display().to_string(), reason));
        }
        let value = (self.env)(&self.variable(word)).filter(|value| !value.trim().is_empty());
        Ok(value.map(|value| Secret::new(value.trim())))
    }

    fn needed(&self, file: Option<&PathBuf>, (key, word): (&str, &str)) -> Result<Secret, TableError> {
        self.credential(file, word)?.ok_or_else(|| {
            let name = self.variable(word);
            let how = format!("name a file, set the variable {name}, or `pipe secret set {name} --notify`");
            self.failed(key, format!("is missing; {how}"))
        })
    }

    fn wording(&self, escape: Escape) -> Result<Wording, TableError> {
        let template = match &self.table.template_file {
            Some(path) => {
                let failed = |reason: String| self.failed(&path.display().to_string(), reason);
                let facts = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?;
                if facts.len() > TEMPLATE_BYTES_MAX {
                    return Err(failed(format!("a template has at most {TEMPLATE_BYTES_MAX} bytes")));
                }
                let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
                Some(Template::new(text, escape).map_err(failed)?)
            }
            None => None,
        };
        let people = self.table.people.iter().map(|(name, id)| (name.to_lowercase(), id.clone())).collect();
        Ok(Wording { template, people })
    }

    fn poster(&self) -> Result<Poster, TableError> {
        Poster::within(POST_TIME_MAX).map_err(|source| self.outbound(source))
    }

    fn outbound(&self, source: OutboundError) -> TableError {
        TableError::Outbound { table: format!("notify.{}", self.name), source }
    }

    fn hook(&self, form: Form) -> Result<(Arc<dyn Target>, String), TableError> {
        let url = self.needed(self.table.url_file.as_ref(), ("url-file", "URL"))?;
        let address = outbound::safe_address(url.expose()).map_err(|error| match &error {
            // Addresses of hooks hold a token: it is not repeated.
            OutboundError::Address(_) => self.outbound(OutboundError::Address("of the hook".into())),
            OutboundError::Plain | OutboundError::Certificates(_) => self.outbound(error),
        })?;
        let secret = self.credential(self.table.secret_file.as_ref(), "SECRET")?.filter(|_| form == Form::Webhook);
        let escape: Escape = match form {
            Form::Slack => text::slack,
            Form::Discord => text::discord,
            Form::Teams => text::teams,
            Form::Webhook | Form::Mail => str::to_owned,
        };
        let place = address.host().unwrap_or_default().to_owned();
        let wording = self.wording(escape)?;
        Ok((Arc::new(Hook { poster: self.poster()?, address, form, secret, wording }), place))
    }

    fn bot(&self) -> Result<(Arc<dyn Target>, String), TableError> {
        let token = self.needed(self.table.token_file.as_ref(), ("token-file", "TOKEN"))?;
        let base = self.table.api_url.as_deref().unwrap_or(SLACK_API).trim_end_matches('/');
        let method = |name: &str| outbound::safe_address(&format!("{base}/{name}")).map_err(|it| self.outbound(it));
        let channel = self.table.channel.clone().unwrap_or_default();
        let bot = Bot {
            poster: self.poster()?,
            post: method("chat.postMessage")?,
            update: method("chat.update")?,
            token,
            channel: channel.clone(),
            wording: self.wording(text::slack)?,
        };
        Ok((Arc::new(bot), channel))
    }

    fn vouched_by(&self) -> Result<Vec<Certificate>, TableError> {
        let Some(path) = &self.table.ca_file else { return Ok(Vec::new()) };
        let failed = |reason: String| self.failed(&path.display().to_string(), reason);
        let text = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
        if !text.windows(BEGIN.len()).any(|part| part == BEGIN) {
            return Err(failed("holds no certificate as PEM: `-----BEGIN CERTIFICATE-----` and so on".to_owned()));
        }
        let one = Certificate::from_pem(&text).map_err(|error| failed(crate::outbound::chain_of(&error)))?;
        Ok(vec![one])
    }

    fn mail(&self) -> Result<(Arc<dyn Target>, String), TableError> {
        let failed = |reason: &str| self.failed("the table", reason.to_owned());
        let server = self.table.server.as_deref().and_then(host_and_port);
        let (host, port) = server.ok_or_else(|| failed("`server` is missing"))?;
        let from = self.table.from.as_deref().and_then(|from| from.parse::<Mailbox>().ok());
        let from = from.ok_or_else(|| failed("`from` is missing"))?;
        let to: Vec<Address> = self.table.to.iter().filter_map(|to| to.parse().ok()).collect();
        let login = match &self.table.user {
            Some(user) => {
                let password = self.needed(self.table.password_file.as_ref(), ("password-file", "PASSWORD"))?;
                Some((user.clone(), password))
            }
            None => None,
        };
        let vouched_by = self.vouched_by()?;
        let relay = Relay { tls: self.table.mail_tls(port), host, port, login, vouched_by };
        let mail = Mail::new(relay, (self.name, from), to, self.wording(str::to_owned)?);
        let mail = mail.map_err(|reason| failed(&reason))?;
        let by_token = self.table.email_link == EmailLink::Token;
        if by_token && self.url.is_none() {
            return Err(failed("`email-link = \"token\"` needs `url` of `[server]`: links lead there"));
        }
        let mail = mail.with_links(self.url.filter(|_| by_token).map(str::to_owned));
        Ok((Arc::new(mail), self.table.to.join(", ")))
    }
}
