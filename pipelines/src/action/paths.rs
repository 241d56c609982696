//! Paths that a step names: below the workspace, as its job sees it or relative to it.

use std::path::{Component, Path, PathBuf};

/// A path below the workspace, relative to it. `inside` is where the job has its workspace.
///
/// # Errors
/// It leads out of the workspace; a sentence that names the input.
pub(super) fn below(input: &str, text: &str, inside: &str) -> Result<PathBuf, String> {
    let relative = match text.strip_prefix(inside) {
        Some("") => "",
        Some(rest) if rest.starts_with('/') => rest.trim_start_matches('/'),
        Some(_) | None => text,
    };
    let mut path = PathBuf::new();
    for part in Path::new(relative).components() {
        let stays = match part {
            Component::Normal(name) => {
                path.push(name);
                true
            }
            Component::CurDir => true,
            Component::ParentDir => path.pop(),
            Component::RootDir | Component::Prefix(_) => false,
        };
        if !stays {
            return Err(format!("`{input}: {text}` is outside of the workspace ({inside})"));
        }
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_in_the_workspace() {
        for (text, expected) in [
            ("a/b", Some("a/b")),
            ("./a/../b", Some("b")),
            ("/w/r/r/a", Some("a")),
            ("/w/r/r", Some("")),
            ("", Some("")),
            ("/w/r/rest", None),
            ("../a", None),
            ("a/../../b", None),
            ("/etc/passwd", None),
        ] {
            assert_eq!(below("context", text, "/w/r/r").ok(), expected.map(PathBuf::from), "{text}");
        }
    }
}
