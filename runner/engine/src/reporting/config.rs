//! The tables of `pipe.toml` that say who is told about runs, and what comes of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexMap;
use serde::Deserialize;
use workflow::secret::Secret;

use super::{ReaderSettings, Target};
use crate::github::{ApiSettings, App, Credentials, Flavour, KeyError, Sender, SentByGithub};
use crate::notify::{self, Channel, NotifyTable, SealedCredentials};
use crate::outbound::OutboundError;
use crate::own_file;
use crate::telemetry::{self, Exporter, Traces};
use crate::triggering::SentHooks;

/// `[github]`, `[gitea]`, `[forgejo]`, `[gitlab]`: where statuses go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ForgeTable {
    /// Such as `https://api.github.com` (the default of `[github]`), `https://HOST/api/v3`, `https://HOST/api/v1`
    /// (Gitea, Forgejo), `https://gitlab.com/api/v4` (the default of `[gitlab]`).
    pub api_url: Option<String>,
    /// A file with a token, read by its owner only. Instead: the variable `PIPE_GITHUB_TOKEN` and so on.
    pub token_file: Option<PathBuf>,
    /// A GitHub App: its id or client id.
    pub app_id: Option<String>,
    /// Its private key, read by its owner only.
    pub app_key_file: Option<PathBuf>,
    /// Whether pull requests get a comment.
    #[serde(default)]
    pub comments: bool,
}

/// `[telemetry]`: traces.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TelemetryTable {
    /// The collector, such as `http://localhost:4318`.
    pub endpoint: Option<String>,
    /// A file with headers, one `NAME: VALUE` a line, read by its owner only.
    pub headers_file: Option<PathBuf>,
    /// A file with the token that scrapers of `/metrics` send, read by its owner only; without one the numbers are for
    /// this machine.
    pub metrics_token_file: Option<PathBuf>,
}

/// All of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReportingTables {
    /// By the forge's name.
    pub forges: BTreeMap<String, ForgeTable>,
    /// `[telemetry]`.
    pub telemetry: TelemetryTable,
    /// `[notify.NAME]`.
    pub notify: IndexMap<String, NotifyTable>,
}

/// What the tables come to.
#[derive(Debug, Default)]
pub struct Plan {
    /// For the reader.
    pub reader: ReaderSettings,
    /// For the worker.
    pub targets: IndexMap<String, Arc<dyn Target>>,
    /// Whom people's news go to.
    pub channels: Vec<Channel>,
    /// For `/metrics`.
    pub metrics_token: Option<Secret>,
    /// Whom to ask for hooks that did not arrive.
    pub sent: Option<Arc<dyn SentHooks>>,
}

/// Why a table cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// A key is missing.
    #[error("[{table}] needs {what}")]
    Missing {
        /// The table.
        table: String,
        /// What it needs.
        what: &'static str,
    },
    /// There is no such forge.
    #[error("[{0}] is no forge; there are [github], [gitea], [forgejo] and [gitlab]")]
    NoForge(String),
    /// A file.
    #[error("[{table}] {path}: {reason}")]
    File {
        /// The table.
        table: String,
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The key of an app.
    #[error("[{table}] {source}")]
    Key {
        /// The table.
        table: String,
        /// What is wrong with it.
        source: KeyError,
    },
    /// An address.
    #[error("[{table}] {source}")]
    Outbound {
        /// The table.
        table: String,
        /// What is wrong with it.
        source: OutboundError,
    },
}

impl ReportingTables {
    /// Reads the files that the tables name. `url` is the server's own address, for links; `instance` tells its traces
    /// from those of others; `env` gives variables, `sealed` what channels have no file and no variable for.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn plan(
        &self,
        url: Option<String>,
        instance: &str,
        env: &dyn Fn(&str) -> Option<String>,
        sealed: Option<&Arc<dyn SealedCredentials>>,
    ) -> Result<Plan, TableError> {
        let mut plan = Plan::default();
        plan.reader.url = url;
        for (name, table) in &self.forges {
            let (flavour, default) = match name.as_str() {
                "github" => (Flavour::Github, Some("https://api.github.com")),
                "gitea" | "forgejo" => (Flavour::Gitea, None),
                "gitlab" => (Flavour::Gitlab, Some("https://gitlab.com/api/v4")),
                _ => return Err(TableError::NoForge(name.clone())),
            };
            let Some(credentials) = credentials(name, table, env)? else { continue };
            let missing = || TableError::Missing { table: name.clone(), what: "`api-url`" };
            let url = table.api_url.clone().or(default.map(str::to_owned)).ok_or_else(missing)?;
            let outbound = |source| TableError::Outbound { table: name.clone(), source };
            if flavour == Flavour::Github {
                let settings = ApiSettings { url: url.clone(), credentials: credentials.clone(), time_max: None };
                let sent = SentByGithub::new(settings, plan.reader.url.clone()).map_err(outbound)?;
                plan.sent = Some(Arc::new(sent));
            }
            let sender = Sender::new(name, flavour, ApiSettings { url, credentials, time_max: None });
            let sender = sender.map_err(outbound)?;
            plan.targets.insert(name.clone(), Arc::new(sender));
            plan.reader.targets.insert(name.clone(), name.clone());
            plan.reader.comments |= table.comments;
        }
        self.traces(instance, &mut plan)?;
        let token = self.telemetry.metrics_token_file.as_ref().map(|path| secret_of("telemetry", path));
        plan.metrics_token = token.transpose()?;
        for (name, table) in &self.notify {
            let opened = notify::open(name, table, (plan.reader.url.as_deref(), env), sealed)?;
            plan.targets.insert(opened.audience.target.clone(), opened.target);
            plan.reader.audiences.push(opened.audience);
            plan.channels.push(opened.channel);
        }
        Ok(plan)
    }

    fn traces(&self, instance: &str, plan: &mut Plan) -> Result<(), TableError> {
        let Some(endpoint) = &self.telemetry.endpoint else { return Ok(()) };
        let headers = match &self.telemetry.headers_file {
            Some(path) => secret_of("telemetry", path)?.expose().lines().filter_map(header).collect(),
            None => Vec::new(),
        };
        let exporter = Exporter::new(endpoint, headers);
        let exporter = exporter.map_err(|source| TableError::Outbound { table: "telemetry".to_owned(), source })?;
        plan.targets.insert(telemetry::TARGET.to_owned(), Arc::new(exporter));
        plan.reader.traces = Some(Traces { instance: instance.to_owned() });
        Ok(())
    }
}

