//! What a step leaves to be shown beside its log: annotations and its summary, one line of JSON each, in a file next to
//! the log, masked. `store::findings` reads it.
//!
//! Where a step is taken up again its log is made anew from some byte on, and what is found there is found again. So the
//! places that a log may go on from are marked here, and what was found behind the mark goes.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use workflow::command::{ANNOTATIONS_PER_LEVEL_MAX, Annotation, AnnotationLevel};

/// Longest title, path and code of an annotation.
const TEXT_CHARS_MAX: usize = 1_024;

/// One thing that was left, or a mark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Line {
    /// Something was found.
    Annotation(Box<Annotation>),
    /// What the step wrote to its summary.
    Summary(String),
    /// The log may go on from this byte.
    Mark(u64),
    /// So many annotations were not kept.
    More(u64),
}

/// The file of a log.
#[derive(Debug)]
pub(super) struct FindingsFile {
    path: PathBuf,
    file: Option<File>,
    kept: [usize; 3],
    more: u64,
    is_marked: bool,
    is_broken: bool,
}

/// The file that belongs to a log.
pub(crate) fn findings_path(log: &Path) -> PathBuf {
    log.with_extension("findings")
}

/// What the whole lines of a file say, each with the place behind it.
pub(crate) fn read_lines(bytes: &[u8]) -> impl Iterator<Item = (usize, Line)> + '_ {
    let mut at = 0;
    let whole = bytes.split_inclusive(|byte| *byte == b'\n').map_while(move |line| {
        at += line.len();
        line.ends_with(b"\n").then_some((at, line))
    });
    whole.filter_map(|(at, line)| Some((at, serde_json::from_slice(line).ok()?)))
}

impl FindingsFile {
    /// That of a log of which the first `keep` bytes stay.
    pub(super) fn open(log: &Path, keep: u64) -> Self {
        let path = findings_path(log);
        let mut this = Self { path, file: None, kept: [0; 3], more: 0, is_marked: true, is_broken: false };
        let done = if keep == 0 { gone(std::fs::remove_file(&this.path)) } else { this.go_on(keep) };
        if let Err(error) = done {
            this.give_up(&error);
        }
        this
    }

    fn go_on(&mut self, keep: u64) -> io::Result<()> {
        let bytes = match std::fs::read(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            read => read?,
        };
        let is_end = |line: &Line| keep == u64::MAX || matches!(line, Line::Mark(log) if *log <= keep);
        let end = read_lines(&bytes).filter(|(_, line)| is_end(line)).last().map_or(0, |(at, _)| at);
        for (_, line) in read_lines(&bytes[..end]) {
            match line {
                Line::Annotation(annotation) => self.kept[place(annotation.level)] += 1,
                Line::More(more) => self.more = more,
                Line::Summary(_) | Line::Mark(_) => {}
            }
        }
        let file = File::options().append(true).open(&self.path)?;
        file.set_len(end as u64)?;
        self.file = Some(file);
        Ok(())
    }

    /// Keeps one that is masked; those that are too many are counted.
    pub(super) fn annotation(&mut self, annotation: &Annotation) {
        let kept = &mut self.kept[place(annotation.level)];
        if *kept >= ANNOTATIONS_PER_LEVEL_MAX {
            self.more += 1;
            return;
        }
        *kept += 1;
        let mut annotation = Box::new(annotation.clone());
        let Annotation { title, file, code, .. } = &mut *annotation;
        for text in [title, file, code].into_iter().flatten() {
            if let Some((end, _)) = text.char_indices().nth(TEXT_CHARS_MAX) {
                text.truncate(end);
            }
        }
        self.put(&Line::Annotation(annotation));
        self.is_marked = false;
    }

    /// Keeps the summary, which is masked.
    pub(super) fn summary(&mut self, markdown: &str) {
        self.put(&Line::Summary(markdown.to_owned()));
        self.is_marked = false;
    }

    /// The log may go on from here.
    pub(super) fn mark(&mut self, log: u64) {
        if !self.is_marked {
            self.put(&Line::Mark(log));
            self.is_marked = true;
        }
    }

    /// Nothing more is found.
    pub(super) fn finish(&mut self) {
        if self.more > 0 {
            self.put(&Line::More(self.more));
        }
    }

    fn put(&mut self, line: &Line) {
        if self.is_broken {
            return;
        }
        let written = serde_json::to_vec(line).map_err(io::Error::other).and_then(|mut bytes| {
            bytes.push(b'\n');
            if self.file.is_none() {
                self.file = Some(File::options().append(true).create(true).open(&self.path)?);
            }
            self.file.as_mut().map_or(Ok(()), |file| file.write_all(&bytes))
        });
        if let Err(error) = written {
            self.give_up(&error);
        }
    }

    fn give_up(&mut self, error: &io::Error) {
        tracing::warn!(path = %self.path.display(), %error, "what this step finds cannot be stored");
        self.is_broken = true;
    }
}

const fn place(level: AnnotationLevel) -> usize {
    match level {
        AnnotationLevel::Error => 0,
        AnnotationLevel::Warning => 1,
        AnnotationLevel::Notice => 2,
    }
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(path: &Path) -> String {
        let bytes = std::fs::read(findings_path(path)).unwrap_or_default();
        let text = |(_, line)| match line {
            Line::Annotation(annotation) => annotation.message,
            Line::Summary(text) => format!("({text})"),
            Line::Mark(log) => format!("|{log}"),
            Line::More(more) => format!("+{more}"),
        };
        read_lines(&bytes).map(text).collect::<Vec<_>>().join(" ")
    }

    fn found(text: &str) -> Annotation {
        Annotation::new(AnnotationLevel::Error, text)
    }

    #[test]
    fn what_was_found_behind_a_mark_is_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("0001.log");
        let mut file = FindingsFile::open(&log, 0);
        file.mark(5);
        assert_eq!(texts(&log), "", "nothing was found, so there is no file");
        file.annotation(&found("a"));
        file.mark(10);
        file.mark(15);
        file.annotation(&found("b"));
        file.mark(20);
        file.annotation(&found("c"));
        file.summary("s");
        file.finish();
        assert_eq!(texts(&log), "a |10 b |20 c (s)");
        let bytes = std::fs::read(findings_path(&log)).unwrap();
        for (keep, expect) in [
            (0, ""),
            (9, ""),
            (10, "a |10"),
            (15, "a |10"),
            (19, "a |10"),
            (20, "a |10 b |20"),
            (u64::MAX, "a |10 b |20 c (s)"),
        ] {
            std::fs::write(findings_path(&log), [&bytes[..], b"{\"annotation\":{\"lev"].concat()).unwrap();
            FindingsFile::open(&log, keep);
            assert_eq!(texts(&log), expect, "{keep}");
        }
    }

    #[test]
    fn ten_of_a_level_are_kept_and_the_others_counted() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("0001.log");
        let mut file = FindingsFile::open(&log, 0);
        for number in 0..8 {
            file.annotation(&found(&number.to_string()));
        }
        file.mark(7);
        drop(file);
        let mut file = FindingsFile::open(&log, 7);
        for number in 8..13 {
            file.annotation(&found(&number.to_string()));
        }
        file.annotation(&Annotation {
            title: Some("ä".repeat(2_000)),
            ..Annotation::new(AnnotationLevel::Notice, "notice")
        });
        file.finish();
        assert_eq!(texts(&log), "0 1 2 3 4 5 6 7 |7 8 9 notice +3");
    }
}
