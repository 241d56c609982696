//! Yarn's lock files: the form of version 1 and the YAML of berry, which have the same shape.
//! <https://classic.yarnpkg.com/lang/en/docs/yarn-lock/>, <https://yarnpkg.com/configuration/manifest>.
//!
//! What is for development is not told there, but by the `package.json` beside it. Where that leaves a doubt (workspaces, a
//! range that the lock file does not have), all of it counts.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Deserialize;

use super::facts::{Said, Stated};
use crate::package::Ecosystem;

/// `manifest` is the `package.json` beside it.
pub(crate) fn parse(text: &[u8], manifest: Option<&[u8]>, development: bool) -> Said {
    let text = String::from_utf8_lossy(text);
    let mut said = Said::default();
    let entries = entries(&text, &mut said);
    let manifest = if development { None } else { manifest.and_then(|text| serde_json::from_slice(text).ok()) };
    let shipped = manifest.and_then(|manifest| shipped(&manifest, &entries));
    for (number, entry) in entries.iter().enumerate() {
        if shipped.as_ref().is_none_or(|shipped| shipped.contains(&number)) {
            tell(entry, &mut said);
        }
    }
    said
}

#[derive(Debug)]
struct Entry<'a> {
    line: usize,
    /// The ranges that it fulfils: `"a@^1", "a@^2"`.
    key: &'a str,
    version: Option<&'a str>,
    /// Berry's: `@babel/core@npm:7.12.3`.
    resolution: Option<&'a str>,
    /// Names and ranges.
    needs: Vec<(&'a str, &'a str)>,
}

impl<'a> Entry<'a> {
    fn ranges(&self) -> impl Iterator<Item = &'a str> {
        self.key.split(", ").map(|range| range.trim_matches('"'))
    }
}

fn entries<'a>(text: &'a str, said: &mut Said) -> Vec<Entry<'a>> {
    let mut entries: Vec<Entry<'a>> = Vec::new();
    let mut section = "";
    for (number, line) in text.lines().enumerate() {
        if line.starts_with('#') || line.trim().is_empty() {
            continue;
        }
        if !line.starts_with([' ', '\t']) {
            let Some(key) = line.trim_end().strip_suffix(':') else {
                said.unread.push(format!("line {}: neither an entry nor a part of one", number + 1));
                if said.unread.len() >= 5 {
                    break;
                }
                continue;
            };
            entries.push(Entry { line: number + 1, key, version: None, resolution: None, needs: Vec::new() });
            section = "";
            continue;
        }
        let Some(entry) = entries.last_mut() else { continue };
        if let Some(need) = line.strip_prefix("    ") {
            if matches!(section, "dependencies" | "optionalDependencies") {
                entry.needs.extend(need_of(need));
            }
            continue;
        }
        let field = line.trim();
        section = field.trim_end_matches(':');
        if let Some(value) = field.strip_prefix("version") {
            entry.version = Some(unquote(value.trim_start_matches([':', ' '])));
        } else if let Some(value) = field.strip_prefix("resolution:") {
            entry.resolution = Some(unquote(value));
        }
    }
    entries
}

/// `"@a/b" "^1.0.0"` of version 1, `"@a/b": "npm:^1.0.0"` of berry.
fn need_of(line: &str) -> Option<(&str, &str)> {
    let (name, range) = line.trim().split_once(' ')?;
    Some((unquote(name.trim_end_matches(':')), unquote(range)))
}

fn unquote(value: &str) -> &str {
    value.trim().trim_matches('"')
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    #[serde(default)]
    dependencies: BTreeMap<String, String>,
    #[serde(default)]
    optional_dependencies: BTreeMap<String, String>,
    #[serde(default)]
    workspaces: Option<serde_json::Value>,
}

