//! One client that follows a run: what it gets next, from where it is.
//!
//! The lines of a step, and what was found in them, come before the fact that it has ended, and all facts before the end
//! of the stream.

use std::collections::VecDeque;
use std::io::{SeekFrom, Write as _};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use engine::job::log_path;
use engine::store::findings::Findings;
use engine::store::listing::RunListed;
use engine::store::{RunNumbers, RunStatus};
use engine::wire::{self, LogLines};
use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio::sync::{OwnedSemaphorePermit, watch};
use workflow::run::{JobRunKey, Recorded};

use super::place::{Change, LogKey, Place};
use super::{Follow, Wanted};

/// Bytes of a log that are read at once.
const CHUNK_BYTES: u64 = 8 * 1_024;
/// Longest line that is waited for; what is longer comes in pieces.
const LINE_BYTES_MAX: usize = 64 * 1_024;
/// Facts that are handed out at once.
const BATCH_BYTES: usize = 32 * 1_024;
/// A silent stream says that it lives.
const HEARTBEAT: Duration = Duration::from_secs(15);

pub(super) struct Client {
    follow: Follow,
    run: RunListed,
    wanted: Wanted,
    place: Place,
    facts: VecDeque<Recorded>,
    news: watch::Receiver<u64>,
    is_greeted: bool,
    is_over: bool,
    is_ended: bool,
    _permit: OwnedSemaphorePermit,
}

impl Client {
    pub(super) fn new(
        follow: Follow,
        run: RunListed,
        place: Option<Place>,
        wanted: Wanted,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        let mut news = follow.news.of(run.id);
        news.mark_changed();
        Self {
            follow,
            wanted,
            is_greeted: place.is_some(),
            place: place.unwrap_or_default(),
            facts: VecDeque::new(),
            news,
            is_over: false,
            is_ended: false,
            run,
            _permit: permit,
        }
    }

