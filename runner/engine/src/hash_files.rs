//! `hashFiles(…)`: one SHA-256 over the files that match.
//!
//! As `@actions/glob` computes it: the hash of the hashes, over files in the order of the patterns' folders and below them of
//! their paths, and an empty text where nothing matches. A link to a file is the file, a folder behind a link is looked
//! into only with `--follow-symbolic-links` as the first argument. What lies outside of the workspace gives nothing. See
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/expressions#hashfiles>.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use sha2::{Digest as _, Sha256};
use walkdir::{DirEntry, WalkDir};

/// How many files and folders are looked at.
const ENTRIES_MAX: usize = 1_000_000;
/// The only option, the first argument if it is given.
const FOLLOW: &str = "--follow-symbolic-links";

struct Pattern {
    matcher: GlobMatcher,
    exclude: bool,
    /// The folders, or the whole path, before anything that stands for more than itself.
    start: PathBuf,
}

/// The hash over the files below `workspace` that match, which the job knows as `inside`; later patterns win, `!` takes out.
///
/// # Errors
/// A sentence: a bad pattern, or a file that cannot be read.
pub fn hash_files(workspace: &Path, inside: &str, arguments: &[String]) -> Result<String, String> {
    let (follow, texts) = match arguments.split_first() {
        Some((first, rest)) if first.eq_ignore_ascii_case(FOLLOW) => (true, rest),
        Some((first, _)) if first.starts_with("--") => return Err(format!("the only option is {FOLLOW}, not {first}")),
        Some(_) | None => (false, arguments),
    };
    let roots = [inside.to_owned(), workspace.display().to_string()];
    let lines = texts.iter().flat_map(|text| text.lines()).map(str::trim);
    let patterns = lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .filter_map(|line| pattern(&roots, line).transpose())
        .collect::<Result<Vec<_>, _>>()?;
    let files = files(workspace, follow, &patterns)?;
    if files.is_empty() {
        return Ok(String::new());
    }
    let folder = File::open(workspace).map_err(|error| format!("hashFiles cannot open the workspace: {error}"))?;
    let (mut all, mut any) = (Sha256::new(), false);
    for Found { path, is_link } in files {
        let hashed = hash(&folder, &path, is_link);
        let hashed = hashed.map_err(|error| format!("hashFiles cannot read {}: {error}", path.display()))?;
        if let Some(hash) = hashed {
            all.update(hash);
            any = true;
        }
    }
    Ok(if any { hex(&all.finalize()) } else { String::new() })
}

struct Found {
    /// From the workspace.
    path: PathBuf,
    is_link: bool,
}

fn files(workspace: &Path, follow: bool, patterns: &[Pattern]) -> Result<Vec<Found>, String> {
    let root = workspace.canonicalize().unwrap_or_else(|_| workspace.to_path_buf());
    let stays = |entry: &DirEntry| {
        !follow || !entry.path_is_symlink() || entry.path().canonicalize().is_ok_and(|path| path.starts_with(&root))
    };
    let walk = WalkDir::new(workspace).follow_links(follow).sort_by_file_name().into_iter().filter_entry(stays);
    let mut files = Vec::new();
    for (count, entry) in walk.enumerate() {
        if count > ENTRIES_MAX {
            return Err(format!("hashFiles looked at {ENTRIES_MAX} files; narrow the patterns or the workspace"));
        }
        let Ok(entry) = entry else { continue };
        let Ok(path) = entry.path().strip_prefix(workspace) else { continue };
        let kind = entry.file_type();
        if (kind.is_file() || kind.is_symlink()) && chosen(patterns, path) {
            files.push(Found { path: path.to_path_buf(), is_link: entry.path_is_symlink() });
        }
    }
    let starts = starts(patterns);
    files.sort_by_key(|file| starts.iter().position(|start| file.path.starts_with(start)));
    Ok(files)
}

