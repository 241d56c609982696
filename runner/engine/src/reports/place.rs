//! Where in the repository a test failed: what its report says, if there is such a file.
//!
//! Most tools give no place but write one into their details, each in its own form; and some write paths that begin at
//! the folder of a package or of sources. What is looked for is `path:line`; the first one that is there counts.

use std::sync::LazyLock;

use regex::Regex;

use super::Case;

/// Most places of one case that are tried.
const TRIED_MAX: usize = 40;
/// Where sources of tests lie below a module, by their language.
const SOURCE_ROOTS: [&str; 5] = ["src/test/java/", "src/test/kotlin/", "src/test/scala/", "test/", "tests/"];

static PLACE: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r#"(?m)(?:^|[\s("'\[<])((?:[A-Za-z]:)?[\w./\\@+-]*\w\.[A-Za-z][A-Za-z0-9]{0,5}):(\d{1,7})\b"#;
    Regex::new(pattern).expect("the pattern is fixed, and a test uses it")
});

/// What is known of the repository.
#[derive(Clone, Copy)]
pub struct Places<'a> {
    /// Where it lies, as the tool saw it.
    pub workspace: &'a str,
    /// Whether there is such a file, by its path in the repository.
    pub is_there: &'a dyn Fn(&str) -> bool,
}

impl std::fmt::Debug for Places<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Places").field("workspace", &self.workspace).finish_non_exhaustive()
    }
}

/// File and line where a case failed, relative to the workspace.
#[must_use]
pub fn place(case: &Case, places: Places<'_>) -> Option<(String, Option<u32>)> {
    let texts = [case.details.as_deref(), case.message.as_deref()];
    let found = texts.into_iter().flatten().flat_map(|text| PLACE.captures_iter(text)).take(TRIED_MAX);
    for found in found {
        let line = found[2].parse().ok().filter(|line| *line > 0);
        if let Some(path) = there(&found[1], &case.class, places) {
            return Some((path, line));
        }
    }
    let path = there(case.file.as_deref()?, &case.class, places)?;
    Some((path, case.line))
}

/// The path in the repository, if it is there.
fn there(path: &str, class: &str, places: Places<'_>) -> Option<String> {
    let path = path.replace('\\', "/");
    let below = path.strip_prefix(places.workspace).and_then(|rest| rest.strip_prefix('/')).unwrap_or(&path);
    let below = below.strip_prefix("./").unwrap_or(below);
    let is_ours = |path: &str| {
        let is_foreign = |part: &str| matches!(part, ".." | "node_modules" | "site-packages" | ".cargo" | "vendor");
        !path.starts_with('/') && !path.split('/').any(is_foreign) && (places.is_there)(path)
    };
    if is_ours(below) {
        return Some(below.to_owned());
    }
    if below.starts_with('/') {
        return None;
    }
    // Go names a file below its package, Java one below the folder of its package.
    let package =
        class.split('.').take_while(|part| part.starts_with(char::is_lowercase)).collect::<Vec<_>>().join("/");
    let roots = SOURCE_ROOTS.iter().map(|root| format!("{root}{package}/{below}"));
    let mut suffixes = vec![class];
    while let Some((_, rest)) = suffixes.last().and_then(|last| last.split_once('/')) {
        suffixes.push(rest);
    }
    let packages = suffixes.into_iter().filter(|suffix| !suffix.is_empty()).map(|suffix| format!("{suffix}/{below}"));
    packages.chain(roots).find(|path| is_ours(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reports::Outcome;

    #[test]
    fn places_are_found_in_what_tools_say() {
        let repository = [
            "src/lib.rs",
            "tests/test_a.py",
            "web/src/a.test.js",
            "pkg/deep/x_test.go",
            "src/test/java/com/x/FooTest.java",
            "a.php",
        ];
        let is_there = |path: &str| repository.contains(&path);
        let check = |class: &str, file: Option<(&str, u32)>, details: &str, expect: Option<(&str, u32)>| {
            let case = Case {
                suite: String::new(),
                class: class.into(),
                name: "n".into(),
                file: file.map(|(file, _)| file.into()),
                line: file.map(|(_, line)| line),
                time_us: None,
                outcome: Outcome::Failed,
                message: None,
                details: Some(details.into()),
                retries: 0,
            };
            let got = place(&case, Places { workspace: "/w/r", is_there: &is_there });
            assert_eq!(got, expect.map(|(file, line)| (file.to_owned(), Some(line))), "{details}");
        };
        check("", None, "thread 'x' panicked at src/lib.rs:10:5:\nassertion", Some(("src/lib.rs", 10)));
        check("", None, "/rustc/abc/library/std/src/x.rs:1\n  at ./src/lib.rs:3:9", Some(("src/lib.rs", 3)));
        check(
            "tests.test_a",
            Some(("tests/test_a.py", 4)),
            "E  assert\n\ntests/test_a.py:9: AssertionError",
            Some(("tests/test_a.py", 9)),
        );
        check("tests.test_a", Some(("tests/test_a.py", 4)), "nothing", Some(("tests/test_a.py", 4)));
        check(
            "",
            None,
            "at f (/w/r/node_modules/x/i.js:1:2)\n at Object.<anonymous> (/w/r/web/src/a.test.js:5:17)",
            Some(("web/src/a.test.js", 5)),
        );
        check("example.com/mod/pkg/deep", None, "    x_test.go:12: got 1", Some(("pkg/deep/x_test.go", 12)));
        check(
            "com.x.FooTest",
            None,
            "\tat org.junit.Assert.fail(Assert.java:89)\n\tat com.x.FooTest.b(FooTest.java:12)",
            Some(("src/test/java/com/x/FooTest.java", 12)),
        );
        check("", Some(("/w/r/a.php", 7)), "Failed asserting that 1 is 2.\n\n/w/r/a.php:8", Some(("a.php", 8)));
        check("", None, "../src/lib.rs:1 and /etc/passwd.txt:1 at 10:20", None);
    }
}
