//! Who is asked: the server that is named, the one that runs in a folder, the folder itself, or what `pipe run` left here.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use engine::folders::Folders;
use engine::local::{LocalSteering, Ordered};
use engine::mirror::{MirrorOptions, Mirrors};
use engine::placement::Owner;
use engine::registration::{Registrar, StoredCredentials};
use engine::sealing::{KeySource, Vault};
use engine::service::{Reviewer, Verdict};
use engine::store::audit::{Actor, Audit};
use engine::store::repositories::{Repositories, Sealer};
use engine::store::secrets::Settings;
use engine::store::tokens::{Holder, Scope, Tokens};
use engine::store::{Database, Options, RunId, StoreError};
use pipelines::Deploying;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use web::Entrance;
use web::api::{Api, Dispatch, LocalAccess, Registry, Rerun, Review, Rollback, SteerError, Steering};
use workflow::secret::Secret;

use super::client::Client;
use crate::args::Connect;
use crate::config::Paths;
use crate::exit::Failure;
use crate::terminal::{self, ColorChoice, Terminal};

/// Longest token file.
const TOKEN_BYTES_MAX: u64 = 4_096;

/// The client for a command.
///
/// # Errors
/// There is no token, or the folder cannot be used.
pub async fn connect(args: &Connect) -> Result<Client, Failure> {
    if let Some(server) = &args.server {
        return Client::of_server(server, token(args)?);
    }
    if let Some(folder) = &args.data {
        return of_folder(folder).await;
    }
    let state = Paths::from_environment(&terminal::variable).state;
    let opened = Opened::open(&state, Options::LOCAL, true).await?;
    opened.client(&state, None, "this command needs a server: give --server URL, or --data DIR of one on this machine")
}

fn token(args: &Connect) -> Result<Secret, Failure> {
    let Some(path) = &args.token_file else {
        let help = "set PIPE_TOKEN, or give --token-file; `pipe token create` on the server makes one";
        return terminal::variable("PIPE_TOKEN")
            .map(Secret::new)
            .ok_or_else(|| Failure::usage("there is no token for the server").help(help));
    };
    let read = || {
        let mut text = String::new();
        std::io::Read::read_to_string(
            &mut std::io::Read::take(std::fs::File::open(path)?, TOKEN_BYTES_MAX),
            &mut text,
        )?;
        Ok::<_, std::io::Error>(Secret::new(text.trim()))
    };
    read().map_err(|error| Failure::usage(format!("cannot read the token from `{}`: {error}", path.display())))
}

async fn of_folder(folder: &Path) -> Result<Client, Failure> {
    let nobody = "no server runs in this folder: start it with `pipe serve`";
    match Opened::open(folder, Options::SERVER, false).await {
        Ok(opened) => {
            let registry = opened.registry(folder)?;
            opened.client(folder, Some(registry), nobody)
        }
        Err(failure) => match LocalAccess::find(folder) {
            Some((url, token)) if failure.is_in_use => Client::of_running(folder, &url, token),
            Some(_) | None => Err(failure.failure),
        },
    }
}

/// A folder that is opened by this process.
#[derive(Debug)]
pub struct Opened {
    /// Its database.
    pub database: Database,
    /// Its audit log.
    pub audit: Audit,
    /// What seals in it.
    pub vault: Arc<Vault>,
    /// Where its keys are.
    pub keys: KeySource,
}

/// Why it is not.
#[derive(Debug)]
pub struct NotOpened {
    failure: Failure,
    is_in_use: bool,
}

impl From<NotOpened> for Failure {
    fn from(not: NotOpened) -> Self {
        if not.is_in_use {
            return not.failure.help("stop the server first");
        }
        not.failure
    }
}

impl Opened {
    /// Opens a folder. A folder without a database is only made where `make` says so.
    ///
    /// # Errors
    /// It cannot be used.
    pub async fn open(folder: &Path, options: Options, make: bool) -> Result<Self, NotOpened> {
        let not = |message: String| NotOpened { failure: Failure::environment(message), is_in_use: false };
        let folders = folders(folder);
        let path = folders.database();
        if !make && !path.exists() && !folder.is_dir() {
            return Err(not(format!("there is no folder {}", folder.display())));
        }
        let database = Database::open(&path, options).map_err(|error| NotOpened {
            is_in_use: matches!(error, StoreError::InUse { .. }),
            failure: Failure::environment(format!("cannot {error}")),
        })?;
        let keys = KeySource::choose(&terminal::variable, folder);
        // A key is made with the database, never for one whose key is lost.
        let sealed = Audit::exists(&database).await.map_err(|error| not(format!("cannot {error}")))?;
        let vault = keys.read(!sealed).map_err(|error| not(format!("cannot {error}")))?;
        let vault = Arc::new(Vault::new(vault));
        let audit = Audit::open(database.clone(), &*vault).await.map_err(|error| not(format!("cannot {error}")))?;
        Ok(Self { database, audit, vault, keys })
    }

