//! GitHub's filter patterns for branches, tags and paths: one pattern against one name.
//!
//! The matcher walks the name once with the set of places it may be at in the pattern, so no pattern can make it slow.
//! It knows nothing of `!`; the order of patterns is `filter`'s.
//! Follows <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#filter-pattern-cheat-sheet>.

/// A pattern, ready to match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    what: What,
    often: Often,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Literal(char),
    /// Inclusive ranges; a single character is a range of one.
    OneOf(Vec<(char, char)>),
    /// `*`: any run without `/`.
    Star,
    /// `**`: any run.
    DoubleStar,
    /// `**/` at the start of a name, first half: either skip both halves or go into the second.
    NoFolders,
    /// Second half: folders with their last `/`.
    Folders,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Often {
    Once,
    /// `?` after it.
    AtMostOnce,
    /// `+` after it.
    AtLeastOnce,
}

impl Glob {
    /// Reads a pattern. Every text is one: a `[` that nothing closes, and a `?` or `+` that follows nothing which can
    /// be repeated, stand for themselves.
    #[must_use]
    pub fn new(pattern: &str) -> Self {
        let characters: Vec<char> = pattern.chars().collect();
        let mut parts: Vec<Part> = Vec::new();
        let mut at = 0;
        let mut repeatable = false;
        while let Some(character) = characters.get(at).copied() {
            let rest = &characters[at + 1..];
            let (what, length) = match character {
                '?' | '+' if repeatable => {
                    if let Some(last) = parts.last_mut() {
                        last.often = if character == '?' { Often::AtMostOnce } else { Often::AtLeastOnce };
                    }
                    (repeatable, at) = (false, at + 1);
                    continue;
                }
                '*' => star(&characters, at),
                '[' => class(rest).map_or((What::Literal('['), 1), |(ranges, length)| (What::OneOf(ranges), length)),
                '\\' => rest.first().map_or((What::Literal('\\'), 1), |escaped| (What::Literal(*escaped), 2)),
                other => (What::Literal(other), 1),
            };
            repeatable = matches!(what, What::Literal(_) | What::OneOf(_));
            if what == What::Folders {
                parts.push(Part { what: What::NoFolders, often: Often::Once });
            }
            parts.push(Part { what, often: Often::Once });
            at += length;
        }
        Self { parts }
    }

    /// Whether the whole name matches. Case counts. Takes time proportional to pattern times name.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let mut places = vec![false; self.parts.len() + 1];
        places[0] = true;
        let mut next = vec![false; places.len()];
        for character in name.chars() {
            self.skip_optional(&mut places);
            next.fill(false);
            for (place, part) in self.parts.iter().enumerate().filter(|(place, _)| places[*place]) {
                self.step(place, part, character, &mut next);
            }
            std::mem::swap(&mut places, &mut next);
        }
        self.skip_optional(&mut places);
        places.last().copied().unwrap_or(false)
    }

    /// Where one character leads from a place.
    fn step(&self, place: usize, part: &Part, character: char, next: &mut [bool]) {
        match &part.what {
            What::Star => next[place] |= character != '/',
            What::DoubleStar => next[place] = true,
            What::Folders => {
                next[place] = true;
                next[place + 1] |= character == '/';
            }
            What::NoFolders => {}
            What::Literal(_) | What::OneOf(_) => {
                if part.takes(character) {
                    next[place + 1] = true;
                    next[place] |= part.often == Often::AtLeastOnce;
                }
            }
        }
    }

    /// Adds the places that need no character.
    fn skip_optional(&self, places: &mut [bool]) {
        for (place, part) in self.parts.iter().enumerate() {
            let skippable = matches!(part.what, What::Star | What::DoubleStar) || part.often == Often::AtMostOnce;
            if places[place] && part.what == What::NoFolders {
                places[place + 1] = true;
                places[place + 2] = true;
            } else if places[place] && skippable {
                places[place + 1] = true;
            }
        }
    }
}

impl Part {
    fn takes(&self, character: char) -> bool {
        match &self.what {
            What::Literal(literal) => *literal == character,
            What::OneOf(ranges) => ranges.iter().any(|(from, to)| (*from..=*to).contains(&character)),
            What::Star | What::DoubleStar | What::NoFolders | What::Folders => false,
        }
    }
}

/// `*`, `**`, or `**/` where a folder name may start. More stars in a row are as two.
fn star(characters: &[char], at: usize) -> (What, usize) {
    let stars = characters[at..].iter().take_while(|c| **c == '*').count();
    let at_start = at == 0 || characters[at - 1] == '/';
    match (stars, characters.get(at + stars)) {
        (1, _) => (What::Star, 1),
        (_, Some('/')) if at_start => (What::Folders, stars + 1),
        (_, _) => (What::DoubleStar, stars),
    }
}

