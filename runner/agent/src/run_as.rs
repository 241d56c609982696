//! Becoming another user and then another program.
//!
//! Switching between fork and exec takes unsafe code, so the agent starts itself with [`VERB`] and switches there.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use nix::unistd::{Gid, Uid, setgid, setgroups, setuid};

use crate::account::Account;
use crate::{CANNOT_RUN, complain};

/// The first argument of this part: `run-as UID GID GROUPS PROGRAM ARGV...`.
pub(crate) const VERB: &str = "run-as";

/// The arguments that make the agent's own binary run `program` as `account`.
pub(crate) fn arguments(account: &Account, program: &OsStr) -> [OsString; 6] {
    let groups: Vec<String> = account.groups.iter().map(u32::to_string).collect();
    [
        "pipe-agent".into(),
        VERB.into(),
        account.uid.to_string().into(),
        account.gid.to_string().into(),
        groups.join(",").into(),
        program.into(),
    ]
}

/// The other side of [`arguments`].
pub(crate) fn main(arguments: &[OsString]) -> ExitCode {
    let [uid, gid, groups, program, argv @ ..] = arguments else {
        return complain("pipe-agent: run-as is for the agent itself", 2);
    };
    let number = |text: &OsStr| text.to_str().and_then(|text| text.parse::<u32>().ok());
    let groups: Option<Vec<u32>> = groups
        .as_encoded_bytes()
        .split(|byte| *byte == b',')
        .filter(|group| !group.is_empty())
        .map(ascii_number)
        .collect();
    let (Some(uid), Some(gid), Some(groups), Some((name, rest))) =
        (number(uid), number(gid), groups, argv.split_first())
    else {
        return complain("pipe-agent: run-as is for the agent itself", 2);
    };
    let account = Account { uid, gid, groups, name: None, home: None, shell: None };
    if let Err(error) = become_account(&account) {
        return complain(&format!("pipe-agent: {error}"), CANNOT_RUN);
    }
    let error = Command::new(program).arg0(name).args(rest).exec();
    complain(&format!("pipe-agent: {}: {error}", program.display()), CANNOT_RUN)
}

fn ascii_number(text: &[u8]) -> Option<u32> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Gives up the present user for good.
pub(crate) fn become_account(account: &Account) -> Result<(), String> {
    let mut groups = vec![Gid::from_raw(account.gid)];
    groups.extend(account.groups.iter().copied().map(Gid::from_raw));
    setgroups(&groups)
        .and_then(|()| setgid(Gid::from_raw(account.gid)))
        .and_then(|()| setuid(Uid::from_raw(account.uid)))
        .map_err(|error| format!("cannot become user {} of group {}: {}", account.uid, account.gid, error.desc()))
}
