//! Images whose content may change under the same name.

use super::{Look, UNPINNED_IMAGES};
use crate::check::lines;
use crate::model::{Job, StepsJob};
use crate::source::Span;
use crate::template::Token;

const HELP: &str = "name its digest: `image:tag@sha256:…`; `docker buildx imagetools inspect IMAGE` prints it";

pub(super) fn of_job(job: &Job, steps: &StepsJob, look: &mut Look<'_>) {
    let services =
        steps.services.as_ref().and_then(Token::as_mapping).unwrap_or_default().iter().map(|(_, value)| value);
    for container in steps.container.iter().chain(services) {
        let image = container.get("image").unwrap_or(container);
        match image.as_str() {
            Some(name) => of_image(name, image.span, look),
            None => of_expression(image, job, look),
        }
    }
}

/// `image: node:${{ matrix.node }}`
fn of_expression(image: &Token, job: &Job, look: &mut Look<'_>) {
    let Some(expression) = image.as_expression() else { return };
    let written = lines::raw(look.source, image.span);
    if written.contains("@sha256:") {
        return;
    }
    let of_matrix = expression.text().trim().strip_prefix("matrix.").and_then(|path| path.rsplit('.').next());
    let mut legs = Vec::new();
    if let (Some(key), Some(strategy)) = (of_matrix, &job.strategy) {
        values_of(key, &strategy.token, false, &mut legs);
    }
    if !legs.is_empty() && legs.iter().all(|name| name.is_empty() || name.contains('@')) {
        return;
    }
    let message = format!("which image `{written}` is turns out only when it runs");
    look.tell_pedants(&UNPINNED_IMAGES, image.span, message, HELP);
}

/// The texts that a matrix has for a key; of what is no plain text, that it is none.
fn values_of<'a>(key: &str, within: &'a Token, is_below: bool, found: &mut Vec<&'a str>) {
    for (name, value) in within.as_mapping().unwrap_or_default() {
        let is_it = name.as_str().is_some_and(|name| name.eq_ignore_ascii_case(key));
        values_of(key, value, is_below || is_it, found);
    }
    for item in within.as_sequence().unwrap_or_default() {
        values_of(key, item, is_below, found);
    }
    if is_below && within.as_mapping().is_none() && within.as_sequence().is_none() {
        found.push(within.as_str().unwrap_or("unknown"));
    }
}

pub(super) fn of_image(name: &str, span: Span, look: &mut Look<'_>) {
    let name = name.trim_start_matches("docker://");
    if name.is_empty() || name.contains('@') {
        return;
    }
    let tag = name.rsplit('/').next().and_then(|last| last.split_once(':')).map(|(_, tag)| tag);
    match tag {
        None | Some("latest") => {
            look.tell(&UNPINNED_IMAGES, span, format!("`{name}` is another image after its next release"), HELP);
        }
        Some(_) => {
            look.tell_pedants(
                &UNPINNED_IMAGES,
                span,
                format!("the tag of `{name}` can be moved to another image"),
                HELP,
            );
        }
    }
}
