//! Flow collections whose lines are indented less than what they are in.
//!
//! GitHub's parser (`YamlDotNet`, as libyaml) does not look at indentation between brackets; the parser below us follows
//! YAML's letter and refuses it. Where it does, the lines of that collection are moved to the right, which changes
//! nothing of what they mean, and the text is parsed again. Places are told in the text as it was written.

/// Collections that are mended, and bytes that are parsed again for them, before a text is given up.
const MENDED_MAX: usize = 200;
const PARSED_BYTES_MAX: usize = 16 << 20;

/// A text with spaces put in front of some of its lines.
pub(super) struct Padded {
    pub(super) text: String,
    /// Where spaces were put, in this text, and how many; in order.
    pads: Vec<(usize, usize)>,
    /// Collections that were mended, as ranges of this text.
    mended: Vec<(usize, usize)>,
    parsed_bytes: usize,
}

impl Padded {
    pub(super) fn new(text: &str) -> Self {
        Self { text: text.to_owned(), pads: Vec::new(), mended: Vec::new(), parsed_bytes: 0 }
    }

    /// Whether anything was mended.
    pub(super) fn is_changed(&self) -> bool {
        !self.pads.is_empty()
    }

    /// Whether a place of this text is in a collection that was mended.
    pub(super) fn in_mended(&self, at: usize) -> bool {
        self.mended.iter().any(|(start, end)| (*start..*end).contains(&at))
    }

    /// A place of this text in the text as it was written.
    pub(super) fn original(&self, at: usize) -> usize {
        let before = self.pads.iter().take_while(|(place, _)| *place < at);
        before.fold(at, |original, (place, length)| original - (*length).min(at - place))
    }

    /// Moves the lines of the collection that opens at or after `from` and is open at `failed`. `false`: there is none,
    /// or it has no end.
    pub(super) fn mend(&mut self, from: usize, failed: usize) -> bool {
        self.parsed_bytes += self.text.len();
        if self.mended.len() >= MENDED_MAX || self.parsed_bytes > PARSED_BYTES_MAX {
            return false;
        }
        let Some(open) = opening(&self.text, from, failed) else { return false };
        let Some(close) = closing(&self.text, open) else { return false };
        if close < failed || self.in_mended(open) {
            return false;
        }
        let line_start = self.text[..open].rfind('\n').map_or(0, |at| at + 1);
        let column = self.text[line_start..open].chars().count() + 1;
        let mut text = String::with_capacity(self.text.len() + 64);
        let mut pads = Vec::new();
        let mut at = line_start;
        for line in self.text[line_start..=close].split_inclusive('\n') {
            let start = at;
            let indent = line.len() - line.trim_start_matches(' ').len();
            let has_content = !line.trim().is_empty();
            if start > line_start
                && line.starts_with(['-', '.'])
                && (line.starts_with("---") || line.starts_with("..."))
            {
                return false;
            }
            if start > line_start && has_content && indent < column {
                let missing = column - indent;
                pads.push((line_start + text.len(), missing));
                text.extend(std::iter::repeat_n(' ', missing));
            }
            text.push_str(line);
            at += line.len();
        }
        if pads.is_empty() {
            return false;
        }
        let grown = text.len() - (close + 1 - line_start);
        self.text.replace_range(line_start..=close, &text);
        // Mended collections come in the order of the text, so that earlier places stay.
        self.pads.extend(pads);
        self.mended.push((open, close + 1 + grown));
        true
    }
}

/// The first bracket that opens between two places, outside of comments.
fn opening(text: &str, from: usize, until: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = from;
    while at < until.min(bytes.len()) {
        match bytes[at] {
            b'[' | b'{' => return Some(at),
            b'#' if at == 0 || bytes[at - 1].is_ascii_whitespace() => {
                at += memchr::memchr(b'\n', &bytes[at..]).unwrap_or(bytes.len() - at);
            }
            _ => at += 1,
        }
    }
    None
}

/// The bracket that closes the one at `open`.
fn closing(text: &str, open: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut depth = 0_usize;
    // Quotes and comments begin only where a new word may.
    let mut at_word = true;
    let mut at = open;
    while at < bytes.len() {
        match bytes[at] {
            b'[' | b'{' => {
                depth += 1;
                at_word = true;
            }
            b']' | b'}' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
                at_word = true;
            }
            b',' => at_word = true,
            b'#' if at > 0 && bytes[at - 1].is_ascii_whitespace() => {
                at += memchr::memchr(b'\n', &bytes[at..])?;
            }
            quote @ (b'"' | b'\'') if at_word => {
                at = end_of_quoted(bytes, at, quote)?;
                at_word = true;
            }
            b':' => at_word |= bytes.get(at + 1).is_none_or(u8::is_ascii_whitespace),
            byte if byte.is_ascii_whitespace() => {}
            _ => at_word = false,
        }
        at += 1;
    }
    None
}

/// The quote that ends the scalar whose first quote is at `at`.
fn end_of_quoted(bytes: &[u8], mut at: usize, quote: u8) -> Option<usize> {
    loop {
        at += 1;
        match bytes.get(at)? {
            b'\\' if quote == b'"' => at += 1,
            byte if *byte == quote && quote == b'\'' && bytes.get(at + 1) == Some(&quote) => at += 1,
            byte if *byte == quote => return Some(at),
            _ => {}
        }
    }
}
