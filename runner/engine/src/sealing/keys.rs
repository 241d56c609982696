//! Master keys: a file that nobody else may read, or a variable of the environment.
//!
//! A key is a line `pipe-key-1:` and 32 bytes in base64. The first key of a file seals, the others are left by a rekey
//! that is not done. A variable holds the same, keys separated by white space.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{KeyId, random};

/// Name of the file in a server's folder.
pub const KEY_FILE: &str = "key";
const PREFIX: &str = "pipe-key-1:";
const KEY_BYTES: usize = 32;
/// A file with more is none of ours.
const FILE_BYTES_MAX: u64 = 16 * 1_024;
/// Bits of a mode that let others in.
const OTHERS: u32 = 0o077;

/// One key. Its memory is overwritten when it is dropped; it cannot be printed.
pub struct MasterKey(Zeroizing<[u8; KEY_BYTES]>);

impl MasterKey {
    /// A new one.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn make() -> Result<Self, KeyError> {
        let bytes = random().map_err(|error| KeyError::Random(error.to_string()))?;
        Ok(Self::from_bytes(bytes))
    }

    /// One of these bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> KeyId {
        let mut digest = Sha256::new();
        digest.update(b"pipe key id 1");
        digest.update(*self.0);
        let digest: [u8; 32] = digest.finalize().into();
        let mut id = [0; 4];
        id.copy_from_slice(&digest[..4]);
        KeyId(id)
    }

    pub(super) fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    fn parse(word: &str) -> Option<Self> {
        let bytes = Zeroizing::new(STANDARD.decode(word.strip_prefix(PREFIX)?).ok()?);
        Some(Self::from_bytes(bytes.as_slice().try_into().ok()?))
    }

    fn line(&self) -> Zeroizing<String> {
        let text = Zeroizing::new(STANDARD.encode(*self.0));
        Zeroizing::new(format!("{PREFIX}{}\n", text.as_str()))
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MasterKey({})", self.id())
    }
}

/// Keys: one that seals, and older ones.
#[derive(Debug)]
pub struct MasterKeys(Vec<MasterKey>);

impl MasterKeys {
    /// The first one seals. `None` without any.
    #[must_use]
    pub fn of(keys: Vec<MasterKey>) -> Option<Self> {
        (!keys.is_empty()).then_some(Self(keys))
    }

    /// The key that seals.
    #[must_use]
    pub fn current(&self) -> &MasterKey {
        &self.0[0]
    }

    /// Whether there are older ones, as there are during a rekey.
    #[must_use]
    pub fn has_old(&self) -> bool {
        self.0.len() > 1
    }

    pub(super) fn find(&self, id: KeyId) -> Option<&MasterKey> {
        self.0.iter().find(|key| key.id() == id)
    }

    fn parse(text: &str) -> Option<Self> {
        let words = text.lines().filter(|line| !line.trim_start().starts_with('#')).flat_map(str::split_whitespace);
        Self::of(words.map(MasterKey::parse).collect::<Option<_>>()?)
    }
}

/// Where master keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// This file, which is made if it is missing and nothing was sealed yet.
    File(PathBuf),
    /// This text, from a variable.
    Variable(Hidden),
}

/// A text that is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(Zeroizing<String>);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// Why there are no keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// There is no file.
    #[error("find the master key {0}; put the file back: what was sealed with it opens with nothing else")]
    Missing(String),
    /// The file cannot be used.
    #[error("use the master key {path}: {reason}")]
    File {
        /// Which.
        path: String,
        /// Why.
        reason: String,
    },
    /// Others may read it.
    #[error(
        "use the master key {path}: others may read it (mode {mode:04o}); `chmod 600 {path}`, and `pipe secret rekey` if somebody did"
    )]
    Open {
        /// Which.
        path: String,
        /// Its mode.
        mode: u32,
    },
    /// It holds no keys.
    #[error("use the master key of {0}: it is no list of `pipe-key-1:…`; `pipe secret key` makes one")]
    Unreadable(String),
    /// No random bytes.
    #[error("make a master key: {0}")]
    Random(String),
    /// A key in a variable is not ours to change.
    #[error("the master key comes from PIPE_MASTER_KEY: put a new key before the old one there, then run this again")]
    InVariable,
}

impl KeySource {
    /// `PIPE_MASTER_KEY`, else the file that `PIPE_MASTER_KEY_FILE` names, else the file [`KEY_FILE`] in the folder.
    #[must_use]
    pub fn choose(variable: &dyn Fn(&str) -> Option<String>, folder: &Path) -> Self {
        if let Some(text) = variable("PIPE_MASTER_KEY") {
            return Self::Variable(Hidden(Zeroizing::new(text)));
        }
        Self::File(variable("PIPE_MASTER_KEY_FILE").map_or_else(|| folder.join(KEY_FILE), PathBuf::from))
    }

