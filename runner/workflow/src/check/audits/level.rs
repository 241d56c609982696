//! How bad findings are: by default, by settings, and not at all where a comment says so.

use std::collections::BTreeMap;

use super::{AUDITS, Audited, audit_named, audit_of};
use crate::diagnostic::{Diagnostic, Severity, suggest};
use crate::source::SourceMap;

/// What becomes of an audit's findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// They are not told.
    Allow,
    /// Good to know.
    Note,
    /// A warning.
    Warn,
    /// An error: the check fails.
    Deny,
}

impl Level {
    /// The severity of a finding; `None`: it is not told.
    #[must_use]
    pub const fn severity(self) -> Option<Severity> {
        match self {
            Self::Allow => None,
            Self::Note => Some(Severity::Note),
            Self::Warn => Some(Severity::Warning),
            Self::Deny => Some(Severity::Error),
        }
    }
}

/// A name that no audit has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no audit `{name}`; {help}")]
pub struct UnknownAudit {
    /// What was written.
    pub name: String,
    /// The one that was likely meant, or all.
    pub help: String,
}

/// The levels that somebody set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Levels {
    set: BTreeMap<&'static str, Level>,
    /// Whether what is only for pedants is told too.
    pub pedantic: bool,
}

impl Levels {
    /// Sets one, by the audit's name or code.
    ///
    /// # Errors
    /// There is no such audit.
    pub fn set(&mut self, name: &str, level: Level) -> Result<(), UnknownAudit> {
        let Some(audit) = audit_named(name) else {
            let help = match suggest(name, AUDITS.iter().map(|audit| audit.id)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are {}", AUDITS.iter().map(|audit| audit.id).collect::<Vec<_>>().join(", ")),
            };
            return Err(UnknownAudit { name: name.to_owned(), help });
        };
        self.set.insert(audit.id, level);
        Ok(())
    }

    /// Puts what audits found to what the check found, all as bad as their levels say, without what comments leave out.
    pub fn settle(&self, diagnostics: &mut Vec<Diagnostic>, audited: Vec<Audited>, sources: &SourceMap) {
        let told = audited.into_iter().filter(|one| self.pedantic || !one.is_pedantic);
        let pedantic = |one: &Audited| one.is_pedantic;
        let mut all: Vec<(Diagnostic, bool)> = diagnostics.drain(..).map(|found| (found, false)).collect();
        all.extend(told.map(|one| (one.diagnostic.clone(), pedantic(&one))));
        for (mut found, is_pedantic) in all {
            let Some(audit) = audit_of(found.code) else {
                diagnostics.push(found);
                continue;
            };
            let level = self.set.get(audit.id).copied().unwrap_or(audit.level);
            let level = if is_pedantic { level.min(Level::Note) } else { level };
            let Some(severity) = level.severity() else { continue };
            if is_left_out(&found, &[audit.id, audit.code.0], sources) {
                continue;
            }
            found.severity = severity;
            found.label.get_or_insert_with(|| audit.id.to_owned());
            diagnostics.push(found);
        }
        let place = |found: &Diagnostic| found.span.map(|span| (span.file, span.start, span.end));
        diagnostics.sort_by(|a, b| place(a).cmp(&place(b)).then(a.code.cmp(&b.code)));
    }
}

/// Whether a comment in the line where a finding begins leaves it out.
fn is_left_out(found: &Diagnostic, names: &[&str], sources: &SourceMap) -> bool {
    let Some(span) = found.span else { return false };
    let Some(source) = sources.get(span.file) else { return false };
    is_ignored(source.line(source.position(span.start).line), names)
}

/// Whether a line's comment leaves out what has one of these names: `# pipe ignore=NAME,NAME` or `# zizmor: ignore[NAME,NAME]`.
#[must_use]
pub fn is_ignored(line: &str, names: &[&str]) -> bool {
    let Some((_, comment)) = line.split_once('#') else { return false };
    let is_named = |list: &str, end: &[char]| {
        let list = list.split(end).next().unwrap_or_default();
        list.split(',').map(str::trim).any(|name| names.contains(&name))
    };
    let ours = comment.split_once("pipe ignore=").is_some_and(|(_, list)| is_named(list, &[' ', '\t']));
    ours || comment.split_once("zizmor: ignore[").is_some_and(|(_, list)| is_named(list, &[']']))
}
