//! Yarn's lock files: the form of version 1 and the YAML of berry, which have the same shape.
//! <https://classic.yarnpkg.com/lang/en/docs/yarn-lock/>, <https://yarnpkg.com/configuration/manifest>.

use super::facts::{Said, Stated};
use crate::package::Ecosystem;

pub(crate) fn parse(text: &[u8]) -> Said {
    let text = String::from_utf8_lossy(text);
    let mut said = Said::default();
    let mut entry: Option<Entry> = None;
    for (number, line) in text.lines().enumerate() {
        if line.starts_with('#') || line.trim().is_empty() {
            continue;
        }
        if !line.starts_with([' ', '\t']) {
            finish(entry.take(), &mut said);
            let Some(key) = line.trim_end().strip_suffix(':') else {
                said.unread.push(format!("line {}: neither an entry nor a part of one", number + 1));
                if said.unread.len() >= 5 {
                    return said;
                }
                continue;
            };
            entry = Some(Entry { line: number + 1, key: key.to_owned(), version: None, resolution: None });
            continue;
        }
        // Deeper ones are the package's own dependencies.
        let Some(field) = line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')) else { continue };
        let Some(entry) = &mut entry else { continue };
        if let Some(value) = field.strip_prefix("version") {
            entry.version = Some(unquote(value.trim_start_matches([':', ' '])));
        } else if let Some(value) = field.strip_prefix("resolution:") {
            entry.resolution = Some(unquote(value));
        }
    }
    finish(entry, &mut said);
    said
}

struct Entry {
    line: usize,
    /// The patterns that it fulfils: `"a@^1", "a@^2"`.
    key: String,
    version: Option<String>,
    /// Berry's: `@babel/core@npm:7.12.3`.
    resolution: Option<String>,
}

fn unquote(value: &str) -> String {
    value.trim().trim_matches('"').to_owned()
}

fn finish(entry: Option<Entry>, said: &mut Said) {
    let Some(entry) = entry else { return };
    // `__metadata` of berry has a version of its own.
    if entry.key == "__metadata" {
        return;
    }
    let Some(version) = entry.version else {
        said.unread.push(format!("line {}: a package without a version", entry.line));
        return;
    };
    let first = entry.key.split(", ").next().unwrap_or_default();
    let described = entry.resolution.as_deref().unwrap_or(first).trim_matches('"');
    let Some((name, range)) = split(described) else {
        said.unread.push(format!("line {}: `{described}` names no package", entry.line));
        return;
    };
    // What lies in the repository itself, or comes from no registry, has no advisories by its version.
    if ["workspace:", "link:", "portal:", "file:"].iter().any(|local| range.starts_with(local)) {
        return;
    }
    // `alias@npm:real@^1` is the real one. In berry's resolutions what follows `npm:` is a version.
    let alias = range.strip_prefix("npm:").and_then(split);
    let name = alias.map_or(name, |(real, _)| real);
    // A patched package: `typescript@patch:typescript@npm%3A5.0.0#…` keeps its name and version.
    let line = u32::try_from(entry.line).ok();
    said.packages.push(Stated::new(Ecosystem::Npm, name, version).at_line(line));
}

/// Name and range: the `@` of a scope is not the one between them.
fn split(pattern: &str) -> Option<(&str, &str)> {
    let scope = usize::from(pattern.starts_with('@'));
    let at = pattern.get(scope..)?.find('@')? + scope;
    Some((pattern.get(..at)?, pattern.get(at + 1..)?))
}