    /// The keys. With `make` a file that is missing is made with a new one.
    ///
    /// # Errors
    /// There are none, or others may read them.
    pub fn read(&self, make: bool) -> Result<MasterKeys, KeyError> {
        let path = match self {
            Self::Variable(text) => {
                return MasterKeys::parse(&text.0).ok_or_else(|| KeyError::Unreadable("PIPE_MASTER_KEY".to_owned()));
            }
            Self::File(path) => path,
        };
        let failed =
            |error: std::io::Error| KeyError::File { path: path.display().to_string(), reason: error.to_string() };
        match open(path) {
            Ok(mut file) => {
                let facts = file.metadata().map_err(failed)?;
                if !facts.is_file() {
                    return Err(failed(std::io::Error::other("it is no file")));
                }
                let mode = facts.mode() & 0o7777;
                if mode & OTHERS != 0 {
                    return Err(KeyError::Open { path: path.display().to_string(), mode });
                }
                let mut text = Zeroizing::new(String::new());
                (&mut file).take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
                MasterKeys::parse(&text).ok_or_else(|| KeyError::Unreadable(path.display().to_string()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && make => {
                let keys = MasterKeys(vec![MasterKey::make()?]);
                self.write(&keys)?;
                Ok(keys)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(KeyError::Missing(path.display().to_string()))
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// The keys for a rekey: a new one first, then those that are there; the unfinished ones if a rekey was cut off.
    ///
    /// # Errors
    /// They cannot be read or written.
    pub fn begin_rekey(&self) -> Result<MasterKeys, KeyError> {
        let mut keys = self.read(false)?;
        if keys.has_old() {
            return Ok(keys);
        }
        if matches!(self, Self::Variable(_)) {
            return Err(KeyError::InVariable);
        }
        keys.0.insert(0, MasterKey::make()?);
        self.write(&keys)?;
        Ok(keys)
    }

    /// Forgets the old keys, once nothing is sealed with them any more. True if the user has to, in the variable.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn end_rekey(&self) -> Result<bool, KeyError> {
        if matches!(self, Self::Variable(_)) {
            return Ok(true);
        }
        let mut keys = self.read(false)?;
        keys.0.truncate(1);
        self.write(&keys)?;
        Ok(false)
    }

    /// Replaces the file, all or nothing, on disk when it returns.
    fn write(&self, keys: &MasterKeys) -> Result<(), KeyError> {
        let Self::File(path) = self else { return Err(KeyError::InVariable) };
        let failed =
            |error: std::io::Error| KeyError::File { path: path.display().to_string(), reason: error.to_string() };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(failed)?;
        let mut unfinished = tempfile::Builder::new()
            .prefix(".key-")
            .permissions(std::fs::Permissions::from_mode(0o600))
            .tempfile_in(folder)
            .map_err(failed)?;
        let lines = keys.0.iter().map(MasterKey::line);
        lines.into_iter().try_for_each(|line| unfinished.write_all(line.as_bytes())).map_err(failed)?;
        unfinished.as_file().sync_all().map_err(failed)?;
        unfinished.persist(path).map_err(|error| failed(error.error))?;
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
    }
}

/// Not through a link: whoever made it may not be who owns the key.
fn open(path: &Path) -> std::io::Result<File> {
    File::options().read(true).custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t09_a_file_is_made_once_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let source = KeySource::choose(&|_| None, folder.path());
        assert!(matches!(source.read(false), Err(KeyError::Missing(_))));
        let made = source.read(true).unwrap().current().id();
        assert_eq!(source.read(true).unwrap().current().id(), made);
        let path = folder.path().join(KEY_FILE);
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        for mode in [0o644, 0o640, 0o604, 0o666, 0o620] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert!(matches!(source.read(true), Err(KeyError::Open { mode: found, .. }) if found == mode), "{mode:o}");
        }
    }

    #[test]
    fn t09_what_is_no_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let source = KeySource::choose(&|_| None, folder.path());
        let path = folder.path().join(KEY_FILE);
        let good = MasterKey::from_bytes([7; 32]).line();
        for text in ["", "\n", "hunter22", "pipe-key-1:", "pipe-key-1:AAAA", "pipe-key-2:AAAA", &good[1..]] {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            let error = source.read(true).unwrap_err();
            assert!(matches!(error, KeyError::Unreadable(_)), "{text}: {error}");
            assert!(text.len() < 5 || !error.to_string().contains(text) || text.starts_with("pipe-key-1:"), "{error}");
        }
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/null", &path).unwrap();
        assert!(matches!(source.read(true), Err(KeyError::File { .. })));
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(source.read(true).is_err());
    }

    #[test]
    fn a_rekey_that_was_cut_off_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let source = KeySource::choose(&|_| None, folder.path());
        let old = source.read(true).unwrap().current().id();
        let first = source.begin_rekey().unwrap();
        let again = source.begin_rekey().unwrap();
        assert_eq!(first.current().id(), again.current().id());
        assert!(first.current().id() != old && again.find(old).is_some());
        assert!(!source.end_rekey().unwrap());
        let left = source.read(false).unwrap();
        assert!(left.current().id() == first.current().id() && left.find(old).is_none() && !left.has_old());
    }

    #[test]
    fn a_variable_comes_first_and_is_not_shown() {
        let line = MasterKey::from_bytes([7; 32]).line().trim().to_owned();
        let both = format!("{line} {}", MasterKey::from_bytes([8; 32]).line().trim());
        let source = KeySource::choose(&|name| (name == "PIPE_MASTER_KEY").then(|| line.clone()), Path::new("/none"));
        assert_eq!(source.read(true).unwrap().current().id(), MasterKey::from_bytes([7; 32]).id());
        assert!(!format!("{source:?}").contains(&line));
        assert_eq!(source.begin_rekey().unwrap_err(), KeyError::InVariable);
        let source = KeySource::choose(&|name| (name == "PIPE_MASTER_KEY").then(|| both.clone()), Path::new("/none"));
        assert!(source.begin_rekey().unwrap().has_old() && source.end_rekey().unwrap());
        let file = KeySource::choose(&|name| (name == "PIPE_MASTER_KEY_FILE").then(|| "/k".into()), Path::new("/none"));
        assert_eq!(file, KeySource::File("/k".into()));
    }
}