fn header(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    Some((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
}

/// `None` where nothing is given: then nothing is told to this forge.
fn credentials(
    name: &str,
    table: &ForgeTable,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Credentials>, TableError> {
    match (&table.app_id, &table.app_key_file) {
        (Some(id), Some(path)) => {
            let app = App::from_file(id, path);
            let app = app.map_err(|source| TableError::Key { table: name.to_owned(), source })?;
            return Ok(Some(Credentials::App(Arc::new(app))));
        }
        (Some(_), None) => return Err(TableError::Missing { table: name.to_owned(), what: "`app-key-file`" }),
        (None, Some(_)) => return Err(TableError::Missing { table: name.to_owned(), what: "`app-id`" }),
        (None, None) => {}
    }
    if let Some(path) = &table.token_file {
        return Ok(Some(Credentials::Token(secret_of(name, path)?)));
    }
    let token = env(&format!("PIPE_{}_TOKEN", name.to_ascii_uppercase())).filter(|token| !token.is_empty());
    Ok(token.map(|token| Credentials::Token(Secret::new(token))))
}

/// A secret in a file that only its owner reads, without the line break at its end.
fn secret_of(table: &str, path: &Path) -> Result<Secret, TableError> {
    let failed = |reason| TableError::File { table: table.to_owned(), path: path.display().to_string(), reason };
    own_file::secret(path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn plan(tables: &ReportingTables) -> Result<Plan, TableError> {
        tables.plan(None, "x", &|name| (name == "PIPE_GITEA_TOKEN").then(|| "t".to_owned()), None)
    }

    #[tokio::test]
    async fn tables_become_targets() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str, mode| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            path
        };
        let github = ForgeTable { token_file: Some(file("token", "t\n", 0o600)), ..ForgeTable::default() };
        let gitea = ForgeTable { api_url: Some("https://git.example/api/v1".into()), ..ForgeTable::default() };
        let notify = NotifyTable {
            form: Some(notify::Form::Slack),
            url_file: Some(file("url", "https://hooks.example/T/B/x\n", 0o600)),
            ..NotifyTable::default()
        };
        let telemetry = TelemetryTable { endpoint: Some("http://localhost:4318".into()), ..TelemetryTable::default() };
        let forges = [("github", github.clone()), ("gitea", gitea), ("gitlab", ForgeTable::default())];
        let forges = forges.map(|(name, table)| (name.to_owned(), table)).into();
        let tables = ReportingTables { forges, telemetry, notify: [("team".to_owned(), notify)].into() };
        let planned = plan(&tables).unwrap();
        assert!(planned.sent.is_some(), "GitHub can be asked for hooks that did not arrive");
        let names: Vec<_> = planned.targets.into_keys().collect();
        // Without a token nothing is told to GitLab.
        assert_eq!(names, ["gitea", "github", "traces", "notify team"]);
        for (name, table, expected) in [
            ("github", ForgeTable { token_file: Some(file("open", "t", 0o644)), ..github.clone() }, "others can read"),
            ("github", ForgeTable { app_id: Some("1".into()), ..github.clone() }, "[github] needs `app-key-file`"),
            ("github", ForgeTable { api_url: Some("x".into()), ..github.clone() }, "[github] use the address x"),
            ("forgejo", github.clone(), "[forgejo] needs `api-url`"),
            ("bitbucket", github.clone(), "[bitbucket] is no forge"),
        ] {
            let tables = ReportingTables { forges: [(name.to_owned(), table)].into(), ..ReportingTables::default() };
            let error = plan(&tables).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
