//! Bodies in chunks (RFC 9112 section 7.1): read strictly, written anew.
//!
//! Extensions and trailers are read over. What two readers could take differently (a bare line feed, a sign, white space
//! before a size) is an error, and so is what has no end.

/// Of one line: a size with its extensions, or a trailer.
const LINE_BYTES_MAX: usize = 16 * 1_024;
/// All trailers.
const TRAILER_BYTES_MAX: usize = 64 * 1_024;

/// Reads a body as it comes.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    state: State,
    /// Of the line that is read, or of the trailers.
    seen: usize,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first digit of a size.
    #[default]
    Begin,
    Size(u64),
    /// White space after a size.
    Space(u64),
    Extension(u64),
    /// The line feed that ends a size.
    SizeEnd(u64),
    Data(u64),
    DataReturn,
    DataEnd,
    /// At the first byte of a line after the last chunk.
    Trailer,
    InTrailer,
    TrailerEnd,
    LastEnd,
    Over,
}

/// It is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

impl Chunks {
    /// Whether all of it has come.
    pub(super) fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// Reads on, and gives the first data in it: how many bytes were read before the data, and how many data there are. After
    /// the end nothing is read.
    pub(super) fn next(&mut self, bytes: &[u8]) -> Result<(usize, usize), Malformed> {
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            if self.is_over() {
                break;
            }
            if let State::Data(left) = self.state {
                let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len() - at);
                let left = left - here as u64;
                self.state = if left == 0 { State::DataReturn } else { State::Data(left) };
                return Ok((at, here));
            }
            self.state = self.after(self.state, *byte)?;
            at += 1;
        }
        Ok((at, 0))
    }

    fn after(&mut self, before: State, byte: u8) -> Result<State, Malformed> {
        self.seen += 1;
        let state = match (before, byte) {
            (State::Begin, _) => {
                self.seen = 0;
                State::Size(digit(byte).ok_or(Malformed)?)
            }
            (State::Size(size) | State::Space(size) | State::Extension(size), b'\r') => State::SizeEnd(size),
            (State::Size(size) | State::Space(size), b' ' | b'\t') => State::Space(size),
            (State::Size(size) | State::Space(size), b';') => State::Extension(size),
            (State::Size(size), _) => {
                let more = digit(byte).ok_or(Malformed)?;
                let size = size.checked_mul(16).and_then(|size| size.checked_add(more));
                State::Size(size.ok_or(Malformed)?)
            }
            (State::Extension(size), _) if byte != b'\n' => State::Extension(size),
            (State::SizeEnd(0), b'\n') => {
                self.seen = 0;
                State::Trailer
            }
            (State::SizeEnd(size), b'\n') => State::Data(size),
            (State::DataReturn, b'\r') => State::DataEnd,
            (State::DataEnd, b'\n') => State::Begin,
            (State::Trailer, b'\r') => State::LastEnd,
            (State::InTrailer, b'\r') => State::TrailerEnd,
            (State::Trailer | State::InTrailer, _) if byte != b'\n' => State::InTrailer,
            (State::TrailerEnd, b'\n') => State::Trailer,
            (State::LastEnd, b'\n') => State::Over,
            (
                State::Space(_)
                | State::Extension(_)
                | State::SizeEnd(_)
                | State::Data(_)
                | State::DataReturn
                | State::DataEnd
                | State::Trailer
                | State::InTrailer
                | State::TrailerEnd
                | State::LastEnd
                | State::Over,
                _,
            ) => return Err(Malformed),
        };
        let most = match state {
            State::Trailer | State::InTrailer | State::TrailerEnd | State::LastEnd => TRAILER_BYTES_MAX,
            State::Begin
            | State::Size(_)
            | State::Space(_)
            | State::Extension(_)
            | State::SizeEnd(_)
            | State::Data(_)
            | State::DataReturn
            | State::DataEnd
            | State::Over => LINE_BYTES_MAX,
        };
        if self.seen > most { Err(Malformed) } else { Ok(state) }
    }
}

fn digit(byte: u8) -> Option<u64> {
    char::from(byte).to_digit(16).map(u64::from)
}

