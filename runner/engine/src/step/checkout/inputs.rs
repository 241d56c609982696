//! Inputs of `actions/checkout`, checked.

use std::path::{Component, PathBuf};

use workflow::catalogue::{Form, SWITCH, Wrong};

use crate::git::Depth;
use crate::step::{ActionCall, InputFacts};

/// Its inputs, in the order of its page.
pub const INPUTS: &[InputFacts] = &[
    input("repository", "", "The repository, `owner/name`; only that of the run"),
    input("ref", "", "The branch, tag or commit; without it a local run gets the files as they lie in the folder"),
    input("token", "", "Not needed: nothing is fetched over a network"),
    input("ssh-key", "", "Not needed: nothing is fetched over a network"),
    input("ssh-known-hosts", "", "Not needed: nothing is fetched over a network"),
    input("ssh-strict", "true", "Not needed: nothing is fetched over a network"),
    input("ssh-user", "git", "Not needed: nothing is fetched over a network"),
    input("persist-credentials", "true", "Nothing to do: no credentials are used, so none are left in `.git/config`"),
    input("path", "", "Folder below the workspace"),
    switch("clean", "true", "Whether whatever is in the folder is removed first"),
    input("filter", "", "Partial clone; ignored, since nothing is fetched"),
    input("sparse-checkout", "", "Folders to check out, one a line; the files beside and above them come along"),
    switch("sparse-checkout-cone-mode", "true", "Whether `sparse-checkout` names folders; patterns are not supported"),
    input("fetch-depth", "1", "How many commits; 0 for all history of all branches and tags")
        .form(Form::Read(|_, text| Wrong::of(depth(text)))),
    switch("fetch-tags", "false", "Whether tags come along although `fetch-depth` is above 0"),
    input("show-progress", "true", "Ignored: it takes milliseconds"),
    switch("lfs", "false", "Whether files in Git LFS are wanted: only as they lie in the folder"),
    input("submodules", "false", "`true` or `recursive`: submodules that are checked out in the repository's folder")
        .form(SUBMODULES),
    input("set-safe-directory", "true", "Ignored: git in containers trusts the workspace"),
    input("github-server-url", "", "Ignored: nothing is fetched"),
    input("allow-unsafe-pr-checkout", "false", "Ignored: only the run's own repository is checked out"),
];

/// Its outputs: name and description.
pub const OUTPUTS: &[(&str, &str)] =
    &[("ref", "The branch, tag or commit that was checked out"), ("commit", "The commit that was checked out")];

const fn input(name: &'static str, default: &'static str, description: &'static str) -> InputFacts {
    InputFacts::new(name, default, description)
}

/// One that is `true` or `false`, as GitHub's action takes them.
const fn switch(name: &'static str, default: &'static str, description: &'static str) -> InputFacts {
    input(name, default, description).form(Form::AnyCase(SWITCH))
}

/// What submodules may be.
const SUBMODULES: Form = Form::AnyCase(&["true", "false", "recursive"]);

/// Which submodules are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Submodules {
    None,
    Direct,
    Recursive,
    /// Those that are here, with theirs: for who does not write which.
    Present,
}

/// The inputs that change what happens.
#[derive(Debug, Clone)]
pub(super) struct Inputs {
    pub(super) reference: Option<String>,
    pub(super) path: PathBuf,
    pub(super) clean: bool,
    pub(super) depth: Depth,
    pub(super) tags: bool,
    pub(super) lfs: bool,
    pub(super) submodules: Submodules,
    /// Folders of a sparse checkout.
    pub(super) sparse: Option<Vec<PathBuf>>,
    pub(super) warnings: Vec<String>,
}

impl Inputs {
    /// Those of a step that writes none.
    pub(super) const fn none() -> Self {
        Self {
            reference: None,
            path: PathBuf::new(),
            clean: true,
            depth: Depth::Commits(1),
            tags: false,
            lfs: false,
            submodules: Submodules::None,
            sparse: None,
            warnings: Vec::new(),
        }
    }

