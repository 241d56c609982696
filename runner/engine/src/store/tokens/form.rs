//! How a token looks: `pipe_`, 43 characters of base 62 for 32 random bytes, six characters of their CRC-32.

use std::io;

use workflow::secret::Secret;
use zeroize::Zeroizing;

use crate::sealing;

const PREFIX: &str = "pipe_";
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const RANDOM_CHARACTERS: usize = 43;
const CHECK_CHARACTERS: usize = 6;

/// A new one.
pub(in crate::store) fn make() -> io::Result<Secret> {
    let bytes = Zeroizing::new(sealing::random::<32>()?);
    let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + RANDOM_CHARACTERS + CHECK_CHARACTERS));
    text.push_str(PREFIX);
    // Long division by 62, most significant byte first.
    let mut number = Zeroizing::new(bytes.to_vec());
    for _ in 0..RANDOM_CHARACTERS {
        let mut rest = 0_u32;
        for byte in number.iter_mut() {
            let value = rest * 256 + u32::from(*byte);
            *byte = (value / 62) as u8;
            rest = value % 62;
        }
        text.push(digit(rest));
    }
    let check = check(&text);
    text.push_str(&check);
    Ok(Secret::new(text.as_str()))
}

/// Whether a text has the form of a token. It need not be one that was made.
pub(super) fn is_token(text: &str) -> bool {
    let length = PREFIX.len() + RANDOM_CHARACTERS + CHECK_CHARACTERS;
    if text.len() != length
        || !text.starts_with(PREFIX)
        || !text[PREFIX.len()..].bytes().all(|byte| DIGITS.contains(&byte))
    {
        return false;
    }
    let (body, given) = text.split_at(length - CHECK_CHARACTERS);
    check(body) == given
}

fn digit(value: u32) -> char {
    char::from(DIGITS[value as usize % DIGITS.len()])
}

fn check(text: &str) -> String {
    let mut value = crc32(text.as_bytes());
    let mut digits: Vec<char> = Vec::with_capacity(CHECK_CHARACTERS);
    for _ in 0..CHECK_CHARACTERS {
        digits.push(digit(value % 62));
        value /= 62;
    }
    digits.iter().rev().collect()
}

/// CRC-32 as in zip and Ethernet. Texts here are short, so bit by bit will do.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_known_by_their_form() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        let token = make().unwrap();
        let text = token.expose();
        assert_eq!(text.len(), 54);
        assert!(is_token(text) && text != make().unwrap().expose());
        for at in 0..text.len() {
            let mut changed = text.as_bytes().to_vec();
            changed[at] = if changed[at] == b'x' { b'y' } else { b'x' };
            assert!(!is_token(&String::from_utf8(changed).unwrap()), "changed at {at}");
            assert!(!is_token(&text[..at]));
        }
        for text in ["", "pipe_", "ghp_abc", "pipe_ü", &"ü".repeat(27), &format!("{text} ")] {
            assert!(!is_token(text), "{text}");
        }
    }
}
