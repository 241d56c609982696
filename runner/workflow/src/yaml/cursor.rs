//! A walk through a document's events that follows aliases, with a budget for what they repeat.

use super::{Ending, Event, EventKind, Stream, SyntaxError};
use crate::source::Span;

/// How many events aliases may repeat in one document; the number is GitHub's for all nodes of a document.
pub const ALIAS_NODES_MAX: u32 = 50_000;

/// Why the walk cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CursorError {
    /// The text is broken here.
    Syntax(SyntaxError),
    /// Aliases repeat more than [`ALIAS_NODES_MAX`] events. The place is that of the last alias.
    TooManyNodes(Span),
}

/// A place in a [`Stream`]. An alias looks like the node that it stands for.
#[derive(Debug)]
pub struct Cursor<'a> {
    stream: &'a Stream,
    /// The event of the document itself.
    index: usize,
    /// The aliases being followed, outermost first.
    replays: Vec<Replay>,
    repeated: u32,
}

#[derive(Debug)]
struct Replay {
    index: usize,
    depth: u32,
}

impl<'a> Cursor<'a> {
    /// A cursor at the first event.
    ///
    /// # Errors
    /// [`CursorError`] as for [`Self::advance`].
    pub fn new(stream: &'a Stream) -> Result<Self, CursorError> {
        let mut cursor = Self { stream, index: 0, replays: Vec::new(), repeated: 0 };
        cursor.settle()?;
        Ok(cursor)
    }

    /// The event here; `None` after the last.
    #[must_use]
    pub fn current(&self) -> Option<&'a Event> {
        let index = self.replays.last().map_or(self.index, |replay| replay.index);
        self.stream.events.get(index)
    }

    /// The alias in the document that is being followed, if any: where `*name` itself is written.
    #[must_use]
    pub fn alias(&self) -> Option<Span> {
        if self.replays.is_empty() { None } else { self.stream.events.get(self.index).map(|event| event.span) }
    }

    /// Goes on to the next event.
    ///
    /// # Errors
    /// [`CursorError`], where text ends or aliases repeat too much.
    pub fn advance(&mut self) -> Result<(), CursorError> {
        let current = self.current();
        if let (Some(replay), Some(event)) = (self.replays.last_mut(), current) {
            let done = match event.kind {
                EventKind::Scalar(_) => replay.depth == 0,
                EventKind::SequenceStart | EventKind::MappingStart => {
                    replay.depth += 1;
                    false
                }
                EventKind::SequenceEnd | EventKind::MappingEnd => {
                    replay.depth = replay.depth.saturating_sub(1);
                    replay.depth == 0
                }
                EventKind::Alias(_) => false,
            };
            if done {
                self.replays.pop();
            }
        }
        match self.replays.last_mut() {
            Some(replay) => replay.index += 1,
            None => self.index += 1,
        }
        self.settle()
    }

    /// Steps into an alias, if one is here, and counts.
    fn settle(&mut self) -> Result<(), CursorError> {
        match self.current() {
            Some(Event { kind: EventKind::Alias(target), .. }) => {
                self.replays.push(Replay { index: *target, depth: 0 });
            }
            Some(_) => {}
            None => {
                if let Ending::Broken(error) = &self.stream.ending {
                    return Err(CursorError::Syntax(error.clone()));
                }
            }
        }
        if !self.replays.is_empty() {
            self.repeated += 1;
            if self.repeated > ALIAS_NODES_MAX {
                return Err(CursorError::TooManyNodes(self.alias().unwrap_or_default()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;
    use crate::source::FileId;

    /// Walks it all: scalars as they are, `[]{}` for collections, and what ends the walk.
    fn walk(text: &str) -> String {
        let stream = parse(text, FileId(0));
        let mut seen = String::new();
        let mut cursor = match Cursor::new(&stream) {
            Ok(cursor) => cursor,
            Err(error) => return format!("{error:?}"),
        };
        while let Some(event) = cursor.current() {
            match &event.kind {
                EventKind::Scalar(scalar) => seen += &format!("{} ", scalar.text),
                EventKind::SequenceStart => seen.push('['),
                EventKind::SequenceEnd => seen.push(']'),
                EventKind::MappingStart => seen.push('{'),
                EventKind::MappingEnd => seen.push('}'),
                EventKind::Alias(_) => seen.push('*'),
            }
            if let Err(error) = cursor.advance() {
                let words = match error {
                    CursorError::Syntax(error) => error.message,
                    CursorError::TooManyNodes(_) => "too many nodes".to_owned(),
                };
                return format!("{}!{words}", seen.chars().take(40).collect::<String>());
            }
        }
        seen
    }

    #[test]
    fn aliases_are_followed() {
        for (text, expected) in [
            ("a: &x 1\nb: *x\nc: 2", "{a 1 b 1 c 2 }"),
            ("a: &x [1, &y {b: 2}]\nc: [*x, *y, *x]\nd: e", "{a [1 {b 2 }]c [[1 {b 2 }]{b 2 }[1 {b 2 }]]d e }"),
            ("a: &x 1\nb: &x 2\nc: *x", "{a 1 b 2 c 2 }"),
            ("&k key: v\nb: {*k : w}", "{key v b {key w }}"),
            ("a: *no", "{a !Unknown anchor 'no'"),
            ("a: &x [*x]", "{a [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[!too many nodes"),
        ] {
            assert_eq!(walk(text), expected, "{text}");
        }
    }

    #[test]
    fn a_bomb_ends_early() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..20 {
            let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
            text += &format!("a{level}: &a{level} [{aliases}]\n");
        }
        assert!(walk(&text).ends_with("!too many nodes"));
    }
}
