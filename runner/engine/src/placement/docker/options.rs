//! `options:` of a container: the flags of `docker create` that a workflow may set, as an allow-list.
//!
//! What would let a job out of its container is refused by name, and says why; nothing is passed on unread. Follows
//! <https://docs.docker.com/reference/cli/docker/container/create/>.

use indexmap::IndexMap;

use super::words;
use crate::placement::PlacementError;

/// Options that were allowed, in the engine's units.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Options {
    pub(crate) cpus_nano: Option<i64>,
    pub(crate) memory_bytes: Option<i64>,
    pub(crate) memory_swap_bytes: Option<i64>,
    pub(crate) memory_reservation_bytes: Option<i64>,
    pub(crate) shm_bytes: Option<i64>,
    pub(crate) pids: Option<i64>,
    pub(crate) user: Option<String>,
    pub(crate) groups: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) hostname: Option<String>,
    pub(crate) workdir: Option<String>,
    pub(crate) health: Health,
    pub(crate) tmpfs: IndexMap<String, String>,
    pub(crate) ulimits: Vec<Ulimit>,
    pub(crate) hosts: Vec<String>,
    pub(crate) dns: Vec<String>,
    pub(crate) labels: IndexMap<String, String>,
    pub(crate) aliases: Vec<String>,
    pub(crate) entrypoint: Option<String>,
    pub(crate) cap_drop: Vec<String>,
    pub(crate) cap_add: Vec<String>,
    pub(crate) read_only: bool,
    pub(crate) init: bool,
    pub(crate) platform: Option<String>,
}

/// `--health-*`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Health {
    pub(crate) command: Option<String>,
    pub(crate) interval_nanos: Option<i64>,
    pub(crate) timeout_nanos: Option<i64>,
    pub(crate) start_period_nanos: Option<i64>,
    pub(crate) retries: Option<i64>,
    pub(crate) none: bool,
}

/// `--ulimit name=soft:hard`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ulimit {
    pub(crate) name: String,
    pub(crate) soft: i64,
    pub(crate) hard: i64,
}

/// Reads `text`. `owner` names the container in errors; `allowed` holds further options that the configuration allows.
pub(crate) fn parse(text: &str, owner: &str, allowed: &[String]) -> Result<Options, PlacementError> {
    let refuse = |option: &str, reason: &str| PlacementError::OptionRefused {
        owner: owner.to_owned(),
        option: option.to_owned(),
        reason: reason.to_owned(),
    };
    let all = words::split(text).map_err(|reason| refuse(text.trim(), reason))?;
    let mut options = Options::default();
    let mut rest = all.into_iter().peekable();
    while let Some(word) = rest.next() {
        let (name, attached) = name_and_value(&word).ok_or_else(|| refuse(&word, "is not an option"))?;
        if let Some(reason) = refusal(&name, allowed) {
            return Err(refuse(&word, reason));
        }
        if is_switch(&name) {
            let on = match attached.as_deref() {
                None | Some("true" | "1") => true,
                Some("false" | "0") => false,
                Some(_) => return Err(refuse(&word, "takes true or false")),
            };
            options.switch(&name, on);
            continue;
        }
        let value = attached.or_else(|| rest.next()).ok_or_else(|| refuse(&word, "needs a value"))?;
        options.set(&name, &value).map_err(|reason| refuse(&format!("{name} {value}"), reason))?;
    }
    Ok(options)
}

/// `--name=value`, `--name`, `-evalue`, `-e`: the long name and what is attached to it.
fn name_and_value(word: &str) -> Option<(String, Option<String>)> {
    if let Some(long) = word.strip_prefix("--") {
        let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value.to_owned())));
        return (!name.is_empty()).then(|| (format!("--{name}"), value));
    }
    let short = word.strip_prefix('-')?;
    let letter = short.chars().next()?;
    let value = short.get(letter.len_utf8()..).filter(|value| !value.is_empty());
    let value = value.map(|value| value.strip_prefix('=').unwrap_or(value).to_owned());
    let long = match letter {
        'e' => "--env",
        'h' => "--hostname",
        'u' => "--user",
        'm' => "--memory",
        'w' => "--workdir",
        'l' => "--label",
        'v' => "--volume",
        'p' => "--publish",
        'P' => "--publish-all",
        'c' => "--cpu-shares",
        't' => "--tty",
        'i' => "--interactive",
        'a' => "--attach",
        'q' => "--quiet",
        _ => return Some((word.to_owned(), None)),
    };
    Some((long.to_owned(), value))
}

fn is_switch(name: &str) -> bool {
    matches!(name, "--read-only" | "--init" | "--no-healthcheck" | "--tty" | "--interactive" | "--quiet")
}