/// One chunk.
pub(super) fn write(to: &mut Vec<u8>, data: &[u8]) {
    if data.is_empty() {
        return;
    }
    to.reserve(data.len() + 20);
    let digits = format_hex(data.len());
    to.extend_from_slice(&digits.0[digits.1..]);
    to.extend_from_slice(b"\r\n");
    to.extend_from_slice(data);
    to.extend_from_slice(b"\r\n");
}

/// The last one.
pub(super) fn write_end(to: &mut Vec<u8>) {
    to.extend_from_slice(b"0\r\n\r\n");
}

/// Digits at the end of an array, and where they begin.
fn format_hex(mut number: usize) -> ([u8; 16], usize) {
    let mut digits = [b'0'; 16];
    let mut at = digits.len();
    while number > 0 && at > 0 {
        at -= 1;
        digits[at] = b"0123456789abcdef"[number % 16];
        number /= 16;
    }
    (digits, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body, and how many bytes belong to it; fed in pieces.
    fn read(text: &[u8], pieces: &[&[u8]]) -> Result<(Vec<u8>, usize, bool), Malformed> {
        assert_eq!(pieces.concat(), text);
        let (mut chunks, mut body, mut read) = (Chunks::default(), Vec::new(), 0);
        for piece in pieces {
            let mut piece = *piece;
            while !piece.is_empty() && !chunks.is_over() {
                let (before, data) = chunks.next(piece)?;
                body.extend_from_slice(&piece[before..before + data]);
                piece = &piece[before + data..];
                read += before + data;
            }
        }
        Ok((body, read, chunks.is_over()))
    }

    #[test]
    fn bodies_are_the_same_however_they_are_cut() {
        for (text, body, rest) in [
            ("0\r\n\r\n", "", 0),
            ("3\r\nabc\r\n0\r\n\r\n", "abc", 0),
            ("3\r\nabc\r\nA;x=\"y\"\r\n0123456789\r\n000\r\n\r\n", "abc0123456789", 0),
            ("3 \t\r\na\r\n\r\n1;\r\n\n\r\n0;last\r\nX-Sum: 1\r\nY:\r\n\r\n", "a\r\n\n", 0),
            ("1\r\na\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n", "a", 17),
        ] {
            let bytes = text.as_bytes();
            let expected = Ok((body.as_bytes().to_vec(), bytes.len() - rest, true));
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(read(bytes, &single), expected, "{text:?}");
            for first in 0..=bytes.len() {
                for second in first..=bytes.len() {
                    let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                    assert_eq!(read(bytes, &pieces), expected, "{text:?} at {first} and {second}");
                }
            }
            for end in 0..bytes.len() - rest {
                assert!(!read(&bytes[..end], &[&bytes[..end]]).unwrap().2, "{:?}", &text[..end]);
            }
        }
    }

    #[test]
    fn what_is_no_chunk_is_an_error() {
        let long = format!("1;{}\r\na\r\n", "x".repeat(LINE_BYTES_MAX));
        let trailers = format!("0\r\n{}\r\n", "X: y\r\n".repeat(TRAILER_BYTES_MAX / 6 + 1));
        for text in [
            "\r\n",
            " 1\r\na",
            "+1\r\na",
            "0x1\r\na",
            "-1\r\n",
            "g\r\n",
            "1\na\n",
            "1\r\nab\r\n",
            "1\r\na\n",
            "1\r\nb0\r\n",
            "1 2\r\n",
            "1;x\n0\r\n\r\n",
            "1\rx",
            "0\r\n\n",
            "0\r\nX: y\n\r\n",
            "0\r\n\rx",
            "10000000000000000\r\n",
            &long,
            &trailers,
        ] {
            for size in [text.len(), 1] {
                let pieces: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
                assert_eq!(read(text.as_bytes(), &pieces), Err(Malformed), "{text:.40?} by {size}");
            }
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for size in [0, 1, 9, 10, 15, 16, 255, 4_096, 70_000] {
            let (data, mut text) = (vec![b'x'; size], Vec::new());
            write(&mut text, &data);
            write_end(&mut text);
            assert_eq!(read(&text, &[&text]), Ok((data, text.len(), true)));
        }
    }
}
