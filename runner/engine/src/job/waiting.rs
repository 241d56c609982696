//! Output that waits until a change of the problem matchers, for which a line before it asked, is done.

use workflow::command::Piece;

/// A piece with its own bytes.
pub(super) enum Waiting {
    Line { text: Vec<u8>, ending: Vec<u8> },
    Lines(Vec<u8>),
    Part(Vec<u8>),
}

impl From<Piece<'_>> for Waiting {
    fn from(piece: Piece<'_>) -> Self {
        match piece {
            Piece::Line { text, ending } => Self::Line { text: text.to_vec(), ending: ending.to_vec() },
            Piece::Lines(lines) => Self::Lines(lines.to_vec()),
            Piece::Part(part) => Self::Part(part.to_vec()),
        }
    }
}

impl Waiting {
    /// As it was.
    pub(super) fn piece(&self) -> Piece<'_> {
        match self {
            Self::Line { text, ending } => Piece::Line { text, ending },
            Self::Lines(lines) => Piece::Lines(lines),
            Self::Part(part) => Piece::Part(part),
        }
    }
}
