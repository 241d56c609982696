//! Paths and patterns as `@actions/glob` reads them: one a line, `!` takes out, what is matched brings along what is below.
//! See <https://github.com/actions/toolkit/tree/main/packages/glob#patterns>.

use globset::{GlobBuilder, GlobMatcher};

/// The lines of a `path:`.
#[derive(Debug)]
pub(in crate::step) struct Patterns(Vec<Pattern>);

#[derive(Debug)]
struct Pattern {
    /// Takes out what it matches.
    negative: bool,
    /// Matches the path itself, or one above it.
    matcher: GlobMatcher,
    /// The longest path above all that it can match.
    root: String,
    /// It is this path and has no wildcards.
    plain: bool,
}

impl Patterns {
    /// Reads lines; what is relative is below `workspace`, `~` is `home`.
    pub(in crate::step) fn read(text: &str, workspace: &str, home: &str) -> Result<Self, String> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines.map(|line| Pattern::read(line, workspace, home)).collect::<Result<_, _>>().map(Self)
    }

    /// Where to look: none is below another.
    pub(in crate::step) fn roots(&self) -> Vec<String> {
        let mut roots: Vec<String> = Vec::new();
        for pattern in self.0.iter().filter(|pattern| !pattern.negative) {
            if roots.iter().any(|root| is_below(&pattern.root, root)) {
                continue;
            }
            roots.retain(|root| !is_below(root, &pattern.root));
            roots.push(pattern.root.clone());
        }
        roots
    }

    /// Whether a file is meant; the last line that says something of it counts.
    pub(in crate::step) fn matches(&self, path: &str) -> bool {
        self.0.iter().fold(false, |meant, pattern| if pattern.matches(path) { !pattern.negative } else { meant })
    }

    /// The paths, where no line has wildcards or takes something out.
    pub(in crate::step) fn plain(&self) -> Option<Vec<String>> {
        let plain = |pattern: &Pattern| (pattern.plain && !pattern.negative).then(|| pattern.root.clone());
        self.0.iter().map(plain).collect()
    }
}

impl Pattern {
    fn read(line: &str, workspace: &str, home: &str) -> Result<Self, String> {
        let bangs = line.chars().take_while(|c| *c == '!').count();
        let text = line[bangs..].trim();
        let text = match text.strip_prefix('~') {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("{home}{rest}"),
            Some(_) | None if text.starts_with('/') => text.to_owned(),
            Some(_) | None => format!("{}/{text}", escape(workspace)),
        };
        let mut parts: Vec<&str> = Vec::new();
        for part in text.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        let wild = |part: &&str| part.contains(['*', '?', '[']) && !part.contains("[[]");
        let plain = !parts.iter().any(wild);
        let literal: Vec<_> = parts.iter().copied().take_while(|part| !wild(part)).map(unescape).collect();
        let glob = GlobBuilder::new(&format!("/{}", parts.join("/")))
            .literal_separator(true)
            .backslash_escape(true)
            .build()
            .map_err(|error| format!("Invalid pattern '{line}': {error}"))?;
        let root = format!("/{}", literal.join("/"));
        Ok(Self { negative: bangs % 2 == 1, matcher: glob.compile_matcher(), root, plain })
    }

    fn matches(&self, path: &str) -> bool {
        std::path::Path::new(path).ancestors().any(|above| self.matcher.is_match(above))
    }
}

fn escape(text: &str) -> String {
    text.replace('[', "[[]")
}

fn unescape(text: &str) -> String {
    text.replace("[[]", "[")
}

pub(in crate::step) fn is_below(path: &str, above: &str) -> bool {
    std::path::Path::new(path).starts_with(above)
}

/// The folder that all are in: GitHub's root of an artifact.
pub(in crate::step) fn common(paths: &[String]) -> String {
    let mut common: Option<&std::path::Path> = None;
    for path in paths {
        let path = std::path::Path::new(path);
        common = Some(match common {
            None => path,
            Some(common) => common.ancestors().find(|above| path.starts_with(above)).unwrap_or(common),
        });
    }
    common.map_or_else(|| "/".to_owned(), |path| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let check = |text: &str, roots: &str, yes: &str, no: &str| {
            let patterns = Patterns::read(text, "/w/r", "/home/me").unwrap();
            assert_eq!(patterns.roots().join(" "), roots, "{text}");
            for path in yes.split_whitespace() {
                assert!(patterns.matches(path), "{text}: {path}");
            }
            for path in no.split_whitespace() {
                assert!(!patterns.matches(path), "{text}: {path}");
            }
        };
        check("dist", "/w/r/dist", "/w/r/dist /w/r/dist/a/b", "/w/r/dists /w/r/d");
        check("./dist/", "/w/r/dist", "/w/r/dist/a", "");
        check("~/.npm", "/home/me/.npm", "/home/me/.npm/x", "/home/me/.np");
        check("a/*.txt\nb/**/c", "/w/r/a /w/r/b", "/w/r/a/x.txt /w/r/b/c /w/r/b/x/y/c/z", "/w/r/a/b/x.txt /w/r/b/x");
        check("**/*.xml", "/w/r", "/w/r/a.xml /w/r/a/b.xml", "/w/a.xml");
        check("dist\n!dist/secret\n!**/*.tmp", "/w/r/dist", "/w/r/dist/a", "/w/r/dist/secret/x /w/r/dist/a.tmp");
        check("dist\n!dist/a\ndist/a/b", "/w/r/dist", "/w/r/dist/a/b/c", "/w/r/dist/a/c");
        check("/tmp/x?.log", "/tmp", "/tmp/x1.log", "/tmp/x12.log");
        check("a/b\na\n../o", "/w/r/a /w/o", "/w/o/x /w/r/a/q", "");
        check("*", "/w/r", "/w/r/a/b", "");
    }

    #[test]
    fn commons() {
        let check = |paths: &str, expect: &str| {
            let paths: Vec<_> = paths.split_whitespace().map(str::to_owned).collect();
            assert_eq!(common(&paths), expect);
        };
        check("/w/r/a /w/r/b", "/w/r");
        check("/w/r/a/b /w/r/a", "/w/r/a");
        check("/w/r/ab /w/r/a", "/w/r");
        check("/a /b", "/");
    }
}
