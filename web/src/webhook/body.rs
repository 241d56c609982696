//! Reading a body within bounds of size, time and memory; and the payload in a form.
//!
//! Nothing is unpacked: a body that says it is encoded is refused before it is read.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Problem;

/// Largest body: GitHub sends none above 25 MB.
pub(super) const BODY_BYTES_MAX: usize = 25 * 1_024 * 1_024;
/// Bodies in memory, all together; who waits for more is asked to come back.
const BODIES_KIB_MAX: usize = 128 * 1_024;

/// What form a body has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Media {
    Json,
    /// JSON in the field `payload`.
    Form,
}

/// The media type, and that nothing else is said about how to read the bytes.
pub(super) fn media(headers: &HeaderMap) -> Result<Media, Problem> {
    let unsupported = |detail: &str| Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", detail).closing();
    let mut encodings = headers.get_all(header::CONTENT_ENCODING).iter();
    if encodings.any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(unsupported("bodies are taken as they are: no Content-Encoding"));
    }
    let expected = "Content-Type is application/json or application/x-www-form-urlencoded, in UTF-8";
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (types.next(), types.next()) else { return Err(unsupported(expected)) };
    let mut parts = value.to_str().unwrap_or_default().split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
    let is_utf8 = parts.filter_map(|part| part.split_once('=')).all(|(name, value)| {
        !name.trim().eq_ignore_ascii_case("charset") || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
    });
    match essence.as_str() {
        "application/json" if is_utf8 => Ok(Media::Json),
        "application/x-www-form-urlencoded" if is_utf8 => Ok(Media::Form),
        _ => Err(unsupported(expected)),
    }
}

/// Reads bodies.
#[derive(Debug, Clone)]
pub(super) struct Bodies {
    time: Duration,
    room: Arc<Semaphore>,
}

/// A body in memory, counted as long as it is there.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) bytes: Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

impl Bodies {
    pub(super) fn new(time: Duration) -> Self {
        Self { time, room: Arc::new(Semaphore::new(BODIES_KIB_MAX)) }
    }

    /// The body. Where nobody wants it (`keep` is false) it is read to its end and forgotten, so that the client hears
    /// the answer.
    pub(super) async fn read(&self, headers: &HeaderMap, body: Body, keep: bool) -> Result<Counted, Problem> {
        let announced =
            headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|length| length > BODY_BYTES_MAX as u64) {
            return Err(too_large());
        }
        let capacity = announced.and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
        let reading = tokio::time::timeout(self.time, self.collect(body, keep, capacity.min(64 * 1_024)));
        reading.await.map_err(|_| {
            let detail = format!("the body did not come within {} s", self.time.as_secs_f32());
            Problem::new(StatusCode::REQUEST_TIMEOUT, "body-time", detail).closing()
        })?
    }

    async fn collect(&self, mut body: Body, keep: bool, capacity: usize) -> Result<Counted, Problem> {
        let (mut bytes, mut length) = (BytesMut::with_capacity(if keep { capacity } else { 0 }), 0);
        let mut room: Option<OwnedSemaphorePermit> = None;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| {
                Problem::new(StatusCode::BAD_REQUEST, "body", "the body ended before its end").closing()
            })?;
            let Ok(data) = frame.into_data() else { continue };
            length += data.len();
            if length > BODY_BYTES_MAX {
                return Err(too_large());
            }
            if !keep {
                continue;
            }
            // Counted as it comes, not as it is announced: room is taken by those who send.
            let needed = length.div_ceil(1_024) - room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
            let more = u32::try_from(needed)
                .ok()
                .and_then(|needed| Arc::clone(&self.room).try_acquire_many_owned(needed).ok());
            let Some(more) = more else { return Err(no_room()) };
            match &mut room {
                Some(room) => room.merge(more),
                None => room = Some(more),
            }
            bytes.extend_from_slice(&data);
        }
        Ok(Counted { bytes: bytes.freeze(), _room: room })
    }
}

fn too_large() -> Problem {
    let detail = format!("a body has at most {} MiB", BODY_BYTES_MAX >> 20);
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body-size", detail).closing()
}

fn no_room() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "too many bodies are being read")
        .retry_after(Duration::from_secs(5))
        .closing()
}

/// The field `payload` of a form; none if it is not there exactly once, or not encoded as it should be.
pub(super) fn form_payload(form: &[u8]) -> Option<Vec<u8>> {
    let mut found = None;
    for field in form.split(|byte| *byte == b'&') {
        let equals = field.iter().position(|byte| *byte == b'=').unwrap_or(field.len());
        let (name, value) = (decoded(&field[..equals])?, field.get(equals + 1..).unwrap_or_default());
        if name == b"payload" && found.replace(decoded(value)?).is_some() {
            return None;
        }
    }
    found
}

/// `application/x-www-form-urlencoded` back to bytes (<https://url.spec.whatwg.org/#urlencoded-parsing>).
fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(*rest.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            other => *other,
        });
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types() {
        for (types, encoding, expected) in [
            (&["application/json"][..], None, Some(Media::Json)),
            (&["Application/JSON; charset=\"UTF-8\""], None, Some(Media::Json)),
            (&["application/x-www-form-urlencoded"], Some("identity"), Some(Media::Form)),
            (&["application/json"], Some("gzip"), None),
            (&["application/json; charset=utf-16"], None, None),
            (&["application/json", "application/json"], None, None),
            (&["text/plain"], None, None),
            (&[], None, None),
        ] {
            let mut headers = HeaderMap::new();
            headers.extend(types.iter().map(|value| (header::CONTENT_TYPE, value.parse().unwrap())));
            encoding.map(|encoding| headers.append(header::CONTENT_ENCODING, encoding.parse().unwrap()));
            assert_eq!(media(&headers).ok(), expected, "{types:?} {encoding:?}");
        }
    }

    #[test]
    fn forms() {
        for (form, expected) in [
            ("payload=%7B%22a%22%3A+1%7D", Some("{\"a\": 1}")),
            ("x=1&payload=a%3db&y", Some("a=b")),
            ("p%61yload=1", Some("1")),
            ("payload=1&payload=2", None),
            ("payload=%7", None),
            ("payload=%zz", None),
            ("x=1", None),
            ("", None),
        ] {
            assert_eq!(form_payload(form.as_bytes()).as_deref(), expected.map(str::as_bytes), "{form}");
        }
    }
}
