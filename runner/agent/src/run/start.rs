//! From a request to a running process: environment, directory, user, program, pipe, and a session of its own.
//!
//! `posix_spawn` does the rest, since it neither copies the agent's memory map nor needs unsafe code. It has no working
//! directory to set, so the agent itself stands there for the moment; it is a single thread and minds no directory.

use std::collections::HashSet;
use std::ffi::{CString, OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use agent::protocol::ExecRequest;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::SigSet;
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Pid, Uid, fchdir, pipe2};

use super::processes::MARK;
use crate::account::Account;
use crate::run_as;
use crate::search::{explain_exec, find_program};

/// `POSIX_SPAWN_SETSID`, the same in glibc and musl, which nix does not name.
const SETSID: i32 = 0x80;

/// What a started exec is.
#[derive(Debug)]
pub(crate) struct Started {
    /// Leads a session and a process group of this number.
    pub(crate) pid: Pid,
    /// The reading end of its stdout and stderr; does not block.
    pub(crate) pipe: File,
}

/// What of the agent itself a start has to mind.
#[derive(Debug)]
pub(crate) struct Own {
    /// The directory in which the agent was started.
    home: OwnedFd,
    /// Descriptors that the agent got from whoever started it, and that no step shall get from the agent.
    inherited: Vec<RawFd>,
}

impl Own {
    /// To be called before the agent opens anything.
    pub(crate) fn find() -> std::io::Result<Self> {
        // The listing's own descriptor is among them; closing a number that is free does no harm.
        let numbers = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
        let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<RawFd>().ok());
        let inherited = numbers.filter(|number| *number > 2).collect();
        let flags = (OFlag::O_PATH | OFlag::O_DIRECTORY).bits();
        let home = OpenOptions::new().read(true).custom_flags(flags).open(".")?.into();
        Ok(Self { home, inherited })
    }
}

/// Runs the program.
///
/// Errors are lower-case fragments for the user.
pub(crate) fn start(request: &ExecRequest, mark: &str, own: &Own) -> Result<Started, String> {
    let name = request.argv.first().ok_or("no program is named")?;
    let environment = environment(request, mark)?;
    let account = match &request.user {
        Some(user) => switch_to(user)?,
        None => None,
    };
    if let Some(directory) = &request.cwd {
        enter(directory)?;
    }
    let started = start_here(request, OsStr::new(name), &environment, account.as_ref(), own);
    if request.cwd.is_some() {
        fchdir(&own.home).map_err(|error| format!("cannot return to the agent's directory: {}", error.desc()))?;
    }
    started
}

fn enter(directory: &str) -> Result<(), String> {
    nix::unistd::chdir(directory).map_err(|error| {
        if error == Errno::ENOENT {
            format!("the working directory `{directory}` does not exist")
        } else if error == Errno::ENOTDIR {
            format!("the working directory `{directory}` is not a directory")
        } else {
            format!("cannot enter the working directory `{directory}`: {}", error.desc().to_lowercase())
        }
    })
}

/// The account, where it is not the one that the agent has already.
fn switch_to(user: &str) -> Result<Option<Account>, String> {
    let account = Account::find(user)?;
    let (uid, gid) = (Uid::effective(), Gid::effective());
    if !uid.is_root() {
        let same = account.uid == uid.as_raw() && account.gid == gid.as_raw();
        return if same {
            Ok(None)
        } else {
            Err(format!("cannot run as `{user}`: the container runs as user {uid}, not as root"))
        };
    }
    let nothing_to_do = account.uid == 0 && account.gid == 0;
    Ok((!nothing_to_do).then_some(account))
}

fn start_here(
    request: &ExecRequest,
    name: &OsStr,
    environment: &[CString],
    account: Option<&Account>,
    own: &Own,
) -> Result<Started, String> {
    let program = find_program(name, value(environment, "PATH"))?;
    let (reader, writer) = pipe(account).map_err(|error| format!("cannot make a pipe: {error}"))?;
    let mut arguments = Vec::with_capacity(request.argv.len() + 6);
    let mut file = program.as_path();
    if let Some(account) = account {
        for argument in run_as::arguments(account, program.as_os_str()) {
            arguments.push(c_string(&argument, "the user")?);
        }
        file = Path::new("/proc/self/exe");
    }
    for argument in &request.argv {
        arguments.push(c_string(OsStr::new(argument), "an argument")?);
    }
    let pid = spawn(file, &arguments, environment, &writer, &own.inherited);
    let pid = pid.map_err(|error| explain_exec(&program, error))?;
    Ok(Started { pid, pipe: File::from(reader) })
}

