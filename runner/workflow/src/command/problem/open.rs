//! Problems whose message comes after their place: tracebacks of Python, panics of Rust.

use std::sync::LazyLock;

use regex::Regex;

use super::Problem;
use crate::command::AnnotationLevel;

/// Lines that a traceback has at most.
const LINES_MAX: usize = 400;
/// Of its places, how many are kept.
const PLACES_MAX: usize = 20;

static FRAME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"^  File "([^"]+)", line (\d+)(?:, in .*)?$"#).expect("it is constant"));
static EXCEPTION: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^[A-Za-z_][A-Za-z0-9_.]*(?:: .*)?$").expect("it is constant"));
static PANIC: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^thread '.*' (?:\(\d+\) )?panicked at ([^\s:']+\.rs):(\d+):(\d+):$").expect("it is constant")
});

/// One whose message is still to come.
#[derive(Debug)]
pub(super) enum Open {
    /// `Traceback (most recent call last):`
    Traceback { places: Vec<(String, u32)>, lines: usize },
    /// `thread '…' panicked at …:`
    Panic { file: String, line: String, column: Option<u32> },
}

/// What a line means to it.
#[derive(Debug)]
pub(super) enum Step {
    /// It goes on.
    On,
    /// It was the message.
    Over(Problem),
    /// It was none after all.
    Not,
}

impl Open {
    pub(super) fn begin(line: &str) -> Option<Self> {
        if line == "Traceback (most recent call last):" {
            return Some(Self::Traceback { places: Vec::new(), lines: 0 });
        }
        let found = PANIC.captures(line)?;
        let column = found[3].parse().ok();
        Some(Self::Panic { file: found[1].to_owned(), line: found[2].to_owned(), column })
    }

    pub(super) fn take(&mut self, text: &str) -> Step {
        match self {
            Self::Panic { file, line, column } => {
                if text.trim().is_empty() {
                    return Step::Not;
                }
                let mut problem = Problem::new("rustc", AnnotationLevel::Error, text, file, line);
                problem.annotation.column = *column;
                Step::Over(problem)
            }
            Self::Traceback { places, lines } => {
                *lines += 1;
                if *lines > LINES_MAX {
                    return Step::Not;
                }
                if let Some(frame) = FRAME.captures(text) {
                    if let Ok(line) = frame[2].parse() {
                        places.insert(0, (frame[1].to_owned(), line));
                        places.truncate(PLACES_MAX);
                    }
                    return Step::On;
                }
                if text.starts_with(' ') {
                    return Step::On;
                }
                if !EXCEPTION.is_match(text) || places.is_empty() {
                    return Step::Not;
                }
                let (file, line) = places.remove(0);
                let level = AnnotationLevel::Error;
                let mut problem = Problem::new("python", level, text, &file, &line.to_string());
                problem.others = std::mem::take(places);
                Step::Over(problem)
            }
        }
    }
}
