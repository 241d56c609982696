//! Annotations: errors, warnings and notices that a step attaches to the run or to a line of a file.
//!
//! Where a path lies in the repository, and whether it exists, is not known here. Follows
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#setting-an-error-message>.

use serde::{Deserialize, Serialize};

use crate::mask::Masker;

/// Annotations of one level that a step keeps; later ones are only in the log, as on GitHub.
pub const ANNOTATIONS_PER_LEVEL_MAX: usize = 10;

/// Longest message of an annotation, in UTF-16 units as GitHub counts; the log has all of it.
pub const ANNOTATION_MESSAGE_UNITS_MAX: usize = 4096;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AnnotationLevel {
    /// Good to know.
    Notice,
    /// May be a problem.
    Warning,
    /// A problem; it does not fail the step by itself.
    Error,
}

impl AnnotationLevel {
    /// The name in `::name::` and in `##[name]`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One message, perhaps with its place. Lines and columns count from 1, as tools print them; nothing enforces that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Annotation {
    /// How bad it is.
    pub level: AnnotationLevel,
    /// The text; may have several lines.
    pub message: String,
    /// A heading instead of the default one.
    pub title: Option<String>,
    /// The path as the step wrote it: relative to the workspace or absolute as the step's container sees it.
    pub file: Option<String>,
    /// First line.
    pub line: Option<u32>,
    /// Last line.
    pub end_line: Option<u32>,
    /// First column.
    pub column: Option<u32>,
    /// Last column.
    pub end_column: Option<u32>,
    /// The tool's own code for the problem; only problem matchers give one.
    pub code: Option<String>,
}

impl Annotation {
    /// A message without a place.
    #[must_use]
    pub fn new(level: AnnotationLevel, message: impl Into<String>) -> Self {
        Self {
            level,
            message: message.into(),
            title: None,
            file: None,
            line: None,
            end_line: None,
            column: None,
            end_column: None,
            code: None,
        }
    }

    /// The form that may leave the job: secrets hidden first, then the message cut, so that no half secret escapes the cut.
    #[must_use]
    pub fn masked(mut self, masker: &Masker) -> Self {
        for text in [&mut self.title, &mut self.file, &mut self.code].into_iter().flatten() {
            *text = masker.mask_str(text).into_owned();
        }
        self.message = cut(&masker.mask_str(&self.message)).to_owned();
        self
    }

    /// Drops places that contradict themselves, and says so in GitHub's words (shown as debug lines).
    pub(super) fn check_place(&mut self) -> Vec<String> {
        let command = self.level.name();
        let mut notes = Vec::new();
        let mut note = |text: &str| notes.push(format!("Invalid {command} command value. {text}"));
        let had_start_line = self.line.is_some();
        let had_start_column = self.column.is_some();
        let has_column = had_start_column || self.end_column.is_some();
        if self.end_line.is_some() && !had_start_line {
            note("'endLine' can only be set if 'line' is provided");
            self.line = self.end_line;
        }
        if self.end_column.is_some() && !had_start_column {
            note("'endColumn' can only be set if 'col' is provided");
            self.column = self.end_column;
        }
        let mut drop_columns = false;
        if self.line.is_none() && has_column {
            note("'col' and 'endColumn' can only be set if 'line' value is provided.");
            drop_columns = true;
        }
        if self.end_line.is_some() && self.line != self.end_line && has_column {
            note("'col' and 'endColumn' cannot be set if 'line' and 'endLine' are different values.");
            drop_columns = true;
        }
        if self.end_line.is_some() && self.end_line < self.line {
            note("'endLine' cannot be less than 'line'.");
            (self.line, self.end_line) = (None, None);
        }
        if self.end_column.is_some() && self.end_column < self.column {
            note("'endColumn' cannot be less than 'col'.");
            drop_columns = true;
        }
        if drop_columns {
            (self.column, self.end_column) = (None, None);
        }
        notes
    }
}

fn cut(message: &str) -> &str {
    let mut units = 0;
    for (at, character) in message.char_indices() {
        units += character.len_utf16();
        if units > ANNOTATION_MESSAGE_UNITS_MAX {
            return &message[..at];
        }
    }
    message
}

#[cfg(test)]
mod tests {
    use super::{ANNOTATION_MESSAGE_UNITS_MAX, Annotation, AnnotationLevel};
    use crate::mask::Masker;

    #[test]
    fn masked_before_cut() {
        let mut masker = Masker::new();
        masker.add("hunter22").unwrap();
        let message = format!("{}hunter22 and more", "x".repeat(ANNOTATION_MESSAGE_UNITS_MAX - 5));
        let mut annotation = Annotation::new(AnnotationLevel::Error, message);
        annotation.title = Some("hunter22!".to_owned());
        annotation.file = Some("src/hunter22".to_owned());
        let masked = annotation.masked(&masker);
        assert_eq!(masked.message, format!("{}*** a", "x".repeat(ANNOTATION_MESSAGE_UNITS_MAX - 5)));
        assert_eq!((masked.title.as_deref(), masked.file.as_deref()), (Some("***!"), Some("src/***")));
    }

    /// Cases of the runner's own tests, and the words of each rule.
    #[test]
    fn places_are_checked() {
        type Place = [Option<u32>; 4];
        let check = |[line, end_line, column, end_column]: Place, expect: Place, notes: usize| {
            let mut annotation = Annotation::new(AnnotationLevel::Warning, "");
            (annotation.line, annotation.end_line) = (line, end_line);
            (annotation.column, annotation.end_column) = (column, end_column);
            let found = annotation.check_place();
            let place = [annotation.line, annotation.end_line, annotation.column, annotation.end_column];
            assert_eq!(place, expect, "{line:?} {end_line:?} {column:?} {end_column:?}");
            assert_eq!(found.len(), notes, "{found:?}");
        };
        let (one, two, three, four) = (Some(1), Some(2), Some(3), Some(4));
        for (place, expect, notes) in [
            ([one, two, one, two], [one, two, None, None], 1),
            ([None, None, one, two], [None, None, None, None], 1),
            ([None, one, None, None], [one, one, None, None], 1),
            ([one, None, None, two], [one, None, two, two], 1),
            ([None, three, None, None], [three, three, None, None], 1),
            ([four, three, None, None], [None, None, None, None], 1),
            ([one, one, three, two], [one, one, None, None], 1),
            ([one, one, one, two], [one, one, one, two], 0),
            ([one, None, one, None], [one, None, one, None], 0),
            ([None, None, None, None], [None, None, None, None], 0),
        ] {
            check(place, expect, notes);
        }
    }
}