    /// The next bytes; `None` after the end.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        if self.is_ended {
            return None;
        }
        if !self.is_greeted {
            self.is_greeted = true;
            return Some(self.greeting());
        }
        loop {
            let is_last_look = self.is_over;
            let mut out = Vec::new();
            {
                // Nobody closes it.
                let _turn = Arc::clone(&self.follow.reading).acquire_owned().await.ok();
                self.news.mark_unchanged();
                if let Err(error) = self.gather(&mut out).await {
                    tracing::warn!(%error, run = %self.run.id, "a run that is followed cannot be read");
                    return None;
                }
            }
            if !out.is_empty() {
                return Some(out.into());
            }
            if is_last_look {
                self.is_ended = true;
                return Some(Bytes::from_static(b"event: end\ndata: {}\n\n"));
            }
            if self.is_over {
                continue;
            }
            tokio::select! {
                changed = self.news.changed() => if changed.is_err() { return None },
                () = tokio::time::sleep(HEARTBEAT) => return Some(Bytes::from_static(b": alive\n\n")),
                () = self.follow.stop.cancelled() => return None,
            }
        }
    }

    fn greeting(&self) -> Bytes {
        let run = &self.run;
        let at = run.created_at.parse().unwrap_or_default();
        let numbers = RunNumbers { id: run.id, first: run.id, number: run.number, attempt: run.attempt };
        let created = wire::created(at, &run.workflow, &run.title, numbers);
        format!("retry: 1000\nid: {}\ndata: {created}\n\n", self.place).into()
    }

    /// Facts as far as there are any, each behind the lines that belong before it; else lines of what is running.
    async fn gather(&mut self, out: &mut Vec<u8>) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        if self.facts.is_empty() {
            self.facts = self.follow.listing.facts(self.run.id, self.place.seq).await?.into();
            // Who comes back behind the last fact of a run that was over when they came gets no other.
            self.is_over |= self.facts.is_empty() && self.run.status == RunStatus::Completed;
        }
        while let Some(fact) = self.facts.front() {
            let change = Change::of(&fact.event);
            let is_due = |log: &&LogKey| change.closes(log) || change.follows(log);
            let due: Vec<LogKey> = self.place.open.keys().filter(is_due).cloned().collect();
            for log in due {
                if !self.lines(&log, change.closes(&log), out).await? {
                    return Ok(());
                }
            }
            let Some(fact) = self.facts.pop_front() else { break };
            self.found(&fact, &change, out).await;
            self.pass(&fact, out);
            if out.len() >= BATCH_BYTES {
                return Ok(());
            }
        }
        let open: Vec<LogKey> = self.place.open.keys().cloned().collect();
        for log in open {
            self.lines(&log, false, out).await?;
            if out.len() >= BATCH_BYTES {
                break;
            }
        }
        Ok(())
    }

    fn is_wanted(&self, job: &JobRunKey) -> bool {
        self.wanted.logs && self.wanted.job.as_ref().is_none_or(|wanted| wanted == job)
    }

    /// What was found in logs that a fact closes: no place of their own, they come together with the fact.
    async fn found(&self, fact: &Recorded, change: &Change, out: &mut Vec<u8>) {
        let (job, step) = match change {
            Change::Closes((job, step)) => (job, *step),
            Change::ClosesJob(job) => (job, None),
            Change::Opens(_) | Change::ClosesAll | Change::Nothing => return,
        };
        if !self.is_wanted(job) {
            return;
        }
        let found = Findings::of(self.follow.folders.clone()).of_log(self.run.id, job, step).await;
        let mut tell = |kind: &str, more: Json| {
            let event = wire::event(kind, fact.at, Some(self.run.id), more);
            out.extend_from_slice(format!("data: {event}\n\n").as_bytes());
        };
        for annotation in found.annotations {
            tell("annotation", json!({ "job": job, "step": step, "annotation": annotation }));
        }
        if let Some(markdown) = found.summary {
            tell("summary", json!({ "job": job, "step": step, "markdown": markdown }));
        }
    }

    /// Hands a fact out; the lines that belong before it have been.
    fn pass(&mut self, fact: &Recorded, out: &mut Vec<u8>) {
        let change = Change::of(&fact.event);
        self.place.open.retain(|log, _| !change.closes(log));
        match change {
            Change::Opens(log) if self.is_wanted(&log.0) => drop(self.place.open.insert(log, 0)),
            Change::ClosesAll => self.is_over = true,
            Change::Opens(_) | Change::Closes(_) | Change::ClosesJob(_) | Change::Nothing => {}
        }
        self.place.seq = fact.seq;
        let event = wire::fact(Some(self.run.id), fact);
        out.extend_from_slice(format!("id: {}\ndata: {event}\n\n", self.place).as_bytes());
    }

    /// Lines of a log from where the client is, a chunk at a time; whether that was all. Where it is over its last line
    /// needs no line feed.
    async fn lines(&mut self, log: &LogKey, is_over: bool, out: &mut Vec<u8>) -> std::io::Result<bool> {
        let path = log_path(&self.follow.folders.logs(self.run.id), &log.0, log.1);
        let Ok(mut file) = tokio::fs::File::open(&path).await else { return Ok(true) };
        let mut at = self.place.open.get(log).copied().unwrap_or(0);
        file.seek(SeekFrom::Start(at)).await?;
        let form = LogLines::of(Some(self.run.id), &log.0, log.1);
        let mut bytes = Vec::new();
        loop {
            let read = (&mut file).take(CHUNK_BYTES).read_to_end(&mut bytes).await?;
            let is_end = (read as u64) < CHUNK_BYTES;
            let mut rest = bytes.as_slice();
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                at += end as u64 + 1;
                self.line(&form, log, &rest[..end], at, out)?;
                rest = &rest[end + 1..];
            }
            if !rest.is_empty() && (is_end && is_over || rest.len() > LINE_BYTES_MAX) {
                at += rest.len() as u64;
                self.line(&form, log, rest, at, out)?;
                rest = &[];
            }
            let left = rest.len();
            bytes.drain(..bytes.len() - left);
            if is_end {
                return Ok(true);
            }
            if out.len() >= BATCH_BYTES {
                return Ok(false);
            }
        }
    }

    /// One line, with the place behind it.
    fn line(&mut self, form: &LogLines, log: &LogKey, line: &[u8], at: u64, out: &mut Vec<u8>) -> std::io::Result<()> {
        if let Some(open) = self.place.open.get_mut(log) {
            *open = at;
        }
        write!(out, "id: {}\ndata: ", self.place)?;
        form.write(out, line)?;
        out.extend_from_slice(b"\n\n");
        Ok(())
    }
}