fn spawn(
    file: &Path,
    arguments: &[CString],
    variables: &[CString],
    output: &OwnedFd,
    inherited: &[RawFd],
) -> nix::Result<Pid> {
    let mut actions = PosixSpawnFileActions::init()?;
    actions.add_open(0, "/dev/null", OFlag::O_RDONLY, Mode::empty())?;
    actions.add_dup2(output.as_raw_fd(), 1)?;
    actions.add_dup2(output.as_raw_fd(), 2)?;
    for number in inherited {
        actions.add_close(*number)?;
    }
    let mut attributes = PosixSpawnAttr::init()?;
    // Signals as after a login, whatever the agent was started with: a step must hear SIGINT and SIGPIPE.
    attributes.set_sigmask(&SigSet::empty())?;
    attributes.set_sigdefault(&SigSet::all())?;
    attributes.set_flags(
        PosixSpawnFlags::from_bits_retain(SETSID)
            | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK
            | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF,
    )?;
    posix_spawn(file, &actions, &attributes, arguments, variables)
}

/// Reader and writer; the writer belongs to the step's user, who may then open `/dev/stderr`.
fn pipe(account: Option<&Account>) -> std::io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    if let Some(account) = account {
        std::os::unix::fs::fchown(&writer, Some(account.uid), Some(account.gid))?;
    }
    Ok((reader, writer))
}

/// Each name once, with its last value, and the mark, as the kernel takes them: `NAME=value`.
fn environment(request: &ExecRequest, mark: &str) -> Result<Vec<CString>, String> {
    if let Some((name, _)) = request.env.iter().find(|(name, _)| name.is_empty() || name.contains('=')) {
        return Err(format!("`{name}` cannot be the name of a variable"));
    }
    // The agent's own environment may bear an outer agent's mark, so ours comes after it, but before the step's own.
    let inherited: Vec<(OsString, OsString)> =
        if request.inherit_env { std::env::vars_os().collect() } else { Vec::new() };
    let all = inherited.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()));
    let all = all.chain([(OsStr::new(MARK), OsStr::new(mark))]);
    let all = all.chain(request.env.iter().map(|(name, value)| (OsStr::new(name), OsStr::new(value))));
    let all: Vec<(&OsStr, &OsStr)> = all.collect();
    let mut seen = HashSet::with_capacity(all.len());
    let mut once = Vec::with_capacity(all.len());
    for (name, value) in all.into_iter().rev() {
        if seen.insert(name) {
            once.push(variable(name, value)?);
        }
    }
    once.reverse();
    Ok(once)
}

fn variable(name: &OsStr, value: &OsStr) -> Result<CString, String> {
    let mut entry = Vec::with_capacity(name.len() + value.len() + 2);
    entry.extend_from_slice(name.as_bytes());
    entry.push(b'=');
    entry.extend_from_slice(value.as_bytes());
    CString::new(entry).map_err(|_| format!("the variable `{}` holds a NUL byte", name.display()))
}

/// What a name has, if it is there.
fn value<'a>(environment: &'a [CString], name: &str) -> Option<&'a OsStr> {
    let value = |entry: &'a CString| entry.as_bytes().strip_prefix(name.as_bytes())?.strip_prefix(b"=");
    environment.iter().find_map(value).map(OsStr::from_bytes)
}

fn c_string(text: &OsStr, what: &str) -> Result<CString, String> {
    CString::new(text.as_bytes()).map_err(|_| format!("{what} holds a NUL byte"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_of_a_name_counts() {
        let env =
            [("A", "1"), ("B", "2"), ("A", "3")].map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let request = ExecRequest { env, ..ExecRequest::default() };
        let found = |request: &ExecRequest| {
            let once = environment(request, "m")?;
            Ok(once.iter().map(|entry| entry.to_str().unwrap().to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(found(&request), Ok(["RUNNER_TRACKING_ID=m", "B=2", "A=3"].map(str::to_owned).to_vec()));
        let own = ExecRequest { env: vec![(MARK.into(), String::new())], ..ExecRequest::default() };
        assert_eq!(found(&own), Ok(vec![format!("{MARK}=")]));
        let bad = ExecRequest { env: vec![("A=B".into(), String::new())], ..ExecRequest::default() };
        assert_eq!(found(&bad), Err("`A=B` cannot be the name of a variable".to_owned()));
    }
}
