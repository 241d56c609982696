//! dpkg: `status`, distroless' `status.d`, and the lists of the files that packages own.
//!
//! Follows deb822 and Debian Policy chapter 5 (<https://www.debian.org/doc/debian-policy/ch-controlfields.html>).

use super::facts::{PathDigest, Said, Stated};
use crate::package::{Ecosystem, SourcePackage};

/// One paragraph of a status file.
#[derive(Debug, Default)]
struct Paragraph<'a> {
    line: usize,
    package: &'a str,
    status: &'a str,
    version: &'a str,
    architecture: &'a str,
    source: &'a str,
}

/// All packages that are installed. What is only configured or half removed is not.
pub(crate) fn status(text: &[u8]) -> Said {
    let text = String::from_utf8_lossy(text);
    let mut said = Said::default();
    let mut paragraph = Paragraph::default();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            finish(&std::mem::take(&mut paragraph), &mut said);
            continue;
        }
        if paragraph.line == 0 {
            paragraph.line = number + 1;
        }
        if line.starts_with([' ', '\t']) {
            continue;
        }
        let Some((field, value)) = line.split_once(':') else {
            said.unread.push(format!("line {}: a field without a colon", number + 1));
            continue;
        };
        let value = value.trim();
        match field {
            "Package" => paragraph.package = value,
            "Status" => paragraph.status = value,
            "Version" => paragraph.version = value,
            "Architecture" => paragraph.architecture = value,
            "Source" => paragraph.source = value,
            _ => {}
        }
    }
    finish(&paragraph, &mut said);
    said.unread.truncate(20);
    said
}

fn finish(paragraph: &Paragraph<'_>, said: &mut Said) {
    if paragraph.line == 0 {
        return;
    }
    // The third word of `install ok installed`; distroless writes no status.
    let is_installed = paragraph.status.is_empty() || paragraph.status.split_whitespace().nth(2) == Some("installed");
    if !is_installed {
        return;
    }
    if paragraph.package.is_empty() || paragraph.version.is_empty() {
        said.unread.push(format!("line {}: a package without a name or version", paragraph.line));
        return;
    }
    let mut package = Stated::new(Ecosystem::Debian, paragraph.package, paragraph.version);
    package.architecture = paragraph.architecture.to_owned();
    package.source = source(paragraph);
    said.packages.push(package);
}

/// `Source: glibc (2.36-9)`; without a version it is the package's own.
fn source(paragraph: &Paragraph<'_>) -> Option<SourcePackage> {
    if paragraph.source.is_empty() {
        return None;
    }
    let (name, version) = match paragraph.source.split_once('(') {
        Some((name, version)) => (name.trim(), version.trim_end_matches(')').trim()),
        None => (paragraph.source, paragraph.version),
    };
    Some(SourcePackage { name: name.to_owned(), version: version.to_owned() })
}

/// `info/PACKAGE.list`: a path a line, from `/`.
pub(crate) fn list(text: &[u8]) -> Said {
    let paths = text.split(|byte| *byte == b'\n').filter_map(|line| line.strip_prefix(b"/"));
    Said { owned: paths.filter(|path| !path.is_empty()).map(PathDigest::of).collect(), ..Said::default() }
}

/// `status.d/PACKAGE.md5sums`: a digest, two spaces and a path a line.
pub(crate) fn sums(text: &[u8]) -> Said {
    let paths = text.split(|byte| *byte == b'\n').filter_map(|line| line.get(34..)).map(<[u8]>::trim_ascii);
    Said { owned: paths.filter(|path| !path.is_empty()).map(PathDigest::of).collect(), ..Said::default() }
}
