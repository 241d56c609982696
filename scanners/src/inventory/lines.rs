//! Finds the line of a name in a text whose parser tells none (JSON, TOML, YAML).

use memchr::memmem;

/// Looks forward from where the last name was, since what a parser gives is in the order of the text.
#[derive(Debug)]
pub(crate) struct LineFinder<'a> {
    text: &'a [u8],
    position: usize,
    line: u32,
    misses: u32,
}

/// Each name that is not there costs the rest of the text.
const MISSES_MAX: u32 = 50;

impl<'a> LineFinder<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self { text, position: 0, line: 1, misses: 0 }
    }

    /// The line, from 1, on which `needle` stands next; none where it does not follow.
    pub(crate) fn next(&mut self, needle: &str) -> Option<u32> {
        if self.misses > MISSES_MAX {
            return None;
        }
        let rest = self.text.get(self.position..)?;
        let Some(found) = memmem::find(rest, needle.as_bytes()) else {
            self.misses += 1;
            return None;
        };
        let lines = memchr::memchr_iter(b'\n', &rest[..found]).count();
        self.line = self.line.saturating_add(u32::try_from(lines).unwrap_or(u32::MAX));
        self.position += found;
        Some(self.line)
    }

    /// The next line that begins with `needle`; not the first of the text.
    pub(crate) fn next_start(&mut self, needle: &str) -> Option<u32> {
        self.next(&format!("\n{needle}")).map(|line| line.saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_order() {
        let mut lines = LineFinder::new(b"a\nb\n\nc b\n");
        assert_eq!(lines.next("a"), Some(1));
        assert_eq!(lines.next("b"), Some(2));
        assert_eq!(lines.next("c"), Some(4));
        assert_eq!(lines.next("a"), None);
        assert_eq!(lines.next(" b"), Some(4));
    }
}