/// Where the search begins, in the order of the patterns; what lies below another is searched with it.
fn starts(patterns: &[Pattern]) -> Vec<&Path> {
    let all: Vec<&Path> = patterns.iter().filter(|one| !one.exclude).map(|one| one.start.as_path()).collect();
    let below = |start: &Path| all.iter().any(|other| *other != start && start.starts_with(other));
    all.iter().copied().filter(|start| !below(start)).collect()
}

/// Nothing for a pattern of what lies outside of the workspace.
fn pattern(roots: &[String; 2], line: &str) -> Result<Option<Pattern>, String> {
    let (exclude, text) = line.strip_prefix('!').map_or((false, line), |text| (true, text.trim()));
    let below =
        |root: &String| text.strip_prefix(root.as_str()).filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let text = match roots.iter().find_map(below) {
        Some(rest) => rest,
        None if text.starts_with('/') || text == "~" || text.starts_with("~/") => return Ok(None),
        None => text,
    };
    let text = text.trim_start_matches("./").trim_matches('/');
    let text = if matches!(text, "" | ".") { "**" } else { text };
    let matcher = GlobBuilder::new(&without_alternatives(text))
        .literal_separator(true)
        .backslash_escape(true)
        .build()
        .map_err(|error| format!("hashFiles cannot use the pattern `{line}`: {error}"))?
        .compile_matcher();
    let start = text.split('/').take_while(|part| !part.contains(['*', '?', '['])).collect();
    Ok(Some(Pattern { matcher, exclude, start }))
}

/// Braces stand for themselves in GitHub's patterns.
fn without_alternatives(text: &str) -> String {
    let (mut literal, mut in_class) = (String::with_capacity(text.len()), false);
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => {
                literal.push(character);
                literal.extend(characters.next());
                continue;
            }
            '[' => in_class = true,
            ']' => in_class = false,
            '{' | '}' if !in_class => literal.push('\\'),
            _ => {}
        }
        literal.push(character);
    }
    literal
}

/// A pattern that names a folder takes in all that lies below it.
fn chosen(patterns: &[Pattern], path: &Path) -> bool {
    let last = patterns.iter().rev().find(|pattern| {
        path.ancestors().filter(|part| !part.as_os_str().is_empty()).any(|part| pattern.matcher.is_match(part))
    });
    last.is_some_and(|pattern| !pattern.exclude)
}

