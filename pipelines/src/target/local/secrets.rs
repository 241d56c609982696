//! Variables whose values nobody may read: in memory while a step knows them, in the engine's containers, nowhere else.
//!
//! A plan has their names and a digest under a key of this installation (a plain digest of a short value could be guessed). So a
//! plan changes with a value, and a process that was started in between can tell whether a container that is there has the same ones.

use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

/// Bytes of the key.
const KEY_BYTES: usize = 32;
/// Of an installation's folder.
const KEY_FILE: &str = "deploy.key";
/// Hexadecimal digits of a digest.
const DIGEST_DIGITS: usize = 32;

/// Values by their digest, for as long as a step holds them.
#[derive(Default)]
pub(super) struct Given(Mutex<HashMap<String, (usize, Values)>>);

type Values = Arc<BTreeMap<String, String>>;

impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Given").finish_non_exhaustive()
    }
}

impl Given {
    pub(super) fn get(&self, digest: &str) -> Option<Values> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(digest).map(|(_, values)| Arc::clone(values))
    }

    pub(super) fn hold(self: &Arc<Self>, digest: &str, values: BTreeMap<String, String>) -> Held {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(digest.to_owned()).or_insert_with(|| (0, Arc::new(values))).0 += 1;
        Held { given: Arc::clone(self), digest: digest.to_owned() }
    }
}

/// The target knows the values until this is dropped.
#[derive(Debug)]
pub struct Held {
    given: Arc<Given>,
    digest: String,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut all = self.given.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((holders, _)) = all.get_mut(&self.digest) {
            *holders -= 1;
            if *holders == 0 {
                all.remove(&self.digest);
            }
        }
    }
}

/// What a plan has in place of the values; empty without any.
pub(super) fn digest(folder: &Path, values: &BTreeMap<String, String>) -> std::io::Result<String> {
    if values.is_empty() {
        return Ok(String::new());
    }
    let key = key(folder)?;
    let mut digest = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes keys of any length");
    for part in values.iter().flat_map(|(name, value)| [name, value]) {
        digest.update(&(part.len() as u64).to_be_bytes());
        digest.update(part.as_bytes());
    }
    let hex = digest.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    Ok(hex.chars().take(DIGEST_DIGITS).collect())
}

/// The installation's key, made once.
fn key(folder: &Path) -> std::io::Result<Vec<u8>> {
    let path = folder.join(KEY_FILE);
    if let Ok(key) = std::fs::read(&path)
        && key.len() == KEY_BYTES
    {
        return Ok(key);
    }
    std::fs::create_dir_all(folder)?;
    let mut key = [0; KEY_BYTES];
    std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut key)?;
    // Whole or not at all, and whoever is first has made it.
    let scratch = tempfile::Builder::new()
        .make_in(folder, |path| std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path))?;
    let mut file = scratch.as_file();
    file.write_all(&key)?;
    file.sync_all()?;
    match scratch.persist_noclobber(&path) {
        Ok(_) => Ok(key.to_vec()),
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => std::fs::read(&path),
        Err(error) => Err(error.error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(list: &[(&str, &str)]) -> BTreeMap<String, String> {
        list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn digests() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let of = |folder: &Path, list: &[(&str, &str)]| digest(folder, &values(list)).unwrap();
        assert_eq!(of(here.path(), &[]), "");
        let one = of(here.path(), &[("A", "b")]);
        assert_eq!((one.len(), &one), (DIGEST_DIGITS, &of(here.path(), &[("A", "b")])));
        assert_ne!(one, of(here.path(), &[("A", "c")]));
        assert_ne!(of(here.path(), &[("A", "bc"), ("D", "e")]), of(here.path(), &[("A", "b"), ("CD", "e")]));
        assert_ne!(one, of(there.path(), &[("A", "b")]), "another installation's key");
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(here.path().join(KEY_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn values_are_known_while_held() {
        let given = Arc::new(Given::default());
        let first = given.hold("d", values(&[("A", "b")]));
        let second = given.hold("d", values(&[("A", "b")]));
        drop(first);
        assert_eq!(given.get("d").unwrap()["A"], "b");
        assert!(!format!("{given:?} {second:?}").contains('b'.to_string().repeat(2).as_str()));
        drop(second);
        assert_eq!(given.get("d"), None);
    }
}
