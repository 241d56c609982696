//! npm's lock files, versions 1 to 3 (<https://docs.npmjs.com/cli/v11/configuring-npm/package-lock-json>).

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::Value as Json;

use super::facts::{Said, Stated};
use super::lines::LineFinder;
use super::npm::licences;
use crate::package::Ecosystem;

#[derive(Deserialize)]
struct Lock {
    /// Versions 2 and 3: from folders.
    #[serde(default)]
    packages: Option<IndexMap<String, Placed>>,
    /// Versions 1 and 2: a tree of names.
    #[serde(default)]
    dependencies: Option<IndexMap<String, Nested>>,
}

#[derive(Deserialize)]
struct Placed {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    link: bool,
    #[serde(default)]
    dev: bool,
    #[serde(default)]
    license: Option<Json>,
}

#[derive(Deserialize)]
struct Nested {
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    dev: bool,
    #[serde(default)]
    dependencies: Option<IndexMap<String, Self>>,
}

pub(crate) fn parse(text: &[u8], development: bool) -> Said {
    let lock: Lock = match serde_json::from_slice(text) {
        Ok(lock) => lock,
        Err(error) => return Said::unread(format!("it is not npm's lock file: {error}")),
    };
    let mut lines = LineFinder::new(text);
    let mut packages = Vec::new();
    match (lock.packages, lock.dependencies) {
        (Some(placed), _) => {
            for (folder, package) in placed {
                packages.extend(of_folder(&folder, package, development, &mut lines));
            }
        }
        (None, Some(dependencies)) => nested(dependencies, development, &mut lines, &mut packages),
        (None, None) => {}
    }
    Said::packages(packages)
}

fn of_folder(folder: &str, package: Placed, development: bool, lines: &mut LineFinder<'_>) -> Option<Stated> {
    // The project itself, and those of its workspaces, come from no registry.
    let (_, last) = folder.rsplit_once("node_modules/")?;
    if package.link || package.dev && !development {
        return None;
    }
    let line = lines.next(&format!("\"{folder}\""));
    // An alias has the name of what it stands for beside it.
    let name = package.name.unwrap_or_else(|| last.to_owned());
    let licences = package.license.as_ref().map(licences).unwrap_or_default();
    Some(Stated::new(Ecosystem::Npm, name, package.version?).at_line(line).licensed(licences))
}

/// As deep as the text is, which the JSON parser bounds.
fn nested(
    dependencies: IndexMap<String, Nested>,
    development: bool,
    lines: &mut LineFinder<'_>,
    packages: &mut Vec<Stated>,
) {
    for (name, package) in dependencies {
        if package.dev && !development {
            continue;
        }
        let line = lines.next(&format!("\"{name}\": {{"));
        if let Some(version) = package.version {
            match version.strip_prefix("npm:").and_then(|alias| alias.rsplit_once('@')) {
                Some((name, version)) => packages.push(Stated::new(Ecosystem::Npm, name, version).at_line(line)),
                // Other prefixes are files, repositories and addresses: no registry knows them by that version.
                None if version.contains(':') || version.contains('/') => {}
                None => packages.push(Stated::new(Ecosystem::Npm, name, version).at_line(line)),
            }
        }
        if let Some(inner) = package.dependencies {
            nested(inner, development, lines, packages);
        }
    }
}
