//! The end of output that comes in pieces: its last line, and what is kept for the summary.

/// Longest line that is waited for.
const LINE_BYTES_MAX: usize = 64 * 1024;
/// How much of a step's output is kept in memory.
const TAIL_BYTES_MAX: usize = 64 * 1024;

/// The last line that says something, for a place that holds one.
#[derive(Debug, Default)]
pub struct LastLine {
    waiting: Vec<u8>,
}

impl LastLine {
    /// Takes a piece; gives the last line that is complete, if any is, neither empty nor a mark (`##[`).
    pub fn push(&mut self, piece: &[u8]) -> Option<Vec<u8>> {
        let Some(end) = memchr::memrchr(b'\n', piece) else {
            let room = LINE_BYTES_MAX.saturating_sub(self.waiting.len());
            self.waiting.extend_from_slice(&piece[..piece.len().min(room)]);
            return None;
        };
        let (whole, rest) = piece.split_at(end);
        let mut lines = whole.rsplit(|byte| *byte == b'\n').peekable();
        let mut last = None;
        while let (None, Some(line)) = (&last, lines.next()) {
            let line = match lines.peek() {
                Some(_) => line.to_vec(),
                None => [&self.waiting, line].concat(),
            };
            last = Some(line).filter(|line| !line.is_empty() && !line.starts_with(b"##["));
        }
        self.waiting.clear();
        self.waiting.extend_from_slice(&rest[1..rest.len().min(1 + LINE_BYTES_MAX)]);
        last
    }
}

/// The end of a step's output.
#[derive(Debug, Default, Clone)]
pub struct Tail {
    bytes: Vec<u8>,
    cut: bool,
}

impl Tail {
    /// Takes a piece.
    pub fn push(&mut self, piece: &[u8]) {
        let enough = piece.len().saturating_sub(TAIL_BYTES_MAX);
        self.cut |= enough > 0;
        self.bytes.extend_from_slice(&piece[enough..]);
        if self.bytes.len() > 2 * TAIL_BYTES_MAX {
            self.bytes.drain(..self.bytes.len() - TAIL_BYTES_MAX);
            self.cut = true;
        }
    }

    /// The last lines, and whether there were more before them.
    pub fn last(&self, count: usize) -> (Vec<&[u8]>, bool) {
        let text = self.bytes.strip_suffix(b"\n").unwrap_or(&self.bytes);
        if text.is_empty() {
            return (Vec::new(), self.cut);
        }
        let mut lines: Vec<&[u8]> = text.rsplit(|byte| *byte == b'\n').take(count + 1).collect();
        let more = lines.len() > count || self.cut;
        lines.truncate(count);
        lines.reverse();
        (lines, more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_found() {
        let mut last = LastLine::default();
        let mut push = |piece: &str| last.push(piece.as_bytes()).map(|line| String::from_utf8(line).unwrap());
        assert_eq!(push("a\nb\nc"), Some("b".to_owned()));
        assert_eq!(push("d"), None);
        assert_eq!(push("e\n"), Some("cde".to_owned()));
        assert_eq!(push("##[group]x\n\n"), None);
        assert_eq!(push("y\n##[endgroup]\n\nz"), Some("y".to_owned()));
        assert_eq!(push("\n\n"), Some("z".to_owned()));
    }

    #[test]
    fn the_end_is_kept() {
        let mut tail = Tail::default();
        tail.push(b"a\nb\nc\n");
        assert_eq!(tail.last(2), (vec![&b"b"[..], b"c"], true));
        assert_eq!(tail.last(3), (vec![&b"a"[..], b"b", b"c"], false));
        for _ in 0..3 {
            tail.push(&[b'z'; TAIL_BYTES_MAX]);
        }
        let (lines, more) = tail.last(40);
        assert!(more && lines.len() == 1 && lines[0].len() <= 2 * TAIL_BYTES_MAX);
        assert_eq!(Tail::default().last(3), (vec![], false));
    }
}
