//! Audits: what runs as its author meant it, and opens a door.
//!
//! Each has an id (zizmor's name where that has the same audit, so that its comments and habits carry over), a code with a page, a
//! level that a repository may change, and findings that are told only when asked for (`--pedantic`): where nothing is sure to be wrong,
//! but safer is possible. Follows <https://docs.github.com/en/actions/reference/security/secure-use> and
//! <https://docs.zizmor.sh/audits/>.
//!
//! One workflow is looked at with the composite actions of its repository that it uses; called workflows are files of their own.

mod cache;
mod checkout;
mod conditions;
mod containers;
mod level;
mod local;
mod names;
mod permissions;
mod scripts;
mod secrets;
mod text;
mod uses;

use std::collections::HashSet;

pub use self::level::{Level, Levels, UnknownAudit, is_ignored};
use super::visit::{flatten, steps_of};
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{Step, Workflow};
use crate::read::{ReadOptions, WorkflowFiles};
use crate::source::{FileId, SourceFile, SourceMap, Span};

/// An audit.
#[derive(Debug, PartialEq, Eq)]
pub struct Audit {
    /// Its name in settings and comments.
    pub id: &'static str,
    /// Its code, which `pipe explain` knows.
    pub code: Code,
    /// How bad its findings are where nobody says otherwise.
    pub level: Level,
}

macro_rules! audits {
    ($($name:ident $id:literal $code:expr, $level:ident;)*) => {
        $(pub(super) const $name: Audit = Audit { id: $id, code: $code, level: Level::$level };)*
        /// All of them, by code.
        pub const AUDITS: &[&Audit] = &[$(&$name),*];
    };
}

audits! {
    UNSOUND_CONDITION "unsound-condition" Code("P0301"), Warn;
    TEMPLATE_INJECTION "template-injection" Code("P0305"), Warn;
    UNPINNED_USES "unpinned-uses" Code("P0601"), Warn;
    DANGEROUS_TRIGGERS "dangerous-triggers" Code("P0602"), Warn;
    EXCESSIVE_PERMISSIONS "excessive-permissions" Code("P0603"), Warn;
    SECRETS_INHERIT "secrets-inherit" Code("P0604"), Warn;
    CACHE_POISONING "cache-poisoning" Code("P0605"), Warn;
    ARTIPACKED "artipacked" Code("P0606"), Warn;
    BIDI_CHARACTERS "bidi-characters" Code("P0607"), Warn;
    UNSOUND_CONTAINS "unsound-contains" Code("P0608"), Warn;
    BOT_CONDITIONS "bot-conditions" Code("P0609"), Warn;
    OVERPROVISIONED_SECRETS "overprovisioned-secrets" Code("P0610"), Warn;
    UNREDACTED_SECRETS "unredacted-secrets" Code("P0611"), Warn;
    HARDCODED_CREDENTIALS "hardcoded-container-credentials" Code("P0612"), Warn;
    GITHUB_ENV "github-env" Code("P0613"), Warn;
    INSECURE_COMMANDS "insecure-commands" Code("P0614"), Warn;
    UNPINNED_IMAGES "unpinned-images" Code("P0615"), Note;
    TYPOSQUAT_USES "typosquat-uses" Code("P0616"), Warn;
    ARCHIVED_USES "archived-uses" Code("P0617"), Warn;
    UNPINNED_TOOLS "unpinned-tools" Code("P0618"), Note;
}

/// The audit of a code.
#[must_use]
pub fn audit_of(code: Code) -> Option<&'static Audit> {
    AUDITS.iter().find(|audit| audit.code == code).copied()
}

/// The audit of that name, or with that code.
#[must_use]
pub fn audit_named(name: &str) -> Option<&'static Audit> {
    AUDITS.iter().find(|audit| audit.id.eq_ignore_ascii_case(name) || audit.code.0.eq_ignore_ascii_case(name)).copied()
}

