//! The machine of local runs: its folders, store, containers and built-in actions.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::actions::{BuiltInMode, FetchOptions};
use engine::agent_binary;
use engine::clock::SystemClock;
use engine::folders::Folders;
use engine::groups::SharedGroups;
use engine::issuer::Issuer;
use engine::local::Standing;
use engine::machine::Machine;
use engine::placement::{DockerPlacement, DockerSettings, HostPlacement, Owner, Placement, TransportChoice};
use engine::sealing::{KeySource, Vault};
use engine::slots::Slots;
use engine::store::{Database, SqliteStore};
use pipelines::Deploying;
use pipelines::rollout::Orphans;
use pipelines::target::local::Starter;
use results::{Identity, Results, Writes};
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::exit::Failure;
use crate::terminal::{self, ColorChoice, Terminal};

/// Longest folder for sockets: what follows must fit into the 108 bytes of a socket's path.
const RUNTIME_BYTES_MAX: usize = 39;

/// Puts it together, with room for so many jobs at once. That Docker cannot be reached is no failure yet: a run may not need it.
/// Rollouts of killed processes are carried as `orphans` says, or left alone.
///
/// # Errors
/// The state folder cannot be used.
pub async fn open(settings: &Settings, parallel: usize, orphans: Option<Orphans>) -> Result<Machine, Failure> {
    let paths = &settings.paths;
    let usable = |error: std::io::Error| {
        Failure::environment(format!("cannot use the state folder `{}`: {error}", paths.state.display()))
            .help("set XDG_STATE_HOME to a folder that you may write to")
    };
    std::fs::create_dir_all(&paths.state).map_err(usable)?;
    let folders = folders(settings);
    let store =
        SqliteStore::open(&folders.database()).map_err(|error| Failure::environment(format!("cannot {error}")))?;
    let agent = agent(settings)?;
    let owner = Owner::new(&paths.state);
    let deploying = deploying(store.database().clone(), &paths.state, &owner);
    if let Some(orphans) = orphans {
        let keeper = deploying.keeper.clone();
        // For as long as this process lives.
        tokio::spawn(async move { keeper.serve(orphans, CancellationToken::new()).await });
    }
    let scans = crate::scan::folders(&paths.cache, crate::config::require_scan(&settings.environments));
    let built_in = pipelines::built_in_with(owner.own_labels(), scans, Some(deploying));
    // Before the engine: it mounts a folder of theirs.
    let actions = crate::actions::open(&paths.cache, FetchOptions::default(), BuiltInMode::default())?;
    let (docker, docker_problem) = match docker(settings).await {
        Ok(docker) => (Some(Arc::new(docker) as Arc<dyn Placement>), None),
        Err(error) => (None, Some(error.to_string())),
    };
    Ok(Machine {
        store,
        clock: Arc::new(SystemClock),
        docker,
        docker_problem,
        host: Arc::new(HostPlacement::new(owner, agent, paths.state.join("agents"))),
        built_in,
        folders,
        slots: Slots::new(parallel),
        groups: SharedGroups::across(paths.state.join("groups"), waits),
        actions,
        services: Some(Arc::new(services(settings))),
        standing: standing(settings).ok(),
    })
}

/// Places of jobs that failed. What is in them is sealed with this user's own key.
///
/// # Errors
/// The key cannot be used.
pub fn standing(settings: &Settings) -> Result<Standing, Failure> {
    let state = &settings.paths.state;
    let keys = KeySource::choose(&terminal::variable, state).read(true);
    let keys = keys.map_err(|error| Failure::environment(format!("places of jobs cannot be kept: {error}")))?;
    Ok(Standing::of(state, Arc::new(Vault::new(keys))))
}

/// What serves actions. Identity tokens are signed with a key of this user's own; where that cannot be used there are none.
fn services(settings: &Settings) -> Results {
    let state = &settings.paths.state;
    let identity = match KeySource::choose(&terminal::variable, state).read(true) {
        Ok(keys) => {
            let issuer = Issuer::new(state, Arc::new(Vault::new(keys)), settings.identity.subjects());
            Some(Identity { issuer, name: None })
        }
        Err(error) => {
            tracing::warn!(%error, "jobs get no identity tokens");
            None
        }
    };
    Results { identity, writes: Writes::Kept }
}

/// What deploys from a folder of state.
pub fn deploying(database: Database, state: &Path, owner: &Owner) -> Deploying {
    Deploying::new(database, state, owner.installation(), Starter::default(), Arc::new(SystemClock))
}

/// Told when a run waits for one of another process.
fn waits(group: &str) {
    let text = format!("the concurrency group `{group}` is taken by another `pipe run`; this run waits for it");
    terminal::note(Terminal::stderr(ColorChoice::Auto), &text);
}

fn agent(settings: &Settings) -> Result<PathBuf, Failure> {
    let cache = &settings.paths.cache;
    agent_binary::install(cache).map_err(|error| {
        Failure::environment(format!("cannot write to the cache folder `{}`: {error}", cache.display()))
    })
}

/// The container engine.
///
/// # Errors
/// It cannot be reached; the text says what to do.
pub async fn docker(settings: &Settings) -> Result<DockerPlacement, Failure> {
    let settings = DockerSettings {
        owner: Owner::new(&settings.paths.state),
        agent: agent(settings)?,
        transport: TransportChoice::default(),
        isolate: false,
        allowed_options: Vec::new(),
        allowed_folders: Vec::new(),
        nodes: Some(crate::actions::nodes_folder(&settings.paths.cache)).filter(|folder| folder.is_dir()),
        claims: None,
    };
    DockerPlacement::connect(settings).await.map_err(|error| Failure::environment(error.to_string()))
}

/// Where things are kept.
pub fn folders(settings: &Settings) -> Folders {
    Folders { state: settings.paths.state.clone(), runtime: runtime_folder(&settings.paths.state) }
}

/// A short folder of this user's own, and of this state's: what lies there is known nowhere else, and whoever looks for what killed
/// processes left would take it for that.
fn runtime_folder(state: &Path) -> PathBuf {
    let given = terminal::variable("XDG_RUNTIME_DIR").map(PathBuf::from);
    let own = given.filter(|folder| folder.is_dir() && folder.as_os_str().len() <= RUNTIME_BYTES_MAX);
    let all =
        own.map_or_else(|| PathBuf::from(format!("/tmp/pipe-{}", nix::unistd::getuid())), |folder| folder.join("pipe"));
    all.join(&Owner::new(state).installation()[..8])
}
