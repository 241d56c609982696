//! Archives of Java: what they are, and what lies in them, however deep.
//!
//! In this order: Maven's `pom.properties` (each one is a library that was put in), the manifest
//! (<https://docs.oracle.com/en/java/javase/21/docs/specs/jar/jar.html>), the name of the file. Nothing is looked up by its
//! digest: that would take a list of half a gigabyte.

use std::io;

use super::facts::{Said, Stated};
use super::wanted::is_jar;
use super::zip::{Entry, Zip};
use crate::package::Ecosystem;
use crate::source::{Limits, Random};

/// Entries of one archive; the largest real ones have some 10,000.
const ENTRIES_MAX: usize = 500_000;
/// `pom.properties` and manifests.
const NOTE_BYTES_MAX: u64 = 1 << 20;

/// Reads an archive that is called `path`.
pub(crate) fn jar(path: &str, file: &Random, limits: &Limits) -> Said {
    let mut reading = Reading { said: Said::default(), budget: limits.jar_bytes, limits };
    if let Err(error) = reading.archive(path, "", file, 0) {
        reading.said.unread.push(error.to_string());
    }
    reading.said.unread.truncate(20);
    reading.said
}

/// The one note of a zipped `.egg`.
pub(crate) fn egg(file: &Random) -> io::Result<Option<Vec<u8>>> {
    let zip = Zip::open(file)?;
    let Some(entry) = zip.entries().take(ENTRIES_MAX).find(|entry| entry.name == "EGG-INFO/PKG-INFO") else {
        return Ok(None);
    };
    let note = zip.open_entry(&entry, &mut { NOTE_BYTES_MAX })?;
    note.bytes(0, note.length()).map(Some)
}

struct Reading<'a> {
    said: Said,
    /// What may still be unfolded, for all archives together.
    budget: u64,
    limits: &'a Limits,
}

/// What is known of one archive itself.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Library {
    group: String,
    artifact: String,
    version: String,
}

impl Library {
    fn name(&self) -> String {
        if self.group.is_empty() { self.artifact.clone() } else { format!("{}:{}", self.group, self.artifact) }
    }

    fn is_whole(&self) -> bool {
        !self.artifact.is_empty() && !self.version.is_empty()
    }
}

impl Reading<'_> {
    /// `within` is where the archive lies in the outermost one; empty for that.
    fn archive(&mut self, path: &str, within: &str, file: &Random, depth: u32) -> io::Result<()> {
        let zip = Zip::open(file)?;
        let mut libraries = Vec::new();
        let mut manifest = None;
        for (number, entry) in zip.entries().enumerate() {
            if number >= ENTRIES_MAX {
                return Err(io::Error::other(format!("it has more than {ENTRIES_MAX} entries")));
            }
            let name = entry.name.as_str();
            if name.starts_with("META-INF/maven/") && name.ends_with("/pom.properties") {
                libraries.extend(pom_properties(&self.note(&zip, &entry)?));
            } else if name == "META-INF/MANIFEST.MF" {
                manifest = Some(self.note(&zip, &entry)?);
            } else if name.rsplit_once('.').is_some_and(|(_, ending)| is_jar(ending)) {
                self.inner(&zip, &entry, path, within, depth)?;
            }
        }
        if libraries.is_empty() {
            let file_name = path_of(path, within).rsplit('/').next().unwrap_or_default().to_owned();
            libraries.extend(described(manifest.as_deref(), &file_name));
        }
        for library in libraries {
            let mut package = Stated::new(Ecosystem::Maven, library.name(), library.version);
            package.within = within.to_owned();
            self.said.packages.push(package);
        }
        Ok(())
    }

    fn inner(&mut self, zip: &Zip<'_>, entry: &Entry, path: &str, within: &str, depth: u32) -> io::Result<()> {
        let inside = if within.is_empty() { entry.name.clone() } else { format!("{within}!{}", entry.name) };
        if depth >= self.limits.jar_depth {
            self.said.unread.push(format!("{inside} lies deeper than {} archives", self.limits.jar_depth));
            return Ok(());
        }
        let file = zip.open_entry(entry, &mut self.budget);
        let read = file.and_then(|file| self.archive(path, &inside, &file, depth + 1));
        match read {
            Ok(()) => Ok(()),
            // With nothing left to unfold, all others would fail as well.
            Err(error) if self.budget == 0 => Err(error),
            Err(error) => {
                self.said.unread.push(format!("{inside}: {error}"));
                if self.said.unread.len() > 20 { Err(error) } else { Ok(()) }
            }
        }
    }

    fn note(&mut self, zip: &Zip<'_>, entry: &Entry) -> io::Result<Vec<u8>> {
        let mut budget = NOTE_BYTES_MAX.min(self.budget);
        let before = budget;
        let note = zip.open_entry(entry, &mut budget)?;
        self.budget -= before - budget;
        if note.length() > NOTE_BYTES_MAX {
            return Err(io::Error::other("a manifest that is too large to be one"));
        }
        note.bytes(0, note.length())
    }
}

