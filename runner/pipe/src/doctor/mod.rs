//! `pipe doctor`: whether this machine can run workflows, and what to do where it cannot.

mod docker;
mod local;
mod server;

use std::io::Write;
use std::path::Path;

use anstyle::AnsiColor;
use serde::Serialize;
use serde_json::json;

use crate::args::{DoctorArgs, Global};
use crate::config::Settings;
use crate::exit::{Exit, Failure};
use crate::files;
use crate::terminal::{self, Terminal};

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should be.
    Ok,
    /// Runs work, but something is amiss.
    Warning,
    /// Runs will fail.
    Error,
}

/// One check.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// How it went.
    pub status: Status,
    /// What was found.
    pub detail: String,
    /// What to do.
    pub help: Option<String>,
}

impl Check {
    /// As it should be.
    pub fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, status: Status::Ok, detail: detail.into(), help: None }
    }

    /// Runs work.
    pub fn warning(name: &'static str, detail: impl Into<String>, help: impl Into<String>) -> Self {
        Self { name, status: Status::Warning, detail: detail.into(), help: Some(help.into()) }
    }

    /// Runs will fail.
    pub fn error(name: &'static str, detail: impl Into<String>, help: impl Into<String>) -> Self {
        Self { name, status: Status::Error, detail: detail.into(), help: Some(help.into()) }
    }
}

/// Runs the command.
pub fn run(args: &DoctorArgs, global: &Global) -> Result<Exit, Failure> {
    let root = files::repository_root(Path::new("."));
    let settings = Settings::load(global, root.as_deref());
    let mut checks = vec![local::settings(&settings)];
    if let Ok(settings) = &settings {
        checks.extend(docker::checks(settings)?);
        checks.extend(local::folders(settings));
    }
    checks.push(local::git());
    checks.push(local::repository(root.as_deref()));
    if let Some(data) = &args.data {
        checks.extend(server::checks(data, args.listen)?);
    }
    let worst = checks.iter().map(|check| check.status).max().unwrap_or(Status::Ok);
    let mut output = terminal::results();
    if args.json {
        writeln!(output, "{:#}", json!({ "v": 1, "ok": worst != Status::Error, "checks": checks }))?;
    } else {
        output.write_all(text(&checks, Terminal::stdout(global.color)).as_bytes())?;
    }
    output.flush()?;
    Ok(if worst == Status::Error { Exit::Environment } else { Exit::Success })
}

fn text(checks: &[Check], terminal: Terminal) -> String {
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or_default();
    let mut text = String::new();
    for check in checks {
        let sign = match check.status {
            Status::Ok => terminal.strong(AnsiColor::Green, "✔"),
            Status::Warning => terminal.strong(AnsiColor::Yellow, "!"),
            Status::Error => terminal.strong(AnsiColor::Red, "✘"),
        };
        text.push_str(&format!("{sign} {:width$}  {}\n", check.name, check.detail));
        if let Some(help) = &check.help {
            text.push_str(&format!("  {:width$}  {} {help}\n", "", terminal.bold("help:")));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_do_stands_below() {
        let checks = [Check::ok("git", "2.39"), Check::error("docker", "not here", "install it")];
        let terminal = Terminal { color: false, interactive: false };
        assert_eq!(text(&checks, terminal), "✔ git     2.39\n✘ docker  not here\n          help: install it\n");
    }
}
