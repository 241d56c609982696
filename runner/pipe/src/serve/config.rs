//! `pipe.toml` of a server: its form, and what is wrong with it at which place.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use engine::notify::NotifyTable;
use engine::placement::WarmSettings;
use engine::reporting::{ForgeTable, ReportingTables, TelemetryTable};
use engine::runner_label::RunnerLabels;
use engine::service::ServiceParts;
use engine::triggering::TrustPolicy;
use indexmap::IndexMap;
use serde::Deserialize;
use workflow::diagnostic::{Code, Diagnostic};
use workflow::source::{FileId, SourceFile, SourceMap, Span};

use crate::config::{EnvironmentTable, IdentityTable, Size, environments_problem, meant, rules};
use crate::exit::Failure;
use crate::render;
use crate::serve::actions::ActionsTable;
use crate::serve::costs::CostsTable;
use crate::serve::housekeeping::RetentionTable;
use crate::serve::oidc::OidcTable;
use crate::terminal::{ColorChoice, Terminal};

/// Where a server listens that was not told.
pub const LISTEN_DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
/// Containers that are made ahead, where nothing is said.
const WARM_MAX: usize = 4;
/// How long an image counts as in use, where nothing is said.
const WARM_IDLE_MINUTES: u64 = 15;
const WRONG: Code = Code("P0901");

/// The file's content.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ServerConfig {
    /// The process.
    pub server: ServerTable,
    /// How jobs are queued.
    pub queue: QueueTable,
    /// Labels of `runs-on` to images, or `host`.
    pub labels: IndexMap<String, String>,
    /// Bounds of a job.
    pub limits: LimitsTable,
    /// Containers that are made ahead.
    pub warm: WarmTable,
    /// Where actions and called workflows come from.
    pub actions: ActionsTable,
    /// Environments with rules.
    pub environments: IndexMap<String, EnvironmentTable>,
    /// What minutes cost, and the budget.
    pub costs: CostsTable,
    /// What GitHub is told.
    pub github: ForgeTable,
    /// What other forges are told.
    pub gitea: Option<ForgeTable>,
    /// The same.
    pub forgejo: Option<ForgeTable>,
    /// The same.
    pub gitlab: Option<ForgeTable>,
    /// Traces, and who may see the numbers.
    pub telemetry: TelemetryTable,
    /// How long things are kept.
    pub retention: RetentionTable,
    /// Where people sign in.
    pub oidc: Option<OidcTable>,
    /// Which claims make `sub` of identity tokens.
    pub identity: IdentityTable,
    /// News for people.
    pub notify: IndexMap<String, NotifyTable>,
    /// What is trusted beyond the defaults.
    pub trust: TrustPolicy,
}

/// `[server]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ServerTable {
    /// Where it listens.
    pub listen: Option<SocketAddr>,
    /// Its own address, for links in statuses and messages: `https://ci.example`.
    pub url: Option<String>,
    /// `github.server_url` of runs.
    pub forge_url: Option<String>,
    /// How long jobs get to end at SIGTERM, in seconds.
    pub drain_seconds: Option<u64>,
    /// Proxies whose `X-Forwarded-For` is believed, such as `10.0.0.0/8`.
    pub trusted_proxies: Vec<String>,
}

/// `[queue]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct QueueTable {
    /// Jobs at once, over all runs.
    pub max_jobs: Option<std::num::NonZeroUsize>,
    /// Of them, those with a label.
    pub labels: IndexMap<String, std::num::NonZeroUsize>,
}

/// `[limits]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct LimitsTable {
    /// Memory of a job's container.
    pub memory: Option<Size>,
    /// Its processors.
    pub cpus: Option<f64>,
    /// Largest log of a step.
    pub log: Option<Size>,
}

/// `[warm]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct WarmTable {
    /// Of each image in use, for trusted runs and for those of forks; 0: none are made ahead.
    pub containers: Option<usize>,
    /// In all.
    pub max_containers: Option<usize>,
    /// When an image that no job uses is not in use any more, in minutes.
    pub idle_minutes: Option<u64>,
}

