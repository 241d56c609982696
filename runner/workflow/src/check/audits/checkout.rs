//! What is checked out: code of strangers with the rights of the repository, and a token that lies beside the code.

use super::names::FOR_STRANGERS;
use super::scripts::stranger_in;
use super::{ARTIPACKED, DANGEROUS_TRIGGERS, Look};
use crate::check::lines;
use crate::model::{Step, StepKind, Uses, Workflow};
use crate::template::Token;

pub(super) const HELP: &str =
    "build it on `pull_request`, which has neither; what needs rights runs in a workflow of its own, on data only";

/// From this version on the token lies outside of the folder (<https://github.com/actions/checkout#whats-new>).
const TOKEN_OUTSIDE_SINCE: u32 = 6;
/// From this version on hidden files are left out (<https://github.com/actions/upload-artifact#hidden-files>).
const HIDDEN_LEFT_OUT_SINCE: u32 = 4;

pub(super) fn audit(steps: &[&Step], look: &mut Look<'_>) {
    for (index, step) in steps.iter().enumerate() {
        let Some((uses, with)) = of(step, "actions/checkout") else { continue };
        of_strangers(uses, with, look);
        let keeps = with.and_then(|with| with.get("persist-credentials")).and_then(Token::literal_text);
        let is_outside = major(uses, look).is_some_and(|major| major >= TOKEN_OUTSIDE_SINCE);
        if keeps.as_deref() == Some("false") || is_outside {
            continue;
        }
        let upload = steps[index..]
            .iter()
            .find_map(|later| of(later, "actions/upload-artifact").filter(|written| takes_all(written, look)));
        let help = "write `persist-credentials: false` below `with:`; a step that pushes logs in by itself";
        match upload {
            Some((upload, _)) => {
                let message =
                    "the token that this leaves in `.git/config` goes into an artifact that everybody may read";
                let at = uses.span;
                look.tell(&ARTIPACKED, at, message, help);
                if let Some(found) = look.found.last_mut() {
                    found.diagnostic.related.push((upload.span, "it is uploaded here".to_owned()));
                }
            }
            None => {
                let message = "the token stays in `.git/config`, where every later step finds it";
                look.tell_pedants(&ARTIPACKED, uses.span, message, help);
            }
        }
    }
}

/// Events that are dangerous by themselves: one careless line is enough.
pub(super) fn of_events(workflow: &Workflow, look: &mut Look<'_>) {
    for event in FOR_STRANGERS {
        let Some(trigger) = workflow.on.entries.get(event) else { continue };
        let message = format!("`{event}` runs with the secrets and rights of the repository, whoever wrote the change");
        let help = "nothing that the change brings along may be run here, nor put into a script";
        look.tell_pedants(&DANGEROUS_TRIGGERS, trigger.span, message, help);
    }
}

type Written<'a> = (&'a crate::source::Spanned<Uses>, Option<&'a Token>);

fn of<'a>(step: &'a Step, name: &str) -> Option<Written<'a>> {
    let StepKind::Uses { uses, with } = &step.kind else { return None };
    match &uses.value {
        Uses::Repository { repository, path, .. } if path.is_empty() && repository.eq_ignore_ascii_case(name) => {
            Some((uses, with.as_ref()))
        }
        Uses::Docker { .. } | Uses::Local { .. } | Uses::Repository { .. } | Uses::BuiltIn { .. } => None,
    }
}

fn of_strangers(uses: &crate::source::Spanned<Uses>, with: Option<&Token>, look: &mut Look<'_>) {
    let Some(event) = look.event_for_strangers() else { return };
    let chosen = ["ref", "repository"].iter().filter_map(|key| with?.get(key));
    let Some(stranger) = chosen.filter_map(|value| stranger_in(lines::raw(look.source, value.span))).next() else {
        return;
    };
    let message = format!(
        "code of strangers (`{stranger}`) is checked out on `{event}`, which runs with the secrets and rights of the repository"
    );
    look.tell(&DANGEROUS_TRIGGERS, uses.span, message, HELP);
}

/// The number of `v4`, `v4.1`; of a commit, that of the version in the comment behind it.
pub(super) fn major(uses: &crate::source::Spanned<Uses>, look: &Look<'_>) -> Option<u32> {
    let Uses::Repository { reference, .. } = &uses.value else { return None };
    let number = |version: &str| version.strip_prefix('v').unwrap_or(version).split('.').next()?.parse().ok();
    number(reference).or_else(|| {
        let line = look.source.line(look.source.position(uses.span.end).line);
        let (_, comment) = line.split_once(" #")?;
        // As tools write them: `# v4.2.2`, `# tag=v4`, `# ratchet:actions/checkout@v4`.
        comment.split([' ', '=', ':', '@']).find_map(number)
    })
}

/// Whether an upload takes the whole folder with what is hidden in it.
fn takes_all((uses, with): &Written<'_>, look: &Look<'_>) -> bool {
    let text = |key: &str| with.and_then(|with| with.get(key));
    let hidden = text("include-hidden-files").and_then(Token::literal_text).is_some_and(|text| &*text == "true");
    let leaves_out = major(uses, look).is_none_or(|major| major >= HIDDEN_LEFT_OUT_SINCE);
    if leaves_out && !hidden {
        return false;
    }
    let Some(path) = text("path") else { return false };
    let written = path.literal_text().map(|text| text.to_string());
    let written = written.or_else(|| path.as_expression().map(|whole| whole.text().trim().to_owned()));
    written.is_some_and(|paths| {
        paths
            .lines()
            .map(str::trim)
            .any(|path| matches!(path, "." | "./" | "*" | "**" | "./**" | "./*" | "github.workspace"))
    })
}
