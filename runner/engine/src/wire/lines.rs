//! Output that comes in pieces, cut into lines again.

/// Longest line that is waited for; what is longer is given in pieces.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// The lines of one step.
#[derive(Debug, Default)]
pub struct Lines {
    waiting: Vec<u8>,
    /// The start of the line was given already, since it is too long.
    cut: bool,
}

impl Lines {
    /// Takes a piece and gives every line that is complete, without its line break.
    pub fn push(&mut self, piece: &[u8], mut line: impl FnMut(&[u8])) {
        let mut rest = piece;
        while let Some(at) = memchr::memchr(b'\n', rest) {
            let started = std::mem::take(&mut self.cut);
            if self.waiting.is_empty() {
                if at > 0 || !started {
                    line(&rest[..at]);
                }
            } else {
                self.waiting.extend_from_slice(&rest[..at]);
                line(&self.waiting);
                self.waiting.clear();
            }
            rest = &rest[at + 1..];
        }
        self.waiting.extend_from_slice(rest);
        if self.waiting.len() > LINE_BYTES_MAX {
            self.finish(line);
            self.cut = true;
        }
    }

    /// Gives what is left without a line break.
    pub fn finish(&mut self, mut line: impl FnMut(&[u8])) {
        if !self.waiting.is_empty() {
            line(&self.waiting);
            self.waiting.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pieces: &[&str], expected: &[&str]) {
        let mut lines = Lines::default();
        let mut got = Vec::new();
        let mut take = |line: &[u8]| got.push(String::from_utf8(line.to_vec()).unwrap());
        for piece in pieces {
            lines.push(piece.as_bytes(), &mut take);
        }
        lines.finish(&mut take);
        assert_eq!(got, expected, "{pieces:?}");
    }

    #[test]
    fn pieces_become_lines() {
        check(&["a\nb", "c\n", "\nd"], &["a", "bc", "", "d"]);
        check(&[], &[]);
        check(&["\n"], &[""]);
        let long = "x".repeat(LINE_BYTES_MAX + 1);
        check(&[&long, "y\n"], &[&long, "y"]);
    }
}
