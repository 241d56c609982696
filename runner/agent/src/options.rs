//! The agent's command line. By hand, since a parser crate would be half of the binary.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

pub(crate) const USAGE: &str = "\
usage: pipe-agent --socket PATH [--spool DIR] [--spool-bytes-max N] [--linger SECONDS]
       pipe-agent --stdio [--token TOKEN] [--spool DIR] [--spool-bytes-max N]
       pipe-agent init-copy DESTINATION
       pipe-agent forward PORT=ADDRESS:PORT...
       pipe-agent --version";

/// Unacknowledged output bytes of one exec, beyond which its pipe is read no further.
const SPOOL_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// How the agent is reached and where it keeps what memory does not hold.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) transport: Transport,
    /// Absent: memory only.
    pub(crate) spool: Option<PathBuf>,
    pub(crate) spool_bytes_max: u64,
    /// Exit after so long without a client and without a running exec. Absent: wait for ever.
    pub(crate) linger: Option<Duration>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Socket(PathBuf),
    Stdio { token: Option<String> },
}

impl Options {
    /// Reads the arguments after the program's name.
    pub(crate) fn parse(arguments: &[OsString]) -> Result<Self, String> {
        let (mut socket, mut stdio, mut token) = (None, false, None);
        let (mut spool, mut spool_bytes_max, mut linger) = (None, SPOOL_BYTES_MAX, None);
        let mut rest = arguments.iter();
        while let Some(flag) = rest.next() {
            let flag = flag.to_str().ok_or("an argument is not UTF-8")?;
            let mut value = || rest.next().ok_or_else(|| format!("{flag} needs a value"));
            match flag {
                "--socket" => socket = Some(PathBuf::from(value()?)),
                "--spool" => spool = Some(PathBuf::from(value()?)),
                "--stdio" => stdio = true,
                "--token" => token = Some(value()?.to_str().ok_or("--token is not UTF-8")?.to_owned()),
                "--spool-bytes-max" => spool_bytes_max = number(flag, value()?)?,
                "--linger" => linger = Some(Duration::from_secs(number(flag, value()?)?)),
                unknown => return Err(format!("unknown argument {unknown}")),
            }
        }
        let transport = match (socket, stdio) {
            (Some(path), false) => Transport::Socket(path),
            (None, true) => Transport::Stdio { token },
            (Some(_), true) | (None, false) => return Err("one of --socket and --stdio is needed".to_owned()),
        };
        Ok(Self { transport, spool, spool_bytes_max, linger })
    }
}

fn number(flag: &str, value: &OsStr) -> Result<u64, String> {
    let number = value.to_str().and_then(|value| value.parse().ok());
    number.ok_or_else(|| format!("{flag} needs a number, not {}", value.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(arguments: &str, expect: Result<(Transport, u64), &str>) {
        let arguments: Vec<OsString> = arguments.split_whitespace().map(OsString::from).collect();
        let got = Options::parse(&arguments).map(|options| (options.transport, options.spool_bytes_max));
        assert_eq!(got, expect.map_err(str::to_owned));
    }

    #[test]
    fn arguments() {
        let stdio = |token: Option<&str>| Transport::Stdio { token: token.map(str::to_owned) };
        check("--stdio", Ok((stdio(None), SPOOL_BYTES_MAX)));
        check("--stdio --token t --spool-bytes-max 9", Ok((stdio(Some("t")), 9)));
        check("--socket /a --spool /b", Ok((Transport::Socket("/a".into()), SPOOL_BYTES_MAX)));
        check("", Err("one of --socket and --stdio is needed"));
        check("--stdio --socket /a", Err("one of --socket and --stdio is needed"));
        check("--linger soon --stdio", Err("--linger needs a number, not soon"));
        check("--socket", Err("--socket needs a value"));
        check("--dial", Err("unknown argument --dial"));
    }
}
