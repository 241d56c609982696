//! The header of an rpm package: an index of tags and their data, both big-endian.
//! <https://rpm-software-management.github.io/rpm/manual/format_header.html>.

use super::facts::{PathDigest, Said, Stated};
use crate::package::{Ecosystem, SourcePackage};

/// Of one package; the largest real ones (kernels, with their files) have some MiB.
pub(crate) const HEADER_BYTES_MAX: usize = 64 << 20;

const NAME: u32 = 1000;
const VERSION: u32 = 1001;
const RELEASE: u32 = 1002;
const EPOCH: u32 = 1003;
const VENDOR: u32 = 1011;
const LICENCE: u32 = 1014;
const ARCHITECTURE: u32 = 1022;
const SOURCE_RPM: u32 = 1044;
const DIRECTORY_INDEXES: u32 = 1116;
const BASE_NAMES: u32 = 1117;
const DIRECTORY_NAMES: u32 = 1118;

/// Who makes distributions. What others package has no advisories there, so what is in it is told by itself.
const DISTRIBUTORS: [&str; 14] = [
    "AlmaLinux",
    "Amazon",
    "CentOS",
    "CloudLinux",
    "EulerOS",
    "Fedora",
    "Microsoft",
    "openEuler",
    "openSUSE",
    "Oracle",
    "Red Hat",
    "Rocky",
    "SUSE",
    "VMware",
];

/// Takes the package out of its header, and the paths that it owns.
pub(crate) fn package(header: &[u8], said: &mut Said) -> Result<(), &'static str> {
    let header = Header::open(header)?;
    let (Some(name), Some(version), Some(release)) = (header.text(NAME), header.text(VERSION), header.text(RELEASE))
    else {
        return Err("it has no name, version or release");
    };
    // Keys that were imported stand among the packages.
    if name == "gpg-pubkey" {
        return Ok(());
    }
    let epoch = header.number(EPOCH, 0).filter(|epoch| *epoch > 0);
    let full = epoch.map_or_else(|| format!("{version}-{release}"), |epoch| format!("{epoch}:{version}-{release}"));
    let mut package = Stated::new(Ecosystem::Rpm, name, full);
    package.architecture = header.text(ARCHITECTURE).unwrap_or_default();
    package.licences = header.text(LICENCE).into_iter().collect();
    package.source = header.text(SOURCE_RPM).and_then(|file| source(&file, epoch));
    said.packages.push(package);
    let vendor = header.text(VENDOR).unwrap_or_default();
    if !DISTRIBUTORS.iter().any(|name| vendor.starts_with(name)) {
        return Ok(());
    }
    let folders = header.texts(DIRECTORY_NAMES);
    for (number, file) in header.texts(BASE_NAMES).into_iter().enumerate() {
        let index = header.number(DIRECTORY_INDEXES, number).and_then(|index| usize::try_from(index).ok());
        if let Some(folder) = index.and_then(|index| folders.get(index)) {
            let folder = folder.strip_prefix(b"/").unwrap_or(folder);
            said.owned.push(PathDigest::of(&[folder, file].concat()));
        }
    }
    Ok(())
}

/// `zlib-1.2.11-40.el9.src.rpm`. The epoch is not in the name; it is the package's in all but odd cases.
fn source(file: &str, epoch: Option<u32>) -> Option<SourcePackage> {
    let stem = file.strip_suffix(".src.rpm").or_else(|| file.strip_suffix(".nosrc.rpm"))?;
    let (rest, release) = stem.rsplit_once('-')?;
    let (name, version) = rest.rsplit_once('-')?;
    let epoch = epoch.map(|epoch| format!("{epoch}:")).unwrap_or_default();
    Some(SourcePackage { name: name.to_owned(), version: format!("{epoch}{version}-{release}") })
}

/// A header whose index lies within it; what its entries point at is checked when it is asked for.
struct Header<'a> {
    index: &'a [u8],
    data: &'a [u8],
}

impl<'a> Header<'a> {
    fn open(bytes: &'a [u8]) -> Result<Self, &'static str> {
        if bytes.len() < 8 || bytes.len() > HEADER_BYTES_MAX {
            return Err("its header is too short or too long");
        }
        let entries = usize::try_from(word(bytes, 0).unwrap_or(0)).map_err(|_| "its header is broken")?;
        let length = usize::try_from(word(bytes, 4).unwrap_or(0)).map_err(|_| "its header is broken")?;
        let start = entries.checked_mul(16).and_then(|bytes| bytes.checked_add(8)).ok_or("its header is broken")?;
        let end = start.checked_add(length).ok_or("its header is broken")?;
        let index = bytes.get(8..start).ok_or("its header is cut off")?;
        let data = bytes.get(start..end).ok_or("its header is cut off")?;
        Ok(Self { index, data })
    }

    /// Kind, count and data of a tag.
    fn find(&self, tag: u32) -> Option<(u32, usize, &'a [u8])> {
        let entry = self.index.chunks_exact(16).find(|entry| word(entry, 0) == Some(tag))?;
        let offset = usize::try_from(word(entry, 8)?).ok()?;
        Some((word(entry, 4)?, usize::try_from(word(entry, 12)?).ok()?, self.data.get(offset..)?))
    }

    fn texts(&self, tag: u32) -> Vec<&'a [u8]> {
        // Text, several texts, translated texts.
        match self.find(tag) {
            Some((6 | 8 | 9, count, data)) => data.split(|byte| *byte == 0).take(count.min(data.len())).collect(),
            Some(_) | None => Vec::new(),
        }
    }

    fn text(&self, tag: u32) -> Option<String> {
        let text = String::from_utf8_lossy(self.texts(tag).first()?).into_owned();
        (!text.is_empty() && text != "(none)").then_some(text)
    }

    fn number(&self, tag: u32, at: usize) -> Option<u32> {
        match self.find(tag) {
            Some((4, count, data)) if at < count => word(data, at.checked_mul(4)?),
            Some(_) | None => None,
        }
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk::<4>()?))
}
