//! Many lines at a time, each behind the name of its job. A step that prints tens of millions of short lines is held up
//! by what a single line costs here.

use std::io::{self, Write};

/// So much is written at once. It stays in the cache of a core.
const BATCH_BYTES: usize = 128 * 1024;

/// Text of up to so many bytes is copied as that many: one store instead of a call.
const STRIDE: usize = 32;

/// Room for a batch, used again and again.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
}

impl Batch {
    /// Writes the lines of `block`, which end with line feeds but perhaps for the last, each behind `prefix`.
    ///
    /// # Errors
    /// Those of `output`.
    pub fn write(&mut self, prefix: &[u8], block: &[u8], output: &mut impl Write) -> io::Result<()> {
        if self.bytes.is_empty() {
            self.bytes.resize(BATCH_BYTES, 0);
        }
        let (mut filled, mut from) = (0, 0);
        while from < block.len() {
            let rest = &block[from..];
            let length = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
            if filled + prefix.len() + length + STRIDE > BATCH_BYTES {
                output.write_all(&self.bytes[..filled])?;
                filled = 0;
            }
            if prefix.len() + length + STRIDE > BATCH_BYTES {
                output.write_all(prefix)?;
                output.write_all(&rest[..length])?;
            } else {
                copy(prefix, prefix.len(), &mut self.bytes[filled..]);
                copy(rest, length, &mut self.bytes[filled + prefix.len()..]);
                filled += prefix.len() + length;
            }
            from += length;
        }
        output.write_all(&self.bytes[..filled])?;
        if block.last().is_some_and(|last| *last != b'\n') {
            output.write_all(b"\n")?;
        }
        Ok(())
    }
}

/// Copies the first `length` bytes. What lies behind them in `to`, up to [`STRIDE`], may change.
#[inline(always)]
fn copy(from: &[u8], length: usize, to: &mut [u8]) {
    match (from.first_chunk::<STRIDE>(), to.first_chunk_mut::<STRIDE>()) {
        (Some(from), Some(to)) if length <= STRIDE => *to = *from,
        _ => to[..length].copy_from_slice(&from[..length]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What [`Batch`] is to write, one line after the other.
    fn plainly(prefix: &[u8], block: &[u8]) -> Vec<u8> {
        let lines = block.strip_suffix(b"\n").unwrap_or(block).split(|byte| *byte == b'\n');
        lines.flat_map(|line| [prefix, line, b"\n"].concat()).collect()
    }

    #[test]
    fn each_line_has_its_prefix() {
        let mut batch = Batch::default();
        for prefix in [&b""[..], b"[a]   ", &[b'p'; STRIDE], &[b'q'; 3 * STRIDE]] {
            for around in [0, 1, STRIDE - 1, STRIDE, STRIDE + 1, 400, BATCH_BYTES - 1, BATCH_BYTES, 2 * BATCH_BYTES] {
                let line = vec![b'x'; around];
                for block in [[&line[..], b"\n\nshort\n"].concat(), [b"y\n", &line[..]].concat(), line.clone()] {
                    if block.is_empty() {
                        continue;
                    }
                    let mut written = Vec::new();
                    batch.write(prefix, &block, &mut written).unwrap();
                    assert!(written == plainly(prefix, &block), "{around} behind {} bytes", prefix.len());
                }
            }
        }
    }

    #[test]
    fn many_lines_are_all_there() {
        let block: Vec<u8> = (0..60_000).flat_map(|number: u32| format!("line {number}\n").into_bytes()).collect();
        let mut written = Vec::new();
        Batch::default().write(b"[job]   ", &block, &mut written).unwrap();
        assert!(written == plainly(b"[job]   ", &block));
    }
}
