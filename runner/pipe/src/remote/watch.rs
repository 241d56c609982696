//! `pipe watch`: a run followed live, shown as `pipe run` shows it. When the server goes away it is asked again, from
//! the place behind the last event that came.

use std::io::Write as _;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use engine::notice::Notice;
use engine::store::{RunId, RunNumbers};
use engine::wire::{self, Incoming};
use futures_util::StreamExt as _;
use serde_json::Value as Json;
use workflow::run::{Conclusion, RunEvent};

use super::client::{Client, Unanswered, query};
use super::connect::connect;
use super::sse::Events;
use super::{number, place, shown};
use crate::args::{Global, OneRun, WatchArgs};
use crate::exit::{Exit, Failure};
use crate::report::plain::Detail;
use crate::report::{LiveView, Logs, PlainView, Record, SummaryFacts, View, summary};
use crate::run::signal::Signals;
use crate::terminal::{self, Terminal};

/// How often it is asked whether a job asks people in its middle: that is no event of the run.
const GATES_EVERY: Duration = Duration::from_secs(2);
/// How long the server is given before it is asked again, at first and at most.
const PAUSE: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(10);

pub(super) async fn run(args: &WatchArgs, global: &Global) -> Result<Exit, Failure> {
    let WatchArgs { one: OneRun { run, connect: to }, until_review } = args;
    let client = connect(to).await?;
    let run = number(&client, run).await?;
    let wish = Wish { run, job: None, json: to.json, place: place(to), until_review: *until_review };
    follow(&client, &wish, global).await
}

/// What to follow.
pub(super) struct Wish {
    pub(super) run: u64,
    /// Only lines of this job (its key).
    pub(super) job: Option<String>,
    pub(super) json: bool,
    /// The arguments that name the server, for commands that are shown.
    pub(super) place: String,
    /// Whether to end where the run waits for people: for a review, or at a gate.
    pub(super) until_review: bool,
}

/// Follows a run to its end. Ctrl-C ends the watching, not the run.
pub(super) async fn follow(client: &Client, wish: &Wish, global: &Global) -> Result<Exit, Failure> {
    let mut signals = Signals::take().map_err(|error| Failure::environment(format!("cannot take signals: {error}")))?;
    let mut watcher = Watcher::new(wish, global);
    let result = tokio::select! {
        result = watcher.follow_to_the_end(client, wish, global) => result,
        _name = signals.next() => {
            watcher.view.ended();
            let text = format!("The run goes on; `pipe watch {}` follows it again.", wish.run);
            let _gone = writeln!(std::io::stderr(), "{text}");
            return Ok(Exit::Cancelled);
        }
    };
    watcher.view.ended();
    result?;
    if let Some(waits) = &watcher.waits_for {
        let (run, place) = (wish.run, &wish.place);
        let text = match waits {
            Waits::Review(environment) => {
                format!("Run {run} waits for a review of {environment}: pipe approve {run}{place}")
            }
            Waits::Gate { name, subject } => format!("Run {run} asks: {subject} pipe approve {run} {name}{place}"),
        };
        let _gone = writeln!(std::io::stderr(), "{text}");
        return Ok(Exit::Success);
    }
    if !wish.json && wish.job.is_none() {
        let tests = super::left::tests(client, wish.run).await;
        let text = watcher.summary(wish, tests.as_deref(), Terminal::stdout(global.color));
        let _gone = std::io::stdout().write_all(text.as_bytes());
    }
    Ok(match watcher.record.finished {
        Some((Conclusion::Success | Conclusion::Skipped, _)) => Exit::Success,
        Some((Conclusion::Cancelled, _)) => Exit::Cancelled,
        Some((Conclusion::Failure, _)) | None => Exit::Failure,
    })
}

struct Watcher {
    view: Box<dyn View>,
    record: Record,
    run: u64,
    json: bool,
    /// Name of the workflow, title, numbers.
    begun: (String, String, RunNumbers),
    /// The place behind the last event.
    last: Option<String>,
    is_over: bool,
    /// Whether a review was asked for since this was last looked at.
    was_asked: bool,
    /// At what the watching ended.
    waits_for: Option<Waits>,
}

/// What a run waits for.
enum Waits {
    /// A review of this environment.
    Review(String),
    /// An answer to what a job asks in its middle.
    Gate { name: String, subject: String },
}

impl Waits {
    /// The first thing that a run waits for; it may be long ago, and given since.
    fn of(answer: &Json) -> Option<Self> {
        if let Some(environment) = answer["reviews"][0]["environment"].as_str() {
            return Some(Self::Review(environment.to_owned()));
        }
        let gate = &answer["gates"][0];
        let name = gate["service"].as_str()?.to_owned();
        Some(Self::Gate { name, subject: shown(&gate["subject"]) })
    }
}

/// How a connection ended.
enum Ended {
    /// With the run.
    Over,
    /// Early.
    Early(String),
}

impl Watcher {
    fn new(wish: &Wish, global: &Global) -> Self {
        let (stdout, stderr) = (Terminal::stdout(global.color), Terminal::stderr(global.color));
        let verbose = global.verbose > 0;
        let view: Box<dyn View> = if stdout.interactive && stderr.interactive && !wish.json && wish.job.is_none() {
            let detail = if verbose { Detail::Verbose } else { Detail::Quiet };
            Box::new(LiveView::new(stderr, detail, indicatif::MultiProgress::new()))
        } else {
            let detail = match (global.quiet, verbose) {
                (true, _) => Detail::Quiet,
                (false, true) => Detail::Verbose,
                (false, false) => Detail::Normal,
            };
            Box::new(PlainView::new(std::io::BufWriter::new(std::io::stdout()), stdout, detail))
        };
        let id = RunId(wish.run);
        let begun = (String::new(), String::new(), RunNumbers { id, first: id, number: 0, attempt: 1 });
        Self {
            view,
            record: Record::default(),
            run: wish.run,
            json: wish.json,
            begun,
            last: None,
            is_over: false,
            was_asked: false,
            waits_for: None,
        }
    }

