//! A server's data folder as `pipe repo` uses it: the database alone, the key, the mirrors.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::mirror::{MirrorOptions, Mirrors};
use engine::registration::{Registrar, StoredCredentials};
use engine::sealing::{KeySource, Vault};
use engine::store::audit::{Actor, Audit};
use engine::store::repositories::{Repositories, Repository};
use engine::store::{Database, Options, StoreError};
use workflow::event::Forge;

use crate::exit::{Exit, Failure};
use crate::terminal;

/// The parts of a data folder.
pub struct Store {
    database: Database,
    folder: PathBuf,
    pub registrar: Registrar,
}

impl Store {
    /// Opens the folder, which is made if it is not there.
    pub async fn open(folder: &Path) -> Result<Self, Failure> {
        use std::os::unix::fs::DirBuilderExt as _;
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o711)
            .create(folder)
            .map_err(|error| Failure::environment(format!("cannot use `{}`: {error}", folder.display())))?;
        let database = Database::open(&folder.join("pipe.db"), Options::SERVER).map_err(|error| {
            let in_use = matches!(error, StoreError::InUse { .. });
            let help =
                in_use.then(|| "a server runs on this folder: stop it first, and start it again after".to_owned());
            Failure::environment(error.to_string()).maybe_help(help)
        })?;
        let keys = KeySource::choose(&terminal::variable, folder).read(true);
        let keys = keys.map_err(|error| Failure::environment(error.to_string()))?;
        let sealer = Arc::new(Vault::new(keys));
        let audit = Audit::open(database.clone(), &*sealer).await;
        let audit = audit.map_err(|error| Failure::environment(error.to_string()))?;
        let repositories = Repositories::on(database.clone());
        Ok(Self { database, folder: folder.to_path_buf(), registrar: Registrar { repositories, sealer, audit } })
    }

    /// The mirrors beside the database.
    pub fn mirrors(&self) -> Result<Mirrors, Failure> {
        let Registrar { repositories, sealer, .. } = self.registrar.clone();
        let credentials = Arc::new(StoredCredentials { repositories, sealer });
        Mirrors::open(&self.folder.join("mirrors"), MirrorOptions::default(), credentials)
            .map_err(|error| Failure::environment(error.to_string()))
    }

    /// All repositories.
    pub async fn all(&self) -> Result<Vec<Repository>, Failure> {
        self.registrar.repositories.all().await.map_err(|error| Failure::environment(error.to_string()))
    }

    /// The one of this name.
    pub async fn one(&self, name: &str, forge: Option<Forge>) -> Result<Repository, Failure> {
        let all = self.all().await?;
        let same = |one: &&Repository| {
            one.full_name.eq_ignore_ascii_case(name) && forge.is_none_or(|forge| one.forge == forge)
        };
        let found: Vec<&Repository> = all.iter().filter(same).collect();
        match found.as_slice() {
            [one] => Ok((*one).clone()),
            [] => {
                let names = all.iter().map(|one| one.full_name.as_str());
                let near = workflow::diagnostic::suggest(name, names).map(|near| format!("did you mean `{near}`?"));
                Err(Failure::new(Exit::Nothing, format!("`{name}` is not registered")).maybe_help(near))
            }
            several => {
                let forges: Vec<_> = several.iter().map(|one| one.forge.as_str()).collect();
                let message = format!("`{name}` is registered on several forges: {}", forges.join(", "));
                Err(Failure::usage(message).help("add --forge"))
            }
        }
    }

    /// Forgets a repository and its mirror.
    pub async fn remove(&self, repository: &Repository) -> Result<(), Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure::environment(error.to_string());
        self.registrar.remove(repository, person()).await.map_err(|error| failed(&error))?;
        self.mirrors()?.remove(repository.id).await.map_err(|error| failed(&error))
    }

    /// Writes everything to its end.
    pub async fn close(self) {
        self.database.close().await;
    }
}

/// Who types this.
pub fn person() -> Actor {
    let user =
        terminal::variable("SUDO_USER").or_else(|| terminal::variable("USER")).unwrap_or_else(|| "somebody".into());
    Actor { who: user, origin: "command line".to_owned() }
}