    pub(super) fn of(call: &ActionCall<'_>) -> Result<Self, String> {
        let text = |name: &str| call.inputs.get(name).map_or("", |value| value.trim());
        let repository = text("repository");
        if !repository.is_empty() && !repository.eq_ignore_ascii_case(&call.repository.name) {
            return Err(format!(
                "`repository: {repository}` is not the repository of this run ({}), and this version checks out no other",
                call.repository.name
            ));
        }
        let depth = depth(text("fetch-depth"))?;
        let submodules = match text("submodules").to_ascii_lowercase().as_str() {
            "" | "false" => Submodules::None,
            "true" => Submodules::Direct,
            "recursive" => Submodules::Recursive,
            other => return Err(format!("`submodules` must be true, false or recursive, not `{other}`")),
        };
        let sparse =
            sparse(text("sparse-checkout"), boolean("sparse-checkout-cone-mode", text("sparse-checkout-cone-mode"))?)?;
        Ok(Self {
            reference: reference(call.inputs.get("ref").map_or("", String::as_str)),
            path: below(text("path"), &call.workspace.inside)?,
            clean: boolean("clean", text("clean"))?,
            depth,
            tags: boolean("fetch-tags", text("fetch-tags"))?,
            lfs: boolean("lfs", text("lfs"))?,
            submodules,
            sparse,
            warnings: Vec::new(),
        })
    }

    /// Whether a file is part of the checkout: in cone mode, those in the named folders, those beside these folders and
    /// those above. See <https://git-scm.com/docs/git-sparse-checkout#_internalscone_mode_handling>.
    pub(super) fn keeps(&self, path: &std::path::Path) -> bool {
        let Some(folders) = &self.sparse else { return true };
        let parent = path.parent().unwrap_or(std::path::Path::new(""));
        folders.iter().any(|folder| path.starts_with(folder) || folder.starts_with(parent))
            || parent.as_os_str().is_empty()
    }
}

fn depth(text: &str) -> Result<Depth, String> {
    match text.trim() {
        "" => Ok(Depth::Commits(1)),
        number => match number.parse::<i64>() {
            // As in GitHub's action: below 0 means all.
            Ok(number) if number <= 0 => Ok(Depth::Full),
            Ok(number) => Ok(Depth::Commits(u32::try_from(number).unwrap_or(u32::MAX))),
            Err(_) => Err(format!("`fetch-depth` must be a number, not `{number}`")),
        },
    }
}

fn boolean(name: &str, text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" | "" => Ok(false),
        other => Err(format!("`{name}` must be true or false, not `{other}`")),
    }
}

fn sparse(text: &str, cone: bool) -> Result<Option<Vec<PathBuf>>, String> {
    let lines: Vec<&str> =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    if lines.is_empty() {
        return Ok(None);
    }
    if !cone || lines.iter().any(|line| line.contains(['*', '?', '[', '!'])) {
        return Err(
            "`sparse-checkout` takes folders only in this version, not patterns (`sparse-checkout-cone-mode: false`)"
                .into(),
        );
    }
    Ok(Some(lines.into_iter().map(|line| PathBuf::from(line.trim_matches('/'))).collect()))
}

/// `path:` relative to the workspace.
fn below(text: &str, workspace: &str) -> Result<PathBuf, String> {
    let outside = || format!("Repository path '{text}' is not under '{workspace}'");
    let relative = match text.strip_prefix(workspace) {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => rest.trim_start_matches('/'),
        Some(_) | None if text.starts_with('/') => return Err(outside()),
        Some(_) | None => text,
    };
    let mut path = PathBuf::new();
    for part in std::path::Path::new(relative).components() {
        match part {
            Component::Normal(name) => path.push(name),
            Component::CurDir => {}
            Component::ParentDir => {
                if !path.pop() {
                    return Err(outside());
                }
            }
            Component::RootDir | Component::Prefix(_) => return Err(outside()),
        }
    }
    Ok(path)
}

/// What `ref:` names. A branch may begin with white space of Unicode, and must not become the commit that the rest of its
/// name looks like: only what no ref may hold is taken away.
fn reference(text: &str) -> Option<String> {
    let text = text.trim_matches(|letter: char| letter.is_ascii_whitespace());
    Some(text.to_owned()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let check = |text: &str, expect: Result<&str, &str>| {
            let got = below(text, "/w/r");
            assert_eq!(got, expect.map(PathBuf::from).map_err(str::to_owned), "{text}");
        };
        check("", Ok(""));
        check(".", Ok(""));
        check("sub/./dir/", Ok("sub/dir"));
        check("sub/../other", Ok("other"));
        check("/w/r/sub", Ok("sub"));
        check("../x", Err("Repository path '../x' is not under '/w/r'"));
        check("a/../../x", Err("Repository path 'a/../../x' is not under '/w/r'"));
        check("/w/rest", Err("Repository path '/w/rest' is not under '/w/r'"));
        check("/etc", Err("Repository path '/etc' is not under '/w/r'"));
    }
}