/// What an audit found.
#[derive(Debug, Clone)]
pub struct Audited {
    /// The finding, as bad as its audit is by default.
    pub diagnostic: Diagnostic,
    /// Nothing is sure to be wrong: told only on request, and never worse than a note.
    pub is_pedantic: bool,
}

/// What audits have at hand besides the workflow.
#[derive(Clone, Copy)]
pub struct Beside<'a> {
    /// The repository's files.
    pub files: &'a dyn WorkflowFiles,
    /// How they are read.
    pub options: &'a ReadOptions,
    /// `owner/repo@ref` of actions whose commits are written down, see `.github/pipe.lock`.
    pub locked: &'a HashSet<String>,
}

/// Looks through a workflow and the local actions that it uses. Files of actions are added to `sources`. By file and place.
pub fn audit(workflow: &Workflow, sources: &mut SourceMap, beside: Beside<'_>) -> Vec<Audited> {
    let Some(source) = sources.get(FileId(0)).cloned() else { return Vec::new() };
    let mut look = Look { source: &source, file: FileId(0), workflow: Some(workflow), beside, found: Vec::new() };
    text::audit(&mut look);
    checkout::of_events(workflow, &mut look);
    permissions::audit(workflow, &mut look);
    secrets::audit(workflow, &mut look);
    conditions::audit(workflow, &mut look);
    look.environment(workflow.env.as_ref());
    for job in workflow.jobs.values() {
        let Some(steps) = steps_of(job) else {
            uses::of_call(job, &mut look);
            continue;
        };
        look.environment(steps.env.as_ref());
        containers::of_job(job, steps, &mut look);
        look.steps(&steps.steps);
    }
    let mut found = look.found;
    local::audit(workflow, sources, beside, &mut found);
    let place = |one: &Audited| one.diagnostic.span.map(|span| (span.file, span.start, span.end));
    found.sort_by(|a, b| place(a).cmp(&place(b)).then(a.diagnostic.code.cmp(&b.diagnostic.code)));
    found.dedup_by(|later, first| place(later) == place(first) && later.diagnostic.code == first.diagnostic.code);
    found
}

impl std::fmt::Debug for Beside<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Beside").field("options", self.options).field("locked", self.locked).finish_non_exhaustive()
    }
}

/// One file that is looked at.
struct Look<'a> {
    source: &'a SourceFile,
    file: FileId,
    /// None: the file is an action's.
    workflow: Option<&'a Workflow>,
    beside: Beside<'a>,
    found: Vec<Audited>,
}

impl Look<'_> {
    fn tell(&mut self, audit: &'static Audit, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.add(audit, span, message.into(), help.into(), false);
    }

    fn tell_pedants(&mut self, audit: &'static Audit, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.add(audit, span, message.into(), help.into(), true);
    }

    fn add(&mut self, audit: &'static Audit, span: Span, message: String, help: String, is_pedantic: bool) {
        let severity = if is_pedantic { Level::Note } else { audit.level };
        let Some(severity) = severity.severity() else { return };
        let diagnostic = Diagnostic::new(audit.code, severity, span, message).label(audit.id).help(help);
        self.found.push(Audited { diagnostic, is_pedantic });
    }

    /// What is looked at in all lists of steps.
    fn steps(&mut self, steps: &[Step]) {
        let flat: Vec<&Step> = flatten(steps).into_iter().map(|(step, _)| step).collect();
        for step in &flat {
            self.environment(step.env.as_ref());
            uses::of_step(step, self);
            scripts::of_step(step, self);
        }
        checkout::audit(&flat, self);
        cache::audit(&flat, self);
    }

    fn environment(&mut self, env: Option<&crate::template::Token>) {
        scripts::of_environment(env, self);
    }

    /// The first of the events that give a stranger's words or code the rights of the repository.
    fn event_for_strangers(&self) -> Option<&'static str> {
        let on = &self.workflow?.on.entries;
        names::FOR_STRANGERS.iter().find(|event| on.contains_key(**event)).copied()
    }
}