    /// To read, also while a server runs on it.
    ///
    /// # Errors
    /// It cannot be used.
    pub async fn look(folder: &Path) -> Result<Self, Failure> {
        match Self::open(folder, Options::SERVER, false).await {
            Err(not) if not.is_in_use => {}
            opened => return Ok(opened?),
        }
        let failed = |error: &dyn std::fmt::Display| Failure::environment(format!("cannot {error}"));
        let database = Database::look(&folders(folder).database()).map_err(|error| failed(&error))?;
        let keys = KeySource::choose(&terminal::variable, folder);
        let vault = Arc::new(Vault::new(keys.read(false).map_err(|error| failed(&error))?));
        let audit = Audit::open(database.clone(), &*vault).await.map_err(|error| failed(&error))?;
        Ok(Self { database, audit, vault, keys })
    }

    /// Registers repositories of a server that does not run.
    fn registry(&self, folder: &Path) -> Result<Registry, Failure> {
        let repositories = Repositories::on(self.database.clone());
        let sealer: Arc<dyn Sealer> = Arc::clone(&self.vault) as _;
        let credentials = StoredCredentials { repositories: repositories.clone(), sealer: Arc::clone(&sealer) };
        let mirrors = Mirrors::open(&folder.join("mirrors"), MirrorOptions::default(), Arc::new(credentials));
        let mirrors = mirrors.map_err(|error| Failure::environment(error.to_string()))?;
        Ok(Registry { registrar: Registrar { repositories, sealer, audit: self.audit.clone() }, mirrors, hooks: None })
    }

    fn client(self, folder: &Path, registry: Option<Registry>, nobody: &'static str) -> Result<Client, Failure> {
        let tokens = Tokens::on(self.database.clone(), self.audit.clone());
        let scopes = [Scope::Admin].into_iter().collect();
        let holder = Holder::of(person().who, scopes, Vec::new());
        let token = tokens
            .pass(holder)
            .map_err(|error| Failure::environment(format!("the system gives no random bytes: {error}")))?;
        let deploying = crate::run::machine::deploying(self.database.clone(), folder, &Owner::new(folder));
        // Without a registry it is the folder of local runs, each with a process of its own.
        let local = registry.is_none().then(|| LocalSteering::on(self.database.clone(), folders(folder)));
        let api = Api {
            entrance: Entrance::on(self.database.clone(), self.audit.clone()),
            registry,
            environments: Arc::default(),
            rollouts: deploying.keeper.rollouts().clone(),
            settings: Settings::on(self.database.clone(), self.vault, self.audit.clone()),
            database: self.database,
            folders: folders(folder),
            tokens,
            audit: self.audit,
            steering: Arc::new(Nobody { why: nobody, deploying, local }),
            herald: None,
            arrivals: Arc::new(Notify::new()),
            stop: CancellationToken::new(),
        };
        Ok(Client::here(api.routes(), token))
    }
}

fn folders(folder: &Path) -> Folders {
    Folders { state: folder.to_owned(), runtime: folder.join("runtime") }
}

/// Who uses the command line.
pub fn person() -> Actor {
    let name = nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten().map(|user| user.name);
    Actor { who: name.unwrap_or_else(|| "somebody".to_owned()), origin: "command line".to_owned() }
}

/// Where no server runs nobody can be told about its runs; those of `pipe run` have processes of their own. What stands is
/// taken back by the command itself.
#[derive(Debug)]
struct Nobody {
    why: &'static str,
    deploying: Deploying,
    local: Option<LocalSteering>,
}

impl Nobody {
    fn refuse<T>(&self) -> Result<T, SteerError> {
        Err(SteerError::Conflict(self.why.to_owned()))
    }

    fn local(&self) -> Result<&LocalSteering, SteerError> {
        self.local.as_ref().map_or_else(|| self.refuse(), Ok)
    }
}

#[async_trait]
impl Steering for Nobody {
    async fn cancel(&self, run: RunId, force: bool, by: &str) -> Result<(), SteerError> {
        self.local()?.cancel(run, by, force).await.map(drop).map_err(crate::serve::refused)
    }

    async fn review(&self, run: RunId, review: Review, by: &Reviewer) -> Result<(), SteerError> {
        let Review { environment, approved, comment, subject } = review;
        let verdict = Verdict { environment: environment.unwrap_or_default(), approved, comment, subject };
        match self.local()?.review(run, by, verdict).await.map_err(crate::serve::refused)? {
            Ordered::Recorded => {}
            Ordered::Kept => {
                let text =
                    format!("no process carries run {run} now; this counts when it goes on: `pipe run --resume {run}`");
                terminal::note(Terminal::stderr(ColorChoice::Auto), &text);
            }
        }
        Ok(())
    }

    async fn release(&self, _run: RunId, _by: &str) -> Result<(), SteerError> {
        self.refuse()
    }

    async fn rerun(&self, _run: RunId, _which: Rerun, _by: &str) -> Result<RunId, SteerError> {
        self.refuse()
    }

    async fn rollback(&self, rollback: Rollback, by: &str) -> Result<u64, SteerError> {
        let keeper = &self.deploying.keeper;
        let id = crate::serve::go_back(keeper, rollback, by).await?;
        // Whoever carries it is this process.
        keeper.until_ended(id).await.map_err(|error| SteerError::Conflict(error.to_string()))?;
        Ok(id)
    }

    async fn dispatch(&self, _dispatch: Dispatch, _by: &str) -> Result<Vec<RunId>, SteerError> {
        self.refuse()
    }
}