impl ServerConfig {
    /// Reads a file's text.
    ///
    /// # Errors
    /// What is wrong, with its place.
    pub fn parse(name: &str, text: &str, color: ColorChoice) -> Result<Self, Failure> {
        Self::read(text).map_err(|diagnostic| {
            let mut sources = SourceMap::default();
            sources.add(SourceFile::new(name, text));
            let finding = render::Finding { file: name, sources: &sources, diagnostics: &[*diagnostic] };
            let text = render::text::render(&finding, Terminal::stderr(color));
            let rest = text.split_once(": ").map_or(text.as_str(), |(_, rest)| rest);
            Failure::usage(rest.trim_end().to_owned())
        })
    }

    fn read(text: &str) -> Result<Self, Box<Diagnostic>> {
        let config: Self = toml::from_str(text).map_err(|error| {
            let message = error.message().lines().next().unwrap_or_default();
            let diagnostic = Diagnostic::error(WRONG, error.span().map(span), message);
            let help = meant(message).map(|meant| format!("did you mean `{meant}`?"));
            Box::new(diagnostic.help(help.unwrap_or_else(|| "see docs/server.md".to_owned())))
        })?;
        config.check(text)?;
        Ok(config)
    }

    /// What the form alone does not say.
    fn check(&self, text: &str) -> Result<(), Box<Diagnostic>> {
        let wrong = |word: &str, message: String| {
            let quoted = ['"', '\''].iter().find_map(|quote| text.find(&format!("{quote}{word}{quote}")));
            let at = quoted.map(|at| at + 1).or_else(|| text.find(word)).map(|at| span(at..at + word.len()));
            Err(Box::new(Diagnostic::error(WRONG, at, message)))
        };
        if let Some((key, message)) = environments_problem(&self.environments) {
            return wrong(key, message);
        }
        if let Some((word, message)) = self.oidc.as_ref().and_then(|oidc| oidc.problem(self.server.url.as_deref())) {
            return wrong(&word, message);
        }
        for (name, table) in &self.notify {
            if let Some((word, message)) = table.problem(name) {
                return wrong(&word, message);
            }
        }
        if let Some((place, message, help)) = self.identity.problem() {
            let diagnostic = Diagnostic::error(WRONG, span(place), message);
            return Err(Box::new(diagnostic.help(help.unwrap_or_else(|| "see docs/services.md".to_owned()))));
        }
        if let Some((word, message)) = self.costs.problem().or_else(|| self.actions.problem()) {
            return wrong(&word, message);
        }
        if let Some((word, message)) = self.retention.problem() {
            return wrong(word, message);
        }
        for proxy in &self.server.trusted_proxies {
            if proxy.parse::<web::Network>().is_err() {
                return wrong(proxy, format!("`{proxy}` is no network such as `10.0.0.0/8`"));
            }
        }
        Ok(())
    }

    /// Who is told about runs.
    pub fn reporting(&self) -> ReportingTables {
        let others = [("gitea", &self.gitea), ("forgejo", &self.forgejo), ("gitlab", &self.gitlab)];
        let others = others.into_iter().filter_map(|(name, table)| Some((name, table.clone()?)));
        let all = others.chain([("github", self.github.clone())]).map(|(name, table)| (name.to_owned(), table));
        ReportingTables { forges: all.collect(), telemetry: self.telemetry.clone(), notify: self.notify.clone() }
    }

    /// How long jobs get to end at SIGTERM.
    pub fn drain(&self) -> Duration {
        Duration::from_secs(self.server.drain_seconds.unwrap_or(60))
    }

    /// Containers that are made ahead.
    pub fn warm(&self, folder: PathBuf, sockets: PathBuf) -> WarmSettings {
        let each = self.warm.containers.unwrap_or(1);
        let all = if each == 0 { 0 } else { self.warm.max_containers.unwrap_or(WARM_MAX) };
        let idle = Duration::from_secs(self.warm.idle_minutes.unwrap_or(WARM_IDLE_MINUTES).saturating_mul(60));
        WarmSettings { folder, sockets, each, all, idle }
    }

    /// Jobs at once.
    pub fn jobs_max(&self) -> usize {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        self.queue.max_jobs.map_or(processors, std::num::NonZeroUsize::get)
    }