    async fn follow_to_the_end(&mut self, client: &Client, wish: &Wish, global: &Global) -> Result<(), Failure> {
        let terminal = Terminal::stderr(global.color);
        let (mut pause, mut is_told) = (PAUSE, false);
        loop {
            let before = self.last.clone();
            match self.connection(client, wish).await {
                Ok(Ended::Over) => return Ok(()),
                // What never began is a wrong address more often than a server that starts.
                Err(Unanswered::Gone(reason)) if self.last.is_none() => return Err(Failure::environment(reason)),
                Ok(Ended::Early(reason)) | Err(Unanswered::Gone(reason)) => {
                    if self.last != before {
                        (pause, is_told) = (PAUSE, false);
                    }
                    if !is_told {
                        terminal::warning(terminal, &format!("{reason}; the run is followed again when it is back"));
                        is_told = true;
                    }
                }
                Err(Unanswered::Refused { status, .. }) if is_passing(status) => {}
                Err(refused @ Unanswered::Refused { .. }) => return Err(refused.into()),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn connection(&mut self, client: &Client, wish: &Wish) -> Result<Ended, Unanswered> {
        let path = format!("/runs/{}/events{}", wish.run, query(&[("job", wish.job.as_deref())]));
        let last = self.last.clone();
        let headers: Vec<_> = last.iter().map(|last| ("last-event-id", last.as_str())).collect();
        let response = client.send(Method::GET, &path, None, &headers).await?;
        let mut stream = response.into_body().into_data_stream();
        let mut events = Events::default();
        let mut look = tokio::time::interval(GATES_EVERY);
        loop {
            let bytes = tokio::select! {
                bytes = stream.next() => bytes,
                _ = look.tick(), if wish.until_review => {
                    if self.waits(client).await? {
                        return Ok(Ended::Over);
                    }
                    continue;
                }
            };
            let bytes = match bytes {
                Some(Ok(bytes)) => bytes,
                Some(Err(error)) => return Ok(Ended::Early(format!("the connection broke: {error}"))),
                None => return Ok(Ended::Early("the server ended the connection".to_owned())),
            };
            let is_ours = events.push(&bytes, |event| {
                if event.name == "end" {
                    self.is_over = true;
                    return;
                }
                self.take(&event.data);
                self.last = event.id.or_else(|| self.last.take());
            });
            if !is_ours {
                return Err(Unanswered::Gone("the server sends no events of a run".to_owned()));
            }
            if self.is_over {
                return Ok(Ended::Over);
            }
            if wish.until_review && std::mem::take(&mut self.was_asked) && self.waits(client).await? {
                return Ok(Ended::Over);
            }
        }
    }

    /// Whether the run waits for people now.
    async fn waits(&mut self, client: &Client) -> Result<bool, Unanswered> {
        self.waits_for = Waits::of(&client.get(&format!("/runs/{}/reviews", self.run)).await?);
        Ok(self.waits_for.is_some())
    }

    /// How the run ended, as `pipe run` tells it.
    fn summary(&self, wish: &Wish, tests: Option<&str>, terminal: Terminal) -> String {
        let failed = !matches!(self.record.finished, Some((Conclusion::Success | Conclusion::Skipped, _)));
        let (run, place) = (self.run, &wish.place);
        // What `pipe run` made goes on with it; how it was begun is known to that command only.
        let again = match (place.is_empty(), failed) {
            (true, true) => format!("pipe run --resume {run}"),
            (true, false) => String::new(),
            (false, true) => format!("pipe rerun {run} --failed{place}"),
            (false, false) => format!("pipe rerun {run}{place}"),
        };
        let facts = SummaryFacts {
            workflow: &self.begun.0,
            title: &self.begun.1,
            numbers: self.begun.2,
            logs: Logs::Command(&format!("pipe logs {run}"), place),
            tests,
            again: &again,
        };
        summary(&self.record, &facts, terminal)
    }

    fn take(&mut self, data: &str) {
        let Ok(object) = serde_json::from_str::<Json>(data) else { return };
        let is_shown = !self.json;
        if self.json {
            let _gone = writeln!(std::io::stdout(), "{data}");
        }
        match wire::read(object) {
            Some(Incoming::Created { workflow, title, number }) => {
                let id = RunId(self.run);
                let numbers = RunNumbers { id, first: id, number, attempt: 1 };
                if is_shown {
                    self.view.begun(&workflow, &title, numbers);
                }
                self.begun = (workflow, title, numbers);
            }
            Some(Incoming::Notice(notice)) => self.notice(&notice, is_shown),
            Some(Incoming::Message(text)) if is_shown => self.view.say(&text),
            Some(Incoming::Message(_)) | None => {}
        }
    }

    fn notice(&mut self, notice: &Notice, is_shown: bool) {
        self.record.add(notice);
        if let Notice::Recorded(fact) = notice
            && matches!(&fact.event, RunEvent::ReviewRequested { reviewers, .. } if !reviewers.is_empty())
        {
            self.was_asked = true;
        }
        if is_shown {
            self.view.notice(notice, &self.record);
        }
    }
}

/// What passes when it is asked again.
fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
}
