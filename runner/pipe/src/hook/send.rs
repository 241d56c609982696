//! Sending: each pushed ref is kept in a file for each server, then tried for a few seconds, then left to a process of
//! its own that tries on for a quarter of an hour. The next push takes along what is left even then.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use jiff::Timestamp;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::payload::{self, REFS_MAX};
use super::post::{self, Poster, Sent};
use super::{Target, spool};
use crate::args::HookSendArgs;

/// How long a push waits for its servers, all refs together.
const PUSH_TIME_MAX: Duration = Duration::from_secs(3);
/// How long one request of the process of its own may take.
const REST_REQUEST_MAX: Duration = Duration::from_secs(15);
/// How long that process tries.
const REST_TIME_MAX: Duration = Duration::from_secs(15 * 60);
/// Longest pause between its tries.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// What is older is given up: the server would not know it again.
const KEPT: Duration = Duration::from_secs(24 * 3_600);
/// Most bytes that git tells of a push.
const PUSHED_BYTES_MAX: u64 = 4 * 1_024 * 1_024;

/// One ref for one server, as it lies in the spool.
#[derive(Debug, Serialize, Deserialize)]
struct Parcel {
    /// Name of the target's file.
    target: String,
    /// Id of the delivery, the same at each try.
    id: String,
    /// What is told of, for messages.
    name: String,
    body: String,
}

/// Says what became of it on standard error, which the person who pushed sees.
pub fn send(args: &HookSendArgs) {
    let say = |text: &str| {
        let _gone = writeln!(io::stderr(), "pipe: {text}");
    };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
    if args.rest {
        runtime.block_on(rest(&args.folder));
        return;
    }
    if let Err(problem) = pack(&args.folder) {
        say(&format!("this push cannot be told: {problem}"));
        return;
    }
    let deadline = Instant::now() + PUSH_TIME_MAX;
    let left = runtime.block_on(deliver(&args.folder, deadline, PUSH_TIME_MAX, &say));
    if left > 0 && !go_on(&args.folder) {
        say("what did not arrive is sent with the next push");
    }
}

/// Reads what git tells and writes it down for each server.
fn pack(folder: &Path) -> Result<(), String> {
    let mut text = String::new();
    io::stdin().lock().take(PUSHED_BYTES_MAX).read_to_string(&mut text).map_err(|error| error.to_string())?;
    let pushed = payload::read(&text);
    if pushed.len() >= REFS_MAX {
        let _gone = writeln!(io::stderr(), "pipe: only the first {REFS_MAX} refs are told");
    }
    let git = folder.parent().unwrap_or(Path::new("."));
    let git = git2::Repository::open(if git.as_os_str().is_empty() { Path::new(".") } else { git });
    let git = git.map_err(|error| error.message().to_owned())?;
    let variable = |name: &&str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let names = ["PIPE_PUSHER", "GL_USER", "REMOTE_USER", "USER", "LOGNAME"];
    // Hooks of a service have no variables of a person; it has an account all the same.
    let account = || nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten().map(|user| user.name);
    let pusher = names.iter().find_map(variable).or_else(account).unwrap_or_else(|| "a push".to_owned());
    for (name, target) in targets(folder)? {
        for (number, one) in pushed.iter().enumerate() {
            let at = Timestamp::now();
            let body = payload::payload(&git, one, &target.repository, &pusher, at).to_string();
            let digest = post::signature(&name, &body);
            let id = format!("{}-{}", at.as_nanosecond(), digest.get(7..23).unwrap_or_default());
            let parcel = Parcel { target: name.clone(), id, name: one.name.clone(), body };
            // Names in the order of the push, so that they are sent in it.
            let file = format!("{:024}-{number:05}-{name}.json", at.as_nanosecond());
            write(&spool(folder).join(file), &parcel).map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}

fn write(path: &Path, parcel: &Parcel) -> io::Result<()> {
    let part = path.with_extension("part");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    file.write_all(&serde_json::to_vec(parcel)?)?;
    fs::rename(part, path)
}

fn targets(folder: &Path) -> Result<Vec<(String, Target)>, String> {
    let cannot = |error: &dyn std::fmt::Display| format!("cannot read `{}`: {error}", folder.display());
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| cannot(&error))?.flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|ending| ending == "toml") {
            let text = fs::read_to_string(&path).map_err(|error| cannot(&error))?;
            let target = toml::from_str(&text).map_err(|_| cannot(&"it is no target of ours"))?;
            found.push((entry.file_name().to_string_lossy().into_owned(), target));
        }
    }
    found.sort_by(|(left, _), (right, _)| left.cmp(right));
    Ok(found)
}

