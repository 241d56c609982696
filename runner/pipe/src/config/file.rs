//! One settings file: its form, and what is wrong with it at which place.

use std::path::{Component, Path, PathBuf};

use indexmap::IndexMap;
use serde::Deserialize;
use serde::de::{Deserializer, Error};
use toml::Spanned;
use workflow::check::audits::{Level, Levels};
use workflow::diagnostic::{Code, Diagnostic};
use workflow::source::{FileId, SourceFile, SourceMap, Span};

use super::{EnvironmentTable, IdentityTable, Settings, environments, meant, size};

const WRONG: Code = Code("P0901");
const NOT_TRUSTED: Code = Code("P0902");

/// Whose file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// The user's.
    User,
    /// The repository's: whoever wrote the workflows wrote it too.
    Repository,
}

/// A file's content.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct File {
    workflows: Option<Vec<Spanned<String>>>,
    labels: IndexMap<String, Spanned<String>>,
    limits: LimitsFile,
    audits: IndexMap<Spanned<String>, Level>,
    environments: IndexMap<String, EnvironmentTable>,
    identity: Option<Spanned<IdentityTable>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct LimitsFile {
    parallel: Option<std::num::NonZeroUsize>,
    memory: Option<Size>,
    cpus: Option<f64>,
    log: Option<Size>,
    workflow_file: Option<Size>,
}

/// Bytes, written as a number or with a unit.
#[derive(Debug, Clone, Copy)]
pub struct Size(u64);

impl Size {
    /// How many.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = || D::Error::custom("expected a size such as 512 or \"64MiB\"");
        match toml::Value::deserialize(deserializer)? {
            toml::Value::Integer(number) => u64::try_from(number).map(Size).map_err(|_| wrong()),
            toml::Value::String(text) => size::parse(&text).map(Size).ok_or_else(wrong),
            toml::Value::Float(_)
            | toml::Value::Boolean(_)
            | toml::Value::Datetime(_)
            | toml::Value::Array(_)
            | toml::Value::Table(_) => Err(wrong()),
        }
    }
}

/// Reads a file's text.
///
/// # Errors
/// A diagnostic with its source.
pub fn parse(name: &str, text: &str, trust: Trust) -> Result<File, (SourceMap, Box<Diagnostic>)> {
    let refuse = |diagnostic: Diagnostic| {
        let mut sources = SourceMap::default();
        sources.add(SourceFile::new(name, text));
        (sources, Box::new(diagnostic))
    };
    let file: File = toml::from_str(text).map_err(|error| {
        let message = error.message().lines().next().unwrap_or_default();
        let help = meant(message).map(|meant| format!("did you mean `{meant}`?"));
        let help = help.unwrap_or_else(|| "see docs/configuration.md".to_owned());
        refuse(Diagnostic::error(WRONG, error.span().map(span), message).help(help))
    })?;
    if let Some((key, message)) = environments::problem(&file.environments) {
        let at = text.find(key).map(|at| span(at..at + key.len()));
        return Err(refuse(Diagnostic::error(WRONG, at, message)));
    }
    if let Some(diagnostic) = file.identity.as_ref().and_then(|identity| identity_problem(identity, trust)) {
        return Err(refuse(diagnostic));
    }
    for name in file.audits.keys() {
        if let Err(unknown) = Levels::default().set(name.get_ref(), Level::Warn) {
            let diagnostic =
                Diagnostic::error(WRONG, span(name.span()), format!("there is no audit `{}`", unknown.name));
            return Err(refuse(diagnostic.help(unknown.help)));
        }
    }
    let host = file.labels.iter().find(|(_, image)| is_host(image.get_ref()));
    let is_inside = |path: &str| {
        let mut parts = Path::new(path).components().peekable();
        parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_)))
    };
    let outside = file.workflows.iter().flatten().find(|folder| !is_inside(folder.get_ref()));
    match (trust, outside) {
        (Trust::Repository, Some(folder)) => {
            let message = format!("`{}` is no folder in this repository", folder.get_ref());
            let diagnostic = Diagnostic::error(WRONG, span(folder.span()), message);
            return Err(refuse(diagnostic.help("name folders from the root of the repository, without `..`")));
        }
        (Trust::User, _) if file.workflows.is_some() => {
            let place = file.workflows.iter().flatten().next().map(|folder| span(folder.span()));
            let diagnostic = Diagnostic::error(WRONG, place, "`workflows` belongs into a repository's own file");
            return Err(refuse(diagnostic.help("put it into the `.pipe.toml` of the repository")));
        }
        (Trust::User | Trust::Repository, _) => {}
    }
    match (trust, host) {
        (Trust::Repository, Some((label, image))) => {
            let message = format!("a repository cannot put the jobs of `{label}` on this machine");
            let help = format!("say it yourself: `-P {label}=-self-hosted`, or in your own settings");
            Err(refuse(Diagnostic::error(NOT_TRUSTED, span(image.span()), message).help(help)))
        }
        (Trust::Repository | Trust::User, _) => Ok(file),
    }
}

