//! Composer: `composer.lock` and `vendor/composer/installed.json`, in the forms of versions 1 and 2.
//! <https://getcomposer.org/doc/01-basic-usage.md#commit-your-composer-lock-file-to-version-control>.

use serde::Deserialize;
use serde_json::Value as Json;

use super::facts::{Said, Stated};
use super::lines::LineFinder;
use super::npm::licences;
use crate::package::Ecosystem;

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    packages: Vec<Package>,
    #[serde(default, rename = "packages-dev")]
    development: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    #[serde(default)]
    license: Option<Json>,
}

pub(crate) fn lock(text: &[u8], development: bool) -> Said {
    match serde_json::from_slice::<Lock>(text) {
        Ok(lock) => {
            let more = if development { lock.development } else { Vec::new() };
            stated(text, lock.packages.into_iter().chain(more), true)
        }
        Err(error) => Said::unread(format!("it is not Composer's lock file: {error}")),
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Installed {
    Second { packages: Vec<Package> },
    First(Vec<Package>),
}

/// All that is there counts, also what is for development: it is there.
pub(crate) fn installed(text: &[u8]) -> Said {
    match serde_json::from_slice::<Installed>(text) {
        Ok(Installed::Second { packages } | Installed::First(packages)) => stated(text, packages.into_iter(), false),
        Err(error) => Said::unread(format!("it is not Composer's list: {error}")),
    }
}

fn stated(text: &[u8], packages: impl Iterator<Item = Package>, with_lines: bool) -> Said {
    let mut lines = LineFinder::new(text);
    let packages = packages.map(|package| {
        let line = if with_lines { lines.next(&format!("\"name\": \"{}\"", package.name)) } else { None };
        let licences = package.license.as_ref().map(licences).unwrap_or_default();
        Stated::new(Ecosystem::Packagist, package.name, package.version).at_line(line).licensed(licences)
    });
    Said::packages(packages.collect())
}