/// Why an option is refused; `None`: it is not.
fn refusal(name: &str, allowed: &[String]) -> Option<&'static str> {
    Some(match name {
        "--privileged" => "would give the job the whole machine; no setting allows it",
        "--cap-add" if allowed.iter().any(|option| option == name) => return None,
        "--cap-add" => {
            "would give the job rights over the machine's kernel; `allow-options` in the settings of pipe can allow it"
        }
        "--security-opt" => "would switch off part of the container's protection",
        "--device" | "--device-cgroup-rule" | "--device-read-bps" | "--device-write-bps" | "--gpus" => {
            "would give the job devices of the machine"
        }
        "--volume" | "--mount" | "--volumes-from" | "--volume-driver" => "is not for options; use `volumes:`",
        "--publish" | "--publish-all" | "--expose" => "is not for options; use `ports:`",
        "--network" | "--net" | "--link" | "--ip" | "--ip6" | "--mac-address" => {
            "is not allowed, as on GitHub: jobs and services share a network of their own"
        }
        "--network-alias" | "--net-alias" => return None,
        "--pid" | "--ipc" | "--uts" | "--userns" | "--cgroupns" | "--cgroup-parent" => {
            "would join the job to other processes of the machine"
        }
        "--sysctl" | "--runtime" | "--oom-kill-disable" | "--oom-score-adj" | "--storage-opt" | "--isolation" => {
            "changes the machine's own settings"
        }
        "--env-file" | "--label-file" | "--cidfile" => "names a file of the machine",
        "--restart" | "--rm" | "--detach" | "--attach" | "--sig-proxy" => {
            "has no meaning here: containers live as long as their job"
        }
        "--log-driver" | "--log-opt" => "is not allowed: logs go to pipe",
        "--pull" => "is not for options; `--pull` of `pipe run` sets it for all images",
        _ if KNOWN.contains(&name) || is_switch(name) => return None,
        _ => "is not an option that is known here",
    })
}

const KNOWN: [&str; 31] = [
    "--cpus",
    "--cpu-shares",
    "--memory",
    "--memory-swap",
    "--memory-reservation",
    "--shm-size",
    "--pids-limit",
    "--user",
    "--group-add",
    "--env",
    "--hostname",
    "--domainname",
    "--workdir",
    "--health-cmd",
    "--health-interval",
    "--health-timeout",
    "--health-start-period",
    "--health-start-interval",
    "--health-retries",
    "--tmpfs",
    "--ulimit",
    "--add-host",
    "--dns",
    "--label",
    "--name",
    "--entrypoint",
    "--cap-drop",
    "--platform",
    "--stop-signal",
    "--stop-timeout",
    "--dns-search",
];

impl Options {
    fn switch(&mut self, name: &str, on: bool) {
        match name {
            "--read-only" => self.read_only = on,
            "--init" => self.init = on,
            "--no-healthcheck" => self.health.none = on,
            // A terminal changes nothing for containers that nobody types into.
            _ => {}
        }
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), &'static str> {
        const SIZE: &str = "is not a size; write 512m or 2g";
        const TIME: &str = "is not a duration; write 10s or 1m30s";
        match name {
            "--cpus" => self.cpus_nano = Some(cpus(value).ok_or("is not a number of processors; write 1.5")?),
            "--memory" => self.memory_bytes = Some(words::bytes(value).ok_or(SIZE)?),
            "--memory-swap" if value == "-1" => self.memory_swap_bytes = Some(-1),
            "--memory-swap" => self.memory_swap_bytes = Some(words::bytes(value).ok_or(SIZE)?),
            "--memory-reservation" => self.memory_reservation_bytes = Some(words::bytes(value).ok_or(SIZE)?),
            "--shm-size" => self.shm_bytes = Some(words::bytes(value).ok_or(SIZE)?),
            "--pids-limit" => {
                let pids = value.parse().ok().filter(|pids| *pids > 0);
                self.pids = Some(pids.ok_or("must be a number above 0")?);
            }
            "--user" => self.user = Some(value.to_owned()),
            "--group-add" => self.groups.push(value.to_owned()),
            "--env" => {
                let pair =
                    value.split_once('=').ok_or("has no value; the machine's own variables are not passed on")?;
                self.env.push((pair.0.to_owned(), pair.1.to_owned()));
            }
            "--hostname" => self.hostname = Some(value.to_owned()),
            "--workdir" if value.starts_with("/proc") || value.starts_with("/sys") => {
                return Err("is not a working directory");
            }
            "--workdir" => self.workdir = Some(value.to_owned()),
            "--health-cmd" => self.health.command = Some(value.to_owned()),
            "--health-interval" => self.health.interval_nanos = Some(words::nanoseconds(value).ok_or(TIME)?),
            "--health-timeout" => self.health.timeout_nanos = Some(words::nanoseconds(value).ok_or(TIME)?),
            "--health-start-period" => self.health.start_period_nanos = Some(words::nanoseconds(value).ok_or(TIME)?),
            "--health-retries" => self.health.retries = Some(value.parse().map_err(|_| "is not a number")?),
            "--tmpfs" => {
                let (path, flags) = value.split_once(':').unwrap_or((value, ""));
                if !path.starts_with('/') {
                    return Err("must be an absolute path");
                }
                self.tmpfs.insert(path.to_owned(), flags.to_owned());
            }
            "--ulimit" => self.ulimits.push(ulimit(value).ok_or("is not a limit; write nofile=1024:2048")?),
            "--add-host" => self.hosts.push(host(value)?),
            "--dns" => self.dns.push(value.to_owned()),
            "--label" if value.starts_with("dev.pipe.") => return Err("is a label that pipe keeps for itself"),
            "--label" => {
                let (name, value) = value.split_once('=').unwrap_or((value, ""));
                self.labels.insert(name.to_owned(), value.to_owned());
            }
            // Names of containers are ours; what a workflow wants of one is to be found by it.
            "--network-alias" | "--net-alias" | "--name" => self.aliases.push(value.to_owned()),
            "--entrypoint" => self.entrypoint = Some(value.to_owned()),
            "--cap-drop" => self.cap_drop.push(capability(value)),
            "--cap-add" => self.cap_add.push(capability(value)),
            "--platform" => self.platform = Some(value.to_owned()),
            // Harmless, and without meaning for a container that is removed with its job.
            _ => {}
        }
        Ok(())
    }
}

