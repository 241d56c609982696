//! Scripts that run what nobody looked at, or let strangers set what later steps go by.

use std::sync::LazyLock;

use regex::Regex;

use super::names::{MADE_BY_THE_FORGE, OF_COLLEAGUES, OF_STRANGERS};
use super::{DANGEROUS_TRIGGERS, GITHUB_ENV, INSECURE_COMMANDS, Look, TEMPLATE_INJECTION, UNPINNED_TOOLS};
use crate::check::visit::{scripts_of, steps_of};
use crate::check::{injection, lines};
use crate::expression::NamePath;
use crate::model::{Step, StepKind};
use crate::source::Span;
use crate::template::{Token, locate};

/// `curl … | sudo bash`, `bash <(curl …)`, `sh -c "$(curl …)"`.
static PIPED: LazyLock<Regex> = LazyLock::new(|| {
    let shell = "(?:sudo +)?(?:env +)?(?:[A-Za-z_]+=[^ ]* +)*(?:(?:ba|da|z|k)?sh|python3?|node|perl|ruby)";
    let piped = format!(r"\b(?:curl|wget) (?:[^\n;&|]|\\\n)*\| *{shell}(?:[ \n]|$)");
    let substituted = r"(?:(?:ba|z)?sh|source|\.) +<\( *(?:curl|wget) ";
    let quoted = r#"(?:ba|z)?sh +-c +["']?\$\( *(?:curl|wget) "#;
    Regex::new(&format!("{piped}|{substituted}|{quoted}")).expect("it is constant")
});
/// A stranger's branch fetched by hand.
static FETCHED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?:gh +pr +checkout\b|git +fetch[^\n]*\bpull/)").expect("it is constant"));

/// Files that later steps go by.
const LATER: [&str; 2] = ["GITHUB_ENV", "GITHUB_PATH"];

pub(super) fn of_step(step: &Step, look: &mut Look<'_>) {
    for script in scripts_of(step) {
        of_expressions(script, step, look);
    }
    let StepKind::Run { script, .. } = &step.kind else { return };
    let raw = lines::raw(look.source, script.span);
    let at = |regex: &LazyLock<Regex>| {
        let found = regex.find(raw)?;
        Some(script.span.part(found.start(), found.start() + found.as_str().trim_end().len()))
    };
    let (piped, fetched) = (at(&PIPED), at(&FETCHED));
    let later = LATER.iter().find_map(|file| {
        let line = raw.lines().find(|line| line.contains(file) && (line.contains(">>") || line.contains("tee")))?;
        let at = raw.find(line)? + line.find(file)?;
        Some((*file, script.span.part(at, at + file.len())))
    });
    if let Some(span) = piped {
        let message = "this runs whatever the server gives today";
        let help = "fetch a version that is named, and compare its checksum before it runs";
        look.tell(&UNPINNED_TOOLS, span, message, help);
    }
    if let Some(event) = look.event_for_strangers() {
        if let Some(span) = fetched {
            let message = format!(
                "code of strangers is fetched on `{event}`, which runs with the secrets and rights of the repository"
            );
            look.tell(&DANGEROUS_TRIGGERS, span, message, super::checkout::HELP);
        }
        if let Some((file, span)) = later {
            let message =
                format!("on `{event}` what a stranger wrote may end in `{file}`, by which every later step goes");
            let help = "give it on as an output (`$GITHUB_OUTPUT`), which only steps that name it see";
            look.tell(&GITHUB_ENV, span, message, help);
        }
    }
}

