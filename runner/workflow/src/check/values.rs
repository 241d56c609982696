//! Values that are of the right kind and still wrong: shells that do not exist, labels with a slip, times below zero,
//! versions that YAML reads as numbers.

use super::known::{LABELS, SHELLS};
use super::lines;
use super::visit::{Visit, flatten, steps_of};
use crate::diagnostic::{Code, Diagnostic, suggest};
use crate::model::{Job, Step, StepKind};
use crate::template::{Token, TokenKind};

const TIMEOUT: Code = Code("P0406");
const SHELL: Code = Code("P0407");
const LABEL: Code = Code("P0408");
const LOST_ZERO: Code = Code("P0410");

/// Words in keys whose values are versions.
const VERSION_KEYS: &[&str] = &["version", "node", "python", "ruby", "java", "php", "dotnet", "golang", "rust"];

pub(super) fn check(visit: &mut Visit<'_>) {
    let workflow = visit.workflow;
    defaults(visit, workflow.defaults.as_ref());
    zeros(visit, workflow.env.as_ref(), false);
    for job in workflow.jobs.values() {
        of_job(visit, job);
        for (step, _) in steps_of(job).map(|steps| flatten(&steps.steps)).unwrap_or_default() {
            of_step(visit, step);
        }
    }
}

fn of_job(visit: &mut Visit<'_>, job: &Job) {
    let matrix = job.strategy.as_ref().and_then(|strategy| strategy.matrix.as_ref());
    zeros(visit, matrix, true);
    let Some(steps) = steps_of(job) else { return };
    timeout(visit, steps.timeout_minutes.as_ref());
    timeout(visit, steps.cancel_timeout_minutes.as_ref());
    zeros(visit, steps.env.as_ref(), false);
    defaults(visit, steps.defaults.as_ref());
    labels(visit, &steps.runs_on);
}

fn of_step(visit: &mut Visit<'_>, step: &Step) {
    timeout(visit, step.timeout_minutes.as_ref());
    zeros(visit, step.env.as_ref(), false);
    match &step.kind {
        StepKind::Run { shell: Some(shell), .. } => check_shell(visit, shell),
        StepKind::Uses { with, .. } => zeros(visit, with.as_ref(), false),
        StepKind::Run { shell: None, .. }
        | StepKind::Wait(_)
        | StepKind::WaitAll
        | StepKind::Cancel(_)
        | StepKind::Parallel(_) => {}
    }
}

fn defaults(visit: &mut Visit<'_>, defaults: Option<&Token>) {
    if let Some(shell) = defaults.and_then(|defaults| defaults.get("run")?.get("shell")) {
        check_shell(visit, shell);
    }
}

/// A shell that is none of the known ones says with `{0}` where the script goes.
fn check_shell(visit: &mut Visit<'_>, shell: &Token) {
    let Some(text) = shell.as_str() else { return };
    let name = text.split_whitespace().next().unwrap_or_default();
    if text.contains("{0}") || SHELLS.iter().any(|known| known.eq_ignore_ascii_case(name)) {
        return;
    }
    let found = Diagnostic::error(SHELL, shell.span, format!("there is no shell `{text}`"));
    visit.diagnostics.push(match suggest(name, SHELLS.iter().copied()) {
        Some(near) => found.help(format!("did you mean `{near}`?")),
        None => found.help(format!(
            "write one of {}, or a command with `{{0}}` where the script's file goes, such as `{name} {{0}}`",
            SHELLS.join(", ")
        )),
    });
}

fn timeout(visit: &mut Visit<'_>, minutes: Option<&Token>) {
    let Some(token) = minutes else { return };
    if let TokenKind::Number(minutes) = token.kind
        && !(minutes.is_finite() && minutes > 0.0)
    {
        let key = lines::key_before(visit.source, token.span).unwrap_or("timeout-minutes");
        let wrong = if minutes <= 0.0 { "must be above 0" } else { "no time is as long" };
        let message = format!("`{key}` is {}, and {wrong}", lines::raw(visit.source, token.span));
        visit.diagnostics.push(
            Diagnostic::warning(TIMEOUT, token.span, message).help("write minutes, such as 10, or remove the key"),
        );
    }
}

/// Labels may be anybody's own, so only a slip of the pen in a well-known one is told.
fn labels(visit: &mut Visit<'_>, runs_on: &Token) {
    let labels = match &runs_on.kind {
        TokenKind::Mapping(_) => runs_on.get("labels"),
        TokenKind::Null
        | TokenKind::Boolean(_)
        | TokenKind::Number(_)
        | TokenKind::String(_)
        | TokenKind::Sequence(_)
        | TokenKind::Expression(_)
        | TokenKind::Insert => Some(runs_on),
    };
    let Some(labels) = labels else { return };
    for label in labels.as_sequence().unwrap_or(std::slice::from_ref(labels)) {
        let Some(text) = label.as_str() else { continue };
        if let Some(near) = near_label(text) {
            let message = format!("`{text}` is no label of GitHub's machines");
            visit
                .diagnostics
                .push(Diagnostic::warning(LABEL, label.span, message).help(format!("did you mean `{near}`?")));
        }
    }
}

fn near_label(text: &str) -> Option<&'static str> {
    const EDITS_MAX: usize = 2;
    let lower = text.to_ascii_lowercase();
    let letters = |label: &str| label.chars().filter(|c| !c.is_ascii_digit() && *c != '.').collect::<String>();
    let own = letters(&lower);
    if lower.len() < 8 || LABELS.iter().any(|label| *label == lower || letters(label) == own) {
        return None;
    }
    // `ubuntu-latest-m` and the like are larger machines with a name of their own.
    if LABELS.iter().any(|label| lower.starts_with(&format!("{label}-"))) {
        return None;
    }
    LABELS
        .iter()
        .copied()
        .map(|label| (strsim::damerau_levenshtein(&lower, label), label))
        .filter(|(distance, _)| *distance <= EDITS_MAX)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, label)| label)
}

/// `3.10` without quotes is the number 3.1.
fn zeros(visit: &mut Visit<'_>, token: Option<&Token>, is_matrix: bool) {
    for (key, value) in token.and_then(Token::as_mapping).unwrap_or_default() {
        let name = key.as_str().unwrap_or_default().to_ascii_lowercase();
        let is_version = VERSION_KEYS.iter().any(|word| name.contains(word)) || name == "go";
        if is_matrix && matches!(name.as_str(), "include" | "exclude") {
            for item in value.as_sequence().unwrap_or_default() {
                zeros(visit, Some(item), false);
            }
            continue;
        }
        for item in value.as_sequence().unwrap_or(std::slice::from_ref(value)) {
            zero(visit, item, is_version);
        }
    }
}

fn zero(visit: &mut Visit<'_>, value: &Token, is_version: bool) {
    let raw = lines::raw(visit.source, value.span);
    let Some((whole, fraction)) = raw.split_once('.') else { return };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || !fraction.ends_with('0') {
        return;
    }
    // `1.0` is as often a quantity as a version.
    let only_zeros = fraction.bytes().all(|byte| byte == b'0');
    if only_zeros && !is_version {
        return;
    }
    let number = fraction.trim_end_matches('0');
    let number = if number.is_empty() { whole.to_owned() } else { format!("{whole}.{number}") };
    let message = format!("`{raw}` is the number {number}: its last zero is lost");
    visit
        .diagnostics
        .push(Diagnostic::warning(LOST_ZERO, value.span, message).help(format!("put it in quotes: `'{raw}'`")));
}
