//! Finding the beginning of a conversation in a stream that has none.
//!
//! Over stdio a connection has no start that the agent could see: a client that died in the middle of a frame is followed,
//! on the same stream, by one that begins anew. So a client over stdio first sends [`preamble`] and drops what it
//! receives until [`Scanner`] has found the same bytes coming back; the agent begins anew whenever it sees its marker.
//! The token is given to the agent at its start (`--token`) and known to the engine alone (a label on the container, say); the
//! nonce is drawn for each attach, so that no earlier answer is taken for this one. Over a socket none of this is used.

/// What every preamble begins with.
const MAGIC: &[u8; 16] = b"\0pipe-agent\0sync";

/// Bytes of a nonce.
pub const NONCE_BYTES: usize = 16;

/// The bytes after which a nonce and a new conversation follow.
#[must_use]
pub fn marker(token: &str) -> Vec<u8> {
    let mut marker = MAGIC.to_vec();
    marker.extend_from_slice(token.as_bytes());
    marker.push(0);
    marker
}

/// What a client sends first, and what the agent sends back before its first frame.
#[must_use]
pub fn preamble(token: &str, nonce: [u8; NONCE_BYTES]) -> Vec<u8> {
    let mut preamble = marker(token);
    preamble.extend_from_slice(&nonce);
    preamble
}

/// Looks for bytes in a stream that comes in pieces.
#[derive(Debug, Clone)]
pub struct Scanner {
    wanted: Vec<u8>,
    matched: usize,
}

impl Scanner {
    /// Looks for `wanted`, which must not be empty.
    #[must_use]
    pub fn new(wanted: Vec<u8>) -> Self {
        debug_assert!(!wanted.is_empty(), "there is something to look for");
        Self { wanted, matched: 0 }
    }

    /// Takes the next piece: how many of its bytes end with what was wanted, or `None` when it is not complete yet.
    pub fn scan(&mut self, piece: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < piece.len() {
            if self.matched == 0 {
                // The first byte is rare: skip to it in one go.
                let first = *self.wanted.first()?;
                at += piece[at..].iter().position(|byte| *byte == first)?;
            }
            self.step(piece[at]);
            at += 1;
            if self.matched == self.wanted.len() {
                self.matched = 0;
                return Some(at);
            }
        }
        None
    }

    /// One byte further: the longest beginning of `wanted` that ends here.
    fn step(&mut self, byte: u8) {
        loop {
            if self.wanted[self.matched] == byte {
                self.matched += 1;
                return;
            }
            if self.matched == 0 {
                return;
            }
            let seen = self.matched;
            self.matched = (0..seen)
                .rev()
                .find(|shorter| self.wanted[seen - shorter..seen] == self.wanted[..*shorter])
                .unwrap_or(0);
        }
    }
}
