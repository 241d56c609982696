//! A text that a regular expression matches: the shortest way through it.

use regex::Regex;
use regex_syntax::hir::{Class, Hir, HirKind};

/// A text that has to be long.
const CHARACTERS_MAX: usize = 4_096;

/// A text that matches; none where the expression is not understood, or the text that was made does not match it.
pub(super) fn text(pattern: &str) -> Option<String> {
    let mut text = String::new();
    add(&regex_syntax::parse(pattern).ok()?, &mut text)?;
    Regex::new(pattern).ok()?.is_match(&text).then_some(text)
}

fn add(hir: &Hir, text: &mut String) -> Option<()> {
    if text.len() > CHARACTERS_MAX {
        return None;
    }
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => text.push_str(std::str::from_utf8(&literal.0).ok()?),
        HirKind::Class(class) => text.push(of_class(class)?),
        HirKind::Repetition(repetition) => {
            for _ in 0..repetition.min {
                add(&repetition.sub, text)?;
            }
        }
        HirKind::Capture(capture) => add(&capture.sub, text)?,
        HirKind::Concat(all) => all.iter().try_for_each(|one| add(one, text))?,
        HirKind::Alternation(all) => add(all.first()?, text)?,
    }
    Some(())
}

/// A letter or digit if there is one, since it stands in addresses as it is.
fn of_class(class: &Class) -> Option<char> {
    let plain = || ('a'..='z').chain('A'..='Z').chain('0'..='9').chain(['-', '_', '.']);
    match class {
        Class::Unicode(class) => {
            let has = |c: char| class.ranges().iter().any(|range| (range.start()..=range.end()).contains(&c));
            plain().find(|c| has(*c)).or_else(|| class.ranges().first().map(|range| range.start()))
        }
        Class::Bytes(class) => {
            let has = |c: char| class.ranges().iter().any(|range| (range.start()..=range.end()).contains(&(c as u8)));
            plain().find(|c| has(*c))
        }
    }
}
