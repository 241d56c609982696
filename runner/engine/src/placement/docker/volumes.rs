//! `volumes:` of a container: named volumes of the job, anonymous ones, and folders inside the workspace.
//!
//! Other folders of the machine are refused unless the configuration names a folder above them. Follows
//! <https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idcontainervolumes>.

use std::path::{Path, PathBuf};

use crate::placement::{Mount, PlacementError};

/// An entry that was allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Volume {
    /// A volume that lives as long as its job; `name` is that in the workflow.
    Named { name: String, inside: String, read_only: bool },
    /// A volume without a name.
    Anonymous { inside: String },
    /// A folder.
    Folder { host: PathBuf, inside: String, read_only: bool },
}

/// What `volumes:` may name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowed<'a> {
    /// The job's own mounts: a path inside one of them may be given as the job sees it, or as this machine does.
    pub(crate) mounts: &'a [Mount],
    /// Folders of this machine that the configuration allows.
    pub(crate) folders: &'a [PathBuf],
}

/// Reads one entry: `name:/path[:ro]`, `/path`, `/source:/path[:ro]`, `./source:/path`.
pub(crate) fn parse(entry: &str, owner: &str, allowed: Allowed<'_>) -> Result<Volume, PlacementError> {
    let refuse = |reason: &str| PlacementError::VolumeRefused {
        owner: owner.to_owned(),
        volume: entry.to_owned(),
        reason: reason.to_owned(),
    };
    let parts: Vec<&str> = entry.trim().split(':').collect();
    let (source, inside, mode) = match parts.as_slice() {
        [inside] => (None, *inside, ""),
        [source, inside] => (Some(*source), *inside, ""),
        [source, inside, mode] => (Some(*source), *inside, *mode),
        _ => return Err(refuse("is not `source:target` or `source:target:ro`")),
    };
    if !inside.starts_with('/') || inside == "/" {
        return Err(refuse("must be mounted at an absolute path other than /"));
    }
    let read_only = match mode {
        "" | "rw" | "z" | "Z" => false,
        "ro" => true,
        _ => return Err(refuse("has an unknown mode; only `ro` and `rw` are allowed")),
    };
    let inside = inside.to_owned();
    let Some(source) = source else { return Ok(Volume::Anonymous { inside }) };
    if is_name(source) {
        return Ok(Volume::Named { name: source.to_owned(), inside, read_only });
    }
    let host = resolve(source, allowed).map_err(refuse)?;
    Ok(Volume::Folder { host, inside, read_only })
}

fn is_name(source: &str) -> bool {
    source.starts_with(|c: char| c.is_ascii_alphanumeric())
        && source.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

const OUTSIDE: &str = "names a folder of the machine outside the workspace; use a named volume (`data:/path`) or a folder \
                       of the workspace (`allow-volumes` in the settings of pipe can allow others)";

fn resolve(source: &str, allowed: Allowed<'_>) -> Result<PathBuf, &'static str> {
    let workspace = allowed.mounts.first().ok_or(OUTSIDE)?;
    let path = if source.starts_with('/') {
        as_here(Path::new(source), allowed.mounts).unwrap_or_else(|| PathBuf::from(source))
    } else {
        workspace.host.join(source)
    };
    // The folder as it really is: `..`, links and /proc/self/root all end here.
    let Ok(real) = path.canonicalize() else {
        return Err(if path.starts_with(&workspace.host) { "names a folder that does not exist" } else { OUTSIDE });
    };
    let within = |folder: &Path| folder.canonicalize().is_ok_and(|folder| real.starts_with(folder));
    if within(&workspace.host) || allowed.folders.iter().any(|folder| within(folder)) {
        return Ok(real);
    }
    Err(OUTSIDE)
}

/// A path of the job as a path of this machine, where one of the mounts holds it.
pub(crate) fn as_here(path: &Path, mounts: &[Mount]) -> Option<PathBuf> {
    let best = mounts.iter().filter(|mount| path.starts_with(&mount.inside)).max_by_key(|mount| mount.inside.len())?;
    let rest = path.strip_prefix(&best.inside).ok()?;
    let climbs = rest.components().any(|part| !matches!(part, std::path::Component::Normal(_)));
    (!climbs).then(|| if rest.as_os_str().is_empty() { best.host.clone() } else { best.host.join(rest) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries() {
        let workspace = tempfile::tempdir().unwrap();
        let extra = tempfile::tempdir().unwrap();
        std::fs::create_dir(workspace.path().join("sub")).unwrap();
        std::os::unix::fs::symlink("/", workspace.path().join("link")).unwrap();
        let inside = "/__w/shop/shop".to_owned();
        let mounts = [Mount { host: workspace.path().to_owned(), inside, read_only: false }];
        let folders = [extra.path().to_owned()];
        let allowed = Allowed { mounts: &mounts, folders: &folders };
        let check = |entry: &str, expect: &str| {
            let got = parse(entry, "container", allowed).map_or_else(|e| e.to_string(), |volume| format!("{volume:?}"));
            assert!(got.contains(expect), "{entry}\n  gave {got}\n  want {expect}");
        };
        check("data:/var/lib/x", r#"Named { name: "data", inside: "/var/lib/x", read_only: false }"#);
        check("data:/x:ro", "read_only: true");
        check("/scratch", "Anonymous");
        check("./sub:/h", "Folder");
        check("/__w/shop/shop/sub:/h", "/sub\"");
        check(&format!("{}:/h", workspace.path().display()), "Folder");
        check(&format!("{}:/h", extra.path().display()), "Folder");
        check("/etc:/h", "outside the workspace");
        check("./link:/h", "outside the workspace");
        check("../:/h", "outside the workspace");
        check("/proc/1/root:/h", "outside the workspace");
        check("/proc/self/root:/h", "outside the workspace");
        check("/var/run/docker.sock:/var/run/docker.sock", "`volumes` of container");
        check("./none:/h", "does not exist");
        check("data:relative", "absolute path");
        check("data:/", "other than /");
        check("a:/b:shared", "unknown mode");
        check("a:/b:ro:x", "is not `source:target`");
    }

    #[test]
    fn paths_of_the_job() {
        let mount = |host: &str, inside: &str| Mount { host: host.into(), inside: inside.to_owned(), read_only: false };
        let mounts = [mount("/a", "/w"), mount("/b", "/w/t")];
        let check = |path: &str, expect: Option<&str>| {
            assert_eq!(as_here(Path::new(path), &mounts), expect.map(PathBuf::from), "{path}");
        };
        check("/w/x", Some("/a/x"));
        check("/w/t/x", Some("/b/x"));
        check("/w", Some("/a"));
        check("/wx", None);
        check("/w/../etc", None);
    }
}
