//! The VEX files that a policy names by patterns, below its own folder.

use std::path::Path;

use globset::GlobBuilder;
use walkdir::WalkDir;

use super::{FILE_BYTES_MAX, Statement, read};
use crate::policy::{Pattern, Warning};

/// How deep folders are gone through.
const DEPTH_MAX: usize = 16;

/// What the patterns of a policy led to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Loaded {
    pub statements: Vec<Statement>,
    /// Files that cannot be read: a gate that goes without them cannot be trusted.
    pub doubts: Vec<String>,
    /// Patterns that no file has.
    pub warnings: Vec<Warning>,
}

/// Reads the files of all patterns, each once, in order of their paths. `policy` is the policy's name for warnings.
#[must_use]
pub fn load(folder: &Path, patterns: &[Pattern], policy: &str) -> Loaded {
    let mut loaded = Loaded::default();
    let mut seen = std::collections::BTreeSet::new();
    for pattern in patterns {
        let text = pattern.text.trim_start_matches("./");
        let glob = match GlobBuilder::new(text).literal_separator(true).build() {
            Ok(glob) => glob.compile_matcher(),
            Err(error) => {
                loaded.doubts.push(format!("{policy}:{}: the pattern `{text}` cannot be read: {error}", pattern.line));
                continue;
            }
        };
        let mut is_any = false;
        for entry in WalkDir::new(folder).max_depth(DEPTH_MAX).sort_by_file_name() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    loaded.doubts.push(format!("VEX files cannot be looked for: {error}"));
                    break;
                }
            };
            let name = entry.path().strip_prefix(folder).unwrap_or(entry.path()).to_string_lossy().into_owned();
            if !glob.is_match(&name) || entry.file_type().is_dir() {
                continue;
            }
            is_any = true;
            if seen.insert(name.clone()) {
                one(entry.path(), &name, &mut loaded);
            }
        }
        if !is_any {
            let message = format!("no file has the pattern `{text}` of VEX files");
            loaded.warnings.push(Warning { message, file: Some(policy.to_owned()), line: Some(pattern.line) });
        }
    }
    loaded
}

fn one(path: &Path, name: &str, loaded: &mut Loaded) {
    let length = std::fs::metadata(path).map(|metadata| metadata.len());
    let bytes = match length {
        Ok(length) if length > FILE_BYTES_MAX as u64 => {
            loaded.doubts.push(format!("{name}: it is longer than {FILE_BYTES_MAX} bytes"));
            return;
        }
        Ok(_) => std::fs::read(path),
        Err(error) => Err(error),
    };
    match bytes
        .map_err(|error| format!("{name}: {error}"))
        .and_then(|bytes| read(name, &bytes).map_err(|error| error.to_string()))
    {
        Ok(statements) => loaded.statements.extend(statements),
        Err(doubt) => loaded.doubts.push(doubt),
    }
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
        let loaded = load(folder.path(), &[pattern("vex/*.json"), pattern("vex/a.json"), pattern("*.vex")], "gate.yml");
        assert_eq!(loaded.statements.len(), 1);
        assert_eq!(loaded.doubts, ["vex/b.json:1:1: it is no JSON: EOF while parsing an object at line 1 column 1"]);
        assert_eq!(loaded.warnings[0].message, "no file has the pattern `*.vex` of VEX files");
    }
}
