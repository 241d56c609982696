//! The way of a step's output: cut into lines, commands taken out, secrets hidden, stored, shown live.
//!
//! The order matters. Commands are read from the text as the step wrote it, their effects (a new mask above all) are
//! taken before the line is shown, and nothing is stored or shown that did not pass the masker.

use std::path::Path;
use std::sync::Arc;

use workflow::command::{
    Annotation, AnnotationLevel, CommandProcessor, CommandSettings, Effect, LineSplitter, LogLine, MatcherSet, Piece,
    ProblemFinder, each_line,
};
use workflow::mask::{MaskStream, TooShort};
use workflow::run::{JobRunKey, StepIndex};

use super::SharedMasker;
use super::findings_file::FindingsFile;
use super::log_file::{LOG_BYTES_MAX, LogFile, LogPlace, log_path};
use super::matchers::{JobMatchers, MatcherChange};
use super::times_file::TimesFile;
use super::waiting::Waiting;
use crate::notice::{Notice, Notices};

/// The log of one step, or of a job's set-up.
pub struct StepLog {
    key: JobRunKey,
    step: Option<StepIndex>,
    notices: Notices,
    masker: Arc<SharedMasker>,
    generation: u64,
    stream: MaskStream,
    splitter: LineSplitter,
    pub(super) processor: CommandProcessor,
    pub(super) settings: CommandSettings,
    file: LogFile,
    times: TimesFile,
    findings: FindingsFile,
    effects: Vec<Effect>,
    masked: Vec<u8>,
    /// Room for what is not masked yet, used again and again.
    plain: Vec<u8>,
    pub(super) matching: Matching,
}

/// Problem matchers at work on a step's output.
#[derive(Default)]
pub(super) struct Matching {
    /// Those of the job; `None` for its set-up.
    pub(super) job: Option<Arc<JobMatchers>>,
    pub(super) set: MatcherSet,
    generation: u64,
    /// Where the step runs.
    pub(super) cwd: Option<String>,
    /// Problems that are known without a matcher.
    pub(super) problems: ProblemFinder,
    /// What the last line asked for. The lines behind it wait until that is done.
    change: Option<MatcherChange>,
    waiting: Vec<Waiting>,
}

/// What came of some output.
#[derive(Default)]
struct Taken {
    plain: Vec<u8>,
    annotations: Vec<Annotation>,
}

impl Taken {
    fn annotate(&mut self, annotation: Annotation) {
        self.plain.extend_from_slice(format!("##[{}]{}\n", annotation.level.name(), annotation.message).as_bytes());
        self.annotations.push(annotation);
    }
}

impl std::fmt::Debug for StepLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StepLog").field("key", &self.key).field("step", &self.step).finish_non_exhaustive()
    }
}

impl StepLog {
    /// Opens the log. Where its file cannot be written the run goes on and the live output says so.
    pub(crate) fn open(
        place: LogPlace,
        notices: Notices,
        masker: Arc<SharedMasker>,
        settings: CommandSettings,
    ) -> Self {
        Self::reopen(place, notices, masker, settings, 0)
    }

    /// Opens a log that another process wrote, and keeps the first `bytes` of it.
    pub(crate) fn reopen(
        place: LogPlace,
        notices: Notices,
        masker: Arc<SharedMasker>,
        settings: CommandSettings,
        bytes: u64,
    ) -> Self {
        let (current, generation) = masker.current();
        let path = log_path(&place.folder, &place.key, place.step);
        let there = std::fs::metadata(&path).map_or(0, |facts| facts.len());
        // A step's output is taken again from its first byte; a set-up that is not kept is another one.
        let known = if place.step.is_some() { there } else { bytes.min(there) };
        Self {
            key: place.key,
            step: place.step,
            notices,
            masker,
            generation,
            stream: MaskStream::new(current),
            splitter: LineSplitter::new(),
            processor: CommandProcessor::new(settings),
            settings,
            times: TimesFile::open(&path, known),
            file: LogFile::open(&path, place.bytes_max, bytes),
            findings: FindingsFile::open(&path, bytes),
            effects: Vec::new(),
            masked: Vec::new(),
            plain: Vec::new(),
            matching: Matching::default(),
        }
    }

    /// Looks at the output with the problem matchers of the job.
    pub(super) fn with_matchers(mut self, job: Arc<JobMatchers>) -> Self {
        self.matching.job = Some(job);
        self.renew_matchers();
        self
    }

    /// Where [`Self::alone`] writes, below its folder.
    pub const ALONE: &str = "alone/job.log";

    /// A log that nobody watches, for an action that runs by itself.
    #[must_use]
    pub fn alone(folder: &Path, masker: Arc<SharedMasker>) -> Self {
        let key = JobRunKey::parse("alone");
        let place = LogPlace { key, step: None, folder: folder.to_path_buf(), bytes_max: LOG_BYTES_MAX };
        Self::open(place, Notices::default(), masker, CommandSettings::default())
    }

