//! The Node.js builds that actions in JavaScript ask for: fetched once, kept in a folder that jobs see.
//!
//! An action names a major version (`using: node24`), and the image of a job has another one or none. So there is one
//! build for each version, processor and C library, pinned here, which containers mount and nothing writes to. Says nothing
//! of how an action is called, see `job/javascript`. Follows
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/metadata-syntax#runsusing-for-javascript-actions>.

mod download;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use workflow::action::NodeVersion;

use crate::scratch;

pub use download::Registries;

/// Where containers see the folder, as on GitHub's runners.
pub const NODES_INSIDE: &str = "/__e";

/// The C library that a build needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Libc {
    /// Of most distributions.
    Glibc,
    /// Of Alpine Linux.
    Musl,
}

/// One build of Node.js.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Build {
    /// Such as `24.21.0`.
    pub version: &'static str,
    /// The processor in the words of Node.js: `x64`, `arm64`.
    pub processor: &'static str,
    /// What it needs.
    pub libc: Libc,
    /// SHA-512 in base64 of the package that holds it at npm, where there is one.
    pub npm: Option<&'static str>,
}

/// The builds that are used, and their packages at npm: the last ones of their versions when this was written.
const BUILDS: [(NodeVersion, Build); 8] = [
    (NodeVersion::Node20, build("20.20.2", "x64", Some(NODE_20_X64))),
    (NodeVersion::Node20, build("20.20.2", "arm64", Some(NODE_20_ARM64))),
    (NodeVersion::Node20, musl("20.20.2", "x64")),
    (NodeVersion::Node20, musl("20.20.2", "arm64")),
    (NodeVersion::Node24, build("24.21.0", "x64", Some(NODE_24_X64))),
    (NodeVersion::Node24, build("24.21.0", "arm64", Some(NODE_24_ARM64))),
    (NodeVersion::Node24, musl("24.21.0", "x64")),
    (NodeVersion::Node24, musl("24.21.0", "arm64")),
];
const NODE_20_X64: &str = "PeHQM8wAdmHtZA1mBocygZxs5LiUWtsJezQTkBd0iY987KpGrD1O2tVEydvMZiuXceRanxt7rjTnDEBwOPujoQ==";
const NODE_20_ARM64: &str = "LCXJnNTFiyGuYBw2gZSI5OBFMbkjAPt8sqD/NKrWoE2QmDgSubTqFng6GaNJ9EJ8HpxBMGcWWpbbcs4Vo+CnGg==";
const NODE_24_X64: &str = "3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==";
const NODE_24_ARM64: &str = "FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==";

const fn build(version: &'static str, processor: &'static str, npm: Option<&'static str>) -> Build {
    Build { version, processor, libc: Libc::Glibc, npm }
}

const fn musl(version: &'static str, processor: &'static str) -> Build {
    Build { version, processor, libc: Libc::Musl, npm: None }
}

impl Build {
    /// The build for this machine's processor, on which its containers run too.
    #[must_use]
    pub fn of(version: NodeVersion, libc: Libc) -> Option<Self> {
        let processor = match std::env::consts::ARCH {
            "x86_64" => "x64",
            "aarch64" => "arm64",
            _ => return None,
        };
        let version = version.runs_as();
        let fits =
            |(of, build): &&(NodeVersion, Self)| *of == version && build.processor == processor && build.libc == libc;
        BUILDS.iter().find(fits).map(|(_, build)| *build)
    }

    /// The name of its folder.
    #[must_use]
    pub fn folder(&self) -> String {
        let libc = match self.libc {
            Libc::Glibc => "",
            Libc::Musl => "-musl",
        };
        format!("node-{}-linux-{}{libc}", self.version, self.processor)
    }

    /// The program below the folder of all builds.
    #[must_use]
    pub fn program(&self) -> String {
        format!("{}/bin/node", self.folder())
    }
}

/// Gets builds from elsewhere.
#[async_trait]
pub trait NodeSource: Send + Sync + std::fmt::Debug {
    /// Writes the program of a build, whose content was verified, to a file that is not there yet; gives from where it came.
    ///
    /// # Errors
    /// It cannot be had, or is not what it should be; a sentence for a person.
    async fn fetch(&self, build: &Build, to: &Path) -> Result<String, String>;
}

/// The builds that are kept.
#[derive(Debug)]
pub struct Nodes {
    folder: PathBuf,
    source: Arc<dyn NodeSource>,
    /// One at a time: a job that waits for the same build finds it.
    turn: tokio::sync::Mutex<()>,
}

