//! Alpine's apk: `lib/apk/db/installed` (<https://wiki.alpinelinux.org/wiki/Apk_spec>).

use super::facts::{PathDigest, Said, Stated};
use crate::package::{Ecosystem, SourcePackage};

#[derive(Debug, Default)]
struct Entry<'a> {
    line: usize,
    name: &'a str,
    version: &'a str,
    architecture: &'a str,
    origin: &'a str,
    licence: &'a str,
}

pub(crate) fn installed(text: &[u8]) -> Said {
    let text = String::from_utf8_lossy(text);
    let mut said = Said::default();
    let mut entry = Entry::default();
    let mut folder = "";
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            finish(&std::mem::take(&mut entry), &mut said);
            folder = "";
            continue;
        }
        if entry.line == 0 {
            entry.line = number + 1;
        }
        let Some((field, value)) = line.split_once(':') else {
            said.unread.push(format!("line {}: a field without a colon", number + 1));
            continue;
        };
        match field {
            "P" => entry.name = value,
            "V" => entry.version = value,
            "A" => entry.architecture = value,
            "o" => entry.origin = value,
            "L" => entry.licence = value,
            "F" => folder = value,
            "R" if folder.is_empty() => said.owned.push(PathDigest::of(value.as_bytes())),
            "R" => said.owned.push(PathDigest::of(format!("{folder}/{value}").as_bytes())),
            _ => {}
        }
    }
    finish(&entry, &mut said);
    said.unread.truncate(20);
    said
}

fn finish(entry: &Entry<'_>, said: &mut Said) {
    if entry.line == 0 {
        return;
    }
    if entry.name.is_empty() || entry.version.is_empty() {
        said.unread.push(format!("line {}: a package without a name or version", entry.line));
        return;
    }
    let mut package = Stated::new(Ecosystem::Alpine, entry.name, entry.version);
    package.architecture = entry.architecture.to_owned();
    if !entry.origin.is_empty() {
        package.source = Some(SourcePackage { name: entry.origin.to_owned(), version: entry.version.to_owned() });
    }
    if !entry.licence.is_empty() {
        package.licences = vec![entry.licence.to_owned()];
    }
    said.packages.push(package);
}
