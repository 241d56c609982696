//! The files of an image archive or layout, by name, without unpacking.

use std::collections::HashMap;
use std::io::{self, BufReader, Read};

use super::input::Jumping;
use super::tar::{Entries, Kind, is_tar};
use super::walk::{Content, clean};
use super::{Held, Limits, Random, SourceError};

/// Manifests and configurations; those of real images have some KiB.
const JSON_BYTES_MAX: u64 = 16 << 20;
/// Files of an archive: some for each layer.
const ARCHIVE_FILES_MAX: usize = 100_000;
/// Links from one name of a layer to the next.
const LINKS_MAX: usize = 8;

/// Where the files are.
#[derive(Debug)]
pub(crate) enum Store {
    Archive { what: String, files: HashMap<String, Stored> },
    Folder(Held),
}

#[derive(Debug)]
pub(crate) enum Stored {
    File(Random),
    /// `docker save` before version 25 writes layers that are used twice as links.
    Link(String),
}

impl Store {
    /// Finds out what is where in an archive. A compressed one is unfolded into a temporary file.
    pub(crate) fn archive(file: &Held, limits: &Limits) -> Result<Self, SourceError> {
        let what = file.what().to_owned();
        let at = |cause| SourceError::from_io(&what, cause);
        let file = file.random().map_err(|error| SourceError::not_an_image(&what, error))?;
        let archive = unfold(&file, limits).map_err(at)?;
        let mut head = vec![0; 512];
        let length = archive.read_at(0, &mut head).map_err(at)?;
        if !is_tar(&head[..length]) {
            return Err(SourceError::not_an_image(&what, "it is not a tar"));
        }
        let mut files = HashMap::new();
        let mut entries = Entries::new(Jumping::new(archive));
        loop {
            let broken = |cause: io::Error| SourceError::not_an_image(&what, explain(&cause));
            let Some(header) = entries.next().map_err(broken)? else { break };
            let Some(path) = clean(&header.path) else { continue };
            let stored = match header.kind {
                Kind::File => Stored::File(entries.random().map_err(broken)?),
                Kind::Symlink(target) => match beside(&path, &target) {
                    Some(target) => Stored::Link(target),
                    None => continue,
                },
                Kind::HardLink(target) => Stored::Link(clean(&target).unwrap_or_default()),
                Kind::Directory | Kind::Sparse | Kind::Other => continue,
            };
            files.insert(path, stored);
            if files.len() > ARCHIVE_FILES_MAX {
                return Err(SourceError::not_an_image(&what, "it has too many files; `docker export` makes no image"));
            }
        }
        Ok(Self::Archive { what, files })
    }

    pub(crate) fn folder(folder: Held) -> Result<Self, SourceError> {
        if !folder.is_folder() {
            return Err(SourceError::not_an_image(folder.what(), "it is no folder"));
        }
        Ok(Self::Folder(folder))
    }

    pub(crate) fn what(&self) -> &str {
        match self {
            Self::Archive { what, .. } => what,
            Self::Folder(folder) => folder.what(),
        }
    }

    /// A file of it; none when there is none of that name.
    pub(crate) fn file(&self, name: &str) -> Result<Option<Random>, SourceError> {
        let Some(mut name) = clean(name) else {
            return Err(SourceError::not_an_image(self.what(), format!("it names {name}, which leads out of it")));
        };
        match self {
            Self::Archive { files, .. } => {
                for _ in 0..LINKS_MAX {
                    match files.get(&name) {
                        Some(Stored::File(random)) => return Ok(Some(random.clone())),
                        Some(Stored::Link(target)) => name.clone_from(target),
                        None => return Ok(None),
                    }
                }
                Err(SourceError::not_an_image(self.what(), format!("{name} is a link that leads nowhere")))
            }
            // A layout's own files are files: a link could name any file of this machine.
            Self::Folder(folder) => match folder.file(&name) {
                Ok(random) => Ok(Some(random)),
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(cause) => Err(SourceError::from_io(format!("{}/{name}", folder.what()), cause)),
            },
        }
    }

    /// A file that has to be there and small: a manifest.
    pub(crate) fn json(&self, name: &str) -> Result<Vec<u8>, SourceError> {
        let Some(random) = self.file(name)? else {
            return Err(SourceError::not_an_image(self.what(), format!("it has no {name}")));
        };
        if random.length() > JSON_BYTES_MAX {
            return Err(SourceError::not_an_image(self.what(), format!("{name} is too large to be what it says")));
        }
        random.bytes(0, random.length()).map_err(|cause| SourceError::from_io(self.what(), cause))
    }
}

/// An archive as it is, or unfolded where it is compressed as a whole.
fn unfold(file: &Random, limits: &Limits) -> io::Result<Random> {
    let mut head = [0; 4];
    let length = file.read_at(0, &mut head)?;
    let reader = || BufReader::with_capacity(1 << 17, file.reader());
    let mut unfolded: Box<dyn Read> = match &head[..length] {
        [0x1f, 0x8b, ..] => Box::new(flate2::read::MultiGzDecoder::new(reader())),
        [0x28, 0xb5, 0x2f, 0xfd] => Box::new(zstd::stream::read::Decoder::with_buffer(reader())?),
        _ => return Ok(file.clone()),
    };
    let mut plain = tempfile::tempfile()?;
    let copied = io::copy(&mut (&mut unfolded).take(limits.layer_bytes), &mut plain)?;
    if copied == limits.layer_bytes {
        return Err(io::Error::other("it unfolds to more than is allowed"));
    }
    Random::whole(plain)
}

/// Where a relative link beside `path` leads, within the archive.
fn beside(path: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// A fault of reading in words for people.
pub(crate) fn explain(cause: &io::Error) -> String {
    if cause.kind() == io::ErrorKind::UnexpectedEof {
        return "it ends in the middle of something: it was cut off".to_owned();
    }
    cause.to_string()
}