/// What is put into a script. `${{ inputs.x }}` of a workflow: whoever starts or calls it has rights; an action does not know its
/// callers. What else is no text of the file is told to pedants.
fn of_expressions(script: &Token, step: &Step, look: &mut Look<'_>) {
    let mut found: Vec<(Span, String, bool)> = Vec::new();
    let mut foreign: Vec<(Span, String)> = Vec::new();
    script.each_expression(&mut |expression, span| {
        let untrusted = injection::untrusted(expression);
        let reaching = injection::reaching(expression);
        let reaches = |path: &NamePath<'_>| reaching.iter().any(|at| at.contains(&path.span.start));
        for path in expression.names().filter(reaches) {
            let is_input = path.parts.len() > 1 && path.parts[0].eq_ignore_ascii_case("inputs");
            let is_told = untrusted.iter().any(|piece| piece.contains(&path.span.start));
            if !is_told && (is_input || is_chosen(&path, expression.text(), step, look)) {
                let name = path.parts.join(".");
                found.push((locate(look.source.text(), span, expression, path.span), name, is_input));
            }
        }
        for piece in untrusted {
            let name = expression.text()[piece.clone()].to_owned();
            foreign.push((locate(look.source.text(), span, expression, piece), name));
        }
    });
    for (span, name, is_input) in found {
        let message = format!("whatever stands in `{name}` becomes part of the script (script injection)");
        let help = injection::help(&name);
        if look.workflow.is_some() || !is_input {
            look.tell_pedants(&TEMPLATE_INJECTION, span, message, help);
        } else {
            look.tell(&TEMPLATE_INJECTION, span, message, help);
        }
    }
    // Of workflows the check itself tells these.
    let is_untold = look.workflow.is_none();
    for (span, name) in foreign.into_iter().filter(|_| is_untold) {
        let message = injection::message(&name);
        look.tell(&TEMPLATE_INJECTION, span, message, injection::help(&name));
    }
}

/// Whether somebody with rights, or a step, chose the text that a path names: neither the file nor the forge did.
fn is_chosen(path: &NamePath<'_>, text: &str, step: &Step, look: &Look<'_>) -> bool {
    let parts: Vec<String> = path.parts.iter().map(|part| part.to_ascii_lowercase()).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let is_of_forge = |name: &str| {
        MADE_BY_THE_FORGE.contains(&name)
            || ["_id", "sha", "_at", "_url", "_count"].iter().any(|end| name.ends_with(end))
    };
    match parts.as_slice() {
        // `needs.*.result`
        ["needs" | "steps"] => !text[path.span.end..].starts_with(".*.result"),
        ["needs" | "steps", _] | ["vars", _] => true,
        ["needs" | "steps", _, property, ..] => *property == "outputs",
        ["env", _] => !is_in_file(path.parts[1], step, look),
        ["github", "event", "inputs", ..] => true,
        ["github", "event", .., last] => !is_of_forge(last),
        ["github", name] => OF_COLLEAGUES.contains(name),
        _ => false,
    }
}

/// Whether a variable is a plain text of the file.
fn is_in_file(name: &str, step: &Step, look: &Look<'_>) -> bool {
    let mut jobs = look.workflow.map(|workflow| workflow.jobs.values()).into_iter().flatten();
    let job = jobs.find(|job| job.span.start <= step.span.start && step.span.end <= job.span.end);
    let job = job.and_then(steps_of).and_then(|job| job.env.as_ref());
    let environments = [step.env.as_ref(), job, look.workflow.and_then(|workflow| workflow.env.as_ref())];
    environments.into_iter().flatten().find_map(|env| env.get(name)).is_some_and(|value| value.literal_text().is_some())
}

/// `ACTIONS_ALLOW_UNSECURE_COMMANDS: true`.
pub(super) fn of_environment(env: Option<&Token>, look: &mut Look<'_>) {
    for (key, value) in env.and_then(Token::as_mapping).unwrap_or_default() {
        let is_it = key.as_str().is_some_and(|key| key.eq_ignore_ascii_case("ACTIONS_ALLOW_UNSECURE_COMMANDS"));
        let is_on = value.literal_text().is_none_or(|text| !matches!(text.as_ref(), "" | "false" | "0"));
        if is_it && is_on {
            let message = "with this, a line of output sets variables and `PATH` of all later steps";
            let help = "leave it out, and write to the files `$GITHUB_ENV` and `$GITHUB_PATH`";
            look.tell(&INSECURE_COMMANDS, key.span, message, help);
        }
    }
}

/// Whether a text names what a stranger chose.
pub(super) fn stranger_in(text: &str) -> Option<&'static str> {
    OF_STRANGERS.iter().find(|name| text.contains(**name)).map(|name| name.trim_end_matches(['.', '_', '/']))
}