fn parcels(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(spool(folder)).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
    paths.sort();
    paths
}

/// Tries everything that is there once, in order; a server that does not answer is not asked for the rest. How many
/// parcels are left.
async fn deliver(folder: &Path, deadline: Instant, request_max: Duration, say: &dyn Fn(&str)) -> usize {
    // Whoever sends already sends ours too.
    let Some(_lock) = lock(folder) else { return parcels(folder).len() };
    let (Ok(targets), Ok(poster)) = (targets(folder), Poster::new()) else { return parcels(folder).len() };
    let (mut left, mut silent) = (0, Vec::new());
    for path in parcels(folder) {
        let parcel = fs::read(&path).ok().and_then(|text| serde_json::from_slice::<Parcel>(&text).ok());
        let target = parcel.as_ref().and_then(|parcel| targets.iter().find(|(name, _)| *name == parcel.target));
        let (Some(parcel), Some((_, target))) = (&parcel, target) else {
            // Of a server that was taken out, or half written by a machine that crashed.
            let _gone = fs::remove_file(&path);
            continue;
        };
        let time = request_max.min(deadline.saturating_duration_since(Instant::now()));
        if silent.contains(&parcel.target) || time.is_zero() {
            left += 1;
            continue;
        }
        match one(&poster, target, parcel, time).await {
            Sent::Arrived => {
                let _gone = fs::remove_file(&path);
                say(&format!("{} told to {}", parcel.name, target.server));
            }
            Sent::Refused(problem) => {
                let _gone = fs::remove_file(&path);
                say(&format!("{} is not wanted by {}: {problem}", parcel.name, target.server));
            }
            Sent::Later(problem) if is_old(&path) => {
                let _gone = fs::remove_file(&path);
                say(&format!("{} is given up: {} did not take it: {problem}", parcel.name, target.server));
            }
            Sent::Later(problem) => {
                say(&format!("{} cannot be told to {} now, tried again: {problem}", parcel.name, target.server));
                silent.push(parcel.target.clone());
                left += 1;
            }
        }
    }
    left
}

async fn one(poster: &Poster, target: &Target, parcel: &Parcel, time: Duration) -> Sent {
    match post::address(&target.server, &target.repository) {
        Ok(address) => poster.post(&address, &parcel.id, &target.secret, &parcel.body, time).await,
        Err(problem) => Sent::Refused(problem),
    }
}

fn is_old(path: &Path) -> bool {
    let age = fs::metadata(path).and_then(|facts| facts.modified()).map(|time| time.elapsed().unwrap_or_default());
    age.is_ok_and(|age| age > KEPT)
}

/// One process sends at a time, so that pushes arrive in order.
fn lock(folder: &Path) -> Option<Flock<fs::File>> {
    let file = fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(folder.join("lock"));
    Flock::lock(file.ok()?, FlockArg::LockExclusiveNonblock).ok()
}

/// Starts the process of its own. It holds nothing of ours open, so that git and ssh do not wait for it.
fn go_on(folder: &Path) -> bool {
    let Ok(program) = std::env::current_exe() else { return false };
    let Ok(folder) = folder.canonicalize() else { return false };
    let mut command = Command::new(program);
    command.args(["hook", "send", "--rest", "--"]).arg(folder).current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    command.spawn().is_ok()
}

/// Tries until nothing is left, or for a quarter of an hour.
async fn rest(folder: &Path) {
    let deadline = Instant::now() + REST_TIME_MAX;
    let mut pause = Duration::from_secs(1);
    while Instant::now() < deadline && deliver(folder, deadline, REST_REQUEST_MAX, &|_| {}).await > 0 {
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}