fn cpus(text: &str) -> Option<i64> {
    let count = text.parse::<f64>().ok()?;
    (count.is_finite() && count > 0.0 && count < 1e6).then(|| words::truncate(count * 1e9))
}

fn ulimit(text: &str) -> Option<Ulimit> {
    let (name, limits) = text.split_once('=')?;
    let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
    Some(Ulimit { name: name.to_owned(), soft: soft.parse().ok()?, hard: hard.parse().ok()? })
}

fn host(text: &str) -> Result<String, &'static str> {
    let (name, address) = text.split_once([':', '=']).ok_or("is not a host; write name:address")?;
    if address == "host-gateway" {
        return Err("would let the job reach the machine itself");
    }
    Ok(format!("{name}:{address}"))
}

fn capability(text: &str) -> String {
    let upper = text.to_ascii_uppercase();
    upper.strip_prefix("CAP_").unwrap_or(&upper).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &str) {
        let got = match parse(text, "container", &[]) {
            Ok(options) => format!("{options:?}"),
            Err(error) => error.to_string(),
        };
        assert!(got.contains(expect), "{text}\n  gave {got}\n  want {expect}");
    }

    #[test]
    fn allowed() {
        check("--cpus 1.5", "cpus_nano: Some(1500000000)");
        check("--memory=2g -m 1g", "memory_bytes: Some(1073741824)");
        check("-eA=b -e C=", r#"env: [("A", "b"), ("C", "")]"#);
        check(
            "--health-cmd \"pg_isready -U me\" --health-interval 10s",
            r#"command: Some("pg_isready -U me"), interval_nanos: Some(10000000000)"#,
        );
        check("--health-timeout 5s --health-retries 5 --health-start-period 1s", "retries: Some(5)");
        check("--name db --network-alias other", r#"aliases: ["db", "other"]"#);
        check("--ulimit nofile=1024:2048", "soft: 1024, hard: 2048");
        check("--tmpfs /var/lib/postgresql:rw,size=64m", r#""/var/lib/postgresql": "rw,size=64m""#);
        check("--cap-drop cap_chown", r#"cap_drop: ["CHOWN"]"#);
        check("--init --read-only=false", "read_only: false, init: true");
        check("--user 1000:1000 --hostname h", r#"hostname: Some("h")"#);
        check("--add-host a=10.0.0.1", r#"hosts: ["a:10.0.0.1"]"#);
    }

    #[test]
    fn refused() {
        for option in [
            "--privileged",
            "--privileged=true",
            "--cap-add=ALL",
            "--cap-add SYS_ADMIN",
            "-v/:/h",
            "-v /:/h",
            "--volume=/:/h",
            "--mount type=bind,src=/,dst=/h",
            "--cpus 1\n--privileged",
            "--pid=host",
            "--network host",
            "--net=host",
            "--ipc host",
            "--device /dev/sda",
            "--security-opt seccomp=unconfined",
            "--cgroupns host",
            "--userns host",
            "--env-file /etc/shadow",
            "-p 80:80",
            "--gpus all",
            "--sysctl a=b",
            "--volumes-from other",
            "--cgroup-parent /",
            "--runtime x",
            "--add-host x:host-gateway",
            "--workdir /proc/self/fd/8",
            "--label dev.pipe.owner=me",
            "--env SECRET",
            "-x",
            "--bogus 1",
            "stray",
            "--",
            "--cpus",
            "--cpus many",
            "--memory lots",
            "'--cpus",
        ] {
            check(option, "`options` of container: `");
        }
    }

    #[test]
    fn configuration_allows_capabilities() {
        let options = parse("--cap-add=sys_ptrace", "container", &["--cap-add".to_owned()]).unwrap();
        assert_eq!(options.cap_add, ["SYS_PTRACE"]);
        assert!(parse("--privileged", "container", &["--privileged".to_owned()]).is_err());
    }
}
