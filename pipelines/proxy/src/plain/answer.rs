//! The head of a backend's answer to a plain request, and what the client gets of it.
//!
//! How long a body is (RFC 9112 section 6.3) is read once, strictly, and told the client anew. An answer that can be read in
//! two ways is none: 502.

use std::cell::Cell;
use std::mem::MaybeUninit;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use httparse::{Header, Status};
use hyper::Method;

use super::request::{HEADERS_MAX, length, write_decimal, write_field, write_length};
use crate::headers;

/// What the bytes of a backend are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// Not all of a head.
    Partial,
    /// So many bytes of an answer that is none yet (1xx).
    Interim(usize),
    /// No answer.
    Malformed,
    /// The head of the answer.
    Final(Head),
}

/// A head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    /// Bytes of it.
    pub(super) size: usize,
    pub(super) status: u16,
    pub(super) body: Body,
    /// Whether the connection can have another request after it.
    pub(super) is_kept: bool,
    /// The backend's own word for how long it keeps an idle connection.
    pub(super) keep_alive: Option<Duration>,
    /// Whether the client is told that its connection ends.
    pub(super) is_last: bool,
}

/// Where a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// There is none.
    None,
    /// After so many bytes.
    Length(u64),
    /// Where its chunks do.
    Chunked,
    /// With the connection.
    UntilEnd,
}

/// What is told the client beside what the backend says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told<'all> {
    pub(super) id: &'all [u8],
    /// Whether the connection ends after it.
    pub(super) is_last: bool,
    /// Of the answer to a test: colour and revision.
    pub(super) test: Option<(&'all str, &'all str)>,
}

/// What is read in the headers of an answer.
#[derive(Debug, Default)]
struct Found {
    length: Option<u64>,
    has_encoding: bool,
    is_chunked: bool,
    is_malformed: bool,
    closes: bool,
    says_keep_alive: bool,
    /// `Connection` names headers that are between neighbours.
    has_named: bool,
    has_date: bool,
    keep_alive: Option<Duration>,
}

/// Reads what there is; a whole head is written for the client.
pub(super) fn read(bytes: &[u8], method: &Method, told: Told<'_>, to: &mut Vec<u8>) -> Read {
    let mut fields = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut answer = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut answer, bytes, &mut fields);
    let size = match parsed {
        Ok(Status::Complete(size)) => size,
        Ok(Status::Partial) => return Read::Partial,
        Err(_) => return Read::Malformed,
    };
    let (Some(status), Some(version)) = (answer.code, answer.version) else { return Read::Malformed };
    match status {
        100 | 102..=199 => return Read::Interim(size),
        // Nobody asked for another protocol.
        0..=99 | 101 => return Read::Malformed,
        _ => {}
    }
    let found = Found::of(answer.headers);
    let Some(body) = body(&found, method, status, version) else { return Read::Malformed };
    write(to, status, answer.reason.unwrap_or_default(), answer.headers, &found, told);
    match body {
        Body::Length(length) => write_length(to, length),
        // The length of what a GET would get.
        Body::None if *method == Method::HEAD && status != 204 && !found.has_encoding => {
            if let Some(length) = found.length {
                write_length(to, length);
            }
        }
        Body::None => {}
        Body::Chunked | Body::UntilEnd => to.extend_from_slice(b"transfer-encoding: chunked\r\n"),
    }
    to.extend_from_slice(b"\r\n");
    let is_kept = !found.closes
        && (version == 1 || found.says_keep_alive)
        && body != Body::UntilEnd
        // Whoever says it twice may mean the other.
        && !(found.has_encoding && found.length.is_some());
    Read::Final(Head { size, status, body, is_kept, keep_alive: found.keep_alive, is_last: told.is_last })
}

fn body(found: &Found, method: &Method, status: u16, version: u8) -> Option<Body> {
    if found.is_malformed || found.has_encoding && (version == 0 || !found.is_chunked) {
        return None;
    }
    Some(match found.length {
        _ if *method == Method::HEAD || status == 204 || status == 304 => Body::None,
        _ if found.is_chunked => Body::Chunked,
        Some(length) => Body::Length(length),
        None => Body::UntilEnd,
    })
}

