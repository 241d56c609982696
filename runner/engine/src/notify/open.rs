//! From a table to a channel: credentials are read from files of their owner, or from variables, and never shown.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lettre::Address;
use lettre::message::Mailbox;
use workflow::secret::Secret;

use super::mail::{Mail, Relay};
use super::post::{Hook, Wording};
use super::slack_bot::Bot;
use super::table::{EmailLink, Form, NotifyTable, PER_MINUTE, host_and_port};
use super::template::{Escape, TEMPLATE_BYTES_MAX, Template};
use super::{Audience, Channel, Occasion, TARGET, text};
use crate::outbound::{self, OutboundError, Poster};
use crate::reporting::{TableError, Target};

/// How long a channel may take for one message.
const POST_TIME_MAX: std::time::Duration = std::time::Duration::from_secs(5);
/// Where Slack's methods are.
const SLACK_API: &str = "https://slack.com/api";

/// A channel that can be told.
pub(crate) struct Opened {
    pub(crate) audience: Audience,
    pub(crate) channel: Channel,
    pub(crate) target: Arc<dyn Target>,
}

/// Gives variables.
type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

struct Table<'a> {
    name: &'a str,
    table: &'a NotifyTable,
    url: Option<&'a str>,
    env: Env<'a>,
}

/// Opens a channel. `url` is the server's own address, `env` gives variables.
///
/// # Errors
/// A file or a variable is missing or cannot be used.
pub(crate) fn open(name: &str, table: &NotifyTable, (url, env): (Option<&str>, Env<'_>)) -> Result<Opened, TableError> {
    let it = Table { name, table, url, env };
    if let Some((_, problem)) = table.problem(name) {
        return Err(it.failed("the table", problem));
    }
    let form = table.form.unwrap_or(Form::Webhook);
    let (target, place) = match form {
        Form::Mail => it.mail()?,
        Form::Slack if table.channel.is_some() => it.bot()?,
        Form::Slack | Form::Webhook | Form::Teams | Form::Discord => it.hook(form)?,
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
    fn failed(&self, what: &str, reason: String) -> TableError {
        TableError::File { table: format!("notify.{}", self.name), path: what.to_owned(), reason }
    }

    /// What stands in a file of its owner, or in a variable.
    fn credential(&self, file: Option<&PathBuf>, word: &str) -> Result<Option<Secret>, TableError> {
        if let Some(path) = file {
            return own_file(path).map(Some).map_err(|reason| self.failed(&path.display().to_string(), reason));
        }
        let name = self.name.to_ascii_uppercase().replace('-', "_");
        let value = (self.env)(&format!("PIPE_NOTIFY_{name}_{word}")).filter(|value| !value.trim().is_empty());
        Ok(value.map(|value| Secret::new(value.trim())))
    }

    fn needed(&self, file: Option<&PathBuf>, (key, word): (&str, &str)) -> Result<Secret, TableError> {
        self.credential(file, word)?.ok_or_else(|| {
            let name = self.name.to_ascii_uppercase().replace('-', "_");
            self.failed(key, format!("is missing; name a file, or set PIPE_NOTIFY_{name}_{word}"))
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
        let relay = Relay { tls: self.table.mail_tls(port), host, port, login };
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

/// A secret in a file that only its owner reads, without the line break at its end.
fn own_file(path: &Path) -> Result<Secret, String> {
    let facts = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if facts.permissions().mode() & 0o077 != 0 {
        return Err("others can read it; run `chmod 600` on it".to_owned());
    }
    Ok(Secret::new(std::fs::read_to_string(path).map_err(|error| error.to_string())?.trim()))
}
