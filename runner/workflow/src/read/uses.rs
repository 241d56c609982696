//! `uses:` of a step: a Docker image, a folder of the repository, another repository's action, or one of our own.
//!
//! Nothing is fetched here. Follows
//! <https://docs.github.com/en/actions/writing-workflows/workflow-syntax-for-github-actions#jobsjob_idstepsuses>.

use crate::model::Uses;

const DOCKER: &str = "docker://";

/// The owner whose repositories are the actions that come with `pipe`.
const BUILT_IN: &str = "pipe";

/// Reads what stands after `uses:`, or says in GitHub's words what was expected.
pub(super) fn parse(text: &str) -> Result<Uses, String> {
    if let Some(image) = text.strip_prefix(DOCKER) {
        return Ok(Uses::Docker { image: image.to_owned() });
    }
    if ["./", ".\\"].iter().any(|prefix| text.starts_with(prefix)) || is_self_repository(text) {
        return Ok(Uses::Local { path: text.to_owned() });
    }
    remote(text).ok_or_else(|| format!("Expected format {{org}}/{{repo}}[/path]@ref. Actual '{text}'"))
}

/// What the generated id of a step with that `uses:` is made from.
pub(super) fn id_name(uses: &Uses) -> String {
    match uses {
        Uses::Docker { image } if image.is_empty() => "run".to_owned(),
        Uses::Docker { image } => image.clone(),
        Uses::Local { path } if is_self_repository(path) => "selfRepository".to_owned(),
        Uses::Local { .. } => "self".to_owned(),
        Uses::Repository { repository, .. } => repository.clone(),
        Uses::BuiltIn { name, .. } => format!("{BUILT_IN}/{name}"),
    }
}

/// `$/path`: from the root of the repository that the workflow itself is in, `$/` that root. See
/// <https://github.blog/changelog/2026-07-30-reference-same-repository-actions-with-self-repository-syntax/>.
fn is_self_repository(text: &str) -> bool {
    text.starts_with("$/")
}

fn remote(text: &str) -> Option<Uses> {
    let Some((path, reference)) = text.split_once('@') else { return own(text) };
    if reference.is_empty() || reference.contains('@') {
        return None;
    }
    let mut segments = path.split(['/', '\\']).filter(|segment| !segment.is_empty());
    let (owner, name) = (segments.next()?, segments.next()?);
    let rest: Vec<&str> = segments.collect();
    // GitHub takes them, and would look beside the repository.
    if [owner, name].iter().chain(&rest).any(|segment| matches!(*segment, "." | "..")) {
        return None;
    }
    let reference = reference.to_owned();
    if owner == BUILT_IN && rest.is_empty() {
        return Some(Uses::BuiltIn { name: name.to_owned(), reference });
    }
    Some(Uses::Repository { repository: format!("{owner}/{name}"), path: rest.join("/"), reference })
}

/// One of ours without a version: the one that this program has, and there is no other.
fn own(text: &str) -> Option<Uses> {
    let (owner, name) = text.split_once('/')?;
    let is_name = !name.is_empty() && !name.contains(['/', '\\']);
    (owner == BUILT_IN && is_name).then(|| Uses::BuiltIn { name: name.to_owned(), reference: String::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_told_apart() {
        for (text, id) in [
            ("docker://alpine:3.8", "alpine:3.8"),
            ("docker://", "run"),
            ("./.github/actions/a", "self"),
            (".\\a", "self"),
            ("$/a", "selfRepository"),
            ("$/", "selfRepository"),
            ("actions/aws/ec2@main", "actions/aws"),
            ("actions/checkout@v4", "actions/checkout"),
            ("pipe/docker-build@v1", "pipe/docker-build"),
            ("pipe/docker-build", "pipe/docker-build"),
        ] {
            let uses = parse(text).unwrap_or_else(|message| panic!("{text}: {message}"));
            assert_eq!(id_name(&uses), id, "{text}");
            assert_eq!(uses.text(), text);
        }
        for text in [
            "$$docker://alpine:3.8",
            "...docker://a",
            "badrepo@invalid",
            "a/b",
            "a/b@",
            "a/b@c@d",
            "",
            "$",
            "a/b/../../c@d",
            "a/..@b",
        ]
        .into_iter()
        .chain(["pipe/", "pipe", "pipe/a/b", "pipe/scan@", "Pipe/scan"])
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
