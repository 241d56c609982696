//! The head of a plain request: whether it is one, and what the backend gets of it.
//!
//! A request is plain if there is one way to read it and nothing to negotiate. Whatever else comes is hyper's, with all of its
//! bytes, and so is saying what is wrong with it: nothing is refused here. What is passed on is written anew: its length is
//! the number that was read, hop-by-hop headers are left out (RFC 9110 section 7.6.1).

use std::mem::MaybeUninit;

use httparse::{Header, Status};
use hyper::Method;

use crate::headers::{self, is_request_id};
use crate::way::Asked;

/// As many as hyper takes.
pub(super) const HEADERS_MAX: usize = 100;

/// Where a head is put together from what httparse finds.
pub(super) type Fields<'bytes> = [MaybeUninit<Header<'bytes>>; HEADERS_MAX];

/// What the bytes of a client are.
#[derive(Debug)]
pub(super) enum Read<'bytes> {
    /// Not all of a head.
    Partial,
    /// Somebody else's.
    Unusual,
    /// A plain request.
    Plain(Plain<'bytes>),
}

/// What may be taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Of the head.
    pub(super) head_bytes_max: usize,
    /// Of the path with its query.
    pub(super) target_bytes_max: usize,
    /// Whether `X-Forwarded-*` is believed.
    pub(super) trust_forwarded: bool,
}

/// A head.
#[derive(Debug)]
pub(super) struct Plain<'bytes> {
    /// Bytes of the head.
    pub(super) size: usize,
    pub(super) method: Method,
    /// Path and query.
    pub(super) target: &'bytes str,
    /// Bytes of the body; `None` if it has none and says nothing about it.
    pub(super) length: Option<u64>,
    fields: &'bytes [Header<'bytes>],
    host: &'bytes [u8],
    /// The client's, if it is one.
    pub(super) id: Option<&'bytes [u8]>,
    /// What is believed of who asked before.
    forwarded_for: Option<&'bytes [u8]>,
}

/// What is done with a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Passed,
    Host,
    ContentLength,
    /// Between neighbours, without a meaning here.
    LeftOut,
    Connection,
    Te,
    RequestId,
    ForwardedFor,
    ForwardedProto,
    ForwardedHost,
    /// Something is to be negotiated.
    Unusual,
}

fn kind(name: &str) -> Kind {
    let is = |other: &str| name.eq_ignore_ascii_case(other);
    match name.len() {
        2 if is("te") => Kind::Te,
        4 if is("host") => Kind::Host,
        6 if is("expect") => Kind::Unusual,
        7 if is("upgrade") => Kind::Unusual,
        10 if is("connection") => Kind::Connection,
        10 if is("keep-alive") => Kind::LeftOut,
        12 if is("x-request-id") => Kind::RequestId,
        14 if is("content-length") => Kind::ContentLength,
        14 if is("http2-settings") => Kind::Unusual,
        15 if is("x-forwarded-for") => Kind::ForwardedFor,
        16 if is("x-forwarded-host") => Kind::ForwardedHost,
        16 if is("proxy-connection") => Kind::LeftOut,
        17 if is("x-forwarded-proto") => Kind::ForwardedProto,
        17 if is("transfer-encoding") => Kind::Unusual,
        _ => Kind::Passed,
    }
}

/// Reads what there is.
pub(super) fn read<'bytes>(bytes: &'bytes [u8], fields: &'bytes mut Fields<'bytes>, limits: Limits) -> Read<'bytes> {
    let mut request = httparse::Request::new(&mut []);
    let size = match request.parse_with_uninit_headers(bytes, fields) {
        Ok(Status::Complete(size)) => size,
        Ok(Status::Partial) if bytes.len() <= limits.head_bytes_max => return Read::Partial,
        Ok(Status::Partial) | Err(_) => return Read::Unusual,
    };
    if size > limits.head_bytes_max || request.version != Some(1) {
        return Read::Unusual;
    }
    let (Some(method), Some(target)) = (request.method.and_then(method), request.path) else { return Read::Unusual };
    if target.len() > limits.target_bytes_max || !is_plain_target(target) {
        return Read::Unusual;
    }
    let fields: &'bytes [Header<'bytes>] = request.headers;
    let plain = Plain { size, method, target, length: None, fields, host: &[], id: None, forwarded_for: None };
    plain.looked_through(limits.trust_forwarded).map_or(Read::Unusual, Read::Plain)
}

/// Those whose meaning is known.
fn method(name: &str) -> Option<Method> {
    let known = [Method::GET, Method::POST, Method::HEAD, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS];
    known.into_iter().find(|method| method.as_str() == name)
}

/// Whether nobody reads it otherwise: no fragment, no authority, nothing that somebody would encode first.
fn is_plain_target(target: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/%?".contains(&byte);
    target.starts_with('/') && target.bytes().all(plain)
}

