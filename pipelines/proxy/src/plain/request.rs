//! The head of a plain request: whether it is one, and what the backend gets of it.
//!
//! A request is plain if there is one way to read it and nothing to negotiate. Whatever else comes is hyper's, with all of its
//! bytes, and so is saying what is wrong with it: nothing is refused here. What is passed on is written anew: its length is
//! the number that was read, hop-by-hop headers are left out (RFC 9110 section 7.6.1).

use std::mem::MaybeUninit;

use httparse::{Header, Status};
use hyper::Method;

use super::chunks::Chunks;
use super::client::Coming;
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
    pub(super) body: Framed,
    fields: &'bytes [Header<'bytes>],
    host: &'bytes [u8],
    /// The client's, if it is one.
    pub(super) id: Option<&'bytes [u8]>,
    /// What is believed of who asked before.
    forwarded_for: Option<&'bytes [u8]>,
}

/// How a body's end is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framed {
    /// It has none and says nothing about it.
    Nothing,
    Length(u64),
    Chunked,
}

impl Framed {
    /// All of it.
    pub(super) fn coming(self) -> Coming {
        match self {
            Self::Nothing => Coming::Length(0),
            Self::Length(length) => Coming::Length(length),
            Self::Chunked => Coming::Chunks(Chunks::default()),
        }
    }
}

/// What is done with a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Passed,
    Host,
    ContentLength,
    TransferEncoding,
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
        17 if is("transfer-encoding") => Kind::TransferEncoding,
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
    let plain = Plain { size, method, target, body: Framed::Nothing, fields, host: &[], id: None, forwarded_for: None };
    plain.looked_through(limits.trust_forwarded).map_or(Read::Unusual, Read::Plain)
}

/// Those whose meaning is known.
fn method(name: &str) -> Option<Method> {
    let known = [Method::GET, Method::POST, Method::HEAD, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS];
    known.into_iter().find(|method| method.as_str() == name)
}

/// Those whose body somebody looks for.
fn has_body(method: &Method) -> bool {
    [Method::POST, Method::PUT, Method::PATCH, Method::DELETE].contains(method)
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
                    self.frame(Framed::Length(length))?;
                }
                // `chunked` alone: what else there could be nobody sends, and some read otherwise.
                Kind::TransferEncoding if field.value.eq_ignore_ascii_case(b"chunked") => {
                    self.frame(Framed::Chunked)?
                }
                Kind::TransferEncoding => return None,
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
        let is_framed = self.body != Framed::Chunked || has_body(&self.method);
        (hosts == 1 && ids <= 1 && forwarded <= 1 && is_framed).then_some(self)
    }

    /// The end of a body is told once, and in one way.
    fn frame(&mut self, framed: Framed) -> Option<()> {
        let before = std::mem::replace(&mut self.body, framed);
        (before == Framed::Nothing).then_some(())
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
                Kind::RequestId | Kind::ContentLength | Kind::TransferEncoding | Kind::ForwardedFor => false,
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
        match self.body {
            Framed::Nothing => {}
            Framed::Length(length) => write_length(to, length),
            Framed::Chunked => write_field(to, "transfer-encoding", b"chunked"),
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
mod tests;