fn path_of<'a>(path: &'a str, within: &'a str) -> &'a str {
    if within.is_empty() { path } else { within.rsplit('!').next().unwrap_or(within) }
}

fn pom_properties(text: &[u8]) -> Option<Library> {
    let text = String::from_utf8_lossy(text);
    let mut library = Library::default();
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        let Some((key, value)) = line.split_once(['=', ':']) else { continue };
        let value = value.trim().to_owned();
        match key.trim() {
            "groupId" => library.group = value,
            "artifactId" => library.artifact = value,
            "version" => library.version = value,
            _ => {}
        }
    }
    library.is_whole().then_some(library)
}

/// From the manifest and the file's name: `commons-io-2.11.0.jar`.
fn described(manifest: Option<&[u8]>, file_name: &str) -> Option<Library> {
    let stem = file_name.rsplit_once('.').map_or(file_name, |(stem, _)| stem);
    let (named, version) = split_name(stem);
    let text = String::from_utf8_lossy(manifest.unwrap_or_default()).into_owned();
    let fields = main_section(&text);
    let field = |names: &[&str]| {
        let find = |name: &&str| fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        let value = names.iter().find_map(find).map(|(_, value)| value.trim());
        value.filter(|value| !value.is_empty() && !value.contains("${")).map(str::to_owned)
    };
    let symbolic = field(&["Bundle-SymbolicName"]).map(|name| name.split(';').next().unwrap_or_default().to_owned());
    let group = field(&["Implementation-Vendor-Id"])
        .filter(|group| !group.contains(' '))
        .or_else(|| symbolic.as_deref().and_then(|name| name.rsplit_once('.')).map(|(group, _)| group.to_owned()));
    let title =
        field(&["Implementation-Title", "Specification-Title", "Bundle-Name"]).filter(|title| !title.contains(' '));
    let last = symbolic.as_deref().and_then(|name| name.rsplit('.').next()).map(str::to_owned);
    let stated = field(&["Implementation-Version", "Specification-Version", "Bundle-Version"]);
    // A name with a version in it is Maven's own; one without may be anything.
    let artifact = match version {
        Some(_) => Some(named.to_owned()),
        None => title.or(last).or_else(|| Some(named.to_owned())),
    };
    let library = Library {
        group: group.unwrap_or_default(),
        artifact: artifact.unwrap_or_default(),
        version: version.map(str::to_owned).or(stated).unwrap_or_default(),
    };
    library.is_whole().then_some(library)
}

/// The attributes up to the first empty line; a line that begins with a space goes on with the one before.
fn main_section(text: &str) -> Vec<(&str, String)> {
    let mut fields: Vec<(&str, String)> = Vec::new();
    for line in text.lines().take_while(|line| !line.is_empty()) {
        if let Some(more) = line.strip_prefix(' ') {
            if let Some((_, value)) = fields.last_mut() {
                value.push_str(more);
            }
        } else if let Some((key, value)) = line.split_once(':') {
            fields.push((key, value.trim_start().to_owned()));
        }
    }
    fields
}

/// At the first `-` before a digit.
fn split_name(stem: &str) -> (&str, Option<&str>) {
    let cut = stem.match_indices('-').map(|(at, _)| at).find(|at| {
        let rest = &stem[at + 1..];
        rest.trim_start_matches(['v', 'r']).starts_with(|first: char| first.is_ascii_digit())
    });
    match cut {
        Some(at) if at > 0 => (&stem[..at], Some(&stem[at + 1..])),
        Some(_) | None => (stem, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_split_before_their_version() {
        for (stem, name, version) in [
            ("commons-io-2.11.0", "commons-io", Some("2.11.0")),
            ("log4j-1.2-api-2.17.1", "log4j", Some("1.2-api-2.17.1")),
            ("guava-r09", "guava", Some("r09")),
            ("app", "app", None),
            ("-1", "-1", None),
        ] {
            assert_eq!(split_name(stem), (name, version), "{stem}");
        }
    }
}
