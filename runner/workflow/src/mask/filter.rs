//! Where a pattern may begin, told from four bytes at a look and four more where the first look says so: text in which none
//! can is passed over without the automaton.
//!
//! It errs on one side only: what it passes over begins no pattern. Method: hashed q-grams as in Karp and Rabin 1987,
//! <https://doi.org/10.1147/rd.312.0249>.

use std::collections::BTreeSet;

/// Bytes that are looked at together.
pub(super) const GRAM_BYTES: usize = 4;

/// Bytes that are looked at together when the first of them look like a pattern.
const LONG_BYTES: usize = 2 * GRAM_BYTES;

/// Size of a table, a power of two. With a thousand patterns one look in a hundred is a false alarm.
const BITS: u32 = 17;

/// Looks in one round, and the bytes that they take.
const LOOKS: usize = 8;
const BLOCK_BYTES: usize = LOOKS + GRAM_BYTES - 1;

const WORDS: usize = 1 << (BITS - 6);

type Table = Box<[u64; WORDS]>;

/// The beginnings of all patterns, as bits at the places of their hashes.
#[derive(Debug)]
pub(super) struct Filter {
    grams: Table,
    /// Longer beginnings, and the whole grams of patterns that are too short to have one.
    long: Table,
}

impl Filter {
    /// `None` where a pattern is too short.
    pub(super) fn new(patterns: &BTreeSet<Vec<u8>>) -> Option<Self> {
        let mut filter = Self { grams: Box::new([0; WORDS]), long: Box::new([0; WORDS]) };
        for pattern in patterns {
            let gram = pattern.first_chunk()?;
            set(&mut filter.grams, hash(gram));
            set(&mut filter.long, pattern.first_chunk().map_or_else(|| hash_of_short(gram), hash_of_long));
        }
        Some(filter)
    }

    /// Whether a pattern may begin at `at`. Too close to the end for a look, one may.
    #[inline(always)]
    pub(super) fn may_begin(&self, bytes: &[u8], at: usize) -> bool {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(gram) = rest.first_chunk() else { return true };
        is_set(&self.grams, hash(gram)) && self.goes_on(gram, rest)
    }

    /// The closer look. Too close to the end for it, a pattern may begin.
    fn goes_on(&self, gram: &[u8; GRAM_BYTES], rest: &[u8]) -> bool {
        let long = rest.first_chunk().is_none_or(|long| is_set(&self.long, hash_of_long(long)));
        long || is_set(&self.long, hash_of_short(gram))
    }

    /// The first place from `from` on at which one may.
    #[inline(always)]
    pub(super) fn next(&self, bytes: &[u8], from: usize) -> usize {
        let mut at = from;
        // Several looks at once: they do not wait for each other.
        while let Some(block) = bytes.get(at..).and_then(<[u8]>::first_chunk::<BLOCK_BYTES>) {
            let any = (0..LOOKS).fold(false, |any, look| any | self.has_at(block, look));
            if any && let Some(look) = (0..LOOKS).find(|look| self.may_begin(bytes, at + look)) {
                return at + look;
            }
            at += LOOKS;
        }
        let end = bytes.len().saturating_sub(GRAM_BYTES - 1).max(at);
        (at..end).find(|at| self.may_begin(bytes, *at)).unwrap_or(end)
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
        bytes.get(at..).and_then(<[u8]>::first_chunk).is_some_and(|gram| is_set(&self.grams, hash(gram)))
    }
}

#[inline(always)]
fn is_set(table: &Table, hash: u32) -> bool {
    table[(hash >> 6) as usize % WORDS] & (1 << (hash % 64)) != 0
}

fn set(table: &mut Table, hash: u32) {
    table[(hash >> 6) as usize % WORDS] |= 1 << (hash % 64);
}

#[inline(always)]
fn hash(gram: &[u8; GRAM_BYTES]) -> u32 {
    u32::from_le_bytes(*gram).wrapping_mul(0x9E37_79B1) >> (32 - BITS)
}

/// Another hash of the same bytes.
fn hash_of_short(gram: &[u8; GRAM_BYTES]) -> u32 {
    u32::from_le_bytes(*gram).wrapping_mul(0x85EB_CA6B) >> (32 - BITS)
}

fn hash_of_long(long: &[u8; LONG_BYTES]) -> u32 {
    (u64::from_le_bytes(*long).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - BITS)) as u32
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