/// Which entries are needed to run; none when that cannot be told for sure.
fn shipped(manifest: &Manifest, entries: &[Entry<'_>]) -> Option<HashSet<usize>> {
    if manifest.workspaces.is_some() {
        return None;
    }
    let mut by_range: HashMap<&str, usize> = HashMap::new();
    for (number, entry) in entries.iter().enumerate() {
        by_range.extend(entry.ranges().map(|range| (range, number)));
    }
    let find = |name: &str, range: &str| {
        let of = |range: String| by_range.get(range.as_str()).copied();
        of(format!("{name}@{range}")).or_else(|| of(format!("{name}@npm:{range}")))
    };
    let roots = manifest.dependencies.iter().chain(&manifest.optional_dependencies);
    let mut waiting = roots.map(|(name, range)| find(name, range)).collect::<Option<Vec<usize>>>()?;
    let mut seen = HashSet::new();
    while let Some(number) = waiting.pop() {
        if seen.insert(number) {
            for (name, range) in &entries[number].needs {
                waiting.push(find(name, range)?);
            }
        }
    }
    Some(seen)
}

fn tell(entry: &Entry<'_>, said: &mut Said) {
    // `__metadata` of berry has a version of its own.
    if entry.key == "__metadata" {
        return;
    }
    let Some(version) = entry.version else {
        said.unread.push(format!("line {}: a package without a version", entry.line));
        return;
    };
    let first = entry.ranges().next().unwrap_or_default();
    let described = entry.resolution.unwrap_or(first);
    let Some((name, range)) = split(described) else {
        said.unread.push(format!("line {}: `{described}` names no package", entry.line));
        return;
    };
    // What lies in the repository itself, or comes from no registry, has no advisories by its version.
    if ["workspace:", "link:", "portal:", "file:"].iter().any(|local| range.starts_with(local)) {
        return;
    }
    // `alias@npm:real@^1` is the real one. In berry's resolutions what follows `npm:` is a version; a patched package
    // (`typescript@patch:typescript@npm%3A5.0.0#…`) keeps its name and version.
    let alias = range.strip_prefix("npm:").and_then(split);
    let name = alias.map_or(name, |(real, _)| real);
    said.packages.push(Stated::new(Ecosystem::Npm, name, version).at_line(u32::try_from(entry.line).ok()));
}

/// Name and range: the `@` of a scope is not the one between them.
fn split(pattern: &str) -> Option<(&str, &str)> {
    let scope = usize::from(pattern.starts_with('@'));
    let at = pattern.get(scope..)?.find('@')? + scope;
    Some((pattern.get(..at)?, pattern.get(at + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = "\"@b/c@^1.0.0\", \"@b/c@^1.1.0\":\n  version \"1.1.2\"\n  dependencies:\n    d \"^2.0.0\"\n\n\
        d@^2.0.0:\n  version \"2.0.1\"\n\nt@^1:\n  version \"1.0.0\"\n  dependencies:\n    u \"1\"\n\nu@1:\n  version \"1.0.0\"\n";
    const BERRY: &str = "\"a@npm:^1.0.0, a@npm:^1.1.0\":\n  version: 1.2.0\n  resolution: \"a@npm:1.2.0\"\n  dependencies:\n    d: ^2.0.0\n\n\
        \"d@npm:^2.0.0\":\n  version: 2.0.1\n  resolution: \"d@npm:2.0.1\"\n\n\"t@npm:1\":\n  version: 1.0.0\n  resolution: \"t@npm:1.0.0\"\n";

    #[test]
    fn what_is_for_development_is_told_by_the_manifest() {
        for (lock, manifest, expected) in [
            (LOCK, r#"{"dependencies":{"@b/c":"^1.1.0"},"devDependencies":{"t":"^1"}}"#, &["@b/c", "d"][..]),
            (BERRY, r#"{"dependencies":{"a":"^1.1.0"}}"#, &["a", "d"]),
            (LOCK, r#"{"devDependencies":{"t":"^1"}}"#, &[]),
            // Where it cannot be told, all count.
            (LOCK, r#"{"dependencies":{"@b/c":"^3"}}"#, &["@b/c", "d", "t", "u"]),
            (LOCK, r#"{"workspaces":["x"]}"#, &["@b/c", "d", "t", "u"]),
            (LOCK, "no manifest", &["@b/c", "d", "t", "u"]),
        ] {
            let said = parse(lock.as_bytes(), Some(manifest.as_bytes()), false);
            let names: Vec<_> = said.packages.iter().map(|package| package.name.as_str()).collect();
            assert_eq!(names, expected, "{manifest}");
            assert!(said.unread.is_empty());
            assert!(parse(lock.as_bytes(), Some(manifest.as_bytes()), true).packages.len() >= 3);
        }
    }
}
