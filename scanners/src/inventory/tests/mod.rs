//! The reading of images, folders and files as data: what goes in, and the packages that come out.

mod broken;
mod files;
mod folders;
mod images;
mod looked;
mod make;
mod mutated;

use std::path::Path;

use super::{Options, Stated, read};
use crate::package::{Inventory, Package};
use crate::source::{Held, Source, SourceError};

/// One line for a package: `npm lodash 4.17.21`.
fn line(package: &Package) -> String {
    let layer = package.locations[0].layer.map(|layer| format!(" @{layer}")).unwrap_or_default();
    format!("{} {} {}{layer}", package.ecosystem, package.name, package.version)
}

fn stated(stated: &Stated) -> String {
    let line = stated.line.map(|line| format!(" :{line}")).unwrap_or_default();
    let within = if stated.within.is_empty() { String::new() } else { format!(" in {}", stated.within) };
    format!("{} {} {}{line}{within}", stated.ecosystem, stated.name, stated.version)
}

fn lines(inventory: &Inventory) -> Vec<String> {
    inventory.packages.iter().map(line).collect()
}

fn held(path: &Path) -> Held {
    Held::at(path).unwrap()
}

fn read_archive(bytes: &[u8], options: &Options) -> Result<Inventory, SourceError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    read(Source::Archive { file: held(file.path()), name: None }, options)
}
