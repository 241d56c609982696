//! Calls of the cache's service in the binary form of protobuf, which Twirp takes beside JSON and some clients speak alone (`opendal`, by
//! which `sccache` keeps its caches). Only the fields that are read or answered are known; others are passed over.
//! See <https://protobuf.dev/programming-guides/encoding/> and
//! <https://github.com/actions/toolkit/blob/main/packages/cache/src/generated/results/api/v1/cache.ts>.

use hyper::Request;
use hyper::header::CONTENT_TYPE;
use serde_json::{Map, Value as Json, json};

/// What such bodies are called.
pub(crate) const KIND: &str = "application/protobuf";

/// Fields of a call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form {
    request: &'static [Field],
    answer: &'static [Field],
}

/// A field: its number, its name, what it holds.
type Field = (u64, &'static str, Holds);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    Text,
    Texts,
    Number,
    Flag,
}

const CREATE: Form = Form {
    request: &[(2, "key", Holds::Text), (3, "version", Holds::Text)],
    answer: &[(1, "ok", Holds::Flag), (2, "signed_upload_url", Holds::Text), (3, "message", Holds::Text)],
};
const FINALIZE: Form = Form {
    request: &[(2, "key", Holds::Text), (3, "size_bytes", Holds::Number), (4, "version", Holds::Text)],
    answer: &[(1, "ok", Holds::Flag), (2, "entry_id", Holds::Number), (3, "message", Holds::Text)],
};
const DOWNLOAD: Form = Form {
    request: &[(2, "key", Holds::Text), (3, "restore_keys", Holds::Texts), (4, "version", Holds::Text)],
    answer: &[(1, "ok", Holds::Flag), (2, "signed_download_url", Holds::Text), (3, "matched_key", Holds::Text)],
};

/// The form of a call of the cache's service, where its body is in protobuf.
pub(crate) fn form<B>(method: &str, request: &Request<B>) -> Option<Form> {
    let kind = request.headers().get(CONTENT_TYPE)?.to_str().ok()?;
    if !kind.split(';').next()?.trim().eq_ignore_ascii_case(KIND) {
        return None;
    }
    match method {
        "CreateCacheEntry" => Some(CREATE),
        "FinalizeCacheEntryUpload" => Some(FINALIZE),
        "GetCacheEntryDownloadURL" => Some(DOWNLOAD),
        _ => None,
    }
}

impl Form {
    /// A request, as it would be in JSON; `None` where it is none.
    pub(crate) fn read(self, mut bytes: &[u8]) -> Option<Json> {
        let mut found = Map::new();
        while !bytes.is_empty() {
            let tag = number(&mut bytes)?;
            let value = Value::read(tag & 7, &mut bytes)?;
            let Some((_, name, holds)) = self.request.iter().find(|(number, ..)| *number == tag >> 3) else { continue };
            match (holds, value) {
                (Holds::Text, Value::Bytes(text)) => {
                    found.insert((*name).to_owned(), std::str::from_utf8(text).ok()?.into());
                }
                (Holds::Texts, Value::Bytes(text)) => {
                    let all = found.entry(*name).or_insert_with(|| json!([]));
                    all.as_array_mut()?.push(std::str::from_utf8(text).ok()?.into());
                }
                (Holds::Number, Value::Number(number)) => {
                    found.insert((*name).to_owned(), number.into());
                }
                (Holds::Flag, Value::Number(number)) => {
                    found.insert((*name).to_owned(), (number != 0).into());
                }
                (Holds::Text | Holds::Texts, Value::Number(_) | Value::Passed)
                | (Holds::Number | Holds::Flag, Value::Bytes(_) | Value::Passed) => return None,
            }
        }
        Some(Json::Object(found))
    }

    /// An answer that is there in JSON. What is empty, false or 0 is left out, as protobuf has it.
    pub(crate) fn write(self, answer: &Json) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (number, name, holds) in self.answer {
            let value = &answer[*name];
            match holds {
                Holds::Text | Holds::Texts => {
                    let text = value.as_str().unwrap_or_default();
                    if !text.is_empty() {
                        put(&mut bytes, (number << 3) | 2);
                        put(&mut bytes, text.len() as u64);
                        bytes.extend_from_slice(text.as_bytes());
                    }
                }
                Holds::Number | Holds::Flag => {
                    // JSON has large numbers as texts.
                    let text = value.as_str().and_then(|text| text.parse().ok());
                    let value =
                        text.or_else(|| value.as_u64()).unwrap_or_else(|| value.as_bool().unwrap_or(false).into());
                    if value != 0 {
                        put(&mut bytes, number << 3);
                        put(&mut bytes, value);
                    }
                }
            }
        }
        bytes
    }
}

/// What a field has, by the kind of its tag.
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// Of a kind that no field of ours has.
    Passed,
}

impl<'a> Value<'a> {
    fn read(kind: u64, bytes: &mut &'a [u8]) -> Option<Self> {
        match kind {
            0 => number(bytes).map(Self::Number),
            1 => take(bytes, 8).map(|_| Self::Passed),
            2 => {
                let length = number(bytes)?;
                take(bytes, usize::try_from(length).ok()?).map(Self::Bytes)
            }
            5 => take(bytes, 4).map(|_| Self::Passed),
            _ => None,
        }
    }
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

/// Seven bits a byte, the lowest first; the highest bit says that there are more.
fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_and_nothing_else() {
        // `metadata` (1) is passed over, and so is what nobody knows.
        let whole = b"\x0a\x02\x08\x01\x12\x01k\x1a\x01a\x1a\x02bc\x22\x01v\x79\0\0\0\0\0\0\0\0\x7d\0\0\0\0";
        let expected = json!({ "key": "k", "restore_keys": ["a", "bc"], "version": "v" });
        assert_eq!(DOWNLOAD.read(whole), Some(expected));
        assert_eq!(DOWNLOAD.read(b""), Some(json!({})));
        assert_eq!(
            FINALIZE.read(b"\x12\x01k\x18\xac\x02\x22\x01v"),
            Some(json!({ "key": "k", "size_bytes": 300, "version": "v" }))
        );
        for wrong in [
            &b"\x12"[..],
            b"\x12\x02k",
            b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x12\x01\xff",
            b"\x10\x01",
            b"\x13",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            b"{\"key\":\"k\"}",
        ] {
            assert_eq!(DOWNLOAD.read(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn answers_are_written() {
        let long = "u".repeat(200);
        let expected = [&b"\x08\x01\x12\xc8\x01"[..], long.as_bytes()].concat();
        assert_eq!(CREATE.write(&json!({ "ok": true, "signed_upload_url": long })), expected);
        assert_eq!(FINALIZE.write(&json!({ "ok": true, "entry_id": "300" })), b"\x08\x01\x10\xac\x02");
        assert_eq!(DOWNLOAD.write(&json!({ "ok": false })), b"");
        assert_eq!(CREATE.write(&json!({ "ok": false, "message": "no" })), b"\x1a\x02no");
    }
}
