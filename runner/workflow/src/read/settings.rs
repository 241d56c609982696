//! Settings of a job that may still hold expressions: what is literal in them is checked while the file is read.
//!
//! `runs-on`, `container`, `services`, `concurrency`, `environment`, `snapshot`. None of them changes form; the model
//! keeps their tokens. Follows
//! <https://docs.github.com/en/actions/writing-workflows/workflow-syntax-for-github-actions#jobsjob_id>.

use super::checks::Checks;
use super::condition::{self, Owner};
use super::inputs::is_true;
use crate::diagnostic::Code;
use crate::expression::utf16_length;
use crate::template::{Token, TokenKind};

/// The longest name of a concurrency group, in UTF-16 code units.
pub(super) const GROUP_CHARS_MAX: usize = 400;

const DOCKER: &str = "docker://";

/// A group in which all wait and none does.
const CANCELS_AND_WAITS: Code = Code("P0118");

/// `runs-on:`: the prefix of a runner group, if it has one, is one that GitHub knows.
pub(super) fn check_runs_on(checks: &mut Checks<'_>, runs_on: &Token) {
    let Some(group) = runs_on.get("group") else { return };
    let Some(name) = group.as_str() else { return };
    let mut parts = name.split('/');
    let (prefix, rest, more) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    let Some(rest) = rest else { return };
    let known = ["org", "organization", "ent", "enterprise"].contains(&prefix);
    if rest.is_empty() && more.is_none() {
        checks.error(group.span, format!("Invalid runs-on group name '{name}'."));
    } else if more.is_some() || !known {
        let message = format!(
            "Invalid runs-on group name '{name}'. Please use 'organization/' or 'enterprise/' prefix to target a \
             single runner group."
        );
        checks.error(group.span, message);
    }
}

/// `container:` of a job; an empty image means none.
pub(super) fn check_container(checks: &mut Checks<'_>, container: &Token) {
    check_image(checks, container, false);
}

/// `services:`; each must name an image.
pub(super) fn check_services(checks: &mut Checks<'_>, services: &Token) {
    if services.has_expression() {
        return;
    }
    for (_, service) in services.as_mapping().unwrap_or_default() {
        check_image(checks, service, true);
    }
}

fn check_image(checks: &mut Checks<'_>, container: &Token, required: bool) {
    if container.has_expression() {
        return;
    }
    let written = container.as_str().or_else(|| container.get("image").and_then(Token::as_str));
    let image = written.unwrap_or_default();
    let bare = image.strip_prefix(DOCKER).unwrap_or(image);
    if bare.is_empty() && (required || image.starts_with(DOCKER)) {
        checks.error(container.span, "Container image cannot be empty");
    }
}

/// `concurrency:` of a workflow or a job: the group's name is not too long, and who comes either cancels or waits.
pub(super) fn check_concurrency(checks: &mut Checks<'_>, concurrency: &Token) {
    let group = concurrency.as_str().or_else(|| concurrency.get("group").and_then(Token::as_str));
    if group.is_some_and(|group| utf16_length(group) > GROUP_CHARS_MAX) {
        checks
            .error(concurrency.span, format!("Concurrency group name must be less than {GROUP_CHARS_MAX} characters"));
    }
    let queue = concurrency.get("queue").filter(|queue| queue.as_str() == Some("max"));
    if let Some(queue) = queue.filter(|_| is_true(concurrency.get("cancel-in-progress"))) {
        let message = "`queue: max` and `cancel-in-progress: true` cannot both be given for one group";
        checks.refuse(
            CANCELS_AND_WAITS,
            queue.span,
            message,
            "remove one of them: with `cancel-in-progress` nothing waits",
        );
    }
}

/// `snapshot:`: its condition can be read and its version is of the form `1.*`.
pub(super) fn check_snapshot(checks: &mut Checks<'_>, snapshot: &Token) {
    for (key, value) in snapshot.as_mapping().unwrap_or_default() {
        match (key.as_str(), &value.kind) {
            // An expression leaves the rest to the time when it is evaluated.
            (Some("image-name" | "version"), TokenKind::Expression(_)) => return,
            (Some("if"), _) => {
                condition::read(checks, value, Owner::Snapshot);
            }
            (Some("version"), TokenKind::String(version)) if !is_image_version(version) => {
                let message = format!("Expected format '{{major-version}}.*' Actual '{version}'");
                checks.error(snapshot.span, message);
                return;
            }
            _ => {}
        }
    }
    if snapshot.as_str().is_none() && !snapshot.has_expression() && snapshot.get("image-name").is_none() {
        checks.error(snapshot.span, "job snapshot image-name is required.");
    }
}

fn is_image_version(version: &str) -> bool {
    let Some((major, "*")) = version.split_once('.') else { return false };
    !major.is_empty() && major.bytes().all(|byte| byte.is_ascii_digit()) && major.parse::<i32>().is_ok()
}
