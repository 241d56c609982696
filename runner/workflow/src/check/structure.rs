//! Errors of the reader in plain words: keys, kinds of values, limits. YAML, expressions and the later stages of the
//! reader have files of their own.

use super::known::KEYS_ELSEWHERE;
use super::slips::{UNKNOWN_EVENT, UNKNOWN_KEY, UNKNOWN_VALUE};
use super::{expressions, lines, syntax, words};
use crate::diagnostic::{Code, Diagnostic};
use crate::schema::Schema;
use crate::source::{SourceFile, SourceMap, Span};
use crate::template::{Cause, Place, ReadError};

const EMPTY: Code = Code("P0003");
const LIMIT: Code = Code("P0011");
const SECOND_DOCUMENT: Code = Code("P0017");
const KEY_NOT_SCALAR: Code = Code("P0018");
const MISSING_KEY: Code = Code("P0102");
const DOUBLE_KEY: Code = Code("P0103");
const WRONG_KIND: Code = Code("P0104");
const MERGE_KEY: Code = Code("P0105");
const NO_VERB: Code = Code("P0106");

/// Candidates beyond this many are not listed.
const LISTED_MAX: usize = 24;

/// Where the mapping starts that has an unknown key.
pub(super) fn unknown_key_of(error: &ReadError) -> Option<Span> {
    if let Cause::UnexpectedKey { mapping, .. } = &error.cause { Some(*mapping) } else { None }
}

/// Whether an unknown key is one of another kind of job or step.
pub(super) fn is_of_other_kind(error: &ReadError) -> bool {
    let Cause::UnexpectedKey { key, candidates, .. } = &error.cause else { return false };
    let of_step_or_job = candidates.contains(&"if") || candidates.contains(&"continue-on-error");
    of_step_or_job && KEYS_ELSEWHERE.iter().any(|(name, _)| name == key)
}

/// Whether a mapping is missing where this error is.
pub(super) fn is_about_missing_mapping(error: &ReadError) -> bool {
    matches!(&error.cause, Cause::UnexpectedValue { value, .. } if value.is_empty())
        && error.expected.contains(&"a mapping")
}

/// Whether an error says that a mapping lacks keys.
pub(super) fn is_about_missing_keys(error: &ReadError) -> bool {
    matches!(error.cause, Cause::MissingProperty { .. } | Cause::NotEnoughInfo { .. })
        || error.message.starts_with("Expected one of uses, run")
}

/// Whether something was left out because of this error.
pub(super) fn is_structural(error: &ReadError) -> bool {
    !matches!(error.cause, Cause::Expression(_) | Cause::Other | Cause::UnexpectedValue { .. } | Cause::Limit(_))
}

/// Adds what an error says.
pub(super) fn tell(error: &ReadError, sources: &SourceMap, diagnostics: &mut Vec<Diagnostic>) {
    let source = error.file().or(error.called_from.map(|call| call.file)).and_then(|file| sources.get(file));
    let from = diagnostics.len();
    match (&error.cause, source) {
        (Cause::Expression(_), Some(source)) => expressions::tell(error, source, diagnostics),
        (_, Some(source)) => diagnostics.extend(one(error, source)),
        (_, None) => diagnostics.push(error.to_diagnostic(LIMIT)),
    }
    for found in &mut diagnostics[from..] {
        found.github.get_or_insert_with(|| error.message.clone());
        if let Some(call) = error.called_from {
            found.related.push((call, "called from here".to_owned()));
        }
    }
}

/// Where a person looks first.
pub(super) fn span_of(error: &ReadError) -> Option<Span> {
    error.precise.or(match error.place {
        Place::At(span) => Some(span),
        Place::File(file) => Some(Span::new(file, 0, 0)),
        Place::Reading => error.called_from,
    })
}

