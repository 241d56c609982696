//! `hashFiles(…)`: one SHA-256 over the files that match.
//!
//! As `@actions/glob` computes it: the hash of the hashes, over files in the order of their paths, and an empty text
//! where nothing matches. See
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/expressions#hashfiles>.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};
use nix::libc::{O_NOFOLLOW, O_NONBLOCK};
use sha2::{Digest as _, Sha256};

/// How many files and folders are looked at.
const ENTRIES_MAX: usize = 1_000_000;

struct Pattern {
    matcher: GlobMatcher,
    exclude: bool,
}

/// The hash over the files below `workspace` that match; later patterns win, `!` takes out.
///
/// # Errors
/// A sentence: a bad pattern, or a file that cannot be read.
pub fn hash_files(workspace: &Path, patterns: &[String]) -> Result<String, String> {
    let patterns = patterns
        .iter()
        .flat_map(|text| text.lines())
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| pattern(workspace, line))
        .collect::<Result<Vec<_>, _>>()?;
    let mut files = Vec::new();
    let walk = walkdir::WalkDir::new(workspace).sort_by_file_name().into_iter();
    for (count, entry) in walk.enumerate() {
        if count > ENTRIES_MAX {
            return Err(format!("hashFiles looked at {ENTRIES_MAX} files; narrow the patterns or the workspace"));
        }
        let Ok(entry) = entry else { continue };
        let Ok(path) = entry.path().strip_prefix(workspace) else { continue };
        if entry.file_type().is_file() && chosen(&patterns, path) {
            files.push(entry.path().to_path_buf());
        }
    }
    if files.is_empty() {
        return Ok(String::new());
    }
    let mut all = Sha256::new();
    for file in files {
        all.update(hash(&file).map_err(|error| format!("hashFiles cannot read {}: {error}", file.display()))?);
    }
    Ok(hex(&all.finalize()))
}

fn pattern(workspace: &Path, line: &str) -> Result<Pattern, String> {
    let (exclude, text) = line.strip_prefix('!').map_or((false, line), |text| (true, text.trim()));
    let root = format!("{}/", workspace.display());
    let text = text.strip_prefix(root.as_str()).unwrap_or(text);
    let text = text.trim_start_matches("./").trim_start_matches('/').trim_end_matches('/');
    let matcher = GlobBuilder::new(text)
        .literal_separator(true)
        .backslash_escape(true)
        .build()
        .map_err(|error| format!("hashFiles cannot use the pattern `{line}`: {error}"))?
        .compile_matcher();
    Ok(Pattern { matcher, exclude })
}

/// A pattern that names a folder takes in all that lies below it.
fn chosen(patterns: &[Pattern], path: &Path) -> bool {
    let last = patterns.iter().rev().find(|pattern| {
        path.ancestors().filter(|part| !part.as_os_str().is_empty()).any(|part| pattern.matcher.is_match(part))
    });
    last.is_some_and(|pattern| !pattern.exclude)
}

/// A job may have put something else there since the folder was listed: no link is followed, and no pipe waited for.
fn hash(path: &Path) -> io::Result<impl AsRef<[u8]> + use<>> {
    let mut file = File::options().read(true).custom_flags(O_NOFOLLOW | O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no longer a plain file"));
    }
    let mut hasher = Sha256::new();
    io::copy(&mut file, &mut hasher)?;
    Ok(hasher.finalize())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _cannot_fail = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_choose_files_and_order_does_not_matter() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        for (name, text) in [("a/one.lock", "1"), ("a/b/two.lock", "2"), ("three.txt", "3")] {
            std::fs::write(root.join(name), text).unwrap();
        }
        let check = |patterns: &[&str]| {
            hash_files(root, &patterns.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap()
        };
        assert_eq!(check(&["*.lock"]), "", "a star does not cross folders");
        let both = check(&["**/*.lock"]);
        assert_eq!(both.len(), 64);
        assert_eq!(check(&["a"]), both, "a folder takes in what is below it");
        assert_eq!(check(&["a/b/two.lock", "a/one.lock"]), both);
        assert_ne!(check(&["**/*.lock\n!a/b/**"]), both);
        assert_eq!(check(&[&format!("{}/**/*.lock", root.display())]), both);
        // sha256 of sha256("3"), computed with sha256sum
        assert_eq!(check(&["three.txt"]), "80903da4e6bbdf96e8ff6fc3966b0cfd355c7e860bdd1caa8e4722d9230e40ac");
    }

    #[test]
    fn p13_links_pipes_and_paths_that_lead_out_give_nothing() {
        let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let root = folder.path();
        std::fs::write(outside.path().join("secret"), "x").unwrap();
        std::os::unix::fs::symlink(outside.path(), root.join("away")).unwrap();
        std::os::unix::fs::symlink(outside.path().join("secret"), root.join("link")).unwrap();
        std::os::unix::fs::symlink(".", root.join("circle")).unwrap();
        nix::unistd::mkfifo(&root.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let out = format!("{}/**", outside.path().display());
        for pattern in ["**", "/../../etc/**", "../**", "/etc/passwd", "away/secret", &out] {
            assert_eq!(hash_files(root, &[pattern.to_owned()]).unwrap(), "", "{pattern}");
        }
        // What was a file when the folder was listed.
        for name in ["link", "pipe"] {
            assert!(hash(&root.join(name)).is_err(), "{name}");
        }
    }
}