    /// Puts what it says into the parts of the service.
    pub fn apply(&self, parts: &mut ServiceParts) {
        parts.retention = self.retention.rules();
        let mut labels = RunnerLabels::default();
        self.labels.iter().for_each(|(label, image)| labels.map(label, image));
        parts.labels = labels;
        parts.jobs_max = self.jobs_max();
        parts.label_limits = self.queue.labels.iter().map(|(label, limit)| (label.clone(), limit.get())).collect();
        parts.limits.memory_bytes = self.limits.memory.map(Size::bytes);
        parts.limits.cpus = self.limits.cpus;
        parts.log_bytes_max = self.limits.log.map(Size::bytes);
        parts.environments = Arc::new(rules(&self.environments));
        if let Some(url) = &self.server.forge_url {
            parts.server_url.clone_from(url);
        }
    }
}

fn span(range: std::ops::Range<usize>) -> Span {
    let offset = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    Span::new(FileId(0), offset(range.start), offset(range.end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Result<(), String> {
        ServerConfig::read(text).map(drop).map_err(|diagnostic| {
            let mut sources = SourceMap::default();
            sources.add(SourceFile::new("pipe.toml", text));
            let (_, start, _) = sources.locate(diagnostic.span.unwrap()).unwrap();
            let help = diagnostic.help.as_deref().filter(|help| help.starts_with("did")).unwrap_or_default();
            format!("{}:{}: {} {help}", start.line, start.column, diagnostic.message).trim_end().to_owned()
        })
    }

    fn check(text: &str, expected: Result<(), &str>) {
        assert_eq!(said(text), expected.map_err(str::to_owned), "{text}");
    }

    /// As [`check`], without the list of what is known.
    fn check_end(text: &str, expected: &str) {
        let result = said(text).unwrap_err();
        let without = result.split_once(", expected").map(|(begin, rest)| {
            let end = rest.find(" did you mean").map_or("", |at| &rest[at..]);
            format!("{begin}{end}")
        });
        assert!(result == expected || without.as_deref() == Some(expected), "{text}: {result}");
    }

    #[test]
    fn mistakes_have_places() {
        check("", Ok(()));
        check(
            "[server]\nlisten = '0.0.0.0:80'\ntrusted-proxies = ['10.0.0.0/8']\n[queue]\nmax-jobs = 4\n[queue.labels]\ngpu = 1\n\
             [labels]\ngpu = 'host'\n[limits]\nmemory = '2g'\n[warm]\ncontainers = 2\n[environments.prod]\nreviewers = ['ada']\nwait-timer = 5\n\
             [retention]\nartifact-days = 30\ncache-days = 3\ncache-size = '2g'",
            Ok(()),
        );
        check(
            "[queue]\nmax-job = 4",
            Err("2:1: unknown field `max-job`, expected `max-jobs` or `labels` did you mean `max-jobs`?"),
        );
        check(
            "[environments.p]\nwait-timer = 50000",
            Err("2:1: `wait-timer` of `p` is in minutes, 43200 (30 days) at most"),
        );
        check(
            "[server]\nurl = 'https://ci.example'\n[oidc]\nissuer = 'https://id.example'\nclient-id = 'pipe'\n[oidc.roles]\n\
             admins = 'admin'\nshop = [{ role = 'deployer', repository = 'octo/shop' }, 'viewer']\n[oidc.teams]\nshop = 'shop'",
            Ok(()),
        );
        check(
            "[oidc]\nissuer = 'https://id.example'\nclient-id = 'pipe'",
            Err("1:2: `[oidc]` needs `url` of `[server]`: the provider sends browsers back there"),
        );
        check(
            "[server]\nurl = 'https://ci.example'\n[oidc]\nissuer = 'https://id.example'\nclient-id = 'pipe'\n[oidc.roles]\n\
             admins = 'root'",
            Err("7:1: `root` is no role; roles are viewer, developer, deployer, approver, maintainer, admin, auditor"),
        );
        check("[costs]\ncurrency = 'EUR'\nbudget = 100\nalerts = [50, 80, 100]\n[costs.prices]\ngpu = 0.5", Ok(()));
        check(
            "[costs]\ncurency = 'EUR'",
            Err(
                "2:1: unknown field `curency`, expected one of `currency`, `default-price`, `prices`, `budget`, `alerts` \
                 did you mean `currency`?",
            ),
        );
        check("[costs]\nbudget = 5", Err("2:1: `[costs]` needs a `currency` such as `EUR`"));
        check("[costs]\ncurrency = 'EUR'\nbudget = -1", Err("3:1: `budget` of a month is a number above 0"));
        check("[costs.prices]\ngpu = -0.5", Err("2:1: the price of a minute of `gpu` is a number from 0 on"));
        let alerts = "`alerts` are three parts of the budget in percent, each higher than the one before, 1000 at most";
        for wrong in ["[50, 80]", "[80, 50, 100]", "[50, 80, 2000]"] {
            let text = format!("[costs]\ncurrency = 'EUR'\nbudget = 5\nalerts = {wrong}");
            check(&text, Err(&format!("4:1: {alerts}")));
        }
        check("[actions]\nbuiltin-actions = 'always'", Err("2:20: `always` is none of usual, prefer, fallback, never"));
        check(
            "[identity]\ninclude-claim-keys = ['repo', 'actr']",
            Err("2:31: `actr` is no claim that `sub` can be made of did you mean `actor`?"),
        );
        check("[server]\ntrusted-proxies = ['all']", Err("2:21: `all` is no network such as `10.0.0.0/8`"));
    }

    #[test]
    fn rules_that_nobody_can_meet_are_refused() {
        for (rules, expected) in [
            ("reviewers = ['ada', 'Ada']\nrequired-reviewers = 2", "3:1: 2 have to approve, but only 1 can"),
            ("required-reviewers = 2", "2:1: 2 have to approve, but nobody is named"),
            ("reviewers = ['ada']\nrequired-reviewers = 0", "3:1: reviewers are named, but none has to approve"),
            ("prevent-author-review = true", "2:1: who wrote it may not approve it, but nobody is named who may"),
        ] {
            let (place, why) = expected.split_once(": ").unwrap();
            let expected = format!("{place}: nobody could ever deploy to `p`: {why}");
            check(&format!("[environments.p]\n{rules}"), Err(&expected));
        }
        check(
            "[environments.p]\nreviewers = ['team:ops']\nrequired-reviewers = 2\nprevent-author-review = true",
            Ok(()),
        );
    }

    #[test]
    fn mistakes_of_channels_have_places() {
        check(
            "[notify.team]\nform = 'slack'\nurl-file = 'x'\non = ['failure', 'deployment']\nbranches = ['main']\n\
             people = { octocat = 'U024BE7LH' }\n[notify.ops]\nform = 'mail'\nserver = 'mail.example'\n\
             from = 'pipe <ci@example.com>'\nto = ['ops@example.com']\nemail-link = 'token'",
            Ok(()),
        );
        for (text, expected) in [
            (
                "[notify.team]\nform = 'slak'",
                "2:8: unknown variant `slak`, expected one of `webhook`, `slack`, `mail`, `teams`, `discord` did you mean `slack`?",
            ),
            (
                "[notify.team]\nfrom = 'slack'",
                "1:2: `[notify.team]` needs `form`: webhook, slack, mail, teams or discord",
            ),
            ("[notify.a]\nform = 'slack'\nbranchs = []", "3:1: unknown field `branchs` did you mean `branches`?"),
            (
                "[notify.a]\nform = 'teams'\non = ['failure', 'recovry']",
                "3:18: unknown variant `recovry` did you mean `recovery`?",
            ),
            (
                "[notify.a]\nform = 'mail'\nserver = 'm'\nfrom = 'ci@example.com\\nBcc: x'\nto = ['a@example.com']",
                "4:9: `ci@example.com\\nBcc: x` is no sender, such as `pipe <ci@example.com>`",
            ),
            (
                "[notify.a]\nform = 'mail'\nserver = 'm'\nfrom = 'ci@example.com'\nto = ['a']",
                "5:8: `a` is no mail address",
            ),
            (
                "[notify.a]\nform = 'mail'\nserver = 'mail.example'\ntls = 'none'",
                "3:11: `tls = \"none\"` is for a mail server on this machine (127.0.0.1, localhost)",
            ),
            (
                "[notify.a]\nform = 'slack'\n[notify.a.people]\noctocat = '@octo'",
                "4:12: `@octo` is not the id of a member of Slack, such as `U024BE7LH`",
            ),
            ("[notify.a]\nform = 'discord'\nchannel = 'x'", "1:2: `channel` of `[notify.a]` is for slack only"),
            ("[notify.a]\nform = 'slack'\nper-minute = 0", "3:1: `per-minute` is from 1 to 600, not 0"),
            (
                "[notify.'Ops Team']\nform = 'slack'",
                "1:10: `Ops Team` is no name of a channel: use small letters, digits and `-`, at most 40",
            ),
        ] {
            check_end(text, expected);
        }
    }
}
