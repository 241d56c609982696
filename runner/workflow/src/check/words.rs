//! What the later stages of GitHub's reader say, which has no data beside its words: ids, references, calls, matrices.
//!
//! A text that is not known here is shown as it is.

use super::structure::{span_of, without_stop};
use super::{called, lines, patterns};
use crate::diagnostic::{Code, Diagnostic, suggest};
use crate::source::{SourceFile, Span};
use crate::template::{Place, ReadError};

const REFUSED: Code = Code("P0100");
const NO_VERB: Code = Code("P0106");
const BAD_ID: Code = Code("P0107");
const DOUBLE_ID: Code = Code("P0108");
const UNKNOWN_STEP: Code = Code("P0121");
const BACKGROUND: Code = Code("P0122");
const CALL_INPUT_MISSING: Code = Code("P0131");
const CALL_PERMISSIONS: Code = Code("P0134");
const CALL_DEPTH: Code = Code("P0135");
const MATRIX: Code = Code("P0140");
const CALL_TYPE: Code = Code("P0136");
const NOT_CALLABLE: Code = Code("P0133");
const USES: Code = Code("P0405");
const INPUT_OPTIONS: Code = Code("P0411");
const IMAGE: Code = Code("P0412");
const TOO_LONG: Code = Code("P0413");
const SNAPSHOT: Code = Code("P0414");
const RUNNER_GROUP: Code = Code("P0415");

/// An error that only its words describe. Nothing where another check tells it better.
pub(super) fn tell(error: &ReadError, source: &SourceFile) -> Diagnostic {
    let span = span_of(error);
    let text = error.message.as_str();
    let quoted = text.split('\'').nth(1).unwrap_or_default();
    let at = match error.place {
        Place::At(span) => Some(span),
        Place::File(_) | Place::Reading => None,
    };
    let say = |code, message: String, help: &str| Diagnostic::error(code, span, message).help(help);
    if let Some(found) = ids(text, quoted, &say) {
        return found;
    }
    if text.starts_with("Expected one of uses, run") {
        return say(NO_VERB, "the step does nothing".to_owned(), "add `run:` with a script or `uses:` with an action");
    }
    if text.starts_with("Expected format {org}/{repo}") {
        return uses(quoted, span);
    }
    if text.starts_with("Invalid cron expression") || text.starts_with("Missing required key 'cron'") {
        return patterns::cron_error(error, source);
    }
    if text.starts_with("Step references unknown step ID") {
        let found = Diagnostic::error(UNKNOWN_STEP, span, format!("no step before this one has the id `{quoted}`"));
        return match &error.help {
            Some(help) => found.help(help.clone()),
            None => found,
        };
    }
    if text.contains("parallel' block")
        || text.contains("inside a parallel block")
        || text.starts_with("The value of 'wait-all'")
    {
        let found = Diagnostic::error(BACKGROUND, span, without_stop(text).replace('\'', "`"));
        return found.help("inside `parallel:` only `run` and `uses` steps stand, and each runs beside the others");
    }
    if let Some(found) = calls(error, text, source, at) {
        return found;
    }
    if text.starts_with("Matrix ") {
        return matrix(text, quoted, span);
    }
    values(text, quoted, &say).unwrap_or_else(|| error.to_diagnostic(REFUSED))
}

/// Values that are of the right kind and still cannot be used.
fn values(text: &str, quoted: &str, say: &dyn Fn(Code, String, &str) -> Diagnostic) -> Option<Diagnostic> {
    if text.starts_with("Missing 'options'") {
        return Some(say(
            INPUT_OPTIONS,
            "an input of type `choice` needs `options`".to_owned(),
            "add `options:` with the values to choose from",
        ));
    }
    if text.starts_with("Input type is not 'choice'") {
        return Some(say(
            INPUT_OPTIONS,
            "`options` belongs to inputs of type `choice`".to_owned(),
            "write `type: choice`, or remove `options:`",
        ));
    }
    if text.starts_with("Container image cannot be empty") {
        return Some(say(
            IMAGE,
            "the container has no image".to_owned(),
            "write the name of an image, such as `postgres:17`",
        ));
    }
    if text.starts_with("Concurrency group name") {
        return Some(say(
            TOO_LONG,
            "the name of the concurrency group is too long".to_owned(),
            "it has fewer than 400 characters",
        ));
    }
    if text.starts_with("job snapshot") || text.starts_with("Expected format '{major-version}") {
        return Some(say(SNAPSHOT, without_stop(text), "write `snapshot: {image-name: NAME, version: 1.*}`"));
    }
    if text.starts_with("Invalid runs-on group") {
        return Some(say(
            RUNNER_GROUP,
            format!("`{quoted}` is no name of a runner group"),
            "write `organization/NAME` or `enterprise/NAME`, or just the name",
        ));
    }
    None
}