/// The hash of a file; nothing for a folder, for a link to nothing, and for what leads out of the workspace. A job may have put
/// something else there since the folder was listed: nothing outside is read, and no pipe waited for.
fn hash(folder: &File, path: &Path, is_link: bool) -> io::Result<Option<impl AsRef<[u8]> + use<>>> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let inside = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    let mut file = match openat2(folder, path, OpenHow::new().flags(flags).resolve(inside)) {
        Ok(descriptor) => File::from(descriptor),
        Err(Errno::EXDEV | Errno::ELOOP) => return Ok(None),
        Err(Errno::ENOENT | Errno::ENXIO) if is_link => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if !file.metadata()?.is_file() {
        return Ok(None);
    }
    let mut hasher = Sha256::new();
    io::copy(&mut file, &mut hasher)?;
    Ok(Some(hasher.finalize()))
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

    const INSIDE: &str = "/__w/demo/demo";

    fn hashed(root: &Path, patterns: &[&str]) -> String {
        hash_files(root, INSIDE, &patterns.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap()
    }

    /// The hash of the hashes of these texts.
    fn expected(texts: &[&str]) -> String {
        let all = texts.iter().fold(Sha256::new(), |all, text| all.chain_update(Sha256::digest(text)));
        hex(&all.finalize())
    }

    fn workspace(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }

    #[test]
    fn patterns_choose_files_in_the_order_of_where_they_begin() {
        let files =
            [("a/one.lock", "1"), ("a/b/two.lock", "2"), ("three.txt", "3"), ("{x,y}.txt", "4"), ("x.txt", "5")];
        let folder = workspace(&files);
        let root = folder.path();
        let absolute = format!("{}/**/*.lock", root.display());
        let tables: [(&[&str], &[&str]); 17] = [
            (&["*.lock"], &[]),
            (&["**/*.lock"], &["2", "1"]),
            (&["a"], &["2", "1"]),
            (&["a/"], &["2", "1"]),
            (&["./a/**"], &["2", "1"]),
            (&["a/b/two.lock", "a/one.lock"], &["2", "1"]),
            (&["a/one.lock", "a/b/two.lock"], &["1", "2"]),
            (&["three.txt", "a/*.lock"], &["3", "1"]),
            (&["a/one.lock", "a", "three.txt"], &["2", "1", "3"]),
            (&["**/*.lock\n!a/b/**"], &["1"]),
            (&["**", "!*.txt", "x.txt"], &["2", "1", "5"]),
            (&[absolute.as_str()], &["2", "1"]),
            (&["/__w/demo/demo/a/one.lock"], &["1"]),
            (&["/__w/demo/demo", "!/__w/demo/demo/*.txt"], &["2", "1"]),
            (&["/__w/demo/demo2/three.txt", "/three.txt", "~/three.txt"], &[]),
            (&["{x,y}.txt"], &["4"]),
            (&["."], &["2", "1", "3", "5", "4"]),
        ];
        for (patterns, texts) in tables {
            let expected = if texts.is_empty() { String::new() } else { expected(texts) };
            assert_eq!(hashed(root, patterns), expected, "{patterns:?}");
        }
        // sha256 of sha256("3"), computed with sha256sum
        assert_eq!(hashed(root, &["three.txt"]), "80903da4e6bbdf96e8ff6fc3966b0cfd355c7e860bdd1caa8e4722d9230e40ac");
        let error = hash_files(root, INSIDE, &["--follow".to_owned(), "a".to_owned()]).unwrap_err();
        assert_eq!(error, "the only option is --follow-symbolic-links, not --follow");
    }

    #[test]
    fn links_to_files_are_the_files_and_folders_behind_links_are_asked_for() {
        let folder = workspace(&[("real/one", "1"), ("real/two", "2")]);
        let root = folder.path();
        for (target, name) in [("real/one", "link"), ("real", "away"), ("nowhere", "broken"), (".", "circle")] {
            std::os::unix::fs::symlink(target, root.join(name)).unwrap();
        }
        assert_eq!(hashed(root, &["link"]), expected(&["1"]));
        assert_eq!(
            hashed(root, &["*"]),
            expected(&["1", "1", "2"]),
            "what a folder of the first level holds, and a link"
        );
        assert_eq!(hashed(root, &["away/**"]), "");
        assert_eq!(hashed(root, &["broken"]), "");
        assert_eq!(hashed(root, &["--follow-symbolic-links", "away/**"]), expected(&["1", "2"]));
    }

    #[test]
    fn p13_links_pipes_and_paths_that_lead_out_give_nothing() {
        let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let root = folder.path();
        std::fs::write(outside.path().join("secret"), "x").unwrap();
        std::os::unix::fs::symlink(outside.path(), root.join("away")).unwrap();
        std::os::unix::fs::symlink(outside.path().join("secret"), root.join("link")).unwrap();
        std::os::unix::fs::symlink("/proc/self/root/etc/passwd", root.join("magic")).unwrap();
        std::os::unix::fs::symlink("../".repeat(20) + "etc/passwd", root.join("up")).unwrap();
        std::os::unix::fs::symlink(".", root.join("circle")).unwrap();
        nix::unistd::mkfifo(&root.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        std::os::unix::fs::symlink("pipe", root.join("to-pipe")).unwrap();
        let out = format!("{}/**", outside.path().display());
        for pattern in ["**", "/../../etc/**", "../**", "/etc/passwd", "away/secret", "away", "link", "up", &out] {
            assert_eq!(hashed(root, &[pattern]), "", "{pattern}");
            assert_eq!(hashed(root, &[FOLLOW, pattern]), "", "{pattern}, links followed");
        }
        // What was a file when the folder was listed.
        let opened = File::open(root).unwrap();
        for name in ["link", "pipe", "up", "magic"] {
            assert!(hash(&opened, Path::new(name), false).unwrap().is_none(), "{name}");
        }
    }
}
