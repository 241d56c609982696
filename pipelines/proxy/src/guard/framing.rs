//! Where requests begin and end on an HTTP/1.1 connection, read beside hyper, to see what hyper does not tell.
//!
//! A request with both `Content-Length` and `Transfer-Encoding` is how requests are smuggled past a proxy. hyper obeys one
//! header and takes out the other; what goes on to a backend is framed anew, so nothing is smuggled that way. But whoever
//! sends such a request is refused, not guessed at, and for that the bytes are looked at before hyper gets them. Nothing is
//! decided here; it is only said from which request on a connection is not to be trusted.
//! Follows RFC 9112 section 6.3 <https://www.rfc-editor.org/rfc/rfc9112#section-6.3>.

/// Longest line of a head that is looked at; hyper refuses longer heads.
const LINE_BYTES_MAX: usize = 128 * 1_024;

/// Reads along.
#[derive(Debug, Default)]
pub(super) struct Framing {
    state: State,
    /// A line that has not ended.
    begun: Vec<u8>,
    length: Option<u64>,
    is_chunked: bool,
    is_bad: bool,
}

/// How far it is.
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
                State::Idle | State::Head => bytes = self.line(bytes),
            }
        }
    }

    /// Takes one line, or what there is of it.
    fn line<'bytes>(&mut self, bytes: &'bytes [u8]) -> &'bytes [u8] {
        let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
            self.begun.extend_from_slice(bytes);
            self.state = if self.begun.len() > LINE_BYTES_MAX { State::Unknown } else { State::Head };
            return &[];
        };
        let (line, rest) = bytes.split_at(end + 1);
        if self.begun.is_empty() {
            self.line_ended(line);
        } else {
            let mut begun = std::mem::take(&mut self.begun);
            begun.extend_from_slice(line);
            // A line that came in pieces made it a head already; that says nothing about its own place.
            self.line_ended(&begun);
            begun.clear();
            self.begun = begun;
        }
        rest
    }

    fn line_ended(&mut self, mut line: &[u8]) {
        while let [before @ .., b'\n' | b'\r'] = line {
            line = before;
        }
        if !line.is_empty() {
            self.state = State::Head;
            self.header(line);
        } else if self.state == State::Head {
            self.head_ended();
        }
    }

    fn header(&mut self, line: &[u8]) {
        // By far most lines are neither.
        if !matches!(line.first(), Some(b'c' | b'C' | b't' | b'T')) {
            return;
        }
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
        for size in [text.len(), 7, 1] {
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
            "Content-Length: 6, 6",
            "Content-Length: +6",
            "Content-Length: -1",
            "Content-Length:",
            "content-length : 6\r\nTRANSFER-ENCODING : chunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: xchunked",
            "Transfer-Encoding: gzip, chunked",
        ] {
            check(&format!("POST / HTTP/1.1\r\nHost: a\r\n{headers}\r\n\r\n"), State::Unknown, true);
        }
    }
}