/// A number of bytes, in digits and nothing else.
pub(super) fn length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let length: u64 = std::str::from_utf8(value).ok()?.parse().ok()?;
    i64::try_from(length).is_ok().then_some(length)
}

impl<'bytes> Plain<'bytes> {
    /// `None` if one of its headers wants more than plain.
    fn looked_through(mut self, trust_forwarded: bool) -> Option<Self> {
        let (mut hosts, mut ids, mut forwarded) = (0, 0, 0);
        for field in self.fields {
            match kind(field.name) {
                Kind::Passed | Kind::LeftOut | Kind::ForwardedProto | Kind::ForwardedHost => {}
                Kind::Unusual => return None,
                Kind::Host => {
                    hosts += 1;
                    self.host = field.value;
                }
                Kind::ContentLength => {
                    let length = length(field.value)?;
                    if self.length.replace(length).is_some() {
                        return None;
                    }
                }
                Kind::Connection if field.value.eq_ignore_ascii_case(b"keep-alive") => {}
                Kind::Connection => return None,
                // Whoever wants the end of an answer in headers gets it from hyper.
                Kind::Te if field.value.is_empty() => {}
                Kind::Te => return None,
                Kind::RequestId => {
                    ids += 1;
                    self.id = is_request_id(field.value).then_some(field.value);
                }
                Kind::ForwardedFor if trust_forwarded => {
                    forwarded += 1;
                    self.forwarded_for = Some(field.value);
                }
                Kind::ForwardedFor => {}
            }
        }
        (hosts == 1 && ids <= 1 && forwarded <= 1).then_some(self)
    }

    /// Writes the head for the backend.
    pub(super) fn write(&self, to: &mut Vec<u8>, target: &str, id: &[u8], peer: &[u8], trust_forwarded: bool) {
        for part in [self.method.as_str(), " ", target, " HTTP/1.1\r\n"] {
            to.extend_from_slice(part.as_bytes());
        }
        let (mut has_proto, mut has_host) = (false, false);
        for field in self.fields {
            let is_passed = match kind(field.name) {
                Kind::Passed | Kind::Host => true,
                Kind::RequestId | Kind::ContentLength | Kind::ForwardedFor => false,
                Kind::ForwardedProto => {
                    has_proto |= trust_forwarded;
                    trust_forwarded
                }
                Kind::ForwardedHost => {
                    has_host |= trust_forwarded;
                    trust_forwarded
                }
                Kind::LeftOut | Kind::Connection | Kind::Te | Kind::Unusual => false,
            };
            if is_passed {
                write_field(to, field.name, field.value);
            }
        }
        to.extend_from_slice(b"x-forwarded-for: ");
        if let Some(before) = self.forwarded_for {
            to.extend_from_slice(before);
            to.extend_from_slice(b", ");
        }
        to.extend_from_slice(peer);
        to.extend_from_slice(b"\r\n");
        if !has_proto {
            to.extend_from_slice(b"x-forwarded-proto: http\r\n");
        }
        if !has_host {
            write_field(to, "x-forwarded-host", self.host);
        }
        write_field(to, "x-request-id", id);
        if let Some(length) = self.length {
            write_length(to, length);
        }
        to.extend_from_slice(b"\r\n");
    }
}

impl Asked for Plain<'_> {
    fn method(&self) -> &Method {
        &self.method
    }

    fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or(self.target)
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        self.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
    }

    fn cookie(&self, name: &str) -> Option<&[u8]> {
        let lines = self.fields.iter().filter(|field| field.name.eq_ignore_ascii_case("cookie"));
        headers::cookie_of(lines.map(|field| field.value), name)
    }
}

/// One header.
pub(super) fn write_field(to: &mut Vec<u8>, name: &str, value: &[u8]) {
    to.reserve(name.len() + value.len() + 4);
    to.extend_from_slice(name.as_bytes());
    to.extend_from_slice(b": ");
    to.extend_from_slice(value);
    to.extend_from_slice(b"\r\n");
}

/// The length of a body.
pub(super) fn write_length(to: &mut Vec<u8>, length: u64) {
    to.extend_from_slice(b"content-length: ");
    write_decimal(to, length);
    to.extend_from_slice(b"\r\n");
}

