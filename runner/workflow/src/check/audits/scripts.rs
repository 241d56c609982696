//! Scripts that run what nobody looked at, or let strangers set what later steps go by.

use std::sync::LazyLock;

use regex::Regex;

use super::names::OF_STRANGERS;
use super::{DANGEROUS_TRIGGERS, GITHUB_ENV, INSECURE_COMMANDS, Look, TEMPLATE_INJECTION, UNPINNED_TOOLS};
use crate::check::{injection, lines};
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
    of_inputs(script, look);
}

/// `${{ inputs.x }}` in a script: of a workflow whoever starts or calls it has rights; an action does not know its callers.
fn of_inputs(script: &Token, look: &mut Look<'_>) {
    let mut found: Vec<(Span, String)> = Vec::new();
    let mut foreign: Vec<(Span, String)> = Vec::new();
    script.each_expression(&mut |expression, span| {
        let reaching = injection::reaching(expression);
        for path in expression.names().filter(|path| reaching.iter().any(|at| at.contains(&path.span.start))) {
            if path.parts.len() > 1 && path.parts[0].eq_ignore_ascii_case("inputs") {
                let name = path.parts.join(".");
                found.push((locate(look.source.text(), span, expression, path.span), name));
            }
        }
        for piece in injection::untrusted(expression) {
            let name = expression.text()[piece.clone()].to_owned();
            foreign.push((locate(look.source.text(), span, expression, piece), name));
        }
    });
    for (span, name) in found {
        let message = format!("whatever stands in `{name}` becomes part of the script (script injection)");
        let help = injection::help(&name);
        if look.workflow.is_some() {
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
