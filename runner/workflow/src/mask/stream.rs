//! Masking of a stream that arrives in pieces of any size: a secret cut anywhere between them is still hidden.
//!
//! It holds back exactly the bytes that may still become part of a secret, no line and no fixed window. It has no clock: a
//! secret that is written slowly is a secret, so what is held waits for the next byte or the end, however long that takes.

use super::Masker;
use super::scan::Scan;

/// One masked byte stream, such as the standard output of a step.
#[derive(Debug)]
pub struct MaskStream {
    masker: Masker,
    scan: Option<Scan>,
    /// Read, not written yet: the end of the stream that may still turn out to be secret.
    held: Vec<u8>,
}

impl MaskStream {
    /// A stream at its start.
    #[must_use]
    pub fn new(masker: Masker) -> Self {
        Self { masker, scan: None, held: Vec::new() }
    }

    /// Takes the next piece and appends to `out` what is certain by now.
    pub fn write(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        let Some(automaton) = self.masker.automaton() else {
            out.extend_from_slice(chunk);
            return;
        };
        let scan = self.scan.get_or_insert_with(|| Scan::new(automaton));
        let from = self.held.len();
        if from == 0 {
            // The usual case: nothing is held, so the chunk needs no copy to be read.
            scan.read(automaton, chunk, 0);
            let decided = scan.decided(automaton, chunk.len());
            scan.emit(chunk, decided, out);
            self.held.extend_from_slice(&chunk[decided..]);
        } else {
            self.held.extend_from_slice(chunk);
            scan.read(automaton, &self.held, from);
            let decided = scan.decided(automaton, self.held.len());
            scan.emit(&self.held, decided, out);
            self.held.drain(..decided);
        }
    }

    /// The end of the stream: appends all that was held back. The beginning of a secret whose rest never came is text.
    pub fn flush(&mut self, out: &mut Vec<u8>) {
        self.let_go(out);
        self.scan = None;
    }

    fn let_go(&mut self, out: &mut Vec<u8>) {
        if let Some(scan) = &mut self.scan {
            scan.emit(&self.held, self.held.len(), out);
            self.held.clear();
        }
    }

    /// Goes on with a larger set of secrets, to which bytes held back are subject too.
    pub fn replace_masker(&mut self, masker: Masker) {
        self.masker = masker;
        let Some(automaton) = self.masker.automaton() else { return };
        match &mut self.scan {
            Some(scan) => scan.read_again(automaton, &self.held),
            None => self.scan = Some(Scan::new(automaton)),
        }
    }

    /// How many bytes are held back.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.held.len()
    }
}
