//! Verbs about runs and what they use: each asks the API, of a server or of a folder on this machine.
//!
//! Nothing is decided here; what a verb prints and how it ends is.

mod artifacts;
mod client;
mod connect;
mod costs;
mod deliveries;
mod deploy;
mod deployments;
mod insights;
mod left;
mod logs;
mod notify;
mod people;
mod repositories;
mod runs;
mod settings;
mod sse;
mod steer;
mod tokens;
mod watch;

use std::io::Write as _;

use serde_json::Value as Json;

use crate::args::{AuditCommand, Connect, Global, RemoteCommand, SecretCommand};
use crate::exit::{Exit, Failure};
use crate::terminal;

use client::Client;

/// Runs the command.
///
/// # Errors
/// It cannot be done.
pub fn run(command: RemoteCommand, global: &Global) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::environment(format!("cannot start: {error}")))?;
    runtime.block_on(perform(command, global))
}

async fn perform(command: RemoteCommand, global: &Global) -> Result<Exit, Failure> {
    match command {
        RemoteCommand::Runs(args) => runs::list(&args, global).await,
        RemoteCommand::Show(args) => runs::show(&args, global).await,
        RemoteCommand::Watch(args) => watch::run(&args, global).await,
        RemoteCommand::Logs(args) => logs::run(&args, global).await,
        RemoteCommand::Artifacts(command) => artifacts::run(command, global).await,
        RemoteCommand::Cancel(args) => steer::cancel(&args, global).await,
        RemoteCommand::Rerun(args) => steer::rerun(&args, global).await,
        RemoteCommand::Approve(args) => steer::review(&args, "approved", global).await,
        RemoteCommand::Reject(args) => steer::review(&args, "rejected", global).await,
        RemoteCommand::Dispatch(args) => steer::dispatch(&args, global).await,
        RemoteCommand::Deliveries(command) => deliveries::run(command, global).await,
        RemoteCommand::Notify(command) => notify::run(command, global).await,
        RemoteCommand::Deploy(command) => deploy::run(command, global).await,
        RemoteCommand::Env(command) => deployments::env(command, global).await,
        RemoteCommand::Deployments(args) => deployments::list(&args, global).await,
        RemoteCommand::Deployment(command) => insights::deployment(command, global).await,
        RemoteCommand::Costs(args) => costs::costs(&args, global).await,
        RemoteCommand::Dora(args) => insights::dora(&args, global).await,
        RemoteCommand::Environments(args) => deployments::environments(&args, global).await,
        RemoteCommand::Messages(command) => deployments::messages(command, global).await,
        RemoteCommand::Repo(args) => repositories::run(args.command, global).await,
        RemoteCommand::Secret(SecretCommand::Rekey { data, json }) => settings::rekey(&data, json).await,
        RemoteCommand::Secret(command) => settings::secret(command, global).await,
        RemoteCommand::Var(command) => settings::variable(command, global).await,
        RemoteCommand::Token(command) => tokens::run(command, global).await,
        RemoteCommand::User(command) => people::user(command, global).await,
        RemoteCommand::Team(command) => people::team(command, global).await,
        RemoteCommand::Audit(AuditCommand::Verify { data, anchor, checkpoint, json }) => {
            tokens::verify(&data, anchor.as_deref(), checkpoint.as_deref(), json).await
        }
        RemoteCommand::Audit(AuditCommand::Export { connect }) => tokens::export(&connect).await,
        RemoteCommand::Audit(AuditCommand::Ls { what, limit, connect }) => {
            tokens::audit(what.as_deref(), limit, &connect, global).await
        }
    }
}

/// The number of a run that is named by number or as `latest`.
async fn number(client: &Client, run: &str) -> Result<u64, Failure> {
    if let Ok(number) = run.trim_start_matches('#').parse() {
        return Ok(number);
    }
    if run != "latest" {
        return Err(
            Failure::usage(format!("`{run}` is no run")).help("give its number, or `latest`; `pipe runs` lists them")
        );
    }
    let listed = client.get("/runs?limit=1").await?;
    listed["runs"][0]["id"].as_u64().ok_or_else(|| Failure::new(Exit::Nothing, "there are no runs"))
}

/// The arguments that name a server, as a person would write them again.
fn place(to: &Connect) -> String {
    match (&to.server, &to.data) {
        (Some(server), _) => format!(" --server {server}"),
        (None, Some(data)) => format!(" --data {}", data.display()),
        (None, None) => String::new(),
    }
}

/// Prints a result: JSON as it is, or a text made of it.
fn print(json: bool, value: &Json, text: impl FnOnce(&Json) -> String) -> Result<Exit, Failure> {
    let mut output = terminal::results();
    if json {
        writeln!(output, "{value:#}")?;
    } else {
        output.write_all(text(value).as_bytes())?;
    }
    output.flush()?;
    Ok(Exit::Success)
}

/// A text of somebody else's, fit for the terminal.
fn shown(value: &Json) -> String {
    let text = match value {
        Json::String(text) => text.clone(),
        Json::Null => String::new(),
        Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => value.to_string(),
    };
    text.chars().filter(|c| !c.is_control() && !is_reordering(*c)).collect()
}

/// Characters that show a text in another order than it is.
fn is_reordering(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_others_stay_in_their_line() {
        for (text, expected) in [("rel\u{202e}gpj", "relgpj"), ("a\nb\u{1b}[2J", "ab[2J"), ("ü", "ü")] {
            assert_eq!(shown(&Json::String(text.into())), expected);
        }
    }
}
