//! Code of others that steps and jobs run.

use super::names::{ARCHIVED, OF_THE_FORGE, WELL_KNOWN};
use super::{ARCHIVED_USES, Look, TYPOSQUAT_USES, UNPINNED_USES, containers};
use crate::model::{Job, JobKind, Step, StepKind, Uses};
use crate::source::Span;

const COMMIT_DIGITS: usize = 40;

pub(super) fn of_step(step: &Step, look: &mut Look<'_>) {
    let StepKind::Uses { uses, .. } = &step.kind else { return };
    match &uses.value {
        Uses::Docker { image } => containers::of_image(image, uses.span, look),
        Uses::Repository { repository, path, reference } => {
            pinned(repository, reference, uses.span, look);
            let name = if path.is_empty() { repository.clone() } else { format!("{repository}/{path}") };
            if let Some((_, instead)) = ARCHIVED.iter().find(|(known, _)| name.eq_ignore_ascii_case(known)) {
                let message = format!("nobody keeps `{name}` any more: its holes stay open");
                look.tell(&ARCHIVED_USES, uses.span, message, format!("{instead} does the same"));
            }
        }
        Uses::Local { .. } | Uses::BuiltIn { .. } => {}
    }
}

/// A called workflow of another repository.
pub(super) fn of_call(job: &Job, look: &mut Look<'_>) {
    let JobKind::Call(call) = &job.kind else { return };
    let reference = &call.reference;
    let Some((path, version)) = reference.value.split_once('@') else { return };
    let mut parts = path.splitn(3, '/');
    if let (Some(owner), Some(name), Some(_)) = (parts.next(), parts.next(), parts.next()) {
        pinned(&format!("{owner}/{name}"), version, reference.span, look);
    }
}

fn pinned(repository: &str, reference: &str, span: Span, look: &mut Look<'_>) {
    let owner = repository.split('/').next().unwrap_or_default();
    let is_known = WELL_KNOWN.iter().any(|known| owner.eq_ignore_ascii_case(known));
    let near = |known: &&&str| strsim::damerau_levenshtein(&owner.to_ascii_lowercase(), known) == 1;
    if let Some(known) = WELL_KNOWN.iter().find(near).filter(|_| !is_known) {
        let message = format!("`{owner}` is nearly `{known}`, and somebody else");
        look.tell(&TYPOSQUAT_USES, span, message, format!("did you mean `{known}`?"));
    }
    let is_commit = reference.len() == COMMIT_DIGITS && reference.bytes().all(|byte| byte.is_ascii_hexdigit());
    let action = format!("{repository}@{reference}");
    if is_commit || look.beside.locked.contains(&action) {
        return;
    }
    let message = format!("`{action}` can be moved to other code by its owner");
    let help = "name the commit, or let `pipe lock` write it down and run with `--locked`";
    if OF_THE_FORGE.iter().any(|known| owner.eq_ignore_ascii_case(known)) {
        look.tell_pedants(&UNPINNED_USES, span, message, help);
    } else {
        look.tell(&UNPINNED_USES, span, message, help);
    }
}
