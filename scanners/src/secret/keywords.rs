//! Where keywords are in a text, in whatever case: the first and by far the largest part of the work.
//!
//! A block is folded to lower case, which the compiler makes a few instructions for 32 bytes, and searched by Teddy, the
//! packed search of `aho-corasick`, in groups of as many keywords as that takes.

use aho_corasick::packed::{Config, MatchKind, Searcher};
use aho_corasick::{AhoCorasick, Span};

/// Most keywords of a group: Teddy takes no more.
const GROUP_KEYWORDS_MAX: usize = 64;
/// The same of short ones, of which Teddy looks at fewer bytes and so is wrong more often.
const SHORT_KEYWORDS_MAX: usize = 32;
/// From this length on Teddy looks at as many bytes as it can.
const LONG_BYTES: usize = 4;
/// What is folded at once: it stays in the nearest cache.
const BLOCK_BYTES: usize = 64 * 1024;

/// Many keywords to look for.
#[derive(Debug)]
pub(super) struct Keywords {
    groups: Vec<Group>,
    longest: usize,
}

#[derive(Debug)]
struct Group {
    search: Search,
    /// For each pattern of the search: the keywords that are at its place too, since they begin like it.
    same_place: Vec<Vec<usize>>,
    lengths: Vec<usize>,
}

#[derive(Debug)]
enum Search {
    Packed(Searcher),
    Automaton(AhoCorasick),
}

impl Keywords {
    /// Keywords in lower case; their numbers are those of the list.
    pub(super) fn new(words: &[String]) -> Self {
        // Longer ones first: the search gives the first that matches at a place.
        let mut order: Vec<usize> = (0..words.len()).filter(|number| !words[*number].is_empty()).collect();
        order.sort_by_key(|number| (std::cmp::Reverse(words[*number].len()), words[*number].clone()));
        let (long, short): (Vec<usize>, Vec<usize>) =
            order.into_iter().partition(|number| words[*number].len() >= LONG_BYTES);
        let groups = long.chunks(GROUP_KEYWORDS_MAX).chain(short.chunks(SHORT_KEYWORDS_MAX));
        let groups = groups.map(|numbers| Group::new(words, numbers)).collect();
        Self { groups, longest: words.iter().map(String::len).max().unwrap_or(0) }
    }

    /// Calls `hit` with the number of each keyword and where it begins, each place of a group in order.
    pub(super) fn find(&self, text: &[u8], folded: &mut Vec<u8>, mut hit: impl FnMut(usize, usize)) {
        let mut start = 0;
        while start < text.len() {
            let end = (start + BLOCK_BYTES).min(text.len());
            // What begins in this block may end in the next.
            let seen = (end + self.longest.saturating_sub(1)).min(text.len());
            folded.clear();
            folded.extend(text[start..seen].iter().map(u8::to_ascii_lowercase));
            for group in &self.groups {
                group.find(folded, end - start, &mut |number, at| hit(number, start + at));
            }
            start = end;
        }
    }
}

impl Group {
    fn new(words: &[String], numbers: &[usize]) -> Self {
        let patterns: Vec<&str> = numbers.iter().map(|number| words[*number].as_str()).collect();
        let begins = |pattern: &str| {
            let same = numbers.iter().filter(|number| pattern.starts_with(words[**number].as_str()));
            same.copied().collect()
        };
        let packed = Config::new().match_kind(MatchKind::LeftmostFirst).builder().extend(&patterns).build();
        let search = match packed {
            Some(searcher) => Search::Packed(searcher),
            None => Search::Automaton(
                AhoCorasick::builder()
                    .match_kind(aho_corasick::MatchKind::LeftmostFirst)
                    .build(&patterns)
                    .expect("a few dozen keywords make an automaton"),
            ),
        };
        Self {
            search,
            same_place: patterns.iter().map(|pattern| begins(pattern)).collect(),
            lengths: patterns.iter().map(|pattern| pattern.len()).collect(),
        }
    }

    /// Places that begin before `end`; the search goes on right behind each, since keywords may overlap.
    fn find(&self, folded: &[u8], end: usize, hit: &mut impl FnMut(usize, usize)) {
        let mut from = 0;
        while let Some((pattern, at)) = self.next(folded, from) {
            if at >= end {
                return;
            }
            debug_assert!(at + self.lengths[pattern] <= folded.len());
            self.same_place[pattern].iter().for_each(|number| hit(*number, at));
            from = at + 1;
        }
    }

    fn next(&self, folded: &[u8], from: usize) -> Option<(usize, usize)> {
        match &self.search {
            Search::Packed(searcher) => {
                let span = Span { start: from, end: folded.len() };
                searcher.find_in(folded, span).map(|found| (found.pattern().as_usize(), found.start()))
            }
            Search::Automaton(automaton) => {
                let input = aho_corasick::Input::new(folded).span(from..folded.len());
                automaton.find(input).map(|found| (found.pattern().as_usize(), found.start()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_of_every_keyword() {
        let words: Vec<String> = ["key", "key-", "ey-k", "token"].map(str::to_owned).into();
        let keywords = Keywords::new(&words);
        let check = |text: &[u8], expect: &[(usize, usize)]| {
            let mut found = Vec::new();
            keywords.find(text, &mut Vec::new(), |number, at| found.push((at, number)));
            found.sort_unstable();
            assert_eq!(found, expect);
        };
        check(b"Key-KEY tokenkey", &[(0, 0), (0, 1), (1, 2), (4, 0), (8, 3), (13, 0)]);
        // Across the border of two blocks.
        let mut long = vec![b' '; BLOCK_BYTES - 2];
        long.extend_from_slice(b"ToKeN");
        check(&long, &[(BLOCK_BYTES - 2, 3)]);
    }
}
