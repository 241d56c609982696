//! CBOR (RFC 8949), as much as Smithy's RPC v2 uses: maps with text keys, lists, texts, bytes, numbers, and tag 1 for
//! points in time. <https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html>

use base64::Engine as _;
use serde_json::{Map, Value, json};

use crate::value::stamped;

/// Nested deeper, something is refused.
const DEPTH_MAX: usize = 32;

/// Reads one item. Points in time become seconds, bytes become base64.
///
/// # Errors
/// It ends too early or is of a kind that the protocol does not have.
pub(crate) fn read(bytes: &[u8]) -> Result<Value, &'static str> {
    let mut reader = Reader { bytes, at: 0 };
    let value = reader.item(0)?;
    if reader.at == bytes.len() { Ok(value) } else { Err("something follows after the item") }
}

struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
}

/// Of an item: how long, or until a break.
enum Length {
    Known(u64),
    Open,
}

impl Reader<'_> {
    fn take(&mut self, count: usize) -> Result<&[u8], &'static str> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len()).ok_or("it ends too early")?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn unsigned(&mut self, count: usize) -> Result<u64, &'static str> {
        Ok(self.take(count)?.iter().fold(0, |all, byte| all << 8 | u64::from(*byte)))
    }

    fn length(&mut self, low: u8) -> Result<Length, &'static str> {
        Ok(Length::Known(match low {
            0..24 => u64::from(low),
            24 => self.unsigned(1)?,
            25 => self.unsigned(2)?,
            26 => self.unsigned(4)?,
            27 => self.unsigned(8)?,
            31 => return Ok(Length::Open),
            _ => return Err("a length has a form that does not exist"),
        }))
    }

    fn known(&mut self, low: u8) -> Result<u64, &'static str> {
        match self.length(low)? {
            Length::Known(length) => Ok(length),
            Length::Open => Err("a number cannot be open"),
        }
    }

    fn ends(&mut self, length: &Length, done: u64) -> bool {
        match length {
            Length::Known(length) => done >= *length,
            Length::Open => {
                let is_break = self.bytes.get(self.at) == Some(&0xff);
                self.at += usize::from(is_break);
                is_break
            }
        }
    }

    fn string(&mut self, low: u8) -> Result<Vec<u8>, &'static str> {
        match self.length(low)? {
            Length::Known(length) => Ok(self.take(usize::try_from(length).map_err(|_| "it is too long")?)?.to_vec()),
            Length::Open => {
                let mut all = Vec::new();
                while !self.ends(&Length::Open, 0) {
                    let head = self.take(1)?[0];
                    let length = self.known(head & 0x1f)?;
                    all.extend_from_slice(self.take(usize::try_from(length).map_err(|_| "it is too long")?)?);
                }
                Ok(all)
            }
        }
    }

    fn item(&mut self, depth: usize) -> Result<Value, &'static str> {
        if depth > DEPTH_MAX {
            return Err("it is nested too deep");
        }
        let head = self.take(1)?[0];
        let low = head & 0x1f;
        match head >> 5 {
            0 => Ok(json!(self.known(low)?)),
            1 => {
                let number = i64::try_from(self.known(low)?).map_err(|_| "a number is too small")?;
                Ok(json!(-1 - number))
            }
            2 => Ok(json!(base64::engine::general_purpose::STANDARD.encode(self.string(low)?))),
            3 => Ok(json!(String::from_utf8(self.string(low)?).map_err(|_| "a text is not UTF-8")?)),
            4 => {
                let length = self.length(low)?;
                let mut items = Vec::new();
                while !self.ends(&length, items.len() as u64) {
                    items.push(self.item(depth + 1)?);
                }
                Ok(Value::Array(items))
            }
            5 => self.map(low, depth),
            6 => {
                self.known(low)?;
                self.item(depth + 1)
            }
            _ => self.simple(low),
        }
    }

    fn map(&mut self, low: u8, depth: usize) -> Result<Value, &'static str> {
        let length = self.length(low)?;
        let mut members = Map::new();
        let mut done = 0;
        while !self.ends(&length, done) {
            let Value::String(key) = self.item(depth + 1)? else { return Err("a key is no text") };
            members.insert(key, self.item(depth + 1)?);
            done += 1;
        }
        Ok(Value::Object(members))
    }

    fn simple(&mut self, low: u8) -> Result<Value, &'static str> {
        Ok(match low {
            20 => json!(false),
            21 => json!(true),
            22 | 23 => Value::Null,
            25 => json!(half(self.unsigned(2)?)),
            26 => {
                let bits = u32::try_from(self.unsigned(4)?).map_err(|_| "a number has too many bits")?;
                json!(f64::from(f32::from_bits(bits)))
            }
            27 => json!(f64::from_bits(self.unsigned(8)?)),
            _ => return Err("a simple value is none that is known"),
        })
    }
}

