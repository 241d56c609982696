//! What a test tool says of one test, and of all of them.

use serde::{Deserialize, Serialize};

/// Longest name of a suite, a class or a test.
pub(super) const NAME_CHARS_MAX: usize = 1_024;
/// Longest message.
pub const MESSAGE_CHARS_MAX: usize = 4_096;
/// Most of the details of one case: what stands at their begin and at their end.
const DETAILS_HEAD_CHARS: usize = 12 * 1_024;
/// The same at the end.
const DETAILS_TAIL_CHARS: usize = 4 * 1_024;

/// How a test ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It could not be carried out: an exception outside of what it checks.
    Error,
    /// What it checks does not hold.
    Failed,
    /// It failed, was tried again and passed.
    Flaky,
    /// It was not run.
    Skipped,
    /// It passed.
    Passed,
}

impl Outcome {
    /// All of them, the worst first.
    pub const ALL: [Self; 5] = [Self::Error, Self::Failed, Self::Flaky, Self::Skipped, Self::Passed];

    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Failed => "failed",
            Self::Flaky => "flaky",
            Self::Skipped => "skipped",
            Self::Passed => "passed",
        }
    }

    /// By its word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.word() == word)
    }

    /// Whether something is wrong.
    #[must_use]
    pub const fn is_bad(self) -> bool {
        match self {
            Self::Error | Self::Failed => true,
            Self::Flaky | Self::Skipped | Self::Passed => false,
        }
    }
}

/// One test as a report has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// The innermost suite; may be empty.
    pub suite: String,
    /// `classname`; may be empty.
    pub class: String,
    /// Its name.
    pub name: String,
    /// The file, as the tool writes it, or relative to the workspace where that is known.
    pub file: Option<String>,
    /// The line, from 1.
    pub line: Option<u32>,
    /// How long it took, in microseconds.
    pub time_us: Option<u64>,
    /// How it ended.
    pub outcome: Outcome,
    /// One sentence of what is wrong, or why it was skipped.
    pub message: Option<String>,
    /// All that the tool says of it.
    pub details: Option<String>,
    /// How often it was tried beyond the first time.
    pub retries: u32,
}

impl Case {
    /// Class and name as one.
    #[must_use]
    pub fn title(&self) -> String {
        title(&self.class, &self.name)
    }
}

/// Class and name of a test as one, each part once.
#[must_use]
pub fn title(class: &str, name: &str) -> String {
    if class.is_empty() || name.starts_with(class) { name.to_owned() } else { format!("{class} › {name}") }
}

/// How many tests ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Passed at once.
    pub passed: u64,
    /// Failed.
    pub failed: u64,
    /// Could not be carried out.
    pub errors: u64,
    /// Not run.
    pub skipped: u64,
    /// Passed after a failure.
    pub flaky: u64,
    /// Milliseconds of all of them together.
    pub time_ms: u64,
}

impl Totals {
    /// Counts one.
    pub const fn add(&mut self, case: &Case) {
        match case.outcome {
            Outcome::Passed => self.passed += 1,
            Outcome::Failed => self.failed += 1,
            Outcome::Error => self.errors += 1,
            Outcome::Skipped => self.skipped += 1,
            Outcome::Flaky => self.flaky += 1,
        }
    }

    /// Those of some cases.
    #[must_use]
    pub fn of(cases: &[Case]) -> Self {
        let mut totals = Self::default();
        cases.iter().for_each(|case| totals.add(case));
        totals.time_ms = cases.iter().filter_map(|case| case.time_us).fold(0, u64::saturating_add) / 1_000;
        totals
    }

    /// Both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            errors: self.errors + other.errors,
            skipped: self.skipped + other.skipped,
            flaky: self.flaky + other.flaky,
            time_ms: self.time_ms + other.time_ms,
        }
    }

    /// All of them.
    #[must_use]
    pub const fn all(&self) -> u64 {
        self.passed + self.bad() + self.skipped + self.flaky
    }

    /// Those with which something is wrong.
    #[must_use]
    pub const fn bad(&self) -> u64 {
        self.failed + self.errors
    }

    /// In words: `812 passed, 2 failed, 1 skipped`.
    #[must_use]
    pub fn words(&self) -> String {
        let parts = [
            (self.passed, "passed"),
            (self.failed, "failed"),
            (self.errors, if self.errors == 1 { "error" } else { "errors" }),
            (self.flaky, "flaky"),
            (self.skipped, "skipped"),
        ];
        let parts: Vec<_> =
            parts.iter().filter(|(count, _)| *count > 0).map(|(n, word)| format!("{n} {word}")).collect();
        if parts.is_empty() { "no tests".to_owned() } else { parts.join(", ") }
    }
}

/// At most so many characters.
pub(super) fn cut(text: &str, chars: usize) -> String {
    text.char_indices().nth(chars).map_or(text, |(end, _)| &text[..end]).to_owned()
}

/// Head and tail of a long text.
pub(super) fn middle_out(text: &str) -> String {
    let count = text.chars().count();
    if count <= DETAILS_HEAD_CHARS + DETAILS_TAIL_CHARS {
        return text.to_owned();
    }
    let at = |chars: usize| text.char_indices().nth(chars).map_or(text.len(), |(at, _)| at);
    format!("{}\n…\n{}", &text[..at(DETAILS_HEAD_CHARS)], &text[at(count - DETAILS_TAIL_CHARS)..])
}
