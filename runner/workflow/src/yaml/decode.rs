//! From the bytes of a file to text: UTF-8 with or without a byte order mark, and a plain word about anything else.

use thiserror::Error;

/// Bytes looked at to tell a binary file from a text in another encoding.
const SNIFF_BYTES_MAX: usize = 4096;

/// Why bytes are no text that we read. Offsets are bytes from the start of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// UTF-16, by its byte order mark or by every other byte being zero.
    #[error("the file is encoded as UTF-16; save it as UTF-8")]
    Utf16,
    /// A zero byte, which no text file has.
    #[error("the file is binary: it has a zero byte at offset {offset}")]
    Binary {
        /// Where.
        offset: usize,
    },
    /// Bytes that are not UTF-8.
    #[error("the file is not valid UTF-8: line {line} has a bad byte at offset {offset}")]
    NotUtf8 {
        /// Where.
        offset: usize,
        /// The line, from 1.
        line: usize,
    },
}

/// The text of a file, without its byte order mark.
///
/// # Errors
/// [`DecodeError`], whose words suit a user.
pub fn decode(bytes: &[u8]) -> Result<String, DecodeError> {
    if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
        return Err(DecodeError::Utf16);
    }
    if let Some(offset) = memchr::memchr(0, bytes) {
        return Err(if looks_like_utf16(bytes) { DecodeError::Utf16 } else { DecodeError::Binary { offset } });
    }
    let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    match std::str::from_utf8(text) {
        Ok(text) => Ok(text.to_owned()),
        Err(error) => {
            let line = memchr::memchr_iter(b'\n', &text[..error.valid_up_to()]).count() + 1;
            Err(DecodeError::NotUtf8 { offset: error.valid_up_to() + bytes.len() - text.len(), line })
        }
    }
}

/// Text in UTF-16 is mostly ASCII, so nearly all its zeros are at even places, or nearly all at odd ones.
fn looks_like_utf16(bytes: &[u8]) -> bool {
    let sample = &bytes[..bytes.len().min(SNIFF_BYTES_MAX)];
    let zeros_at = |parity: usize| sample.iter().skip(parity).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd) = (zeros_at(0), zeros_at(1));
    let most = sample.len() / 2 * 3 / 4;
    sample.len() >= 4 && most > 0 && (even >= most && odd == 0 || odd >= most && even == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_or_a_reason() {
        let utf16: Vec<u8> = "on: push\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (bytes, expected) in [
            (&b"on: push"[..], Ok("on: push".to_owned())),
            (b"\xEF\xBB\xBFon: push", Ok("on: push".to_owned())),
            (b"", Ok(String::new())),
            (b"\xFF\xFEo\0n\0", Err(DecodeError::Utf16)),
            (b"\xFE\xFF\0o\0n", Err(DecodeError::Utf16)),
            (&utf16, Err(DecodeError::Utf16)),
            (b"\x7fELF\x02\x01\0\0", Err(DecodeError::Binary { offset: 6 })),
            (b"on: push\n\xE4", Err(DecodeError::NotUtf8 { offset: 9, line: 2 })),
            (b"\xEF\xBB\xBFa\xE4", Err(DecodeError::NotUtf8 { offset: 4, line: 1 })),
        ] {
            assert_eq!(decode(bytes), expected, "{bytes:?}");
        }
    }
}
