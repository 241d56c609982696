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
    /// Takes a piece and gives what is complete now: blocks of whole lines, each line with its line break. Part of a line
    /// that is too long to be waited for comes as a block without one.
    pub fn push(&mut self, piece: &[u8], mut block: impl FnMut(&[u8])) {
        let mut rest = piece;
        if self.cut || !self.waiting.is_empty() {
            let Some(at) = memchr::memchr(b'\n', rest) else { return self.wait(rest, block) };
            let end;
            (end, rest) = rest.split_at(at + 1);
            if !self.waiting.is_empty() {
                self.waiting.extend_from_slice(end);
                block(&self.waiting);
                self.waiting.clear();
            } else if at > 0 {
                block(end);
            }
            self.cut = false;
        }
        let (whole, rest) = rest.split_at(memchr::memrchr(b'\n', rest).map_or(0, |at| at + 1));
        if !whole.is_empty() {
            block(whole);
        }
        self.wait(rest, block);
    }

    fn wait(&mut self, rest: &[u8], block: impl FnMut(&[u8])) {
        self.waiting.extend_from_slice(rest);
        if self.waiting.len() > LINE_BYTES_MAX {
            self.finish(block);
            self.cut = true;
        }
    }

    /// Gives what is left without a line break.
    pub fn finish(&mut self, mut block: impl FnMut(&[u8])) {
        if !self.waiting.is_empty() {
            block(&self.waiting);
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
        let mut take = |block: &[u8]| got.push(String::from_utf8(block.to_vec()).unwrap());
        for piece in pieces {
            lines.push(piece.as_bytes(), &mut take);
        }
        lines.finish(&mut take);
        assert_eq!(got, expected, "{pieces:?}");
    }

    #[test]
    fn pieces_become_blocks_of_lines() {
        check(&["a\nb", "c\n", "\nd"], &["a\n", "bc\n", "\n", "d"]);
        check(&["a\n\nb\nc", "", "\nd\ne\n"], &["a\n\nb\n", "c\n", "d\ne\n"]);
        check(&[], &[]);
        check(&["\n"], &["\n"]);
        let long = "x".repeat(LINE_BYTES_MAX + 1);
        check(&[&long, "y\nz\n"], &[&long, "y\n", "z\n"]);
        check(&[&long, "\nz\n"], &[&long, "z\n"]);
        check(&[&long, &long, "\n"], &[&long, &long]);
    }
}
