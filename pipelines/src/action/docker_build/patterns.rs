//! Docker's patterns: which files of a context are left out.
//!
//! One line of `.dockerignore` is one pattern; BuildKit reads the file and hands the patterns over cleaned. The last
//! pattern that matches a path or a folder above it decides, `!` takes back.
//! Follows <https://docs.docker.com/build/concepts/context/#dockerignore-files> and moby/patternmatcher.

use regex::Regex;

/// The patterns of a context.
#[derive(Debug, Clone, Default)]
pub(super) struct Patterns(Vec<Pattern>);

#[derive(Debug, Clone)]
struct Pattern {
    regex: Regex,
    takes_back: bool,
    /// What comes before the first wildcard, for patterns that take back: which folders must be looked into.
    literal: String,
}

impl Patterns {
    /// Reads patterns.
    pub(super) fn new<'a>(lines: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut patterns = Vec::new();
        for line in lines {
            let line = line.trim();
            let (takes_back, text) = line.strip_prefix('!').map_or((false, line), |rest| (true, rest.trim()));
            let text = clean(text);
            if text.is_empty() || text == "." {
                continue;
            }
            let regex =
                Regex::new(&regex_of(&text)).map_err(|_| format!("`{line}` is no pattern that Docker takes"))?;
            let literal = text.split(['*', '?', '[', '\\']).next().unwrap_or_default().to_owned();
            patterns.push(Pattern { regex, takes_back, literal });
        }
        Ok(Self(patterns))
    }

    /// Whether a path (`/` between names) is left out.
    pub(super) fn leaves_out(&self, path: &str) -> bool {
        let mut out = false;
        for pattern in &self.0 {
            if pattern.takes_back == out && pattern.matches(path) {
                out = !pattern.takes_back;
            }
        }
        out
    }

    /// Whether something below a folder that is left out may be taken back.
    pub(super) fn may_take_back_below(&self, folder: &str) -> bool {
        let folder = format!("{folder}/");
        self.0.iter().filter(|pattern| pattern.takes_back).any(|pattern| {
            let shorter = pattern.literal.len().min(folder.len());
            pattern.literal.as_bytes()[..shorter] == folder.as_bytes()[..shorter]
        })
    }
}

impl Pattern {
    /// Whether it matches the path itself or a folder above it.
    fn matches(&self, path: &str) -> bool {
        let ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
        ends.into_iter().any(|end| self.regex.is_match(&path[..end]))
    }
}

/// Takes out `.`, `..`, doubled and outer slashes, as Go's `filepath.Clean` does.
fn clean(text: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    parts.join("/")
}

fn regex_of(text: &str) -> String {
    let mut regex = String::from("^");
    let mut letters = text.chars().peekable();
    let mut in_class = false;
    while let Some(letter) = letters.next() {
        match letter {
            '*' if letters.peek() == Some(&'*') => {
                letters.next();
                if letters.peek() == Some(&'/') {
                    letters.next();
                }
                regex.push_str(if letters.peek().is_none() { ".*" } else { "(.*/)?" });
            }
            '*' => regex.push_str("[^/]*"),
            '?' => regex.push_str("[^/]"),
            '\\' => {
                if let Some(next) = letters.next() {
                    regex.push_str(&regex::escape(&next.to_string()));
                }
            }
            '[' if !in_class => {
                in_class = true;
                regex.push('[');
            }
            ']' if in_class => {
                in_class = false;
                regex.push(']');
            }
            '^' | '-' if in_class => regex.push(letter),
            other => regex.push_str(&regex::escape(&other.to_string())),
        }
    }
    regex.push('$');
    regex
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lines: &[&str], out: &[&str], kept: &[&str]) {
        let patterns = Patterns::new(lines.iter().copied()).unwrap();
        for path in out {
            assert!(patterns.leaves_out(path), "{lines:?} should leave out {path}");
        }
        for path in kept {
            assert!(!patterns.leaves_out(path), "{lines:?} should keep {path}");
        }
    }

    #[test]
    fn docker_ignore_files() {
        check(&["node_modules"], &["node_modules", "node_modules/a/b"], &["src/node_modules", "node_modules2"]);
        check(&["**/node_modules"], &["node_modules", "src/node_modules", "a/b/node_modules/c"], &["node_modules2"]);
        check(&["/build/"], &["build", "build/x"], &["src/build"]);
        check(&["./a/../b"], &["b"], &["a"]);
        check(&["*.md", "!README.md"], &["a.md"], &["README.md", "docs/a.md"]);
        check(
            &["*.md", "!README*.md", "README-secret.md"],
            &["a.md", "README-secret.md"],
            &["README.md", "README-x.md"],
        );
        check(&["**/*.md"], &["a.md", "x/y/a.md"], &["a.mdx"]);
        check(&["*/temp*"], &["some/temp.txt", "some/temporary/file"], &["temp", "a/b/temp"]);
        check(&["*/*/temp*"], &["a/b/temp"], &["a/temp"]);
        check(&["temp?"], &["tempa"], &["temp", "temp/a", "tempab"]);
        check(&["docs/**"], &["docs/a", "docs/a/b"], &["doc"]);
        check(&["**"], &["a", "a/b"], &[]);
        check(&["*", "!src/**", "!package.json"], &["a", "b/c"], &["src/a", "src/a/b", "package.json"]);
        check(&["[a-c].txt", "\\*.x"], &["a.txt", "*.x"], &["d.txt", "y.x"]);
        check(&["a+b(c)", "# no comment here", "", "."], &["a+b(c)"], &["aab(c)", "x"]);
        check(&["dir", "!dir/keep"], &["dir", "dir/other"], &["dir/keep", "dir/keep/below"]);
    }

    #[test]
    fn folders_to_look_into() {
        let patterns = Patterns::new(["*", "!src/deep/**", "!x*"]).unwrap();
        assert!(patterns.may_take_back_below("src") && patterns.may_take_back_below("src/deep/er"));
        assert!(patterns.may_take_back_below("xyz") && !patterns.may_take_back_below("other"));
    }
}
