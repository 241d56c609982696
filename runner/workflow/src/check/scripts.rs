//! Scripts and their surroundings as text: deprecated commands, braces without their `$`.

use super::lines;
use super::visit::{Visit, flatten, steps_of};
use crate::diagnostic::{Code, Diagnostic};
use crate::model::StepKind;
use crate::source::Span;

const DEPRECATED: Code = Code("P0306");
const BRACES: Code = Code("P0209");

/// Contexts that nobody else's templates use.
const TELLING: &[&str] = &["github.", "secrets.", "matrix.", "needs.", "steps.", "runner."];

pub(super) fn check(visit: &mut Visit<'_>) {
    for job in visit.workflow.jobs.values() {
        for (step, _) in steps_of(job).map(|steps| flatten(&steps.steps)).unwrap_or_default() {
            if let StepKind::Run { script, .. } = &step.kind {
                deprecated(visit, script.span);
                braces(visit, script.span);
            }
            for token in [&step.name, &step.env].into_iter().flatten() {
                braces(visit, token.span);
            }
            if let StepKind::Uses { with: Some(with), .. } = &step.kind {
                braces(visit, with.span);
            }
            if let Some(span) = step.condition_span {
                braces(visit, span);
            }
        }
    }
}

fn deprecated(visit: &mut Visit<'_>, span: Span) {
    let commands = [
        ("::set-output name=", "$GITHUB_OUTPUT", "echo \"NAME=value\" >> \"$GITHUB_OUTPUT\""),
        ("::save-state name=", "$GITHUB_STATE", "echo \"NAME=value\" >> \"$GITHUB_STATE\""),
        ("::set-env name=", "$GITHUB_ENV", "echo \"NAME=value\" >> \"$GITHUB_ENV\""),
        ("::add-path::", "$GITHUB_PATH", "echo \"folder\" >> \"$GITHUB_PATH\""),
    ];
    for (command, file, instead) in commands {
        let Some(found) = lines::find_in(visit.source, span, command) else { continue };
        let name = command.trim_start_matches(':').split([' ', ':']).next().unwrap_or(command);
        let found = Span { end: found.start + 2 + u32::try_from(name.len()).unwrap_or(0), ..found };
        let message = format!("the command `::{name}` is out of use, the file `{file}` is in its place");
        visit.diagnostics.push(Diagnostic::warning(DEPRECATED, found, message).help(format!("write `{instead}`")));
    }
}

/// `{{ github.sha }}` and `$ {{ github.sha }}`.
fn braces(visit: &mut Visit<'_>, span: Span) {
    let raw = lines::raw(visit.source, span);
    let mut found = Vec::new();
    for (at, _) in raw.match_indices("{{").chain(raw.match_indices("{ {")) {
        let body = raw[at..].trim_start_matches(['{', ' ']);
        let is_one = raw[..at].ends_with('$') && raw[at..].starts_with("{{");
        let closes = body.split('\n').next().is_some_and(|line| line.contains("}}") || line.contains("} }"));
        if !is_one && closes && TELLING.iter().any(|context| body.starts_with(context)) && !inside_expression(raw, at) {
            let start = if raw[..at].ends_with('$') {
                at - 1
            } else if raw[..at].ends_with("$ ") {
                at - 2
            } else {
                at
            };
            let width = if raw[at..].starts_with("{ {") { 3 } else { 2 };
            found.push(span.part(start, at + width));
        }
    }
    for span in found {
        let message = "this is no expression, it stays as it is written";
        visit.diagnostics.push(Diagnostic::warning(BRACES, span, message).help("did you mean `${{`?"));
    }
}

fn inside_expression(raw: &str, at: usize) -> bool {
    let before = &raw[..at];
    before.rfind("${{").is_some_and(|open| !before[open..].contains("}}"))
}
