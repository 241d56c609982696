//! What GitHub's reader refuses, in its words, with its places.
//!
//! How it is shown is not decided here; [`ReadError::github_text`] is GitHub's own form, for comparing with it.

use crate::diagnostic::{Code, Diagnostic};
use crate::expression::utf16_length;
use crate::source::{FileId, SourceFile, SourceMap, Span};

/// GitHub cuts a message after this many UTF-16 code units.
pub const MESSAGE_CHARS_MAX: usize = 500;

/// GitHub keeps this many errors of a reading.
pub const GITHUB_ERRORS_MAX: usize = 10;

/// Where an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// At a value.
    At(Span),
    /// In a file as a whole.
    File(FileId),
    /// In the reading as a whole.
    Reading,
}

/// Something that GitHub's reader refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadError {
    /// Where.
    pub place: Place,
    /// What is wrong, as GitHub words it.
    pub message: String,
    /// What to do about it, which GitHub does not say.
    pub help: Option<String>,
    /// For an error in a called workflow: the `uses:` that called it.
    pub called_from: Option<Span>,
}

impl ReadError {
    /// An error at a value.
    pub fn at(span: Span, message: impl Into<String>) -> Self {
        Self::new(Place::At(span), message)
    }

    /// An error in a file as a whole.
    pub fn in_file(file: FileId, message: impl Into<String>) -> Self {
        Self::new(Place::File(file), message)
    }

    /// An error of the reading as a whole.
    pub fn unplaced(message: impl Into<String>) -> Self {
        Self::new(Place::Reading, message)
    }

    fn new(place: Place, message: impl Into<String>) -> Self {
        Self { place, message: message.into(), help: None, called_from: None }
    }

    /// The file that it is in.
    #[must_use]
    pub const fn file(&self) -> Option<FileId> {
        match self.place {
            Place::At(span) => Some(span.file),
            Place::File(file) => Some(file),
            Place::Reading => None,
        }
    }

    /// Notes the call that led to it, unless it is in the caller's own file.
    pub fn come_from_call(&mut self, call: Span) {
        if self.file() != Some(call.file) {
            self.called_from = Some(call);
        }
    }

    /// The whole line that GitHub shows, such as `.github/workflows/ci.yml (Line: 3, Col: 5): Unexpected value 'x'`.
    #[must_use]
    pub fn github_text(&self, sources: &SourceMap) -> String {
        let name = |file| sources.get(file).map_or("", SourceFile::name);
        let text = match self.place {
            Place::At(span) => format!("{}: {}", located(sources, span), self.message),
            Place::File(file) => format!("{}: {}", name(file), self.message),
            Place::Reading => self.message.clone(),
        };
        let text = if utf16_length(&text) > MESSAGE_CHARS_MAX { cut(&text) } else { text };
        match self.called_from {
            Some(call) => format!("In {}: Error from called workflow {text}", located(sources, call)),
            None => text,
        }
    }

    /// The same as a diagnostic.
    #[must_use]
    pub fn to_diagnostic(&self, code: Code) -> Diagnostic {
        let span = match self.place {
            Place::At(span) => Some(span),
            Place::File(file) => Some(Span::new(file, 0, 0)),
            Place::Reading => self.called_from,
        };
        let mut diagnostic = Diagnostic::error(code, span, self.message.trim_end_matches('.'));
        diagnostic.help.clone_from(&self.help);
        if let Some(call) = self.called_from {
            diagnostic = diagnostic.related(call, "called from here");
        }
        diagnostic
    }
}

fn located(sources: &SourceMap, span: Span) -> String {
    let Some((name, start, _)) = sources.locate(span) else { return String::new() };
    format!("{name} (Line: {}, Col: {})", start.line, start.column)
}

fn cut(text: &str) -> String {
    let mut units = 0;
    let kept = text.chars().take_while(|character| {
        units += character.len_utf16();
        units <= MESSAGE_CHARS_MAX
    });
    kept.chain("[...]".chars()).collect()
}
