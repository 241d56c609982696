//! The VEX files that a policy names by patterns, below its own folder.

use std::collections::BTreeMap;
use std::io;

use globset::{GlobBuilder, GlobMatcher};

use super::{FILE_BYTES_MAX, Statement, read};
use crate::policy::{Pattern, Warning};
use crate::source::folder::{Manner, visit_folder};
use crate::source::{Content, Held, Limits, Node, Visitor};

/// What the patterns of a policy led to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Loaded {
    pub statements: Vec<Statement>,
    /// Files that cannot be read: a gate that goes without them cannot be trusted.
    pub doubts: Vec<String>,
    /// Patterns that no file has.
    pub warnings: Vec<Warning>,
}

impl Loaded {
    /// Where the folder of the policy cannot be reached: nothing, and a doubt where there should have been something.
    #[must_use]
    pub fn without_folder(patterns: &[Pattern], policy: &str) -> Self {
        let doubt = |first: &Pattern| format!("{policy}:{}: the VEX files lie where they cannot be read", first.line);
        Self { doubts: patterns.first().map(doubt).into_iter().collect(), ..Self::default() }
    }
}

/// Reads the files of all patterns, each once, in order of the patterns and then of their paths. Links are not followed.
/// `policy` is the policy's name for warnings.
#[must_use]
pub fn load(folder: &Held, patterns: &[Pattern], policy: &str) -> Loaded {
    let mut loaded = Loaded::default();
    let mut finder = Finder::default();
    for pattern in patterns {
        let text = pattern.text.trim_start_matches("./");
        match GlobBuilder::new(text).literal_separator(true).build() {
            Ok(glob) => finder.wanted.push(Wanted { pattern, glob: glob.compile_matcher(), is_any: false }),
            Err(error) => {
                loaded.doubts.push(format!("{policy}:{}: the pattern `{text}` cannot be read: {error}", pattern.line));
            }
        }
    }
    if finder.wanted.is_empty() {
        return loaded;
    }
    if let Err(error) = visit_folder(folder, Manner::Repository, &Limits::default(), &mut finder) {
        loaded.doubts.push(format!("VEX files cannot be looked for: {error}"));
    }
    loaded.doubts.extend(finder.odd);
    for found in finder.found.into_values() {
        match found {
            Ok(statements) => loaded.statements.extend(statements),
            Err(doubt) => loaded.doubts.push(doubt),
        }
    }
    for wanted in finder.wanted.iter().filter(|wanted| !wanted.is_any) {
        let text = wanted.pattern.text.trim_start_matches("./");
        let message = format!("no file has the pattern `{text}` of VEX files");
        loaded.warnings.push(Warning { message, file: Some(policy.to_owned()), line: Some(wanted.pattern.line) });
    }
    loaded
}

/// A pattern that files are looked for with.
struct Wanted<'a> {
    pattern: &'a Pattern,
    glob: GlobMatcher,
    is_any: bool,
}

/// Goes through the folder once for all patterns.
#[derive(Default)]
struct Finder<'a> {
    wanted: Vec<Wanted<'a>>,
    /// By the number of the first pattern and the path.
    found: BTreeMap<(usize, String), Result<Vec<Statement>, String>>,
    odd: Vec<String>,
}

impl Visitor for Finder<'_> {
    fn entry(&mut self, path: &str, node: Node, content: &mut dyn Content) -> io::Result<()> {
        if matches!(node, Node::Directory) {
            return Ok(());
        }
        let mut first = None;
        for (number, wanted) in self.wanted.iter_mut().enumerate() {
            if wanted.glob.is_match(path) {
                wanted.is_any = true;
                first = first.or(Some(number));
            }
        }
        if let Some(number) = first {
            self.found.insert((number, path.to_owned()), one(path, &node, content));
        }
        Ok(())
    }

    fn odd(&mut self, path: &str, reason: &str) {
        self.odd.push(format!("VEX files cannot be looked for: {path}: {reason}"));
    }
}

fn one(name: &str, node: &Node, content: &mut dyn Content) -> Result<Vec<Statement>, String> {
    if !matches!(node, Node::File { .. }) {
        return Err(format!("{name}: it is a link or device, which is not read"));
    }
    let content = content.random().map_err(|error| format!("{name}: {error}"))?;
    if content.length() > FILE_BYTES_MAX as u64 {
        return Err(format!("{name}: it is longer than {FILE_BYTES_MAX} bytes"));
    }
    let bytes = content.bytes(0, content.length()).map_err(|error| format!("{name}: {error}"))?;
    read(name, &bytes).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_patterns() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("vex")).unwrap();
        let right =
            r#"{"@context":"https://openvex.dev/ns/v0.2.0","statements":[{"vulnerability":"CVE-1","status":"fixed"}]}"#;
        std::fs::write(folder.path().join("vex/a.json"), right).unwrap();
        std::fs::write(folder.path().join("vex/b.json"), "{").unwrap();
        let pattern = |text: &str| Pattern { text: text.to_owned(), line: 3 };
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("vex/c.json")).unwrap();
        let folder = Held::at(folder.path()).unwrap();
        let loaded = load(&folder, &[pattern("vex/*.json"), pattern("vex/a.json"), pattern("*.vex")], "gate.yml");
        assert_eq!(loaded.statements.len(), 1);
        assert_eq!(
            loaded.doubts,
            [
                "vex/b.json:1:1: it is no JSON: EOF while parsing an object at line 1 column 1",
                "vex/c.json: it is a link or device, which is not read",
            ]
        );
        assert_eq!(loaded.warnings[0].message, "no file has the pattern `*.vex` of VEX files");
    }
}