/// Whoever writes workflows would say whom a cloud takes their jobs for.
fn identity_problem(identity: &Spanned<IdentityTable>, trust: Trust) -> Option<Diagnostic> {
    match (trust, identity.get_ref().problem()) {
        (Trust::Repository, _) => {
            let message = "a repository cannot say what identity tokens of its jobs are made of";
            let diagnostic = Diagnostic::error(NOT_TRUSTED, span(identity.span()), message);
            Some(diagnostic.help("put `[identity]` into your own settings, or into the `pipe.toml` of the server"))
        }
        (Trust::User, problem) => problem.map(|(place, message, help)| {
            let diagnostic = Diagnostic::error(WRONG, span(place), message);
            diagnostic.help(help.unwrap_or_else(|| "see docs/services.md".to_owned()))
        }),
    }
}

fn is_host(image: &str) -> bool {
    matches!(image, "host" | "-self-hosted")
}

fn span(range: std::ops::Range<usize>) -> Span {
    let offset = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    Span::new(FileId(0), offset(range.start), offset(range.end))
}

impl File {
    /// Puts what it says above what is there.
    pub fn apply(self, settings: &mut Settings) {
        if let Some(folders) = self.workflows {
            settings.workflows = Some(folders.into_iter().map(Spanned::into_inner).map(PathBuf::from).collect());
        }
        for (label, image) in self.labels {
            settings.labels.insert(label.to_lowercase(), image.into_inner());
        }
        for (name, level) in self.audits {
            // Names were looked at when the file was read.
            let _is_known = settings.audits.set(name.get_ref(), level);
        }
        settings.environments.extend(self.environments);
        if let Some(identity) = self.identity {
            settings.identity = identity.into_inner();
        }
        let limits = &mut settings.limits;
        limits.parallel = self.limits.parallel.map(std::num::NonZeroUsize::get).or(limits.parallel);
        limits.memory_bytes = self.limits.memory.map(|Size(bytes)| bytes).or(limits.memory_bytes);
        limits.cpus = self.limits.cpus.or(limits.cpus);
        limits.log_bytes = self.limits.log.map(|Size(bytes)| bytes).or(limits.log_bytes);
        limits.workflow_file_bytes = self.limits.workflow_file.map_or(limits.workflow_file_bytes, |Size(bytes)| bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, trust: Trust, expected: Result<(), &str>) {
        let result = parse("a.toml", text, trust).map(drop).map_err(|(sources, diagnostic)| {
            let (_, start, _) = sources.locate(diagnostic.span.unwrap()).unwrap();
            let help = diagnostic.help.filter(|help| help.starts_with("did")).unwrap_or_default();
            format!("{}:{}: {} {help}", start.line, start.column, diagnostic.message).trim_end().to_owned()
        });
        assert_eq!(result, expected.map_err(str::to_owned), "{text}");
    }

    #[test]
    fn mistakes_have_places() {
        use Trust::{Repository, User};
        check("", User, Ok(()));
        check(
            "[labels]\n\"ubuntu-22.04\" = 'debian:12'\n[limits]\nparallel = 2\nmemory = '2g'\nlog = 10",
            Repository,
            Ok(()),
        );
        check(
            "[limits]\nparalel = 2",
            User,
            Err("2:1: unknown field `paralel`, expected one of `parallel`, `memory`, `cpus`, `log`, `workflow-file` \
                 did you mean `parallel`?"),
        );
        check("[limits]\nmemory = 'much'", User, Err("2:10: expected a size such as 512 or \"64MiB\""));
        check("workflows = ['ci', 'more/ci']", Repository, Ok(()));
        check("workflows = ['../ci']", Repository, Err("1:14: `../ci` is no folder in this repository"));
        check("workflows = ['/ci']", Repository, Err("1:14: `/ci` is no folder in this repository"));
        check("workflows = ['ci']", User, Err("1:14: `workflows` belongs into a repository's own file"));
        check("[audits]\nunpinned-uses = 'deny'\nP0618 = 'allow'", Repository, Ok(()));
        check(
            "[audits]\nunpined-uses = 'deny'",
            Repository,
            Err("2:1: there is no audit `unpined-uses` did you mean `unpinned-uses`?"),
        );
        check(
            "[audits]\nunpinned-uses = 'forbid'",
            User,
            Err("2:17: unknown variant `forbid`, expected one of `allow`, `note`, `warn`, `deny`"),
        );
        check("[labels]\na = 'host'", User, Ok(()));
        check("[labels]\na = 'host'", Repository, Err("2:5: a repository cannot put the jobs of `a` on this machine"));
    }

    #[test]
    fn who_writes_workflows_does_not_say_what_tokens_are_made_of() {
        use Trust::{Repository, User};
        for (text, expected) in [
            (
                "include-claim-keys = ['repo', 'actr']",
                "2:31: `actr` is no claim that `sub` can be made of did you mean `actor`?",
            ),
            ("include-claim-keys = ['repository']", "2:23: `repository` is called `repo` in `sub`, as on GitHub"),
            ("include-claim-keys = []", "2:22: `include-claim-keys` names no claim; without it `sub` is as on GitHub"),
            ("include-claim-keys = ['repo', 'repo']", "2:31: `repo` is there twice"),
            ("use-immutable-subject = 'yes'", "2:25: invalid type: string \"yes\", expected a boolean"),
            ("repositories.shop.use-default = true", "2:14: `shop` is no repository: write `owner/name`"),
            (
                "repositories.'o/a'.use-default = true\nrepositories.'O/a'.use-default = true",
                "3:14: `O/a` is there already",
            ),
            (
                "[identity.repositories.'o/a']\nuse-default = true\ninclude-claim-keys = ['repo']",
                "3:15: GitHub's own form has no `include-claim-keys`: leave one of both out",
            ),
        ] {
            check(&format!("[identity]\n{text}"), User, Err(expected));
        }
        let good = "[identity]\ninclude-claim-keys = ['repo', 'context', 'job_workflow_ref']";
        check(good, User, Ok(()));
        check(good, Repository, Err("1:1: a repository cannot say what identity tokens of its jobs are made of"));
        let ids =
            "[identity]\nuse-immutable-subject = true\n[identity.repositories.'o/a']\nowner-id = 1\nrepository-id = 2";
        check(ids, User, Ok(()));
        check(ids, Repository, Err("1:1: a repository cannot say what identity tokens of its jobs are made of"));
        check(
            "[identity]",
            Repository,
            Err("1:1: a repository cannot say what identity tokens of its jobs are made of"),
        );
    }
}