    /// Takes output of the step as it comes, commands and all.
    pub async fn output(&mut self, bytes: &[u8]) {
        let mut splitter = std::mem::take(&mut self.splitter);
        let mut taken = Taken { plain: std::mem::take(&mut self.plain), ..Taken::default() };
        self.renew_matchers();
        splitter.push(bytes, |piece| self.piece(piece, &mut taken));
        self.splitter = splitter;
        self.settle(&mut taken).await;
        self.store(&taken.plain);
        taken.plain.clear();
        self.plain = taken.plain;
        self.send(taken.annotations).await;
    }

    /// Shows what is held back for the sake of commands, since nothing has come for a while (a prompt, say). What may be
    /// the beginning of a secret stays hidden.
    pub async fn idle(&mut self) {
        let mut plain = Vec::new();
        self.splitter.release(|piece| {
            if let Piece::Part(part) = piece {
                plain.extend_from_slice(part);
            }
        });
        self.store(&plain);
        self.send(Vec::new()).await;
    }

    /// The end of the step's output: its last line counts, with or without a line feed. Our own lines may follow.
    pub async fn end_of_output(&mut self) {
        let mut splitter = std::mem::take(&mut self.splitter);
        let mut taken = Taken::default();
        splitter.finish(|piece| self.piece(piece, &mut taken));
        self.settle(&mut taken).await;
        self.store(&taken.plain);
        self.send(taken.annotations).await;
    }

    /// The end of one of several steps that share the log: nothing of it is held back any more, and the commands of the
    /// next one begin anew.
    pub(super) async fn end_of_part(&mut self) {
        self.end_of_output().await;
        self.stream.flush(&mut self.masked);
        self.send(Vec::new()).await;
        self.processor = CommandProcessor::new(self.settings);
    }

    /// The end of the log.
    pub async fn finish(&mut self) {
        self.end_of_output().await;
        self.stream.flush(&mut self.masked);
        self.send(Vec::new()).await;
        self.file.finish();
        self.findings.finish();
    }

    /// Whether all that was taken is stored and nothing of it waits for more.
    pub(super) fn is_settled(&self) -> bool {
        self.splitter.is_settled() && self.stream.pending() == 0 && self.masked.is_empty()
    }

    /// How many bytes are stored. Another process may go on from there.
    pub(super) fn stored_bytes(&mut self) -> u64 {
        self.findings.mark(self.file.written);
        self.file.written
    }

    /// Keeps what the step wrote to its summary, and tells it.
    pub(crate) async fn summary(&mut self, markdown: &str) {
        let Some(step) = self.step else { return };
        let markdown = self.masker.mask(markdown);
        self.findings.summary(&markdown);
        self.notices.send(Notice::Summary { key: self.key.clone(), step, markdown }).await;
    }

    /// Writes a line of our own; it holds no commands, but may hold secrets.
    pub async fn line(&mut self, text: &str) {
        self.store(text.as_bytes());
        self.store(b"\n");
        self.send(Vec::new()).await;
    }

    /// Writes an error: a line of the log and an annotation.
    pub async fn error(&mut self, message: &str) {
        self.annotate(Annotation::new(AnnotationLevel::Error, message)).await;
    }

    /// Writes a warning: a line of the log and an annotation.
    pub async fn warning(&mut self, message: &str) {
        self.annotate(Annotation::new(AnnotationLevel::Warning, message)).await;
    }

    /// Writes what an annotation says, and tells it.
    pub async fn annotate(&mut self, annotation: Annotation) {
        self.store(format!("##[{}]{}\n", annotation.level.name(), annotation.message).as_bytes());
        self.send(vec![annotation]).await;
    }

