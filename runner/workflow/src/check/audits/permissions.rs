//! Tokens that may do more than their jobs need.
//! See <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#permissions>.

use super::{EXCESSIVE_PERMISSIONS, Look};
use crate::model::{Job, PermissionLevel, Permissions, Workflow};
use crate::source::Span;

const HELP_ALL: &str = "name what is needed, such as `permissions: {contents: read}`, at the job that needs it; what is not named is taken away";

const QUOTES: [char; 2] = ['"', '\''];

pub(super) fn audit(workflow: &Workflow, look: &mut Look<'_>) {
    let own = written(look, whole(look), 0);
    match (&workflow.permissions, own) {
        (Some(permissions), span) => of_all(permissions, span.unwrap_or(workflow.on.span), workflow, look),
        (None, _) => {
            let lack = |job: &&Job| job.permissions.is_none();
            if workflow.jobs.values().any(|job| lack(&job)) && !is_only_called(workflow) {
                let message = "there are no `permissions`: the token may do what the repository's settings say, perhaps write everywhere";
                let help = "write `permissions: {}` at the top, and at each job what it needs";
                look.tell_pedants(&EXCESSIVE_PERMISSIONS, workflow.on.span, message, help);
            }
        }
    }
    for job in workflow.jobs.values() {
        // What cannot be found, in a mapping on one line, is the job's own where the workflow's is another.
        let is_own = job.permissions != workflow.permissions;
        let Some(span) = of_job(look, job).or_else(|| is_own.then_some(job.id.span)) else { continue };
        match job.permissions {
            Some(Permissions::WriteAll) => {
                let message = format!("job `{}` may write everywhere", job.id.value);
                look.tell(&EXCESSIVE_PERMISSIONS, span, message, HELP_ALL);
            }
            Some(Permissions::ReadAll) => {
                let message = format!("job `{}` may read everything", job.id.value);
                look.tell_pedants(&EXCESSIVE_PERMISSIONS, span, message, HELP_ALL);
            }
            Some(Permissions::Scopes(_)) | None => {}
        }
    }
}

/// Whether only other workflows start it: then their permissions hold.
fn is_only_called(workflow: &Workflow) -> bool {
    workflow.on.entries.keys().all(|event| event == "workflow_call")
}

fn of_all(permissions: &Permissions, span: Span, workflow: &Workflow, look: &mut Look<'_>) {
    match permissions {
        Permissions::WriteAll => look.tell(&EXCESSIVE_PERMISSIONS, span, "every job may write everywhere", HELP_ALL),
        Permissions::ReadAll => {
            look.tell_pedants(&EXCESSIVE_PERMISSIONS, span, "every job may read everything", HELP_ALL);
        }
        Permissions::Scopes(scopes) => {
            let writes: Vec<String> = scopes
                .iter()
                .filter(|(_, level)| **level == PermissionLevel::Write)
                .map(|(scope, _)| format!("`{scope}: write`"))
                .collect();
            if writes.is_empty() {
                return;
            }
            let message = format!("{} holds for every job", writes.join(", "));
            let help = "move it to the jobs that need it";
            if workflow.jobs.len() > 1 {
                look.tell(&EXCESSIVE_PERMISSIONS, span, message, help);
            } else {
                look.tell_pedants(&EXCESSIVE_PERMISSIONS, span, message, help);
            }
        }
    }
}

/// Where a job has its own: its keys stand as deep as the first one below its id, those of its steps deeper.
fn of_job(look: &Look<'_>, job: &Job) -> Option<Span> {
    let end = job.span.end as usize;
    let text = look.source.text().get(job.id.span.end as usize..end)?;
    let below = text.find('\n')? + 1;
    let is_key = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let first = text[below..].lines().find(is_key)?;
    let indent = first.len() - first.trim_start_matches(' ').len();
    let start = job.id.span.end + u32::try_from(below).ok()?;
    written(look, Span::new(look.file, start, job.span.end), indent)
}

fn whole(look: &Look<'_>) -> Span {
    Span::new(look.file, 0, u32::try_from(look.source.text().len()).unwrap_or(u32::MAX))
}

/// Where `permissions` is written within a place, in this many columns from the left.
fn written(look: &Look<'_>, within: Span, indent: usize) -> Option<Span> {
    let from = within.start as usize;
    let text = look.source.text().get(from..within.end as usize)?;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let key = line.trim_start_matches(' ');
        let start = at + line.len() - key.len();
        let after = key.trim_start_matches(QUOTES).strip_prefix("permissions");
        let is_key = after.is_some_and(|after| after.trim_start_matches(QUOTES).trim_start().starts_with(':'));
        if is_key && line.len() - key.len() == indent {
            let shown = key.split(" #").next().unwrap_or_default().trim_end();
            return Some(within.part(start, start + shown.len()));
        }
        at += line.len();
    }
    None
}
