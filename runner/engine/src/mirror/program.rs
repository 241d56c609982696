//! The `git` program, run so that neither the other side, nor a name, nor this machine's settings can make it do more
//! than fetch.
//!
//! No shell, an environment of our own, a configuration file of our own (made for one command and removed after it), no
//! hooks, no prompts, only the transport of the URL. A token stands in a file that only git's own `credential-store`
//! reads, for one host; it is never an argument or a variable. Time and size are watched; what goes beyond is killed with
//! all that it started.
//! Follows <https://git-scm.com/docs/git-config> and research/security-reliability.md 1.11.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::time::Instant;
use workflow::secret::Secret;

use super::{MirrorError, RemoteUrl};

/// How often the size is looked at.
const LOOK_PAUSE: Duration = Duration::from_millis(500);
/// Most bytes of standard error that are kept.
const ERROR_BYTES_MAX: u64 = 64 * 1_024;
/// Variables of ours that git needs to find its way through the network.
const KEPT_VARIABLES: [&str; 11] = [
    "PATH",
    "https_proxy",
    "HTTPS_PROXY",
    "http_proxy",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "SSH_AUTH_SOCK",
];
/// Faults of old commits that git reports and everybody lives with.
const OLD_FAULTS: [&str; 6] = [
    "badTimezone",
    "missingSpaceBeforeDate",
    "missingSpaceBeforeEmail",
    "missingEmail",
    "zeroPaddedFilemode",
    "badDateOverflow",
];

/// Who we are for a repository.
#[derive(Debug, Clone, Default)]
pub enum GitCredential {
    /// Nobody in particular; over ssh, who the user of this process is.
    #[default]
    None,
    /// A token or password, sent to the URL's own host only.
    Token {
        /// The user, such as `x-access-token`.
        user: String,
        /// The token.
        token: Secret,
    },
    /// A private key for ssh.
    SshKey(PathBuf),
}

/// What a command may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds<'a> {
    pub(crate) time_max: Duration,
    /// The folder whose size is watched, and the most bytes that it may have.
    pub(crate) size: Option<(&'a Path, u64)>,
    pub(crate) output_bytes_max: u64,
}

/// One use of git: its own configuration and credentials, removed at the end.
#[derive(Debug)]
pub(crate) struct Git {
    program: PathBuf,
    folder: TempDir,
    ssh: String,
}

impl Git {
    /// Writes what one or more commands for `url` need, below `scratch`.
    pub(crate) fn prepare(
        program: &Path,
        scratch: &Path,
        url: &RemoteUrl,
        credential: &GitCredential,
    ) -> Result<Self, MirrorError> {
        let failed = |error: std::io::Error| MirrorError::Mirror {
            path: scratch.display().to_string(),
            reason: error.to_string(),
        };
        let folder = tempfile::Builder::new().prefix(".git-").tempdir_in(scratch).map_err(failed)?;
        let mut config = config(url);
        let mut ssh = "ssh -oBatchMode=yes -oStrictHostKeyChecking=yes -oConnectTimeout=15".to_owned();
        match credential {
            GitCredential::None => {}
            GitCredential::Token { user, token } => {
                if let Some(line) = store_line(url, user, token) {
                    let path = folder.path().join("credentials");
                    private(&path, &line).map_err(failed)?;
                    let helper = format!("store --file={}", shell_quoted(&path));
                    let _cannot_fail = write!(config, "[credential]\n\thelper = {}\n", config_quoted(&helper));
                }
            }
            GitCredential::SshKey(path) => {
                let _cannot_fail = write!(ssh, " -oIdentitiesOnly=yes -i {}", shell_quoted(path));
            }
        }
        private(&folder.path().join("config"), &config).map_err(failed)?;
        Ok(Self { program: program.to_path_buf(), folder, ssh })
    }

    /// Runs one command in a repository (none: anywhere) and gives its standard output.
    ///
    /// # Errors
    /// It failed, took too long, or made more than it may.
    pub(crate) async fn run<Word: AsRef<OsStr>>(
        &self,
        repository: Option<&Path>,
        words: impl IntoIterator<Item = Word>,
        bounds: Bounds<'_>,
    ) -> Result<String, MirrorError> {
        let unusable = |error: std::io::Error| MirrorError::Program(format!("{}: {error}", self.program.display()));
        let mut command = self.command(repository);
        command.args(words);
        let mut child = command.spawn().map_err(unusable)?;
        let group = Group(child.id());
        let output = read(child.stdout.take(), bounds.output_bytes_max + 1);
        let errors = read(child.stderr.take(), ERROR_BYTES_MAX);
        let deadline = Instant::now() + bounds.time_max;
        let all = async { tokio::join!(output, errors, child.wait()) };
        tokio::pin!(all);
        let (output, errors, status) = loop {
            tokio::select! {
                all = &mut all => break all,
                () = tokio::time::sleep_until(deadline) => {
                    return Err(MirrorError::TooSlow { seconds: bounds.time_max.as_secs() });
                }
                () = tokio::time::sleep(LOOK_PAUSE) => check_size(bounds.size).await?,
            }
        };
        group.ended();
        let status = status.map_err(unusable)?;
        if output.len() as u64 > bounds.output_bytes_max {
            return Err(MirrorError::TooManyRefs { limit: bounds.output_bytes_max });
        }
        check_size(bounds.size).await?;
        if status.success() {
            return Ok(String::from_utf8_lossy(&output).into_owned());
        }
        Err(MirrorError::of_git(&String::from_utf8_lossy(&errors)))
    }