    /// What commands asked for since the last call.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    fn piece(&mut self, piece: Piece<'_>, taken: &mut Taken) {
        if self.matching.change.is_some() {
            return self.matching.waiting.push(piece.into());
        }
        let (text, ending) = match piece {
            Piece::Lines(lines) if !self.matching.set.is_empty() => {
                return each_line(lines, |line| match line {
                    Piece::Line { text, ending } => self.ordinary(text, ending, taken),
                    Piece::Lines(part) | Piece::Part(part) => taken.plain.extend_from_slice(part),
                });
            }
            Piece::Lines(lines) => {
                self.look_at(lines);
                return taken.plain.extend_from_slice(lines);
            }
            Piece::Part(part) => {
                self.matching.problems.reset();
                return taken.plain.extend_from_slice(part);
            }
            Piece::Line { text, ending } => (text, ending),
        };
        let Some(handled) = self.processor.process(text) else { return self.ordinary(text, ending, taken) };
        // What came before the line is shown as it was; what the line hides counts from the line itself on.
        self.store(&taken.plain);
        taken.plain.clear();
        for effect in handled.effects {
            match effect {
                Effect::AddMask(secret) => {
                    if let Err(too_short) = self.add_mask(secret.expose()) {
                        taken.annotate(Annotation::new(AnnotationLevel::Warning, too_short.to_string()));
                    }
                }
                Effect::Annotate(annotation) => taken.annotations.push(annotation),
                Effect::AddMatcher { file } => self.matching.change = Some(MatcherChange::Add { file }),
                Effect::RemoveMatcherFile(file) => self.matching.change = Some(MatcherChange::RemoveFile { file }),
                Effect::RemoveMatcherOwner(owner) => self.matching.change = Some(MatcherChange::RemoveOwner(owner)),
                Effect::SetOutput { .. }
                | Effect::SaveState { .. }
                | Effect::SetEnvironment { .. }
                | Effect::AddPath(_)
                | Effect::FailStep => self.effects.push(effect),
            }
        }
        for line in handled.lines {
            show(&line, &mut taken.plain);
        }
    }

    /// A line that is no command: a problem that a matcher knows, or just text.
    fn ordinary(&mut self, text: &[u8], ending: &[u8], taken: &mut Taken) {
        let found = match self.matching.set.is_empty() {
            true => None,
            false => self.matching.set.feed(&String::from_utf8_lossy(text)),
        };
        let Some(found) = found else {
            self.look_at_line(text);
            taken.plain.extend_from_slice(text);
            return taken.plain.extend_from_slice(ending);
        };
        let mut annotation = found.annotation;
        if let Some(job) = &self.matching.job {
            job.locate(&mut annotation);
        }
        show(&LogLine::Message(annotation.level, found.shown), &mut taken.plain);
        taken.annotations.push(annotation);
    }

    /// Changes the matchers as a line asked, then takes the lines that waited for that.
    async fn settle(&mut self, taken: &mut Taken) {
        while let Some(change) = self.matching.change.take() {
            let result = match &self.matching.job {
                Some(job) => job.change(&change).await,
                None => Ok(Vec::new()),
            };
            match result {
                Ok(skipped) => {
                    let warnings = skipped.into_iter().map(|text| Annotation::new(AnnotationLevel::Warning, text));
                    warnings.for_each(|warning| taken.annotate(warning));
                }
                Err(reason) => {
                    let command = format!("Unable to process command '{}' successfully.", change.command());
                    for text in [command, reason] {
                        taken.annotate(Annotation::new(AnnotationLevel::Error, text));
                    }
                    self.effects.push(Effect::FailStep);
                }
            }
            self.renew_matchers();
            for waiting in std::mem::take(&mut self.matching.waiting) {
                self.piece(waiting.piece(), taken);
            }
        }
    }

    fn renew_matchers(&mut self) {
        let Some(job) = &self.matching.job else { return };
        if job.generation() != self.matching.generation {
            (self.matching.set, self.matching.generation) = job.current();
        }
    }

    /// A value that is too short to hide is refused by the masker; hiding every "a" would help nobody.
    fn add_mask(&mut self, value: &str) -> Result<(), TooShort> {
        let added = self.masker.add_found(value);
        self.refresh();
        added
    }

    fn refresh(&mut self) {
        if self.masker.generation() != self.generation {
            let (masker, generation) = self.masker.current();
            self.generation = generation;
            self.stream.replace_masker(masker);
        }
    }

    fn store(&mut self, plain: &[u8]) {
        self.refresh();
        self.masked.reserve(plain.len());
        self.stream.write(plain, &mut self.masked);
    }

    /// Tells annotations that are no part of the output.
    pub(super) async fn tell(&mut self, annotations: Vec<Annotation>) {
        if !annotations.is_empty() {
            self.send(annotations).await;
        }
    }

    async fn send(&mut self, annotations: Vec<Annotation>) {
        if !self.masked.is_empty() {
            let bytes = std::mem::replace(&mut self.masked, self.notices.spare());
            let from = self.file.written;
            self.file.write(&bytes);
            self.times.came(from, self.file.written);
            self.notices.output(&self.key, self.step, bytes).await;
        }
        for annotation in annotations {
            let annotation = Box::new(annotation.masked(&self.masker.current().0));
            self.findings.annotation(&annotation);
            self.notices.send(Notice::Annotated { key: self.key.clone(), step: self.step, annotation }).await;
        }
    }
}

fn show(line: &LogLine<'_>, out: &mut Vec<u8>) {
    match line {
        LogLine::Plain(text) => out.extend_from_slice(text),
        LogLine::Group(title) => out.extend_from_slice(format!("##[group]{title}").as_bytes()),
        LogLine::EndGroup => out.extend_from_slice(b"##[endgroup]"),
        LogLine::Debug(text) => out.extend_from_slice(format!("##[debug]{text}").as_bytes()),
        LogLine::Message(level, text) => out.extend_from_slice(format!("##[{}]{text}", level.name()).as_bytes()),
    }
    out.push(b'\n');
}
