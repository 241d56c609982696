//! What layers said, kept by their digest, so that a layer is read once.
//!
//! A digest is what an archive claims: only compressed layers are held against it. So what came from the daemon and what came
//! from files lies apart, and a folder of a cache is as trustworthy as the archives that are scanned into it. Builds that
//! are not trusted need one of their own. A file that is damaged is as good as none.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::facts::{Facts, Found, PathDigest};
use crate::files::Looked;

/// Changes with what is read and how it is kept.
const FORM: &[u8; 16] = b"pipe inventory 2";
const FILE_BYTES_MAX: u64 = 1 << 30;
/// Changes with the rules for secrets, and with which files they are held against.
const LOOK_FORM: &str = concat!("pipe secrets 1, ", env!("CARGO_PKG_VERSION"));

/// Where a layer came from, as far as it matters for trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The daemon checked what it unpacked.
    Daemon,
    File,
}

#[derive(Debug)]
pub(crate) struct Cache<'a> {
    folder: Option<&'a Path>,
    origin: Origin,
}

#[derive(Serialize, Deserialize)]
struct Head {
    found: Vec<Found>,
    /// How many of the digests are owned by each of `found`.
    owned: Vec<usize>,
    covered: usize,
    directories: usize,
    opaque: usize,
}

impl<'a> Cache<'a> {
    pub(crate) fn new(folder: Option<&'a Path>, origin: Origin) -> Self {
        Self { folder, origin }
    }

    fn path(&self, diff_id: &str, ending: &str) -> Option<PathBuf> {
        let hex = diff_id.strip_prefix("sha256:")?;
        if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let origin = match self.origin {
            Origin::Daemon => "daemon",
            Origin::File => "file",
        };
        Some(self.folder?.join(format!("{origin}-{hex}.{ending}")))
    }

    pub(crate) fn get(&self, diff_id: &str) -> Option<Facts> {
        let path = self.path(diff_id, "facts")?;
        if fs::metadata(&path).ok()?.len() > FILE_BYTES_MAX {
            return None;
        }
        from_bytes(&fs::read(path).ok()?)
    }

    /// Keeps what was read without a fault. That it cannot be kept costs time and nothing else.
    pub(crate) fn put(&self, diff_id: &str, facts: &Facts) {
        if !facts.unread.is_empty() {
            return;
        }
        if let Some(bytes) = to_bytes(facts) {
            self.write(self.path(diff_id, "facts"), &bytes);
        }
    }

    /// What scanners of files said of a layer.
    pub(crate) fn looked(&self, diff_id: &str) -> Option<Looked> {
        let path = self.path(diff_id, "looked")?;
        if fs::metadata(&path).ok()?.len() > FILE_BYTES_MAX {
            return None;
        }
        let kept: KeptLook = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        (kept.form == LOOK_FORM).then_some(kept.looked)
    }

    /// Keeps it, where nothing is in doubt. Findings of secrets do not hold them.
    pub(crate) fn put_looked(&self, diff_id: &str, looked: &Looked) {
        if !looked.doubts.is_empty() {
            return;
        }
        let kept = KeptLook { form: LOOK_FORM.to_owned(), looked: looked.clone() };
        if let Ok(bytes) = serde_json::to_vec(&kept) {
            self.write(self.path(diff_id, "looked"), &bytes);
        }
    }

    fn write(&self, path: Option<PathBuf>, bytes: &[u8]) {
        let Some((path, folder)) = path.as_deref().and_then(|path| Some((path, path.parent()?))) else { return };
        let written = fs::create_dir_all(folder).and_then(|()| {
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(bytes)?;
            file.persist(path).map_err(|error| error.error)
        });
        if let Err(error) = written {
            tracing::warn!(path = %path.display(), %error, "what a layer holds was not kept");
        }
    }
}

/// The form of what scanners of files said.
#[derive(Serialize, Deserialize)]
struct KeptLook {
    form: String,
    looked: Looked,
}

fn to_bytes(facts: &Facts) -> Option<Vec<u8>> {
    let head = Head {
        found: facts.found.clone(),
        owned: facts.found.iter().map(|found| found.said.owned.len()).collect(),
        covered: facts.covered.len(),
        directories: facts.directories.len(),
        opaque: facts.opaque.len(),
    };
    let json = serde_json::to_vec(&head).ok()?;
    let mut bytes = FORM.to_vec();
    bytes.extend((json.len() as u64).to_le_bytes());
    bytes.extend(json);
    let owned = facts.found.iter().flat_map(|found| &found.said.owned);
    for digest in owned.chain(&facts.covered).chain(&facts.directories).chain(&facts.opaque) {
        bytes.extend(digest.to_le_bytes());
    }
    let sum = sum(&bytes);
    bytes.extend(sum.to_le_bytes());
    Some(bytes)
}

fn from_bytes(bytes: &[u8]) -> Option<Facts> {
    let (content, stated) = bytes.split_last_chunk::<8>()?;
    if sum(content) != u64::from_le_bytes(*stated) {
        return None;
    }
    let rest = content.strip_prefix(FORM)?;
    let (length, rest) = rest.split_first_chunk::<8>()?;
    let (json, digests) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    let mut head: Head = serde_json::from_slice(json).ok()?;
    let mut digests = digests.chunks_exact(8).map_while(|digest| digest.first_chunk().copied().map(u64::from_le_bytes));
    let mut take = |count: usize| -> Vec<u64> { digests.by_ref().take(count).collect() };
    for (found, count) in head.found.iter_mut().zip(&head.owned) {
        found.said.owned = take(*count);
    }
    let facts = Facts {
        covered: take(head.covered),
        directories: take(head.directories),
        opaque: take(head.opaque),
        found: head.found,
        unread: Vec::new(),
    };
    (facts.opaque.len() == head.opaque && facts.covered.len() == head.covered).then_some(facts)
}

/// Against damage, not against anybody. Eight bytes at a time.
fn sum(bytes: &[u8]) -> u64 {
    let words = bytes.chunks(8).map(|chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(word)
    });
    words.fold(PathDigest::of(b"sum"), |sum, word| (sum ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::facts::{Said, Stated};
    use crate::package::Ecosystem;

    #[test]
    fn what_is_kept_comes_back_and_damage_is_seen() {
        let mut said = Said::packages(vec![Stated::new(Ecosystem::Debian, "libc6", "2.36-9")]);
        said.owned = vec![1, 2];
        let found = vec![Found { path: "var/lib/dpkg/status".to_owned(), said }];
        let facts = Facts { found, covered: vec![3, 4, 5], directories: vec![6], opaque: vec![7], unread: Vec::new() };
        let bytes = to_bytes(&facts).unwrap();
        assert_eq!(from_bytes(&bytes).unwrap(), facts);
        for place in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[place] ^= 1;
            assert!(from_bytes(&damaged).is_none(), "a change at {place} was not seen");
            assert!(from_bytes(&bytes[..place]).is_none(), "a cut at {place} was not seen");
        }
    }

    #[test]
    fn names_of_layers_cannot_lead_elsewhere() {
        let cache = Cache::new(Some(Path::new("/cache")), Origin::File);
        assert!(cache.path("sha256:../../etc/passwd", "facts").is_none());
        assert!(cache.path("md5:00", "facts").is_none());
        assert!(cache.path(&format!("sha256:{}", "0a".repeat(32)), "facts").is_some());
    }
}
