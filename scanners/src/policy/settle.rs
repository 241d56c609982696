//! Who vouches for a finding: exceptions of the policy and VEX statements, and which of them are about nothing.
//!
//! Each one is tried on each finding, so that one that matches nothing can be named: a suppression that does nothing
//! because of a slip looks like one that works.

use globset::{GlobBuilder, GlobMatcher};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::model::{Ignore, Policy};
use super::verdict::{Reason, Warning};
use crate::finding::{Finding, Subject};
use crate::purl_pattern::{Match, PurlPattern};
use crate::vex::{Image, Relevance, Statement};

/// Exceptions and statements with what was found about them so far.
pub(super) struct Settled<'a> {
    policy: &'a Policy,
    now: Timestamp,
    ignores: Vec<Tried<'a>>,
    statements: Vec<(&'a Statement, Use)>,
    image: Image<'a>,
}

struct Tried<'a> {
    ignore: &'a Ignore,
    purl: Option<PurlPattern>,
    path: Option<GlobMatcher>,
    used: Use,
}

/// Whether something was about any finding.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Use {
    Never,
    Nearly(String),
    Used,
}

impl Use {
    fn see(&mut self, relevance: &Relevance) {
        match relevance {
            Relevance::Yes => *self = Self::Used,
            Relevance::Nearly(words) if *self == Self::Never => *self = Self::Nearly(words.clone()),
            Relevance::Nearly(_) | Relevance::No => {}
        }
    }
}

impl<'a> Settled<'a> {
    pub(super) fn new(policy: &'a Policy, statements: &'a [Statement], image: Image<'a>, now: Timestamp) -> Self {
        let tried = |ignore: &'a Ignore| {
            let purl = ignore.purl.as_deref().and_then(|text| PurlPattern::parse(text).ok());
            let glob =
                |path: &String| GlobBuilder::new(path.trim_start_matches('/')).literal_separator(true).build().ok();
            let path = ignore.path.as_ref().and_then(glob).map(|glob| glob.compile_matcher());
            Tried { ignore, purl, path, used: Use::Never }
        };
        Self {
            policy,
            now,
            ignores: policy.ignores.iter().map(tried).collect(),
            statements: statements.iter().map(|statement| (statement, Use::Never)).collect(),
            image,
        }
    }

    /// Why a finding may pass, if somebody vouches for it; and what a person should know.
    pub(super) fn try_on(&mut self, finding: &Finding) -> (Option<Reason>, Vec<String>) {
        let mut notes = Vec::new();
        let by_statement = self.by_statement(finding, &mut notes);
        let mut by_ignore = None;
        for tried in &mut self.ignores {
            let relevance = tried.relevance(finding);
            tried.used.see(&relevance);
            if relevance != Relevance::Yes {
                continue;
            }
            let Ignore { reason, owner, expires, line, .. } = tried.ignore;
            if is_over(tried.ignore, self.now) {
                let name = &self.policy.name;
                notes.push(format!("the exception at {name}:{line} ({owner}: {reason}) ran out on {expires}"));
            } else if by_ignore.is_none() {
                let (reason, owner) = (reason.clone(), owner.clone());
                by_ignore = Some(Reason::Ignored { line: *line, reason, owner, expires: *expires });
            }
        }
        (by_statement.or(by_ignore), notes)
    }

    /// The last statement about it, if that settles it.
    fn by_statement(&mut self, finding: &Finding, notes: &mut Vec<String>) -> Option<Reason> {
        let mut last: Option<&Statement> = None;
        for (statement, used) in &mut self.statements {
            let relevance = statement.relevance(finding, &self.image);
            used.see(&relevance);
            if relevance == Relevance::Yes && last.is_none_or(|last| statement.said >= last.said) {
                last = Some(statement);
            }
        }
        let last = last?;
        if last.status.settles() {
            let status = last.status.as_str().to_owned();
            let (justification, impact) = (last.justification.clone(), last.words.clone());
            return Some(Reason::Vex { place: last.place(), status, justification, impact });
        }
        notes.push(format!("VEX says {} ({})", last.status.as_str(), last.place()));
        None
    }

    /// Exceptions and statements that were about nothing, and exceptions that ran out.
    pub(super) fn warnings(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        for Tried { ignore, used, .. } in &self.ignores {
            let over =
                if is_over(ignore, self.now) { format!("; it ran out on {}", ignore.expires) } else { String::new() };
            let message = match used {
                Use::Used if over.is_empty() => continue,
                Use::Used => format!(
                    "the exception for {}, which {} answers for, ran out on {}",
                    ignore.id, ignore.owner, ignore.expires
                ),
                Use::Never => format!("the exception for {} matched nothing{over}", ignore.id),
                Use::Nearly(words) => format!("the exception for {} matched nothing: {words}{over}", ignore.id),
            };
            warnings.push(Warning { message, file: Some(self.policy.name.clone()), line: Some(ignore.line) });
        }
        for (statement, used) in &self.statements {
            let names = statement.names.first().map_or("", String::as_str);
            let message = match used {
                Use::Used => continue,
                Use::Never => format!("the VEX statement on {names} matched nothing ({})", statement.place()),
                Use::Nearly(words) => {
                    format!("the VEX statement on {names} matched nothing: {words} ({})", statement.place())
                }
            };
            warnings.push(Warning { message, file: Some(statement.file.clone()), line: None });
        }
        warnings
    }
}

/// Whether its last day is over, in UTC.
fn is_over(ignore: &Ignore, now: Timestamp) -> bool {
    now.to_zoned(TimeZone::UTC).date() > ignore.expires
}

impl Tried<'_> {
    fn relevance(&self, finding: &Finding) -> Relevance {
        if !finding.is_named(&self.ignore.id) {
            return Relevance::No;
        }
        if let Some(pattern) = &self.purl {
            let Some(package) = finding.package() else { return Relevance::No };
            let Ok(purl) = PurlPattern::parse(&package.purl) else { return Relevance::No };
            match pattern.describes(&purl) {
                Match::Yes => {}
                Match::No => {
                    return Relevance::Nearly(format!("it names {}, and this is in {}", pattern.name(), package.name));
                }
                Match::Nearly { part, wanted, found } => {
                    return Relevance::Nearly(format!(
                        "it names {part} `{wanted}`, and {} has `{found}`",
                        package.name
                    ));
                }
            }
        }
        let Some(wanted) = &self.ignore.path else { return Relevance::Yes };
        let files: Vec<&str> = match &finding.subject {
            Subject::Package(package) => package.locations.iter().map(|location| location.path.as_str()).collect(),
            Subject::Place(place) => vec![&place.file],
            Subject::Whole => Vec::new(),
        };
        let is_there = |file: &str| self.path.as_ref().is_some_and(|path| path.is_match(file));
        // A package that lies elsewhere too is not settled by an exception for one place.
        if !files.is_empty() && files.iter().all(|file| is_there(file)) {
            return Relevance::Yes;
        }
        Relevance::Nearly(format!("it is for files `{wanted}`, and this is in {}", files.join(", ")))
    }
}
