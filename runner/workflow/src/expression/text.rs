//! Comparing strings the way GitHub's expressions do: ordinal, upper case against upper case (.NET `OrdinalIgnoreCase`).
//!
//! One character maps to one character, so `ß` never equals `ss`, and no language's own rules apply: the dotless `ı`
//! is not an `I`. What it does not do: normalise, or sort by any alphabet.
//! Follows <https://learn.microsoft.com/dotnet/api/system.stringcomparison>.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

/// The upper case of one character, or the character itself where that would need more than one.
pub(super) fn upper(character: char) -> char {
    if character.is_ascii() {
        return character.to_ascii_uppercase();
    }
    match character {
        // Both have an ASCII upper case in Unicode; .NET leaves them alone.
        'ı' | 'ſ' => character,
        // Greek letters with iota below: one capital exists, though the full mapping writes two letters.
        '\u{1F80}'..='\u{1FAF}' => char::from_u32(u32::from(character) | 8).unwrap_or(character),
        '\u{1FB3}' => '\u{1FBC}',
        '\u{1FC3}' => '\u{1FCC}',
        '\u{1FF3}' => '\u{1FFC}',
        other => {
            let mut mapped = other.to_uppercase();
            match (mapped.next(), mapped.next()) {
                (Some(single), None) => single,
                (_, _) => other,
            }
        }
    }
}

/// Whether two texts are equal but for case.
pub fn equal_ignoring_case(left: &str, right: &str) -> bool {
    if left.is_ascii() && right.is_ascii() {
        return left.eq_ignore_ascii_case(right);
    }
    left.chars().map(upper).eq(right.chars().map(upper))
}

/// Orders two texts by the UTF-16 code units of their upper case.
pub(super) fn compare_ignoring_case(left: &str, right: &str) -> Ordering {
    let key = |character: char| utf16_rank(upper(character));
    left.chars().map(key).cmp(right.chars().map(key))
}

/// The upper case of a whole text.
pub(super) fn fold(text: &str) -> String {
    if text.is_ascii() { text.to_ascii_uppercase() } else { text.chars().map(upper).collect() }
}

/// Feeds a text to a hasher such that texts equal but for case give the same hash.
pub(super) fn hash_ignoring_case<H: Hasher>(text: &str, state: &mut H) {
    for character in text.chars() {
        upper(character).hash(state);
    }
}

/// How many UTF-16 code units a text has: the unit in which GitHub counts lengths and columns.
pub fn utf16_length(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().map(char::len_utf16).sum() }
}

/// A number that sorts as the UTF-16 form of the character does: surrogates come before U+E000.
fn utf16_rank(character: char) -> u32 {
    let code = u32::from(character);
    match code {
        0..=0xD7FF => code,
        0x1_0000.. => code - 0x1_0000 + 0xD800,
        0xD800..=0xFFFF => code + 0x11_0000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equality_ignores_case_one_character_at_a_time() {
        for (left, right, expected) in [
            ("abc", "ABC", true),
            ("ç", "Ç", true),
            ("σ", "ς", true),
            ("ı", "I", false),
            ("i", "İ", false),
            ("ſ", "s", false),
            ("ß", "SS", false),
            ("ᾳ", "ᾼ", true),
            ("ᾀ", "ᾈ", true),
            ("a", "ab", false),
        ] {
            assert_eq!(equal_ignoring_case(left, right), expected, "{left} {right}");
        }
    }

    #[test]
    fn order_is_that_of_utf16() {
        assert_eq!(compare_ignoring_case("[", "a"), Ordering::Greater);
        assert_eq!(compare_ignoring_case("\u{E000}", "😊"), Ordering::Greater);
        assert_eq!(compare_ignoring_case("a", "B"), Ordering::Less);
        assert_eq!(compare_ignoring_case("a", "Ab"), Ordering::Less);
        assert_eq!(utf16_length("a😊"), 3);
    }
}