fn one(error: &ReadError, source: &SourceFile) -> Option<Diagnostic> {
    let span = span_of(error);
    let say = |code, message: String| Diagnostic::error(code, span, message);
    Some(match &error.cause {
        Cause::Syntax(syntax) => syntax::tell(syntax, source),
        Cause::Scalar(wrong) => syntax::tell_scalar(wrong, span.unwrap_or_default(), source),
        Cause::EmptyFile => {
            say(EMPTY, "the file holds no workflow".to_owned()).help("a workflow has at least `on:` and `jobs:`")
        }
        Cause::AnotherDocument => say(SECOND_DOCUMENT, "a second document starts here".to_owned())
            .help("a workflow is one document: remove the `---`, or move this part to a file of its own"),
        Cause::KeyNotScalar => say(KEY_NOT_SCALAR, "a key is a single word, not a list or mapping".to_owned())
            .help("put quotes around it where it begins with `[` or `{`"),
        Cause::UnexpectedKey { key, candidates, .. } => unknown_key(error, key, candidates, source),
        Cause::MissingProperty { name } => missing(name, error, source),
        Cause::UnexpectedValue { value, candidates } => wrong_value(error, value, candidates, source),
        Cause::DuplicateKey { key, first } => say(DOUBLE_KEY, format!("the key `{key}` is here twice"))
            .help("keep one of the two, or join what stands below them")
            .related(*first, "it was here first"),
        Cause::SequenceNotExpected => wrong_kind(error, "a list", source),
        Cause::MappingNotExpected => merge_key(error, source).unwrap_or_else(|| wrong_kind(error, "a mapping", source)),
        Cause::NotEnoughInfo { candidates } => not_enough(error, candidates, source),
        Cause::Expression(_)
        | Cause::ExpressionNotClosed
        | Cause::EmptyExpression
        | Cause::ExpressionNotAllowed
        | Cause::Directive => expressions::around(error, source),
        Cause::Limit(_) => say(LIMIT, without_stop(&error.message))
            .help("workflows have GitHub's bounds here; split the file, such as into reusable workflows"),
        Cause::Other => words::tell(error, source),
    })
}

pub(super) fn without_stop(message: &str) -> String {
    message.trim_end_matches('.').to_owned()
}

