//! Python's lock files: requirements, Poetry, uv, Pipenv.
//!
//! <https://pip.pypa.io/en/stable/reference/requirements-file-format/>, <https://python-poetry.org/docs/basic-usage/>,
//! <https://docs.astral.sh/uv/concepts/projects/layout/>, <https://pipenv.pypa.io/en/latest/>.

use std::collections::{HashMap, HashSet};

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::Value as Json;

use super::facts::{Said, Stated};
use super::lines::LineFinder;
use crate::package::Ecosystem;

/// Only what is pinned is known: `name==1.2.3`. Ranges, addresses and other files say nothing certain.
pub(crate) fn requirements(text: &[u8]) -> Said {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let text = String::from_utf8_lossy(text);
    let mut packages = Vec::new();
    let mut whole = String::new();
    let mut first = 0;
    for (number, line) in text.lines().enumerate() {
        if whole.is_empty() {
            first = number + 1;
        }
        if let Some(part) = line.trim_end().strip_suffix('\\') {
            whole.push_str(part);
            whole.push(' ');
            continue;
        }
        whole.push_str(line);
        packages.extend(pinned(&whole).map(|package| package.at_line(u32::try_from(first).ok())));
        whole.clear();
    }
    Said::packages(packages)
}

fn pinned(line: &str) -> Option<Stated> {
    let line = line.trim();
    if line.starts_with('#') || line.starts_with('-') {
        return None;
    }
    let line = line.split(" #").next()?.split(';').next()?.split(" --").next()?;
    let (name, version) = line.split_once("==")?;
    let name = name.split('[').next()?.trim();
    let version = version.trim_start_matches('=').trim();
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if name.is_empty() || !is_name || version.is_empty() || version.contains([',', '*', ' ', '<', '>']) {
        return None;
    }
    Some(Stated::new(Ecosystem::PyPi, name, version))
}

#[derive(Deserialize)]
struct PoetryLock {
    #[serde(default)]
    package: Vec<PoetryPackage>,
}

#[derive(Deserialize)]
struct PoetryPackage {
    name: String,
    version: String,
    /// Up to version 1.
    #[serde(default)]
    category: Option<String>,
    /// From version 2.1 on.
    #[serde(default)]
    groups: Option<Vec<String>>,
}

pub(crate) fn poetry(text: &[u8], development: bool) -> Said {
    let lock: PoetryLock = match toml_of(text) {
        Ok(lock) => lock,
        Err(error) => return Said::unread(format!("it is not Poetry's lock file: {error}")),
    };
    let mut lines = LineFinder::new(text);
    let mut packages = Vec::new();
    for package in lock.package {
        let line = lines.next_start(&format!("name = \"{}\"", package.name));
        let is_development = package.category.as_deref() == Some("dev")
            || package.groups.is_some_and(|groups| !groups.iter().any(|group| group == "main"));
        if development || !is_development {
            packages.push(Stated::new(Ecosystem::PyPi, package.name, package.version).at_line(line));
        }
    }
    Said::packages(packages)
}

#[derive(Deserialize)]
struct UvLock {
    #[serde(default)]
    package: Vec<UvPackage>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct UvPackage {
    name: String,
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    source: HashMap<String, toml::Value>,
    #[serde(default)]
    dependencies: Vec<UvDependency>,
    #[serde(default)]
    optional_dependencies: IndexMap<String, Vec<UvDependency>>,
}

#[derive(Deserialize)]
struct UvDependency {
    name: String,
    #[serde(default)]
    version: Option<String>,
}

impl UvPackage {
    /// A project of the repository, which came from nowhere.
    fn is_local(&self) -> bool {
        ["editable", "virtual", "directory"].iter().any(|source| self.source.contains_key(*source))
    }

    fn is(&self, dependency: &UvDependency) -> bool {
        self.name == dependency.name && (dependency.version.is_none() || dependency.version == self.version)
    }
}

pub(crate) fn uv(text: &[u8], development: bool) -> Said {
    let lock: UvLock = match toml_of(text) {
        Ok(lock) => lock,
        Err(error) => return Said::unread(format!("it is not uv's lock file: {error}")),
    };
    let shipped = uv_reachable(&lock.package);
    let mut lines = LineFinder::new(text);
    let mut packages = Vec::new();
    for (number, package) in lock.package.iter().enumerate() {
        let line = lines.next_start(&format!("name = \"{}\"", package.name));
        let Some(version) = &package.version else { continue };
        if !package.is_local() && (development || shipped.contains(&number)) {
            packages.push(Stated::new(Ecosystem::PyPi, package.name.clone(), version.clone()).at_line(line));
        }
    }
    Said::packages(packages)
}

/// What the projects need to run; all, when there is no project.
fn uv_reachable(packages: &[UvPackage]) -> HashSet<usize> {
    let mut by_name: HashMap<&str, Vec<usize>> = HashMap::new();
    for (number, package) in packages.iter().enumerate() {
        by_name.entry(&package.name).or_default().push(number);
    }
    let mut waiting: Vec<usize> = (0..packages.len()).filter(|number| packages[*number].is_local()).collect();
    if waiting.is_empty() {
        return (0..packages.len()).collect();
    }
    let mut seen = HashSet::new();
    while let Some(number) = waiting.pop() {
        if !seen.insert(number) {
            continue;
        }
        let package = &packages[number];
        for dependency in package.dependencies.iter().chain(package.optional_dependencies.values().flatten()) {
            let there = by_name.get(dependency.name.as_str()).map(Vec::as_slice).unwrap_or_default();
            waiting.extend(there.iter().filter(|number| packages[**number].is(dependency)));
        }
    }
    seen
}

#[derive(Deserialize)]
struct PipenvLock {
    #[serde(default)]
    default: IndexMap<String, Json>,
    #[serde(default)]
    develop: IndexMap<String, Json>,
}

pub(crate) fn pipenv(text: &[u8], development: bool) -> Said {
    let lock: PipenvLock = match serde_json::from_slice(text) {
        Ok(lock) => lock,
        Err(error) => return Said::unread(format!("it is not Pipenv's lock file: {error}")),
    };
    let mut lines = LineFinder::new(text);
    lines.next("\"default\"");
    let mut packages = Vec::new();
    let develop = if development { lock.develop } else { IndexMap::new() };
    for (name, package) in lock.default.into_iter().chain(develop) {
        let line = lines.next(&format!("\"{name}\": {{"));
        let version = package.get("version").and_then(Json::as_str).and_then(|version| version.strip_prefix("=="));
        packages.extend(version.map(|version| Stated::new(Ecosystem::PyPi, name, version).at_line(line)));
    }
    Said::packages(packages)
}

/// TOML from bytes.
pub(crate) fn toml_of<T: for<'de> Deserialize<'de>>(text: &[u8]) -> Result<T, String> {
    let text = std::str::from_utf8(text).map_err(|error| error.to_string())?;
    toml::from_str(text).map_err(|error| error.message().to_owned())
}
