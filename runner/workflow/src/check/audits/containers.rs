//! Images whose content may change under the same name.

use super::{Look, UNPINNED_IMAGES};
use crate::model::StepsJob;
use crate::source::Span;
use crate::template::Token;

pub(super) fn of_job(job: &StepsJob, look: &mut Look<'_>) {
    let services = job.services.as_ref().and_then(Token::as_mapping).unwrap_or_default().iter().map(|(_, value)| value);
    for container in job.container.iter().chain(services) {
        let image = container.get("image").unwrap_or(container);
        if let Some(name) = image.as_str() {
            of_image(name, image.span, look);
        }
    }
}

pub(super) fn of_image(name: &str, span: Span, look: &mut Look<'_>) {
    let name = name.trim_start_matches("docker://");
    if name.is_empty() || name.contains('@') {
        return;
    }
    let tag = name.rsplit('/').next().and_then(|last| last.split_once(':')).map(|(_, tag)| tag);
    let help = "name its digest: `image:tag@sha256:…`; `docker buildx imagetools inspect IMAGE` prints it";
    match tag {
        None | Some("latest") => {
            look.tell(&UNPINNED_IMAGES, span, format!("`{name}` is another image after its next release"), help);
        }
        Some(_) => {
            look.tell_pedants(
                &UNPINNED_IMAGES,
                span,
                format!("the tag of `{name}` can be moved to another image"),
                help,
            );
        }
    }
}
