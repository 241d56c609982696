//! Secrets of a run: which of them a job gets, and hiding them in everything that leaves it.
//!
//! A job gets the secrets that its expressions name, and all of them only where an expression takes the whole context
//! (`toJSON(secrets)`). A called workflow gets what its caller passes.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use workflow::expression::{Object, Value};
use workflow::mask::{Masker, TooShort};
use workflow::model::{JobKind, Secrets};
use workflow::secret::Secret;
use workflow::template::evaluate;

use super::JobOrder;
use super::context::SecretsScope;
use super::named::NamedSecrets;

/// The secrets that a run was given, by name. Names are compared without case, as GitHub does.
#[derive(Default)]
pub struct SecretStore {
    values: BTreeMap<String, Secret>,
}

impl std::fmt::Debug for SecretStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.values.keys()).finish()
    }
}

/// Gives what jobs have in their environments.
#[async_trait::async_trait]
pub trait EnvironmentSecrets: Send + Sync + std::fmt::Debug {
    /// All secrets that a job may have there, those of its repository among them, and all variables.
    ///
    /// # Errors
    /// A sentence; the job fails with it.
    async fn secrets(
        &self,
        order: &JobOrder,
        environment: &str,
    ) -> Result<(SecretStore, indexmap::IndexMap<String, String>), String>;
}

impl SecretStore {
    /// Adds one; a later one of the same name wins.
    pub fn add(&mut self, name: &str, value: Secret) {
        self.values.insert(name.to_uppercase(), value);
    }

    /// Names in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Secret> {
        self.values.get(&name.to_uppercase())
    }

    /// The `secrets` context of a job: what it names and its callers let through.
    ///
    /// # Errors
    /// An expression below `secrets:` of a caller failed.
    pub fn context(&self, order: &JobOrder) -> Result<Value, String> {
        let mut current: Object =
            self.values.iter().map(|(name, value)| (Arc::from(name.as_str()), text(value.expose()))).collect();
        for caller in &order.callers {
            let JobKind::Call(call) = &caller.job.kind else { continue };
            current = match &call.secrets {
                Secrets::Inherit => current,
                Secrets::None => without_all_but_token(&current),
                Secrets::Mapping(token) => {
                    let scope =
                        SecretsScope { contexts: &caller.contexts, secrets: Value::Object(Arc::new(current.clone())) };
                    let value = evaluate(token, &scope).map_err(|error| format!("`secrets`: {}", error.message))?;
                    let mut passed = without_all_but_token(&current);
                    for (name, value) in value.as_object().into_iter().flat_map(Object::iter) {
                        passed.insert(name.clone(), text(&value.to_display_string()));
                    }
                    passed
                }
            };
        }
        let wanted = NamedSecrets::of(order);
        if !wanted.all {
            current =
                current.iter().filter(|(name, _)| wanted.has(name)).map(|(k, v)| (k.clone(), v.clone())).collect();
        }
        Ok(Value::Object(Arc::new(current)))
    }
}

fn text(value: &str) -> Value {
    Value::String(Arc::from(value))
}

/// The token reaches called workflows even where no secrets are passed, as on GitHub.
fn without_all_but_token(all: &Object) -> Object {
    all.iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("GITHUB_TOKEN"))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// The masker of a run. Adding a value reaches every stream that is open.
#[derive(Debug, Default)]
pub struct SharedMasker {
    masker: RwLock<Masker>,
    generation: AtomicU64,
    /// Where values that steps named are kept for a process that takes the run up.
    found: Option<Mutex<File>>,
    /// Those of this process.
    named: Mutex<Vec<String>>,
}

impl SharedMasker {
    /// Hides a value from now on.
    ///
    /// # Errors
    /// [`TooShort`]: hiding it would hide half of the log.
    pub fn add(&self, value: &str) -> Result<(), TooShort> {
        self.change(|masker| masker.add(value))
    }

    /// Keeps what [`Self::add_found`] hides in a file that only this user may read, and hides what is in it already. It
    /// goes with the run's other files.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn keep_found(&mut self, path: &Path) -> io::Result<()> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        for line in text.split(|byte| *byte == b'\n') {
            // The last line may be torn; what it named had not been shown.
            if let Ok(value) = serde_json::from_slice::<String>(line) {
                let _too_short = self.add(&value);
            }
        }
        if text.last().is_some_and(|last| *last != b'\n') {
            file.write_all(b"\n")?;
        }
        self.found = Some(Mutex::new(file));
        Ok(())
    }

    /// Hides a value that a step named.
    ///
    /// # Errors
    /// See [`Self::add`].
    pub fn add_found(&self, value: &str) -> Result<(), TooShort> {
        self.keep(value);
        self.add(value)?;
        self.named.lock().unwrap_or_else(PoisonError::into_inner).push(value.to_owned());
        Ok(())
    }

    /// Hides a token that was issued here, see [`Masker::add_signed`]; also in a process that takes the run up.
    ///
    /// # Errors
    /// See [`Self::add`].
    pub fn add_signed(&self, token: &str) -> Result<(), TooShort> {
        self.keep(token);
        self.change(|masker| masker.add_signed(token))?;
        self.named.lock().unwrap_or_else(PoisonError::into_inner).push(token.to_owned());
        Ok(())
    }

    /// Writes a value down for a process that takes the run up.
    fn keep(&self, value: &str) {
        if let (Some(file), Ok(mut line)) = (&self.found, serde_json::to_vec(value)) {
            line.push(b'\n');
            if let Err(error) = file.lock().unwrap_or_else(PoisonError::into_inner).write_all(&line) {
                tracing::warn!(%error, "should this process be killed, a value that a step hid is shown by the next");
            }
        }
    }

    fn change(&self, change: impl FnOnce(&mut Masker) -> Result<(), TooShort>) -> Result<(), TooShort> {
        change(&mut self.masker.write().unwrap_or_else(PoisonError::into_inner))?;
        self.generation.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Values that steps of this process named.
    pub(crate) fn found(&self) -> Vec<String> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The masker as it is now, and a number that changes with it.
    #[must_use]
    pub fn current(&self) -> (Masker, u64) {
        let masker = self.masker.read().unwrap_or_else(PoisonError::into_inner);
        (masker.clone(), self.generation())
    }

    /// Changes whenever a value was added.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Hides secrets in a text where it stands.
    pub fn hide(&self, text: &mut String) {
        let masker = self.masker.read().unwrap_or_else(PoisonError::into_inner);
        if let std::borrow::Cow::Owned(hidden) = masker.mask_str(text) {
            *text = hidden;
        }
    }

    /// A text without secrets.
    #[must_use]
    pub fn mask(&self, text: &str) -> String {
        self.current().0.mask_str(text).into_owned()
    }
}