/// Digits, without an allocation.
pub(super) fn write_decimal(to: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
        if number == 0 {
            break;
        }
    }
    to.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { head_bytes_max: 4_096, target_bytes_max: 100, trust_forwarded: false };

    /// What the backend gets, in order; or why it is not plain.
    fn written(text: &str, limits: Limits) -> String {
        let mut fields = [const { MaybeUninit::uninit() }; HEADERS_MAX];
        match read(text.as_bytes(), &mut fields, limits) {
            Read::Partial => "partial".to_owned(),
            Read::Unusual => "unusual".to_owned(),
            Read::Plain(plain) => {
                assert_eq!(plain.size, text.find("\r\n\r\n").map_or(plain.size, |end| end + 4));
                let mut to = Vec::new();
                let id = plain.id.unwrap_or(b"new");
                plain.write(&mut to, plain.target, id, b"10.0.0.9", limits.trust_forwarded);
                String::from_utf8(to).unwrap()
            }
        }
    }

    #[test]
    fn a_plain_head_is_written_anew() {
        let ours = "x-forwarded-for: 10.0.0.9\r\nx-forwarded-proto: http\r\nx-forwarded-host: a\r\n";
        for (request, expected) in [
            (
                "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
                format!("GET / HTTP/1.1\r\nHost: a\r\n{ours}x-request-id: new\r\n\r\n"),
            ),
            (
                "POST /a?b=/c%20 HTTP/1.1\r\nCONTENT-LENGTH: 007\r\nHOST: a\r\nConnection: Keep-Alive\r\nKeep-Alive: 5\r\n\
                 Proxy-Connection: x\r\nTE:\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n\
                 X-Forwarded-Host: b\r\nX-Request-Id: mine\r\nX-Empty:\r\nCookie: a=1\r\nCookie: b=2\r\n\r\n",
                format!(
                    "POST /a?b=/c%20 HTTP/1.1\r\nHOST: a\r\nX-Empty: \r\nCookie: a=1\r\nCookie: b=2\r\n{ours}\
                     x-request-id: mine\r\ncontent-length: 7\r\n\r\n"
                ),
            ),
        ] {
            assert_eq!(written(request, LIMITS), expected);
            for end in 0..request.len() {
                assert_eq!(written(&request[..end], LIMITS), "partial", "{:?}", &request[..end]);
            }
        }
        let trusting = Limits { trust_forwarded: true, ..LIMITS };
        let request = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\n\r\n";
        let expected = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\nx-forwarded-for: 1.1.1.1, 10.0.0.9\r\n\
                        x-forwarded-host: a\r\nx-request-id: new\r\n\r\n";
        assert_eq!(written(request, trusting), expected);
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_not_plain() {
        for line in [
            "GET / HTTP/1.0",
            "GET http://b/ HTTP/1.1",
            "GET a HTTP/1.1",
            "GET * HTTP/1.1",
            "OPTIONS * HTTP/1.1",
            "GET /#a HTTP/1.1",
            "GET /\"a HTTP/1.1",
            "GET /\u{e9} HTTP/1.1",
            "GET /\\ HTTP/1.1",
            "CONNECT a:1 HTTP/1.1",
            "TRACE / HTTP/1.1",
            "get / HTTP/1.1",
            "BREW / HTTP/1.1",
        ] {
            assert_eq!(written(&format!("{line}\r\nHost: a\r\n\r\n"), LIMITS), "unusual", "{line}");
        }
        let long = format!("X: {}", "a".repeat(4_096));
        let many = "X: a\r\n".repeat(HEADERS_MAX) + "X: b";
        for headers in [
            "X: 1",
            "Host: a\r\nHost: a",
            "Host: a\r\nTransfer-Encoding: chunked",
            "Host: a\r\nTransfer-Encoding: identity",
            "Host: a\r\nContent-Length: 1\r\nContent-Length: 1",
            "Host: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked",
            "Host: a\r\nContent-Length: +1",
            "Host: a\r\nContent-Length: 1, 1",
            "Host: a\r\nContent-Length: 0x1",
            "Host: a\r\nContent-Length:",
            "Host: a\r\nContent-Length: 18446744073709551615",
            "Host: a\r\nContent-Length: 99999999999999999999",
            "Host: a\r\nContent-Length : 1",
            "Host: a\r\n Content-Length: 1",
            "Host: a\r\n\tfolded",
            "Host: a\r\nConnection: close",
            "Host: a\r\nConnection: keep-alive, x-a",
            "Host: a\r\nConnection: content-length",
            "Host: a\r\nUpgrade: websocket\r\nConnection: upgrade",
            "Host: a\r\nUpgrade: h2c",
            "Host: a\r\nExpect: 100-continue",
            "Host: a\r\nTE: trailers",
            "Host: a\r\nX-Request-Id: 1\r\nX-Request-Id: 2",
            "Host: a\r\nX: a\u{0}b",
            "Host: a\r\nX: a\rb",
            "Host: a\r\n: a",
            "Host: a\r\nno colon",
            &long,
            &many,
        ] {
            assert_eq!(written(&format!("GET / HTTP/1.1\r\n{headers}\r\n\r\n"), LIMITS), "unusual", "{headers:.80}");
        }
        assert_eq!(written(&format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(100)), LIMITS), "unusual");
        assert_eq!(written("\u{16}\u{3}\u{1}", LIMITS), "unusual");
        assert_eq!(written("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", LIMITS), "unusual");
    }

    #[test]
    fn numbers_are_written_as_they_are() {
        for number in [0, 7, 10, 4_294_967_296, u64::MAX] {
            let mut to = Vec::new();
            write_decimal(&mut to, number);
            assert_eq!(to, number.to_string().as_bytes());
        }
    }
}