impl Found {
    fn of(fields: &[Header<'_>]) -> Self {
        let mut found = Self::default();
        for field in fields {
            let is = |name: &str| field.name.eq_ignore_ascii_case(name);
            match field.name.len() {
                4 if is("date") => found.has_date = true,
                10 if is("connection") => found.connection(field.value),
                10 if is("keep-alive") => found.keep_alive = keep_alive(field.value),
                14 if is("content-length") => found.content_length(field.value),
                17 if is("transfer-encoding") => {
                    // Other codings would have to be undone.
                    found.is_chunked = !found.has_encoding && field.value.eq_ignore_ascii_case(b"chunked");
                    found.has_encoding = true;
                }
                _ => {}
            }
        }
        found
    }

    fn connection(&mut self, value: &[u8]) {
        for token in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            if token.eq_ignore_ascii_case(b"close") {
                self.closes = true;
            } else if token.eq_ignore_ascii_case(b"keep-alive") {
                self.says_keep_alive = true;
            } else {
                self.has_named = true;
            }
        }
    }

    /// The same number more than once is one number.
    fn content_length(&mut self, value: &[u8]) {
        for value in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            match length(value) {
                Some(length) if self.length.is_none_or(|before| before == length) => self.length = Some(length),
                Some(_) | None => self.is_malformed = true,
            }
        }
    }
}

/// `Keep-Alive: timeout=5`, as Node and Apache say it.
fn keep_alive(value: &[u8]) -> Option<Duration> {
    headers::keep_alive(std::str::from_utf8(value).ok()?)
}