fn unknown_key(error: &ReadError, key: &str, candidates: &[&'static str], source: &SourceFile) -> Diagnostic {
    let span = span_of(error);
    if key == "<<" {
        return merge(span);
    }
    if candidates.contains(&"pull_request") && candidates.contains(&"push") {
        return Diagnostic::error(UNKNOWN_EVENT, span, format!("there is no event `{key}`"))
            .help("see https://docs.github.com/actions/reference/events-that-trigger-workflows");
    }
    let of = span.and_then(|span| parent_key(source, span)).map(|key| format!(" in `{key}`")).unwrap_or_default();
    let found = Diagnostic::error(UNKNOWN_KEY, span, format!("unknown key `{key}`{of}"));
    let elsewhere = KEYS_ELSEWHERE.iter().find(|(name, _)| *name == key && !candidates.contains(name));
    match elsewhere {
        Some((_, help)) => found.help(*help),
        None if candidates.is_empty() => found.help("nothing more may be here"),
        None => found.help(format!("these may be here: {}", list(candidates))),
    }
}

/// The nearest key above that is less indented.
fn parent_key(source: &SourceFile, span: Span) -> Option<&str> {
    let position = source.position(span.start);
    let column = position.column as usize;
    let indent = |line: &str| line.chars().take_while(|c| *c == ' ' || *c == '-').count() + 1;
    let above = (1..position.line).rev().map(|line| source.line(line));
    let parent = above
        .filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
        .take(LOOK_BACK_LINES_MAX)
        .find(|line| indent(line) < column)?;
    let key = parent.trim_start_matches([' ', '-']).split(':').next()?;
    let plain = key.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_');
    (plain && !key.is_empty()).then_some(key)
}

/// Lines that are looked at for the key above.
const LOOK_BACK_LINES_MAX: usize = 40;

fn list(candidates: &[&str]) -> String {
    let mut names: Vec<String> = candidates.iter().take(LISTED_MAX).map(|name| format!("`{name}`")).collect();
    if candidates.len() > LISTED_MAX {
        names.push("…".to_owned());
    }
    names.join(", ")
}

fn missing(name: &str, error: &ReadError, source: &SourceFile) -> Diagnostic {
    let span = span_of(error);
    let help = match name {
        "runs-on" => "add `runs-on:`, such as `runs-on: ubuntu-latest`, or `uses:` to call a workflow",
        "jobs" => "add `jobs:` with at least one job",
        "on" => "add `on:` with the events that start it, such as `on: push`",
        "cron" => "add `cron:`, such as `cron: '0 6 * * *'`",
        "group" => "add `group:`, such as `group: ${{ github.workflow }}-${{ github.ref }}`",
        "type" => "add `type:`, one of `string`, `boolean` and `number`",
        "name" => "add `name:`, the name of the environment",
        "value" => "add `value:`, such as `value: ${{ jobs.build.outputs.version }}`",
        _ => "add it",
    };
    let span = span.map(|span| one_line(source, span));
    let parent = span.and_then(|span| parent_key(source, span));
    let of = parent.map(|key| format!(" in `{key}`")).unwrap_or_default();
    Diagnostic::error(MISSING_KEY, span, format!("`{name}` is missing{of}")).help(help)
}

fn wrong_value(error: &ReadError, value: &str, candidates: &[&'static str], source: &SourceFile) -> Diagnostic {
    let span = span_of(error);
    let key = span.and_then(|span| lines::key_before(source, span));
    let of = key.map(|key| format!(" of `{key}`")).unwrap_or_default();
    let expected = or_list(&error.expected);
    if value.is_empty() {
        let message = key.map_or_else(|| "a value is missing".to_owned(), |key| format!("`{key}` has no value"));
        let found = Diagnostic::error(WRONG_KIND, span, message);
        return match candidates {
            [] if expected == "a mapping" => found.help("indent the lines that belong to it, or remove the key"),
            [] => found.help(format!("write {expected} there, or remove the key")),
            _ => found.help(format!("one of these may be here: {}", list(candidates))),
        };
    }
    if !candidates.is_empty()
        && error
            .expected
            .iter()
            .all(|kind| *kind == "a text" || kind.starts_with("a list") || kind.starts_with("a mapping"))
    {
        let is_event = candidates.contains(&"pull_request") && candidates.contains(&"push");
        if is_event {
            return Diagnostic::error(UNKNOWN_EVENT, span, format!("there is no event `{value}`"))
                .help("see https://docs.github.com/actions/reference/events-that-trigger-workflows");
        }
        let found = Diagnostic::error(UNKNOWN_VALUE, span, format!("`{value}` is none of the values{of}"));
        return found.help(format!("one of these may be here: {}", list(candidates)));
    }
    let written = span.map(|span| lines::raw(source, span)).unwrap_or_default();
    let quoted = written.starts_with(['\'', '"']);
    let message = if expected.is_empty() {
        format!("`{value}` cannot stand here")
    } else {
        format!("the value{of} is {expected}, and `{value}` is none")
    };
    let found = Diagnostic::error(WRONG_KIND, span, message);
    let boolean = error.expected.contains(&"a boolean");
    let lower = value.to_ascii_lowercase();
    match lower.as_str() {
        "true" | "false" if boolean && quoted => found.help(format!("write `{lower}` without quotes")),
        "yes" | "on" | "y" if boolean => found.help("write `true`: in YAML 1.2 only `true` and `false` are booleans"),
        "no" | "off" | "n" if boolean => found.help("write `false`: in YAML 1.2 only `true` and `false` are booleans"),
        _ if boolean => found.did_you_mean(crate::diagnostic::suggest(&lower, ["true", "false"])),
        _ if quoted && value.parse::<f64>().is_ok() => found.help(format!("write `{value}` without quotes")),
        _ => found,
    }
}

fn or_list(kinds: &[&str]) -> String {
    match kinds {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

fn wrong_kind(error: &ReadError, is: &str, source: &SourceFile) -> Diagnostic {
    let span = span_of(error).map(|span| one_line(source, span));
    let key = span.and_then(|span| {
        lines::key_before(source, span).or_else(|| lines::key_above(source, span)).or_else(|| parent_key(source, span))
    });
    let expected = or_list(&error.expected);
    let of = key.map(|key| format!(" of `{key}`")).unwrap_or_default();
    let message = if expected.is_empty() {
        format!("nothing may stand here, and this is {is}")
    } else {
        format!("the value{of} is {expected}, and this is {is}")
    };
    let found = Diagnostic::error(WRONG_KIND, span, message);
    match (key, is) {
        (Some("steps"), "a mapping") => found.help("begin each step with `- `"),
        (Some("jobs"), "a list") => found.help("give each job a name: `build:` instead of `- name: build`"),
        (Some("env" | "with" | "secrets"), "a list") => found.help("write `NAME: value` lines without `- `"),
        (Some("schedule"), "a mapping") => found.help("begin the entry with `- `, as in `- cron: '0 6 * * *'`"),
        (Some("on"), _) => found.help("write the events as keys: `push:` with its filters below, without `- `"),
        (_, _) => found,
    }
}

/// A collection's start is empty: the rest of its first line shows it.
fn one_line(source: &SourceFile, span: Span) -> Span {
    if span.end > span.start {
        return span;
    }
    let rest = source.text().get(span.start as usize..).unwrap_or("");
    let line = rest.split(['\n', '\r']).next().unwrap_or("").trim_end();
    Span { end: span.start + u32::try_from(line.len()).unwrap_or(0), ..span }
}

/// `<<:` where any key may be is a key like any other, and its value is a mapping.
fn merge_key(error: &ReadError, source: &SourceFile) -> Option<Diagnostic> {
    let Place::At(span) = error.place else { return None };
    if lines::key_before(source, span) == Some("<<") {
        return Some(merge(lines_merge(source, 0)));
    }
    // The value of an alias is told where its anchor is.
    let before = source.text().get(..span.start as usize)?;
    let is_anchored = source.text()[before.len()..].starts_with('&');
    let merge_span = lines_merge(source, span.start)?;
    is_anchored.then(|| merge(Some(merge_span)))
}

fn lines_merge(source: &SourceFile, from: u32) -> Option<Span> {
    let at = source.text().get(from as usize..)?.find("<<:")?;
    let start = from + u32::try_from(at).ok()?;
    Some(Span::new(crate::source::FileId(0), start, start + 2))
}

fn merge(span: Option<Span>) -> Diagnostic {
    Diagnostic::error(MERGE_KEY, span, "merge keys (`<<`) are not supported, as at GitHub")
        .help("repeat the keys, or give the whole mapping by an alias: `env: *name`")
}

fn not_enough(error: &ReadError, candidates: &[&str], source: &SourceFile) -> Diagnostic {
    let span = span_of(error).map(|span| one_line(source, span));
    let (message, help) = if candidates.contains(&"steps") || candidates.contains(&"runs-on") {
        ("the job does nothing: it has neither `runs-on` with `steps` nor `uses`".to_owned(), None)
    } else {
        ("the step does nothing".to_owned(), Some("add `run:` with a script or `uses:` with an action"))
    };
    let found = Diagnostic::error(NO_VERB, span, message);
    found.help(help.unwrap_or("add `runs-on:` and `steps:`, or `uses:` to call a workflow"))
}

/// Whether a name is an event of `on:`.
pub(super) fn is_event(name: &str) -> bool {
    Schema::workflow().events().iter().any(|event| event.name == name)
}
