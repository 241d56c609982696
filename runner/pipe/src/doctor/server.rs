//! A server's folder: who may read it, the key, the database, the disk, the clock, the port, what it builds.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use engine::sealing::{KeyError, KeySource};
use engine::store::repositories::Repositories;
use engine::store::{Database, Options, StoreError};
use jiff::Timestamp;
use nix::sys::statvfs::statvfs;
use web::api::LocalAccess;

use super::Check;
use crate::exit::Failure;
use crate::terminal;

/// Less of the disk than this, in percent, is told of.
const FREE_PERCENT_MIN: u64 = 10;
/// No clock is right that is before this program was written: 2026-01-01.
const CLOCK_MIN_S: i64 = 1_767_225_600;

/// All that can be said about a server's folder.
///
/// # Errors
/// The runtime cannot be started.
pub fn checks(data: &Path, listen: Option<SocketAddr>) -> Result<Vec<Check>, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::environment(format!("cannot start: {error}")))?;
    let mut checks = vec![folder(data)];
    if !data.is_dir() {
        return Ok(checks);
    }
    checks.push(key(data));
    let running = LocalAccess::find(data).map(|(url, _)| url);
    checks.extend(runtime.block_on(database(data, running.as_deref())));
    checks.push(disk(data));
    checks.push(clock());
    if let Some(address) = listen {
        checks.push(port(address, running.as_deref()));
    }
    Ok(checks)
}

fn folder(data: &Path) -> Check {
    let shown = data.display();
    match std::fs::metadata(data) {
        Ok(facts) if !facts.is_dir() => Check::error("data", format!("{shown} is no folder"), "give another --data"),
        Ok(facts) if facts.mode() & 0o022 != 0 => {
            let help = format!("`chmod go-w {shown}`: who can write there can become the server");
            Check::error("data", format!("{shown}: others may write to it (mode {:04o})", facts.mode() & 0o7777), help)
        }
        Ok(_) => Check::ok("data", shown.to_string()),
        Err(error) => Check::error("data", format!("{shown}: {error}"), "`pipe serve --data DIR` makes it"),
    }
}

fn key(data: &Path) -> Check {
    let source = KeySource::choose(&terminal::variable, data);
    let place = match &source {
        KeySource::File(path) => path.display().to_string(),
        KeySource::Variable(_) => "PIPE_MASTER_KEY".to_owned(),
    };
    match source.read(false) {
        Ok(keys) if keys.has_old() => {
            Check::warning("key", format!("{place}: a rekey is not done"), "`pipe secret rekey` goes on with it")
        }
        Ok(keys) => Check::ok("key", format!("{} in {place}", keys.current().id())),
        Err(KeyError::Missing(_)) if !data.join("pipe.db").exists() => {
            Check::ok("key", format!("{place} is made at the first start"))
        }
        Err(error) => Check::error("key", error.to_string(), "secrets cannot be opened without it"),
    }
}

async fn database(data: &Path, running: Option<&str>) -> Vec<Check> {
    let path = data.join("pipe.db");
    if !path.exists() {
        return vec![Check::ok("database", format!("{} is made at the first start", path.display()))];
    }
    let opened = match Database::open(&path, Options::SERVER) {
        Ok(opened) => opened,
        Err(StoreError::InUse { by, .. }) => {
            let at = running.map(|url| format!(" at {url}")).unwrap_or_default();
            return vec![Check::ok("database", format!("{} is used by {by}{at}", path.display()))];
        }
        Err(error) => {
            return vec![Check::error(
                "database",
                error.to_string(),
                "mend what it says; `pipe restore` puts back a backup",
            )];
        }
    };
    let mut checks = vec![match opened.probe().await {
        Ok(()) => Check::ok("database", path.display().to_string()),
        Err(error) => {
            Check::error("database", error.to_string(), "make room, or give the folder to who runs the server")
        }
    }];
    match Repositories::on(opened.clone()).all().await {
        Ok(all) if all.is_empty() => {
            let help = "`pipe repo add URL` registers one";
            checks.push(Check::warning("repositories", "none is registered, so every hook is refused", help));
        }
        Ok(all) => checks.push(Check::ok("repositories", format!("{} registered", all.len()))),
        Err(error) => checks.push(Check::error("repositories", error.to_string(), "mend the database")),
    }
    opened.close().await;
    checks
}

fn disk(data: &Path) -> Check {
    let Ok(disk) = statvfs(data) else { return Check::warning("disk", "it cannot be asked", "look at `df`") };
    let free = disk.blocks_available().saturating_mul(disk.fragment_size());
    let all = disk.blocks().saturating_mul(disk.fragment_size()).max(1);
    let percent = free.saturating_mul(100) / all;
    let detail = format!("{:.1} GB free, {percent} %", free as f64 / 1e9);
    if percent < FREE_PERCENT_MIN {
        return Check::warning("disk", detail, "make room: a full disk stops the server from taking hooks");
    }
    Check::ok("disk", detail)
}

fn clock() -> Check {
    let now = Timestamp::now();
    if now.as_second() < CLOCK_MIN_S {
        let help = "set the clock: tokens, signatures and schedules go by it";
        return Check::error("clock", format!("it says {now}"), help);
    }
    Check::ok("clock", now.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

fn port(address: SocketAddr, running: Option<&str>) -> Check {
    match TcpListener::bind(address) {
        Ok(_) => Check::ok("port", format!("{address} is free")),
        Err(error) => match running {
            Some(url) => Check::ok("port", format!("the server listens at {url}")),
            None => Check::error("port", format!("{address}: {error}"), "choose another one with `--listen`"),
        },
    }
}