fn ids(text: &str, quoted: &str, say: &dyn Fn(Code, String, &str) -> Diagnostic) -> Option<Diagnostic> {
    let rest = text.strip_prefix("The identifier '")?;
    Some(if rest.contains("may not be used more than once") {
        say(
            DOUBLE_ID,
            format!("the id `{quoted}` is used twice"),
            "ids differ in more than upper and lower case: rename one",
        )
    } else if rest.contains("are reserved") {
        say(BAD_ID, format!("`{quoted}` cannot be an id"), "ids that begin with `__` are reserved")
    } else {
        say(
            BAD_ID,
            format!("`{quoted}` cannot be an id"),
            &format!(
                "an id begins with a letter or `_`, then letters, digits, `-` and `_`, fewer than 100 in all{}",
                legal(quoted).map(|meant| format!(": `{meant}`")).unwrap_or_default()
            ),
        )
    })
}

/// The nearest id that is one.
fn legal(id: &str) -> Option<String> {
    let replaced: String =
        id.trim().chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '-' }).collect();
    let first = replaced.chars().next()?;
    let named = if first.is_ascii_alphabetic() || first == '_' { replaced } else { format!("_{replaced}") };
    (named.len() < 100).then_some(named)
}

fn uses(written: &str, span: Option<Span>) -> Diagnostic {
    let say = |message: String| Diagnostic::error(USES, span, message);
    let is_path = written.contains('/') && !written.starts_with('/');
    // Ours have one version so far, those of others most often this one.
    let version = if written.starts_with("pipe/") { "v1" } else { "v4" };
    match written.split_once('@') {
        Some((path, "")) if is_path => say(format!("`{written}` names no version"))
            .help(format!("write a tag, branch or commit after `@`, such as `{path}@{version}`")),
        None if is_path && written.starts_with("../") => say(format!("`{written}` leaves the repository"))
            .help("a local action is a folder of this repository: `./path/to/action`"),
        None if is_path => say(format!("`{written}` names no version"))
            .help(format!("add one: `{written}@{version}`; a folder of this repository begins with `./`")),
        _ if written.is_empty() => say("`uses` names no action".to_owned()).help("write `owner/repository@version`"),
        _ => say(format!("`{written}` is no action"))
            .help("write `owner/repository@version`, `./folder` or `docker://image`"),
    }
}

fn calls(error: &ReadError, text: &str, source: &SourceFile, at: Option<Span>) -> Option<Diagnostic> {
    let span = span_of(error);
    let say = |code, message: String| Diagnostic::error(code, span, message);
    if let Some(rest) = text.strip_suffix(" is required, but not provided while calling.") {
        let (kind, name) = rest.split_once(' ')?;
        let (kind, key) = if kind == "Input" { ("input", "with") } else { ("secret", "secrets") };
        return Some(
            say(CALL_INPUT_MISSING, format!("the called workflow needs the {kind} `{name}`"))
                .help(format!("add `{name}:` below `{key}:` of this job")),
        );
    }
    if text.starts_with("Invalid input,") || text.starts_with("Invalid secret,") {
        return Some(called::unknown(error, source));
    }
    if text.starts_with("workflow_call key is not defined") {
        return Some(
            say(NOT_CALLABLE, "this workflow is called, but has no `workflow_call` event".to_owned())
                .help("add `workflow_call:` to its `on:`"),
        );
    }
    if text.starts_with("Error calling workflow") {
        let asked = text.split('\'').collect::<Vec<_>>();
        let wanted = asked.get(asked.len().checked_sub(4)?)?;
        let given = asked.get(asked.len().checked_sub(2)?)?;
        return Some(
            say(CALL_PERMISSIONS, format!("the called workflow asks for `{wanted}`, and this job may give `{given}`"))
                .help("add them to `permissions:` of this job"),
        );
    }
    if text.starts_with("Nested reusable workflow depth") || text.starts_with("The maximum file count") {
        return Some(say(CALL_DEPTH, without_stop(text)).help("join some of the called workflows"));
    }
    if text.starts_with("Unexpected value '") {
        let key = at.and_then(|at| lines::key_before(source, at)).unwrap_or("this");
        let value = text.split('\'').nth(1).unwrap_or_default();
        return Some(
            say(CALL_TYPE, format!("`{value}` is not of the type that the input `{key}` has"))
                .help("booleans are `true` and `false`, numbers digits, both without quotes"),
        );
    }
    let is_reference = at.is_some_and(|at| lines::key_before(source, at) == Some("uses"));
    (is_reference && error.called_from.is_none()).then(|| called::unreadable(error))
}

fn matrix(text: &str, quoted: &str, span: Option<Span>) -> Diagnostic {
    let say = |message: String, help: &str| Diagnostic::error(MATRIX, span, message).help(help);
    if text.contains("does not match any key") {
        say(format!("`exclude` names `{quoted}`, which the matrix does not have"), "exclude by keys of the matrix only")
    } else if text.contains("vector '") {
        say(format!("`{quoted}` of the matrix has no values"), "give it at least one value, or remove it")
    } else if text.contains("at least one vector") {
        say("the matrix is empty".to_owned(), "add a key with a list of values, or `include:`")
    } else {
        say(without_stop(text), "give it at least one key")
    }
}

/// Nearest of several names that are only known now.
pub(super) fn near<'a>(written: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    suggest(written, names)
}
