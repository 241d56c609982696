//! `pipe deploy status --watch`: what happens, line by line, until the rollout has ended. Its end is the exit code.

use std::io::Write as _;
use std::time::Duration;

use axum::http::Method;
use futures_util::StreamExt as _;
use serde_json::Value as Json;

use super::super::client::{Client, Unanswered};
use super::super::shown;
use super::super::sse::Events;
use super::text;
use crate::exit::{Exit, Failure};
use crate::run::signal::Signals;
use crate::terminal::{self, Terminal};

/// How long the server is given before it is asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// What was printed so far.
struct Follower {
    is_json: bool,
    terminal: Terminal,
    /// When and what the last line of the story was.
    last: Option<Json>,
    /// The newest state that came.
    newest: Json,
    is_over: bool,
}

/// Follows a rollout. Ctrl-C ends the watching, not the rollout.
pub(super) async fn follow(client: &Client, id: u64, is_json: bool, terminal: Terminal) -> Result<Exit, Failure> {
    let mut signals = Signals::take().map_err(|error| Failure::environment(format!("cannot take signals: {error}")))?;
    let mut follower = Follower { is_json, terminal, last: None, newest: Json::Null, is_over: false };
    tokio::select! {
        result = follower.until_its_end(client, id) => result?,
        _name = signals.next() => {
            let text = format!("The rollout goes on; `pipe deploy status --watch --rollout {id}` follows it again.");
            let _gone = writeln!(std::io::stderr(), "{text}");
            return Ok(Exit::Cancelled);
        }
    }
    if !is_json {
        let _gone = write!(std::io::stdout(), "\n{}", text::status(&follower.newest, "", terminal));
    }
    Ok(if follower.newest["view"]["outcome"] == "succeeded" { Exit::Success } else { Exit::Failure })
}

impl Follower {
    async fn until_its_end(&mut self, client: &Client, id: u64) -> Result<(), Failure> {
        let mut is_told = false;
        while !self.is_over {
            match self.connection(client, id).await {
                Ok(()) => is_told = false,
                Err(Unanswered::Gone(reason)) if self.newest.is_null() => return Err(Failure::environment(reason)),
                Err(Unanswered::Gone(reason)) => {
                    if !is_told {
                        terminal::warning(
                            self.terminal,
                            &format!("{reason}; it is followed again when the server is back"),
                        );
                        is_told = true;
                    }
                }
                Err(Unanswered::Refused { status, .. }) if status.is_server_error() => {}
                Err(refused @ Unanswered::Refused { .. }) => return Err(refused.into()),
            }
            if !self.is_over {
                tokio::time::sleep(PAUSE).await;
            }
        }
        Ok(())
    }

    async fn connection(&mut self, client: &Client, id: u64) -> Result<(), Unanswered> {
        let response = client.send(Method::GET, &format!("/rollouts/{id}/events"), None, &[]).await?;
        let mut stream = response.into_body().into_data_stream();
        let mut events = Events::default();
        while let Some(bytes) = stream.next().await {
            let Ok(bytes) = bytes else { return Ok(()) };
            let is_ours = events.push(&bytes, |event| {
                if event.name == "end" {
                    self.is_over = true;
                } else if let Ok(value) = serde_json::from_str(&event.data) {
                    self.take(value);
                }
            });
            if !is_ours {
                return Err(Unanswered::Gone("the server sends no events of a rollout".to_owned()));
            }
            if self.is_over {
                return Ok(());
            }
        }
        Ok(())
    }

    fn take(&mut self, value: Json) {
        let mut output = std::io::stdout().lock();
        if self.is_json {
            let _gone = writeln!(output, "{value}");
            self.newest = value;
            return;
        }
        let view = &value["view"];
        let story = view["timeline"].as_array().map(Vec::as_slice).unwrap_or_default();
        let known = self.last.as_ref().and_then(|last| story.iter().rposition(|line| line == last));
        for line in &story[known.map_or(0, |at| at + 1)..] {
            let _gone = writeln!(output, "{}", text::line(line, self.terminal));
        }
        self.last = story.last().cloned().or_else(|| self.last.take());
        let is_same = |name: &str| self.newest["view"][name] == view[name];
        if !is_same("phase") || !is_same("weight") {
            let split = text::split(view, self.terminal);
            let _gone = writeln!(output, "{split}  {}", shown(&view["phase"]));
        }
        self.newest = value;
    }
}
