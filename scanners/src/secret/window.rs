//! Expressions that are tried around a keyword only, without missing what they would find in the whole text.
//!
//! That is sound if each match of an expression has one of the keywords in it and none is longer than some bound. Both are
//! read from the expression's syntax tree; an expression of which they cannot be said is tried on whole files.

use std::ops::Range;

use regex::bytes::Regex;
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};

/// Longest match for which a window is worth it.
const BYTES_MAX: usize = 4096;

/// The longest match in bytes, if every match is that short and has one of the keywords (in lower case) in it.
pub(super) fn bound(expression: &str, keywords: &[String]) -> Option<usize> {
    let mut parser = ParserBuilder::new().utf8(false).unicode(false).build();
    let tree = parser.parse(expression).ok()?;
    let longest = tree.properties().maximum_len().filter(|bytes| *bytes <= BYTES_MAX)?;
    (!keywords.is_empty() && requires(&tree, keywords)).then_some(longest)
}

/// Whether each match has a keyword in it.
fn requires(tree: &Hir, keywords: &[String]) -> bool {
    let has = |run: &str| keywords.iter().any(|keyword| run.contains(keyword.as_str()));
    match tree.kind() {
        HirKind::Literal(_) | HirKind::Class(_) => letters(tree).is_some_and(|run| has(&run)),
        HirKind::Capture(capture) => requires(&capture.sub, keywords),
        HirKind::Repetition(repetition) => repetition.min > 0 && requires(&repetition.sub, keywords),
        HirKind::Alternation(branches) => branches.iter().all(|branch| requires(branch, keywords)),
        HirKind::Concat(parts) => {
            // Neighbours that are fixed texts make one text.
            let mut run = String::new();
            for part in parts {
                match letters(part) {
                    Some(text) => run.push_str(&text),
                    None if requires(part, keywords) => return true,
                    None => run.clear(),
                }
                if has(&run) {
                    return true;
                }
            }
            false
        }
        HirKind::Empty | HirKind::Look(_) => false,
    }
}

/// A part that matches one text only, whatever the case of its letters: that text in lower case.
fn letters(tree: &Hir) -> Option<String> {
    match tree.kind() {
        HirKind::Literal(literal) => std::str::from_utf8(&literal.0).ok().map(str::to_ascii_lowercase),
        HirKind::Class(class) => {
            let mut all = match class {
                Class::Unicode(class) => {
                    let of = |range: &regex_syntax::hir::ClassUnicodeRange| range.start()..=range.end();
                    class.iter().flat_map(of).take(4).collect::<Vec<char>>()
                }
                Class::Bytes(class) => {
                    let of = |range: &regex_syntax::hir::ClassBytesRange| range.start()..=range.end();
                    class.iter().flat_map(of).take(4).map(char::from).collect()
                }
            };
            all.iter_mut().for_each(|c| c.make_ascii_lowercase());
            all.dedup();
            (all.len() == 1).then(|| all.iter().collect())
        }
        HirKind::Capture(capture) => letters(&capture.sub),
        HirKind::Concat(parts) => parts.iter().map(letters).collect(),
        HirKind::Empty | HirKind::Look(_) | HirKind::Repetition(_) | HirKind::Alternation(_) => None,
    }
}

/// The secrets in a part of a text, as if the whole had been searched: what ends where the part was cut is no match.
pub(super) fn find(expression: &Regex, group: usize, text: &[u8], part: Range<usize>) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let is_cut = part.end < text.len();
    let Some(seen) = text.get(..part.end) else { return found };
    let mut from = part.start;
    while from <= seen.len() {
        let Some(captures) = expression.captures_at(seen, from) else { break };
        let whole = captures.get(0).expect("a match has the group 0");
        let end = whole.end();
        from = if end > whole.start() { end } else { end + 1 };
        if is_cut && end == seen.len() {
            break;
        }
        // Without a group of its own the first that took part is the secret.
        let chosen = match group {
            0 => captures.iter().skip(1).flatten().find(|group| !group.is_empty()).unwrap_or(whole),
            number => captures.get(number).unwrap_or(whole),
        };
        if !chosen.is_empty() {
            found.push(chosen.range());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_sound() {
        let check = |expression: &str, keyword: &str, expect: Option<usize>| {
            assert_eq!(bound(expression, &[keyword.to_owned()]), expect, "{expression}");
        };
        check(r"\b(ghp_[0-9a-zA-Z]{36})\b", "ghp_", Some(40));
        check(r"(?i)ghp_[0-9a-z]{36}", "ghp_", Some(40));
        check(r"(?:ghp|gho)_[0-9a-z]{36}", "ghp_", None);
        check(r"(?:aws|amazon).{0,20}[a-z]{40}", "aws", None);
        check(r"(?:aws|aws2).{0,20}[a-z]{40}", "aws", Some(64));
        check(r"x.{0,20}(?:token)?", "token", None);
        check(r"secret\s*=", "secret", None);
    }
}