/// The head but for how long the body is.
fn write(to: &mut Vec<u8>, status: u16, reason: &str, fields: &[Header<'_>], found: &Found, told: Told<'_>) {
    to.extend_from_slice(b"HTTP/1.1 ");
    write_decimal(to, status.into());
    to.extend_from_slice(b" ");
    to.extend_from_slice(reason.as_bytes());
    to.extend_from_slice(b"\r\n");
    for field in fields {
        if is_passed(field.name, told.test.is_some()) && !(found.has_named && is_named(fields, field.name)) {
            write_field(to, field.name, field.value);
        }
    }
    if !found.has_date {
        write_date(to);
    }
    write_told(to, told);
}

/// The proxy's own headers.
pub(super) fn write_told(to: &mut Vec<u8>, told: Told<'_>) {
    if let Some((colour, revision)) = told.test {
        write_field(to, "x-pipe-color", colour.as_bytes());
        write_field(to, "x-pipe-revision", revision.as_bytes());
    }
    write_field(to, "x-request-id", told.id);
    if told.is_last {
        to.extend_from_slice(b"connection: close\r\n");
    }
}

fn is_passed(name: &str, is_test: bool) -> bool {
    let is = |other: &str| name.eq_ignore_ascii_case(other);
    let is_ours = match name.len() {
        2 => is("te"),
        7 => is("upgrade") || is("trailer"),
        10 => is("connection") || is("keep-alive"),
        12 => is("x-request-id") || is_test && is("x-pipe-color"),
        14 => is("content-length"),
        15 => is_test && is("x-pipe-revision"),
        16 => is("proxy-connection"),
        17 => is("transfer-encoding"),
        _ => false,
    };
    !is_ours
}

/// Whether `Connection` names this header.
fn is_named(fields: &[Header<'_>], name: &str) -> bool {
    let values = fields.iter().filter(|field| field.name.eq_ignore_ascii_case("connection")).map(|field| field.value);
    let mut tokens = values.flat_map(|value| value.split(|byte| *byte == b','));
    tokens.any(|token| token.trim_ascii().eq_ignore_ascii_case(name.as_bytes()))
}

thread_local! {
    /// The second that was written last, and how.
    static DATE: Cell<(u64, [u8; 29])> = const { Cell::new((0, [0; 29])) };
}

/// When it was received (RFC 9110 section 6.6.1).
pub(super) fn write_date(to: &mut Vec<u8>) {
    let Ok(now) = SystemTime::now().duration_since(UNIX_EPOCH) else { return };
    let (mut second, mut text) = DATE.get();
    if second != now.as_secs() {
        second = now.as_secs();
        let Some(new) = date(second) else { return };
        text = new;
        DATE.set((second, text));
    }
    to.extend_from_slice(b"date: ");
    to.extend_from_slice(&text);
    to.extend_from_slice(b"\r\n");
}

fn date(second: u64) -> Option<[u8; 29]> {
    let timestamp = jiff::Timestamp::from_second(i64::try_from(second).ok()?).ok()?;
    let text = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&timestamp).ok()?;
    text.as_bytes().try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told() -> Told<'static> {
        Told { id: b"1", is_last: false, test: None }
    }

    /// What is read, and what the client gets.
    fn check(text: &str, method: &Method) -> (Read, String) {
        let mut to = Vec::new();
        let read = read(text.as_bytes(), method, told(), &mut to);
        (read, String::from_utf8(to).unwrap())
    }

    fn head(text: &str, method: &Method) -> (u16, Body, bool) {
        match check(text, method) {
            (Read::Final(head), _) => (head.status, head.body, head.is_kept),
            (other, _) => panic!("{text:?}: {other:?}"),
        }
    }

    #[test]
    fn a_head_is_written_anew() {
        let date = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
        let text = format!(
            "HTTP/1.1 299 So So\r\nContent-Length: 03\r\n{date}Connection: X-Hop, keep-alive\r\nx-hop: 1\r\nX-Kept: 2\r\n\
             Keep-Alive: timeout=7, max=9\r\nX-Request-Id: theirs\r\nUpgrade: h2c\r\nX-Pipe-Color: a\r\n\r\nabc"
        );
        let (read, written) = check(&text, &Method::GET);
        let expected = Head {
            size: text.len() - 3,
            status: 299,
            body: Body::Length(3),
            is_kept: true,
            keep_alive: Some(Duration::from_secs(7)),
            is_last: false,
        };
        assert_eq!(read, Read::Final(expected));
        let client = format!(
            "HTTP/1.1 299 So So\r\n{date}X-Kept: 2\r\nX-Pipe-Color: a\r\nx-request-id: 1\r\ncontent-length: 3\r\n\r\n"
        );
        assert_eq!(written, client);
        for end in 0..text.len() - 3 {
            assert_eq!(check(&text[..end], &Method::GET).0, Read::Partial, "{:?}", &text[..end]);
        }
        let mut to = Vec::new();
        let test = Told { test: Some(("green", "r2")), is_last: true, id: b"2" };
        super::read(text.as_bytes(), &Method::GET, test, &mut to);
        let client = String::from_utf8(to).unwrap();
        assert!(
            client.contains("x-pipe-color: green\r\nx-pipe-revision: r2\r\nx-request-id: 2\r\nconnection: close\r\n")
        );
        assert!(!client.contains("X-Pipe-Color"), "{client}");
    }

    #[test]
    fn bodies_end_where_they_end() {
        let get = &Method::GET;
        let of = |headers: &str, method: &Method| head(&format!("HTTP/1.1 200 OK\r\n{headers}\r\n"), method);
        assert_eq!(of("", get), (200, Body::UntilEnd, false));
        assert_eq!(of("Content-Length: 0\r\n", get), (200, Body::Length(0), true));
        assert_eq!(of("Content-Length: 5, 5\r\nContent-Length: 5\r\n", get), (200, Body::Length(5), true));
        assert_eq!(of("Transfer-Encoding: Chunked\r\n", get), (200, Body::Chunked, true));
        assert_eq!(of("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", get), (200, Body::Chunked, false));
        assert_eq!(of("Content-Length: 5\r\nConnection: close\r\n", get), (200, Body::Length(5), false));
        assert_eq!(of("Content-Length: 5\r\n", &Method::HEAD), (200, Body::None, true));
        assert_eq!(head("HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n", get), (204, Body::None, true));
        assert_eq!(head("HTTP/1.1 304\r\nTransfer-Encoding: chunked\r\n\r\n", get), (304, Body::None, true));
        assert_eq!(head("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", get), (200, Body::Length(5), false));
        let old = "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: Keep-Alive\r\n\r\n";
        assert_eq!(head(old, get), (200, Body::Length(5), true));
        let (_, client) = check("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", &Method::HEAD);
        assert!(client.ends_with("\r\ncontent-length: 5\r\n\r\n"), "{client}");
        let (_, client) = check("HTTP/1.1 204 OK\r\nContent-Length: 5\r\n\r\n", get);
        assert!(!client.contains("content-length"), "{client}");
        assert_eq!(check("HTTP/1.1 103 Early\r\nLink: a\r\n\r\nHTTP", get).0, Read::Interim(31));
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_no_answer() {
        let long = "X: a\r\n".repeat(HEADERS_MAX + 1);
        for text in [
            "HTTP/1.1 101 Switching\r\nUpgrade: a\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 5\r\n\r\n",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX: a\r\n folded\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n",
            "HTTP/1.1 099 No\r\n\r\n",
            "HTTP/2 200 OK\r\n\r\n",
            "ICY 200 OK\r\n\r\n",
            "\u{16}\u{3}\u{1}",
            &format!("HTTP/1.1 200 OK\r\n{long}\r\n"),
        ] {
            assert_eq!(check(text, &Method::GET).0, Read::Malformed, "{text:.60}");
        }
    }

    #[test]
    fn dates_are_of_the_right_form() {
        assert_eq!(&date(784_111_777).unwrap(), b"Sun, 06 Nov 1994 08:49:37 GMT");
        let mut to = Vec::new();
        write_date(&mut to);
        assert!(to.starts_with(b"date: ") && to.ends_with(b" GMT\r\n"), "{to:?}");
    }
}
