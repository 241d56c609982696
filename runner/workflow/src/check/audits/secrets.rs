//! Secrets that go further than they have to.

use super::{HARDCODED_CREDENTIALS, Look, OVERPROVISIONED_SECRETS, SECRETS_INHERIT, UNREDACTED_SECRETS};
use crate::check::lines;
use crate::check::visit::{Site, sites, steps_of};
use crate::expression::{Function, Node, NodeKind, PathEnd};
use crate::model::{Job, JobKind, Secrets, StepsJob, Workflow};
use crate::template::{Token, locate};

pub(super) fn audit(workflow: &Workflow, look: &mut Look<'_>) {
    for job in workflow.jobs.values() {
        inherited(job, look);
        if let Some(steps) = steps_of(job) {
            hardcoded(steps, look);
        }
    }
    for site in sites(workflow) {
        of_expression(&site, look);
    }
}

fn inherited(job: &Job, look: &mut Look<'_>) {
    let JobKind::Call(call) = &job.kind else { return };
    if !matches!(call.secrets, Secrets::Inherit) {
        return;
    }
    let all = lines::raw(look.source, job.span);
    let key = all.find("secrets").unwrap_or_default();
    let at = all[key..].find("inherit").map_or(job.id.span, |at| job.span.part(key + at, key + at + "inherit".len()));
    let called = &call.reference.value;
    let message = format!("`{called}` is given every secret of this repository");
    let help = "name the ones that it needs: `secrets:` with `NAME: ${{ secrets.NAME }}` below it";
    if called.starts_with("./") || called.starts_with("$/") {
        look.tell_pedants(&SECRETS_INHERIT, at, message, help);
    } else {
        look.tell(&SECRETS_INHERIT, at, message, help);
    }
}

/// Passwords of registries as plain text.
fn hardcoded(steps: &StepsJob, look: &mut Look<'_>) {
    let services =
        steps.services.as_ref().and_then(Token::as_mapping).unwrap_or_default().iter().map(|(_, value)| value);
    for container in steps.container.iter().chain(services) {
        let Some(password) = container.get("credentials").and_then(|credentials| credentials.get("password")) else {
            continue;
        };
        if password.literal_text().is_some_and(|text| !text.is_empty()) {
            let message = "the password of a registry stands in the file";
            let help = "put it into a secret: `password: ${{ secrets.REGISTRY_PASSWORD }}`, and change it: it is in the history";
            look.tell(&HARDCODED_CREDENTIALS, password.span, message, help);
        }
    }
}

fn of_expression(site: &Site<'_>, look: &mut Look<'_>) {
    for path in site.expression.names().filter(|path| path.parts[0].eq_ignore_ascii_case("secrets")) {
        let is_all = path.parts.len() == 1;
        if !is_all {
            continue;
        }
        let span = locate(look.source.text(), site.span, site.expression, path.span.clone());
        let (message, help) = match path.end {
            PathEnd::Computed => (
                "which secret it is turns out only when it runs, so every one is sent to this job",
                "name the secret, or choose between names: `cond && secrets.A || secrets.B`",
            ),
            PathEnd::Whole | PathEnd::Wildcard => (
                "every secret of the repository is sent to this job",
                "name the ones that it needs: `${{ secrets.NAME }}`",
            ),
        };
        look.tell(&OVERPROVISIONED_SECRETS, span, message, help);
    }
    let parsed = site.expression.calls().filter(|(function, _)| *function == Function::FromJson);
    for (_, node) in parsed {
        let NodeKind::Call { arguments, .. } = &node.kind else { continue };
        if arguments.iter().any(is_secret) {
            let span = locate(look.source.text(), site.span, site.expression, node.span.clone());
            let message = "a part of a secret is no secret: it is not hidden in the log";
            look.tell(&UNREDACTED_SECRETS, span, message, "keep each part in a secret of its own");
        }
    }
}

fn is_secret(node: &Node) -> bool {
    matches!(&node.kind, NodeKind::Index { object, .. }
        if matches!(&object.kind, NodeKind::Context(name) if name.eq_ignore_ascii_case("secrets")))
}
