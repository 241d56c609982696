//! Calls of other workflows: references that cannot be one, and names that the called file does not have.

use super::lines;
use super::structure::{span_of, without_stop};
use super::visit::Visit;
use super::words::near;
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{JobKind, Secrets};
use crate::source::{SourceFile, Span};
use crate::template::{ReadError, Token};

const REFERENCE: Code = Code("P0130");
const UNKNOWN_INPUT: Code = Code("P0132");

pub(super) fn check(visit: &mut Visit<'_>) {
    let workflow = visit.workflow;
    for job in workflow.jobs.values() {
        let JobKind::Call(call) = &job.kind else { continue };
        let span = call.reference.span;
        let written = lines::raw(visit.source, span).trim_matches(['\'', '"']).to_owned();
        if let Some((message, help)) = wrong_reference(&written) {
            visit.diagnostics.retain(|found| found.span != Some(span));
            visit.diagnostics.push(Diagnostic::error(REFERENCE, span, message).help(help));
        }
        let Some(called) = &call.called else { continue };
        improve(
            visit,
            span,
            "input",
            call.inputs.as_ref(),
            &called.inputs.keys().map(String::as_str).collect::<Vec<_>>(),
        );
        if let Secrets::Mapping(secrets) = &call.secrets {
            improve(
                visit,
                span,
                "secret",
                Some(secrets),
                &called.secrets.keys().map(String::as_str).collect::<Vec<_>>(),
            );
        }
    }
}

fn wrong_reference(written: &str) -> Option<(String, String)> {
    if written.is_empty() || written.contains("${{") {
        return None;
    }
    let (path, version) = written.split_once('@').map_or((written, None), |(path, version)| (path, Some(version)));
    let is_file = path.ends_with(".yml") || path.ends_with(".yaml");
    if written.starts_with("./") || written.starts_with("$/") {
        if version.is_some() {
            let message =
                "a workflow of this repository is called at the same commit, so it takes no version".to_owned();
            return Some((message, format!("write `{path}`")));
        }
        return (!is_file).then(|| {
            (
                "a job calls a workflow file".to_owned(),
                "write its path, such as `./.github/workflows/build.yml`".to_owned(),
            )
        });
    }
    if is_file && version.is_none() && path.starts_with(".github/") {
        return Some(("a path in this repository begins with `./`".to_owned(), format!("did you mean `./{path}`?")));
    }
    if is_file && version.is_none_or(str::is_empty) {
        return Some((
            format!("`{written}` names no version"),
            format!("write a tag, branch or commit, such as `{path}@main`"),
        ));
    }
    if !is_file {
        let help = "actions are used by steps: put it below `steps:` as `- uses:`; a job calls `owner/repository/.github/workflows/FILE.yml@version`";
        return Some((format!("`{written}` is no workflow file"), help.to_owned()));
    }
    None
}

/// GitHub tells unknown names at their values; people look at the name, and want to know the right one.
fn improve(visit: &mut Visit<'_>, call: Span, what: &str, values: Option<&Token>, declared: &[&str]) {
    let mut missing = Vec::new();
    for (key, value) in values.and_then(Token::as_mapping).unwrap_or_default() {
        let Some(name) = key.as_str() else { continue };
        for found in
            visit.diagnostics.iter_mut().filter(|found| found.code == UNKNOWN_INPUT && found.span == Some(value.span))
        {
            found.span = Some(key.span);
            found.message = format!("the called workflow has no {what} `{name}`");
            let meant = near(name, declared.iter().copied());
            missing.extend(meant.map(|meant| format!("the called workflow needs the {what} `{meant}`")));
            found.help = Some(match meant {
                Some(near) => format!("did you mean `{near}`?"),
                None if declared.is_empty() => format!("it has no {what}s"),
                None => {
                    format!("it has {}", declared.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "))
                }
            });
        }
    } // The misspelt one is the missing one.
    visit.diagnostics.retain(|found| found.span != Some(call) || !missing.contains(&found.message));
}

/// An input or secret that the called workflow does not have.
pub(super) fn unknown(error: &ReadError, source: &SourceFile) -> Diagnostic {
    let span = span_of(error);
    let name = error.message.split(", ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or_default();
    let what = if error.message.starts_with("Invalid input") { "input" } else { "secret" };
    let _ = source;
    Diagnostic::error(UNKNOWN_INPUT, span, format!("the called workflow has no {what} `{name}`"))
}

/// A workflow that cannot be had, in the words of who looked for it.
pub(super) fn unreadable(error: &ReadError) -> Diagnostic {
    let span: Option<Span> = span_of(error);
    let text = without_stop(&error.message);
    let (message, help) = text.split_once("; ").unwrap_or((&text, ""));
    let found = Diagnostic::error(REFERENCE, span, message);
    if help.is_empty() { found.help("the path counts from the root of the repository") } else { found.help(help) }
}