/// A number in 16 bits.
fn half(bits: u64) -> f64 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let exponent = i32::try_from(bits >> 10 & 0x1f).unwrap_or_default();
    let mantissa = f64::from(u16::try_from(bits & 0x3ff).unwrap_or_default());
    sign * match exponent {
        0 => mantissa * 2_f64.powi(-24),
        31 if mantissa == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1.0 + mantissa / 1024.0) * 2_f64.powi(exponent - 15),
    }
}

/// Writes a value. Whole numbers stay whole, others are doubles.
pub(crate) fn write(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, value);
    out
}

fn head(out: &mut Vec<u8>, kind: u8, number: u64) {
    let kind = kind << 5;
    let bytes = number.to_be_bytes();
    match number {
        0..24 => out.push(kind | bytes[7]),
        24..=0xff => out.extend_from_slice(&[kind | 24, bytes[7]]),
        0x100..=0xffff => {
            out.push(kind | 25);
            out.extend_from_slice(&bytes[6..]);
        }
        0x1_0000..=0xffff_ffff => {
            out.push(kind | 26);
            out.extend_from_slice(&bytes[4..]);
        }
        _ => {
            out.push(kind | 27);
            out.extend_from_slice(&bytes);
        }
    }
}

fn put_double(out: &mut Vec<u8>, number: f64) {
    out.push(0xfb);
    out.extend_from_slice(&number.to_be_bytes());
}

fn put(out: &mut Vec<u8>, value: &Value) {
    if let Some(at) = stamped(value) {
        out.push(0xc1);
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of this millennium are exact in a double")]
        put_double(out, at as f64 / 1_000.0);
        return;
    }
    match value {
        Value::Null => out.push(0xf6),
        Value::Bool(flag) => out.push(if *flag { 0xf5 } else { 0xf4 }),
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => head(out, 0, number),
            (None, Some(number)) => head(out, 1, (-1 - number).unsigned_abs()),
            (None, None) => put_double(out, number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => {
            head(out, 3, text.len() as u64);
            out.extend_from_slice(text.as_bytes());
        }
        Value::Array(items) => {
            head(out, 4, items.len() as u64);
            items.iter().for_each(|item| put(out, item));
        }
        Value::Object(members) => {
            head(out, 5, members.len() as u64);
            for (key, value) in members {
                head(out, 3, key.len() as u64);
                out.extend_from_slice(key.as_bytes());
                put(out, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    /// From appendix A of RFC 8949.
    #[test]
    fn the_examples_of_the_standard_are_read() {
        for (hex, expected) in [
            ("00", json!(0)),
            ("1903e8", json!(1000)),
            ("1b000000e8d4a51000", json!(1_000_000_000_000_u64)),
            ("3903e7", json!(-1000)),
            ("f90400", json!(0.000_061_035_156_25)),
            ("f93e00", json!(1.5)),
            ("fa47c35000", json!(100_000.0)),
            ("fb3ff199999999999a", json!(1.1)),
            ("c11a514b67b0", json!(1_363_896_240)),
            ("6449455446", json!("IETF")),
            ("a26161016162820203", json!({ "a": 1, "b": [2, 3] })),
            ("bf61610161629f0203ffff", json!({ "a": 1, "b": [2, 3] })),
            ("7f657374726561646d696e67ff", json!("streaming")),
            ("f6", Value::Null),
        ] {
            assert_eq!(read(&bytes(hex)), Ok(expected), "{hex}");
        }
        for hex in ["", "19", "a1", "61ff", "6161ff"] {
            assert!(read(&bytes(hex)).is_err(), "{hex}");
        }
        assert!(read(&[0x81; 64]).is_err());
    }

    #[test]
    fn what_is_written_is_read_again() {
        let value = json!({ "a": [0, 23, 24, 256, 65_536, 4_294_967_296_u64, -1, -500], "b": 1.5, "c": "ä", "d": [true, false, null] });
        assert_eq!(read(&write(&value)), Ok(value));
        assert_eq!(write(&json!({ "$time": 1_500 })), [&[0xc1, 0xfb][..], &1.5_f64.to_be_bytes()[..]].concat());
    }
}
