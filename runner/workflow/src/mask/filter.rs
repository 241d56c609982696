//! Where a pattern may begin, told from four bytes at a look: text in which none can is passed over without the automaton.
//!
//! It errs on one side only: what it passes over begins no pattern. Method: hashed q-grams as in Karp and Rabin 1987,
//! <https://doi.org/10.1147/rd.312.0249>.

use std::collections::BTreeSet;

/// Bytes that are looked at together.
pub(super) const GRAM_BYTES: usize = 4;

/// Size of the table, a power of two. With a thousand patterns one place in a hundred is a false alarm.
const BITS: u32 = 17;

/// Looks in one round, and the bytes that they take.
const LOOKS: usize = 8;
const BLOCK_BYTES: usize = LOOKS + GRAM_BYTES - 1;

const WORDS: usize = 1 << (BITS - 6);

/// The beginnings of all patterns, as bits at the place of their hash.
#[derive(Debug)]
pub(super) struct Filter(Box<[u64; WORDS]>);

impl Filter {
    /// `None` where a pattern is too short.
    pub(super) fn new(patterns: &BTreeSet<Vec<u8>>) -> Option<Self> {
        let mut filter = Self(Box::new([0; WORDS]));
        for pattern in patterns {
            let (word, bit) = place(pattern.first_chunk()?);
            filter.0[word] |= bit;
        }
        Some(filter)
    }

    /// Whether a pattern may begin at `at`. Too close to the end for a look, one may.
    #[inline(always)]
    pub(super) fn may_begin(&self, bytes: &[u8], at: usize) -> bool {
        bytes.get(at..).and_then(<[u8]>::first_chunk).is_none_or(|gram| self.has(gram))
    }

    /// The first place from `from` on at which one may.
    #[inline(always)]
    pub(super) fn next(&self, bytes: &[u8], from: usize) -> usize {
        let mut at = from;
        // Several looks at once: they do not wait for each other.
        while let Some(block) = bytes.get(at..).and_then(<[u8]>::first_chunk::<BLOCK_BYTES>) {
            let any = (0..LOOKS).fold(false, |any, look| any | self.has_at(block, look));
            if any {
                break;
            }
            at += LOOKS;
        }
        let rest = bytes.get(at..).unwrap_or_default();
        let found = rest.windows(GRAM_BYTES).position(|gram| self.has_at(gram, 0));
        at + found.unwrap_or_else(|| rest.len().saturating_sub(GRAM_BYTES - 1))
    }

    /// Where to go on behind the line that ends at `line_end`, if no pattern begins from `at` on in its last bytes, with
    /// or without the line break after it.
    #[inline(always)]
    pub(super) fn next_line(&self, bytes: &[u8], at: usize, line_end: usize) -> Option<usize> {
        const MORE: usize = GRAM_BYTES - 1;
        let tail = bytes.get(at..line_end).filter(|tail| tail.len() <= MORE)?;
        let after = line_end + if bytes.get(line_end..)?.starts_with(b"\r\n") { 2 } else { 1 };
        let more: &[u8; MORE] = bytes.get(after..)?.first_chunk()?;
        if more.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
            return None;
        }
        let mut joined = [0; 2 * MORE];
        joined[..tail.len()].copy_from_slice(tail);
        joined[tail.len()..][..MORE].copy_from_slice(more);
        let across = (0..tail.len()).any(|look| self.has_at(&joined, look));
        let with_break = (at..after).any(|look| self.has_at(bytes, look));
        (!across && !with_break).then_some(after)
    }

    #[inline(always)]
    fn has_at(&self, bytes: &[u8], at: usize) -> bool {
        bytes.get(at..).and_then(<[u8]>::first_chunk).is_some_and(|gram| self.has(gram))
    }

    #[inline(always)]
    fn has(&self, gram: &[u8; GRAM_BYTES]) -> bool {
        let (word, bit) = place(gram);
        self.0[word] & bit != 0
    }
}

/// Word and bit of a gram.
#[inline(always)]
fn place(gram: &[u8; GRAM_BYTES]) -> (usize, u64) {
    let hash = u32::from_le_bytes(*gram).wrapping_mul(0x9E37_79B1) >> (32 - BITS);
    ((hash >> 6) as usize % WORDS, 1 << (hash % 64))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mask::automaton::PatternAutomaton;
    use crate::mask::scan::Scan;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn nothing_is_found_less_or_later(
            patterns in prop::collection::btree_set("[ab\n]{4,9}|[a-e]{4,20}", 1..6),
            text in prop::collection::vec("[abc\n\r]{0,30}|[a-f]{0,30}", 0..6),
        ) {
            let patterns = patterns.into_iter().map(String::into_bytes).collect();
            let mut automaton = PatternAutomaton::new(&patterns);
            let chunks: Vec<_> = text.iter().scan(0, |end, chunk| { *end += chunk.len(); Some(*end) }).collect();
            let text = text.concat().into_bytes();
            let mut read = || {
                let (mut scan, mut from, mut steps) = (Scan::new(&automaton), 0, Vec::new());
                for end in &chunks {
                    scan.read(&automaton, &text[..*end], from);
                    from = *end;
                    steps.push((scan.found.clone(), scan.decided(&automaton, from)));
                }
                automaton.filter = None;
                steps
            };
            prop_assert_eq!(read(), read());
        }
    }

    #[test]
    fn beginnings_are_found_and_little_else() {
        let patterns: BTreeSet<Vec<u8>> = ["secret", "SECRET", "0123"].map(|text| text.as_bytes().to_vec()).into();
        let filter = Filter::new(&patterns).unwrap();
        let text = b"a text without, then a secret, then 0123456 and sec";
        let mut found = Vec::new();
        let mut at = filter.next(text, 0);
        while at < text.len() {
            assert!(filter.may_begin(text, at));
            found.push(at);
            at = filter.next(text, at + 1);
        }
        assert_eq!(found, [23, 36, 48, 49, 50]);
        assert!(Filter::new(&[b"abc".to_vec()].into()).is_none());
    }
}