/// A build that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Which one.
    pub build: Build,
    /// From where it was fetched, if it was not there before.
    pub fetched: Option<String>,
}

impl Nodes {
    /// Removes what killed processes had begun to fetch.
    pub(crate) fn remove_abandoned(&self) {
        scratch::remove_abandoned(&self.folder, 0);
    }

    /// Those in a folder, which is made if absent: containers mount it before there is anything in it.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn open(folder: PathBuf, source: Arc<dyn NodeSource>) -> std::io::Result<Self> {
        std::fs::create_dir_all(&folder)?;
        Ok(Self { folder, source, turn: tokio::sync::Mutex::default() })
    }

    /// The folder of all.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The build for an action, fetched where it is not there.
    ///
    /// # Errors
    /// There is none for this machine, or it cannot be had; a sentence for a person.
    pub async fn get(&self, version: NodeVersion, libc: Libc) -> Result<Found, String> {
        let build = Build::of(version, libc)
            .ok_or_else(|| format!("there is no build of Node.js for the processor {}", std::env::consts::ARCH))?;
        if self.has(&build) {
            return Ok(Found { build, fetched: None });
        }
        let _turn = self.turn.lock().await;
        if self.has(&build) {
            return Ok(Found { build, fetched: None });
        }
        let from = self.fetch(&build).await?;
        Ok(Found { build, fetched: Some(from) })
    }

    fn has(&self, build: &Build) -> bool {
        self.folder.join(build.program()).is_file()
    }

    async fn fetch(&self, build: &Build) -> Result<String, String> {
        let failed = |error: std::io::Error| format!("cannot write to `{}`: {error}", self.folder.display());
        // Under another name first: other processes fetch too, and none may start half a program.
        let partial = scratch::folder(&self.folder).map_err(failed)?;
        let own = partial.path().join("node");
        std::fs::create_dir_all(own.join("bin")).map_err(failed)?;
        let from = self.source.fetch(build, &own.join("bin/node")).await?;
        readable(&own).map_err(failed)?;
        match std::fs::rename(&own, self.folder.join(build.folder())) {
            // Another process was there first, with the same.
            Err(_) if self.has(build) => Ok(from),
            renamed => renamed.map(|()| from).map_err(failed),
        }
    }
}

/// Steps run as any user.
fn readable(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    for path in [folder.to_path_buf(), folder.join("bin"), folder.join("bin/node")] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[derive(Debug, Default)]
    struct Counting(AtomicU32);

    #[async_trait]
    impl NodeSource for Counting {
        async fn fetch(&self, build: &Build, to: &Path) -> Result<String, String> {
            self.0.fetch_add(1, Ordering::Relaxed);
            if build.libc == Libc::Musl {
                return Err("there is none".to_owned());
            }
            std::fs::write(to, build.version).map_err(|error| error.to_string())?;
            Ok("a test".to_owned())
        }
    }

    #[tokio::test]
    async fn a_build_is_fetched_once() {
        let root = tempfile::tempdir().unwrap();
        let source = Arc::new(Counting::default());
        let nodes = Nodes::open(root.path().join("nodes"), Arc::<Counting>::clone(&source)).unwrap();
        for (version, fetched) in [
            (NodeVersion::Node24, true),
            (NodeVersion::Node24, false),
            (NodeVersion::Node12, true),
            (NodeVersion::Node16, false),
            (NodeVersion::Node20, false),
        ] {
            let found = nodes.get(version, Libc::Glibc).await.unwrap();
            assert_eq!(found.fetched.is_some(), fetched, "{version:?}");
            let text = std::fs::read_to_string(nodes.folder().join(found.build.program())).unwrap();
            assert_eq!(text, found.build.version);
        }
        assert_eq!(nodes.get(NodeVersion::Node24, Libc::Musl).await, Err("there is none".to_owned()));
        assert_eq!(source.0.load(Ordering::Relaxed), 3);
        assert_eq!(std::fs::read_dir(nodes.folder()).unwrap().count(), 2, "nothing half is left");
    }

    #[test]
    fn every_version_has_a_build_for_each_library() {
        for version in NodeVersion::ALL {
            for libc in [Libc::Glibc, Libc::Musl] {
                let major = version.runs_as().word().trim_start_matches("node");
                assert!(Build::of(version, libc).unwrap().version.starts_with(&format!("{major}.")), "{version:?}");
            }
        }
    }
}