    fn command(&self, repository: Option<&Path>) -> Command {
        let home = self.folder.path();
        let mut command = Command::new(&self.program);
        command.env_clear();
        let kept = KEPT_VARIABLES.iter().filter_map(|name| Some((*name, std::env::var_os(name)?)));
        command.envs(kept);
        command
            .env("HOME", home)
            .env("XDG_CONFIG_HOME", home)
            .env("LC_ALL", "C")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", home.join("config"))
            .env("GIT_ATTR_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ASKPASS", "")
            .env("SSH_ASKPASS_REQUIRE", "never")
            .env("GIT_SSH_COMMAND", &self.ssh)
            .env("GIT_OPTIONAL_LOCKS", "0");
        if let Some(repository) = repository {
            let mut option = OsString::from("--git-dir=");
            option.push(repository);
            command.arg(option);
        }
        command
            .current_dir(home)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        command
    }
}

/// Kills git and all that it started, unless it ended by itself.
struct Group(Option<u32>);

impl Group {
    /// Its number may belong to somebody else from now on.
    fn ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0.take().and_then(|id| i32::try_from(id).ok()) {
            // It may just have ended.
            let _gone = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
    }
}

/// Up to `limit` bytes are kept; the rest is read, so that nobody waits for us.
async fn read(stream: Option<impl AsyncRead + Unpin>, limit: u64) -> Vec<u8> {
    let mut kept = Vec::new();
    let Some(mut stream) = stream else { return kept };
    // What was read before an error still tells something.
    let _broken = (&mut stream).take(limit).read_to_end(&mut kept).await;
    let _broken = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    kept
}

async fn check_size(size: Option<(&Path, u64)>) -> Result<(), MirrorError> {
    let Some((folder, limit)) = size else { return Ok(()) };
    let folder = folder.join("objects/pack");
    let bytes = tokio::task::spawn_blocking(move || folder_bytes(&folder)).await.unwrap_or_default();
    if bytes > limit { Err(MirrorError::TooLarge { limit }) } else { Ok(()) }
}

/// Everything that is fetched is kept in packs, so their folder is all that grows.
fn folder_bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|facts| facts.len()).sum()
}

fn config(url: &RemoteUrl) -> String {
    let mut text = format!(
        "[core]\n\thooksPath = /dev/null\n\tfsmonitor = false\n\taskPass =\n\
         [protocol]\n\tallow = never\n[protocol \"{}\"]\n\tallow = always\n[protocol \"ext\"]\n\tallow = never\n\
         [transfer]\n\tbundleURI = false\n\
         [fetch]\n\tfsckObjects = true\n\tunpackLimit = 1\n\twriteCommitGraph = false\n\trecurseSubmodules = false\n\
         \tshowForcedUpdates = false\n\
         [submodule]\n\trecurse = false\n[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n\
         [http]\n\tlowSpeedLimit = 100\n\tlowSpeedTime = 60\n\temptyAuth = false\n\
         [credential]\n\thelper =\n\tinteractive = false\n[fetch \"fsck\"]\n",
        url.transport().name()
    );
    for fault in OLD_FAULTS {
        let _cannot_fail = writeln!(text, "\t{fault} = ignore");
    }
    // Whoever registered the path trusts it, also if it belongs to another user.
    if let Some(path) = url.local_path() {
        let path = path.display().to_string();
        let path = path.trim_end_matches('/');
        let _cannot_fail = write!(text, "[safe]\n\tdirectory = {}\n", config_quoted(path));
        let inside = format!("{path}/.git");
        let _cannot_fail = writeln!(text, "\tdirectory = {}", config_quoted(&inside));
    }
    text
}

/// A line of git's `credential-store`; none for a URL that tokens are not sent to.
fn store_line(url: &RemoteUrl, user: &str, token: &Secret) -> Option<String> {
    let host = url.web_host()?;
    let scheme = url.transport().name();
    Some(format!("{scheme}://{}:{}@{host}\n", escaped(user), escaped(token.expose())))
}

fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut all, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            all.push(char::from(byte));
        } else {
            let _cannot_fail = write!(all, "%{byte:02X}");
        }
        all
    })
}

/// git hands helpers and ssh to a shell.
fn shell_quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

fn config_quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_for_its_host_only() {
        let line = |url: &str| store_line(&RemoteUrl::parse(url).unwrap(), "x-access-token", &Secret::new("a:b@/é"));
        let expected = "https://x-access-token:a%3Ab%40%2F%C3%A9@git.test:8443\n";
        assert_eq!(line("https://git.test:8443/a/b").as_deref(), Some(expected));
        assert_eq!(line("git@git.test:a/b"), None);
    }

    #[tokio::test]
    async fn a_command_that_takes_too_long_is_killed_with_its_children() {
        let scratch = tempfile::tempdir().unwrap();
        let (program, told) = (scratch.path().join("git"), scratch.path().join("told"));
        let script =
            format!("#!/bin/sh\nsleep 600 &\necho $! > '{0}.part'; mv '{0}.part' '{0}'\nwait\n", told.display());
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        let url = RemoteUrl::parse("/nowhere").unwrap();
        let git = Git::prepare(&program, scratch.path(), &url, &GitCredential::None).unwrap();
        let bounds = Bounds { time_max: Duration::from_secs(2), size: None, output_bytes_max: 10 };
        assert_eq!(git.run(None, ["x"], bounds).await, Err(MirrorError::TooSlow { seconds: 2 }));
        let child = std::fs::read_to_string(&told).unwrap();
        let state = || std::fs::read_to_string(format!("/proc/{}/stat", child.trim()));
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while state().is_ok_and(|state| !state.contains(") Z ")) {
            assert!(std::time::Instant::now() < deadline, "a child of git goes on");
            tokio::task::yield_now().await;
        }
    }
}
