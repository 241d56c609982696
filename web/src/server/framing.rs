//! Where requests begin and end on an HTTP/1.1 connection, read beside hyper, to see what hyper does not tell.
//!
//! A request with both `Content-Length` and `Transfer-Encoding` is how requests are smuggled past a proxy. hyper obeys
//! one header and hides the other, so the bytes are looked at before it gets them. This decides nothing about a
//! request; it only says from which one on a connection is not to be trusted.
//! Follows RFC 9112 section 6.3 <https://www.rfc-editor.org/rfc/rfc9112#section-6.3>.

/// Longest line of a head that is looked at; hyper refuses longer heads.
const LINE_BYTES_MAX: usize = 64 * 1_024;

/// Reads along.
#[derive(Debug, Default)]
pub(super) struct Framing {
    state: State,
    line: Vec<u8>,
    length: Option<u64>,
    is_chunked: bool,
    is_bad: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing of the next request has come.
    #[default]
    Idle,
    /// A head has begun.
    Head,
    /// So many bytes of a body are to come.
    Body(u64),
    /// The rest is not looked at: the connection ends after this request.
    Unknown,
}

impl Framing {
    pub(super) fn state(&self) -> State {
        self.state
    }

    /// Whether a request among those seen is framed in a way that two readers may understand differently.
    pub(super) fn is_bad(&self) -> bool {
        self.is_bad
    }

    /// The next bytes of the connection.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match self.state {
                State::Unknown => return,
                State::Body(left) => {
                    let here = left.min(bytes.len() as u64);
                    bytes = &bytes[usize::try_from(here).unwrap_or(bytes.len())..];
                    self.state = if left > here { State::Body(left - here) } else { State::Idle };
                }
                State::Idle | State::Head => {
                    let end = bytes.iter().position(|byte| *byte == b'\n');
                    let taken = end.map_or(bytes.len(), |end| end + 1);
                    self.line.extend_from_slice(&bytes[..taken]);
                    bytes = &bytes[taken..];
                    if self.line.len() > LINE_BYTES_MAX {
                        self.state = State::Unknown;
                    } else if end.is_some() {
                        self.line_ended();
                    } else {
                        self.state = State::Head;
                    }
                }
            }
        }
    }

    fn line_ended(&mut self) {
        let mut line = std::mem::take(&mut self.line);
        while matches!(line.last(), Some(b'\n' | b'\r')) {
            line.pop();
        }
        match (self.state == State::Head, line.is_empty()) {
            // Empty lines before a request are skipped.
            (false, true) => {}
            (false, false) => self.state = State::Head,
            (true, false) => self.header(&line),
            (true, true) => self.head_ended(),
        }
        line.clear();
        self.line = line;
    }

    fn header(&mut self, line: &[u8]) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { return };
        let (name, value) = (line[..colon].trim_ascii(), line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
            let length = length.and_then(|text| text.parse().ok());
            // Twice is once too often, even with the same number.
            self.is_bad |= length.is_none() || self.length.is_some();
            self.length = length.or(self.length);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.is_bad |= self.is_chunked || !value.eq_ignore_ascii_case(b"chunked");
            self.is_chunked = true;
        }
    }

    fn head_ended(&mut self) {
        let length = self.length.take();
        let is_chunked = std::mem::take(&mut self.is_chunked);
        self.is_bad |= is_chunked && length.is_some();
        self.state = match length {
            _ if is_chunked || self.is_bad => State::Unknown,
            Some(length) if length > 0 => State::Body(length),
            Some(_) | None => State::Idle,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same in one piece and byte by byte.
    #[track_caller]
    fn check(text: &str, state: State, is_bad: bool) {
        for size in [text.len(), 1] {
            let mut framing = Framing::default();
            text.as_bytes().chunks(size.max(1)).for_each(|bytes| framing.feed(bytes));
            assert_eq!((framing.state(), framing.is_bad()), (state, is_bad), "{text:?} by {size}");
        }
    }

    #[test]
    fn requests_end_where_they_end() {
        let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let post = "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n";
        check("", State::Idle, false);
        check("\r\n", State::Idle, false);
        check("G", State::Head, false);
        check(get, State::Idle, false);
        check(post, State::Body(3), false);
        check(&format!("{post}abc{get}{post}a"), State::Body(2), false);
        check(&format!("{post}abcG"), State::Head, false);
        check("POST / HTTP/1.1\nContent-Length: 3\n\nabc", State::Idle, false);
        check("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", State::Unknown, false);
    }

    #[test]
    fn two_framings_are_bad() {
        for headers in [
            "Content-Length: 6\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nContent-Length: 6",
            "Content-Length: 6\r\nContent-Length: 6",
            "Content-Length: +6",
            "content-length : 6\r\nTRANSFER-ENCODING : chunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: xchunked",
            "Transfer-Encoding: gzip, chunked",
        ] {
            check(&format!("POST / HTTP/1.1\r\nHost: a\r\n{headers}\r\n\r\n"), State::Unknown, true);
        }
    }
}