/// The ranges of `[…]` and its length with both brackets; none where nothing closes it or it is empty.
fn class(rest: &[char]) -> Option<(Vec<(char, char)>, usize)> {
    let end = rest.iter().position(|c| *c == ']')?;
    let inside = &rest[..end];
    let mut ranges = Vec::new();
    let mut at = 0;
    while let Some(from) = inside.get(at) {
        if inside.get(at + 1) == Some(&'-') && inside.get(at + 2).is_some() {
            ranges.push((*from, inside[at + 2]));
            at += 3;
        } else {
            ranges.push((*from, *from));
            at += 1;
        }
    }
    (!ranges.is_empty()).then_some((ranges, end + 2))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(pattern: &str, matching: &[&str], others: &[&str]) {
        let glob = Glob::new(pattern);
        for name in matching {
            assert!(glob.matches(name), "`{pattern}` should match `{name}`");
        }
        for name in others {
            assert!(!glob.matches(name), "`{pattern}` should not match `{name}`");
        }
    }

    /// The tables of GitHub's cheat sheet, with names of our own that must not match.
    #[test]
    fn cheat_sheet() {
        check("feature/*", &["feature/my-branch", "feature/your-branch"], &["feature/a/b", "feature", "x/feature/a"]);
        check("feature/**", &["feature/beta-a/my-branch", "feature/x"], &["feature", "features/x"]);
        check("main", &["main"], &["main2", "a/main", "Main", ""]);
        check("*", &["main", "releases"], &["a/b"]);
        check("**", &["all/the/branches", "every/tag", ""], &[]);
        check("*feature", &["mona-feature", "feature", "ver-10-feature"], &["a/feature", "features"]);
        check("v2*", &["v2", "v2.0", "v2.9"], &["v1", "v2/x"]);
        check("v[12].[0-9]+.[0-9]+", &["v1.10.1", "v2.0.0"], &["v3.0.0", "v1.10", "v1..1", "v1.10.1a"]);
        check("*.jsx?", &["page.js", "page.jsx"], &["page.jsxx", "a/page.js", "page.j"]);
        check("**.js", &["index.js", "js/index.js", "src/js/app.js"], &["index.jsx"]);
        check("docs/*", &["docs/README.md", "docs/file.txt"], &["docs/a/b", "docs"]);
        check("docs/**", &["docs/README.md", "docs/mona/octocat.txt"], &["docs", "a/docs/b"]);
        check("docs/**/*.md", &["docs/README.md", "docs/mona/hello-world.md", "docs/a/markdown/file.md"], &["docs.md"]);
        check("**/docs/**", &["docs/hello.md", "dir/docs/my-file.txt", "space/docs/plan/space.doc"], &["mydocs/x"]);
        check("**/README.md", &["README.md", "js/README.md", "a/b/README.md"], &["XREADME.md", "js/XREADME.md"]);
        check("**/*src/**", &["a/src/app.js", "my-src/code/js/app.js"], &["srcs/a", "src"]);
        check("**/*-post.md", &["my-post.md", "path/their-post.md"], &["post.md"]);
        check(
            "**/migrate-*.sql",
            &["migrate-10909.sql", "db/migrate-v1.0.sql", "db/sept/migrate-v1.sql"],
            &["migrate"],
        );
    }

    #[test]
    fn escapes_classes_and_lone_signs() {
        check(r"a\*b", &["a*b"], &["aXb", "ab"]);
        check(r"\!x", &["!x"], &["x"]);
        check("[CB]at", &["Cat", "Bat"], &["cat", "at", "CBat"]);
        check("[a-z0-9]+", &["abc", "a1"], &["", "A", "a-"]);
        check("[a-]", &["a", "-"], &["b"]);
        check("[x", &["[x"], &["x"]);
        check("[]", &["[]"], &["", "a"]);
        check("+x", &["+x"], &["x"]);
        check("?x", &["?x"], &["x"]);
        check("a*?", &["a?", "abc?"], &["a", "abc"]);
        check("c++", &["c+", "cc+"], &["c", "c++"]);
        check("***", &["a/b"], &[]);
        check("a**/b", &["a/b", "ax/b", "a/x/b"], &["ab"]);
        check("", &[""], &["a"]);
        check("é?", &["é", ""], &["éé"]);
    }

    #[test]
    fn no_pattern_is_slow() {
        let glob = Glob::new(&"**/*a+".repeat(200));
        let name = "a/".repeat(2_000);
        assert!(!glob.matches(&format!("{name}b")));
    }

    /// The rules once more, by trying everything.
    fn oracle(pattern: &[char], name: &[char], at_start: bool) -> bool {
        let Some(first) = pattern.first() else { return name.is_empty() };
        if *first == '*' {
            let stars = pattern.iter().take_while(|c| **c == '*').count();
            let rest = &pattern[stars..];
            if stars > 1 && at_start && rest.first() == Some(&'/') {
                let after = &rest[1..];
                return oracle(after, name, true)
                    || (0..name.len()).any(|end| name[end] == '/' && oracle(after, &name[end + 1..], true));
            }
            return (0..=name.len())
                .filter(|end| stars > 1 || !name[..*end].contains(&'/'))
                .any(|end| oracle(rest, &name[end..], false));
        }
        let once = |name: &[char]| name.first() == Some(first);
        let start = *first == '/';
        match pattern.get(1) {
            Some('?') => oracle(&pattern[2..], name, false) || once(name) && oracle(&pattern[2..], &name[1..], false),
            Some('+') => (1..=name.len())
                .take_while(|end| name[end - 1] == *first)
                .any(|end| oracle(&pattern[2..], &name[end..], false)),
            _ => once(name) && oracle(&pattern[1..], &name[1..], start),
        }
    }

    proptest! {
        #[test]
        fn agrees_with_trying_everything(pattern in "([ab/][?+]?|\\*{1,2}){0,6}", name in "[ab/]{0,8}") {
            // A sign after `**/`'s slash is a sign on that slash; the oracle reads `**/` first, as we do.
            prop_assume!(!pattern.contains("/?") && !pattern.contains("/+"));
            let characters: Vec<char> = pattern.chars().collect();
            let letters: Vec<char> = name.chars().collect();
            prop_assert_eq!(Glob::new(&pattern).matches(&name), oracle(&characters, &letters, true), "{} {}", pattern, name);
        }
    }
}
