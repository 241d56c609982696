//! What a server is made of: door, pump, runs, routes. One line for each part.

use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use engine::actions::Actions;
use engine::agent_binary;
use engine::clock::SystemClock;
use engine::folders::Folders;
use engine::insights::Noter;
use engine::issuer::Issuer;
use engine::notify::Herald;
use engine::placement::{
    DockerPlacement, DockerSettings, HostPlacement, Limits, Owner, Placement, PullPolicy, TransportChoice,
    WarmPlacement,
};
use engine::registration::Registrar;
use engine::sealing::{KeySource, Vault};
use engine::service::{RunRepository, RunService, ServiceParts};
use engine::store::Database;
use engine::store::audit::Audit;
use engine::store::deliveries::Deliveries;
use engine::store::outbox::Outbox;
use engine::store::repositories::{Repositories, Sealer};
use engine::store::secrets::Settings;
use engine::store::tokens::Tokens;
use engine::triggering::{Known, Sources, Triggering};
use pipelines::rollout::Orphans;
use pipelines::scan::Again;
use pipelines::{Deploying, Watch};
use results::{Identity, Results, Writes};
use tokio_util::sync::CancellationToken;
use web::api::{Api, LocalAccess, Registry};
use web::{
    Entrance, FrontDoor, FrontDoorOptions, Processor, Pump, ServerOptions, StoredSecrets, health_routes, issuer_routes,
};
use workflow::secret::Secret;

use super::config::ServerConfig;
use super::housekeeping::House;
use super::lifetime::{Background, Composed};
use super::steering::ServiceSteering;
use crate::args::ServeArgs;
use crate::exit::Failure;
use crate::run::machine;
use crate::terminal;

/// Longest folder for sockets: what follows must fit into the 108 bytes of a socket's path.
const RUNTIME_BYTES_MAX: usize = 48;

/// Where signed states of the audit log are kept, a line each.
const CHECKPOINTS_FILE: &str = "audit-checkpoints.ndjson";

/// Who commands with `--data` are, in the audit log: whoever may read the folder.
const LOCAL_USER: &str = "local";

/// Puts a server together.
///
/// # Errors
/// Something that it needs is missing; the text says what to do.
pub async fn compose(
    args: &ServeArgs,
    address: SocketAddr,
    config: ServerConfig,
    database: Database,
) -> Result<Composed, Failure> {
    let failed = |what: &str, error: &dyn std::fmt::Display| Failure::environment(format!("cannot {what}: {error}"));
    let data = std::path::absolute(&args.data).map_err(|error| failed("find the data folder", &error))?;
    let keys = KeySource::choose(&terminal::variable, &data).read(true).map_err(|error| failed("start", &error))?;
    let vault: Arc<dyn Sealer> = Arc::new(Vault::new(keys));
    let audit = Audit::open(database.clone(), &*vault).await.map_err(|error| failed("open the audit log", &error))?;
    let repositories = Repositories::on(database.clone());
    let actions = config.actions.open(&data)?;
    let sources = Sources::open(&data, &database, Arc::clone(&vault), config.trust, known(&actions));
    let sources = sources.map_err(|error| failed("use the mirrors", &error))?;
    let settings = Settings::on(database.clone(), Arc::clone(&vault), audit.clone());
    let deploying = machine::deploying(database.clone(), &data, &Owner::new(&data));
    let mut parts =
        parts(&data, &config, (&database, &deploying, actions), (settings.clone(), sources.folders())).await?;
    let identity = serving(&mut parts, &data, &vault, (&config, address, &deploying));
    let (folders, environments) = (parts.folders.clone(), Arc::clone(&parts.environments));
    let stop = CancellationToken::new();
    let house = House::new(data.clone(), parts.kept(), database.clone(), parts.docker.clone(), &config.retention);
    let keeping: Background = Box::pin(house.keep(stop.clone()));
    let runs = RunService::new(parts);
    let deliveries = Deliveries::on(database.clone());
    let hooks = stored(&repositories, &vault).await?;
    let door = FrontDoor::new(deliveries.clone(), Arc::clone(&hooks) as _, FrontDoorOptions::default());
    let arrivals = door.arrivals();
    let parties = (&runs, &folders, Arc::clone(&arrivals));
    let telling = super::reporting::start(&config, &database, settings.clone(), parties, &stop).await?;
    let triggering = sources.triggering.clone();
    let processor = Arc::new(processor(&triggering, &runs, &deliveries));
    let pump = Pump::new(deliveries, processor, Arc::clone(&arrivals));
    let pumping: Background = Box::pin(pump.run(stop.clone()));
    let checkpoints = checkpoints(&data, &audit, &stop);
    let keep_up = sources.keep_up(Arc::new(SystemClock), Arc::clone(&arrivals), telling.sent, stop.clone());
    let noting = noting((&database, &triggering, &telling.herald), &config, (&audit, &settings), &stop);
    let watch = Watch::new(deploying.keeper.rollouts().clone(), Outbox::on(database.clone()), telling.herald.clone());
    let watching: Background = Box::pin(watch.run(stop.clone()));
    let again = again(&data, &database, telling.herald.clone(), &stop);
    let tokens = Tokens::on(database.clone(), audit.clone());
    let local = LocalAccess::open(&data, address, &tokens, LOCAL_USER);
    let local = local.map_err(|error| failed("let commands with `--data` in", &error))?;
    let registrar = Registrar { repositories, sealer: vault, audit: audit.clone() };
    let (entrance, first) = entrance(&config, &database, &audit).await?;
    let api = Api {
        entrance,
        registry: Some(Registry { registrar, mirrors: triggering.mirrors.clone(), hooks: Some(hooks) }),
        database: database.clone(),
        folders,
        tokens,
        audit,
        settings,
        environments,
        rollouts: deploying.keeper.rollouts().clone(),
        herald: Some(telling.herald),
        steering: Arc::new(ServiceSteering { runs: runs.clone(), triggering, keeper: deploying.keeper.clone() }),
        arrivals,
        stop: stop.clone(),
    };
    let routes = Router::new().merge(door.routes()).merge(health_routes(database.clone()));
    let routes = routes.merge(telling.numbers).merge(api.routes()).merge(issuer_routes(identity.issuer, identity.name));
    let keep_up: Background = Box::pin(keep_up);
    let rollouts = rollouts(deploying, &stop);
    let background =
        vec![telling.background, pumping, keep_up, keeping, noting, checkpoints, rollouts, watching, again];
    let (options, drain) = (options(&config), config.drain());
    Ok(Composed { database, runs, routes, options, background, stop, drain, first, local })
}

/// What hooks are signed with.
async fn stored(repositories: &Repositories, vault: &Arc<dyn Sealer>) -> Result<Arc<StoredSecrets>, Failure> {
    let hooks = StoredSecrets::load(repositories.clone(), Arc::clone(vault)).await;
    let hooks = hooks.map_err(|error| Failure::environment(format!("cannot open the secrets of hooks: {error}")));
    Ok(Arc::new(hooks?))
}

/// What workflows of the server's repositories may use.
fn known(actions: &Actions) -> Known {
    Known { actions: pipelines::catalogue(), elsewhere: actions.store.clone() }
}

/// What serves actions, and who issues identity tokens of jobs, under the server's own address.
fn serving(
    parts: &mut ServiceParts,
    data: &Path,
    vault: &Arc<dyn Sealer>,
    (config, address, deploying): (&ServerConfig, SocketAddr, &Deploying),
) -> Identity {
    let issuer = Issuer::new(data, Arc::clone(vault), config.identity.subjects());
    let name = config.server.url.clone().unwrap_or_else(|| format!("http://{address}"));
    let name = name.trim_end_matches('/').to_owned();
    // Rollouts outlive their jobs, and the keys that those gave.
    deploying.clouds.renew_with(issuer.clone(), &name);
    let identity = Identity { issuer, name: Some(name) };
    parts.services = Some(Arc::new(Results { identity: Some(identity.clone()), writes: Writes::Refused }));
    identity
}

/// What a start of the machine ended is started again, and rollouts that nobody carries are carried.
fn rollouts(deploying: Deploying, stop: &CancellationToken) -> Background {
    let stop = stop.clone();
    Box::pin(async move {
        for problem in deploying.local.restore().await {
            tracing::warn!(problem, "a proxy that should run does not");
        }
        tokio::select! {
            () = deploying.keeper.serve(Orphans::CarryOn, stop) => {}
            () = deploying.local.keep_proxies() => {}
        }
    })
}

/// What was scanned is held against newer advisories.
fn again(data: &Path, database: &Database, herald: Herald, stop: &CancellationToken) -> Background {
    let advisories = crate::scan::folders(data, pipelines::scan::RequireScan::default()).advisories;
    let again = Again::new(database, herald, scanners::advisory::Database::at(&advisories));
    Box::pin(again.run(Arc::new(SystemClock), stop.clone()))
}

/// What figures are made of is noted as soon as it is over.
fn noting(
    (database, triggering, herald): (&Database, &Triggering, &Herald),
    config: &ServerConfig,
    (audit, settings): (&Audit, &Settings),
    stop: &CancellationToken,
) -> Background {
    let noter = Noter::new(database, triggering.mirrors.clone(), Arc::new(SystemClock));
    let (secrets, herald) = (Arc::new(settings.clone()), Some(herald.clone()));
    Box::pin(noter.with_costs(config.costs.rules(), audit.clone(), secrets, herald).run(stop.clone()))
}

fn options(config: &ServerConfig) -> ServerOptions {
    let proxies = config.server.trusted_proxies.iter().filter_map(|proxy| proxy.parse().ok());
    ServerOptions { trusted_proxies: proxies.collect(), ..ServerOptions::default() }
}

/// The way in for people, and the code of the first administrator where there is nobody yet.
async fn entrance(
    config: &ServerConfig,
    database: &Database,
    audit: &Audit,
) -> Result<(Entrance, Option<Secret>), Failure> {
    let url = config.server.url.as_deref();
    let oidc = config.oidc.as_ref().map(|oidc| oidc.open(url)).transpose()?;
    let entrance = Entrance::on(database.clone(), audit.clone()).at(config.server.url.clone()).with_oidc(oidc);
    let first = first_code(&entrance).await?;
    Ok((entrance, first))
}

/// The code of the first administrator, where there is nobody yet.
async fn first_code(entrance: &Entrance) -> Result<Option<Secret>, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::environment(format!("cannot look for users: {error}"));
    if entrance.people.any().await.map_err(|error| failed(&error))? {
        return Ok(None);
    }
    entrance.first.offer().map(Some).map_err(|error| failed(&error))
}

/// States of the audit log, to the server's own log and to a file beside the database: whoever keeps either elsewhere can
/// tell what was changed since.
fn checkpoints(data: &Path, audit: &Audit, stop: &CancellationToken) -> Background {
    let (path, signer) = (data.join(CHECKPOINTS_FILE), audit.clone());
    Box::pin(audit.clone().tell_checkpoints(stop.clone(), move |anchor| {
        let signed = signer.sign(anchor, jiff::Timestamp::now());
        tracing::info!(%anchor, key = signed.key, "state of the audit log, for `pipe audit verify --anchor`");
        let file = std::fs::File::options().create(true).append(true).mode(0o600).open(&path);
        if let Err(error) = file.and_then(|mut file| file.write_all(format!("{signed}\n").as_bytes())) {
            tracing::warn!(%error, "a signed checkpoint of the audit log is not kept");
        }
    }))
}

fn processor(triggering: &Triggering, runs: &RunService, deliveries: &Deliveries) -> Processor {
    Processor {
        triggering: triggering.clone(),
        runs: Arc::new(runs.clone()),
        deliveries: deliveries.clone(),
        clock: Arc::new(SystemClock),
    }
}

async fn parts(
    data: &Path,
    config: &ServerConfig,
    (database, deploying, actions): (&Database, &Deploying, Actions),
    (settings, repositories): (Settings, Arc<dyn RunRepository>),
) -> Result<ServiceParts, Failure> {
    let agent = agent_binary::install(&data.join("agent"))
        .map_err(|error| Failure::environment(format!("cannot write to `{}`: {error}", data.display())))?;
    let owner = Owner::new(data);
    let warm = config.warm(data.join("ahead"), runtime(data, &owner).join("ahead"));
    let docker = DockerPlacement::connect(DockerSettings {
        owner: owner.clone(),
        agent: agent.clone(),
        transport: TransportChoice::default(),
        isolate: true,
        allowed_options: Vec::new(),
        allowed_folders: Vec::new(),
        nodes: actions.nodes.as_ref().map(|nodes| nodes.folder().to_path_buf()),
        claims: Some(warm.folder.join("claims")),
    });
    let (docker, docker_problem) = match docker.await {
        Ok(docker) => (Some(Arc::new(WarmPlacement::new(docker, warm)) as Arc<dyn Placement>), None),
        Err(error) => {
            tracing::warn!(%error, "jobs that want a container fail");
            (None, Some(error.to_string()))
        }
    };
    let scans = crate::scan::folders(data, crate::config::require_scan(&config.environments));
    let mut parts = ServiceParts {
        database: database.clone(),
        clock: Arc::new(SystemClock),
        docker,
        docker_problem,
        built_in: pipelines::built_in_with(owner.own_labels(), scans, Some(deploying.clone())),
        actions,
        folders: Folders { state: data.to_path_buf(), runtime: runtime(data, &owner) },
        host: Arc::new(HostPlacement::new(owner, agent, data.join("agents"))),
        labels: engine::runner_label::RunnerLabels::default(),
        limits: Limits::default(),
        pull: PullPolicy::Missing,
        secrets: Arc::new(settings),
        repositories,
        environments: Arc::default(),
        jobs_max: 1,
        label_limits: indexmap::IndexMap::new(),
        log_bytes_max: None,
        retention: engine::kept::KeptRules::default(),
        server_url: "https://github.com".to_owned(),
        traces: super::reporting::traces(config, database),
        services: None,
    };
    config.apply(&mut parts);
    Ok(parts)
}

/// Sockets and step files: below the data where its path is short enough.
fn runtime(data: &Path, owner: &Owner) -> PathBuf {
    let below = data.join("run");
    if below.as_os_str().as_bytes().len() <= RUNTIME_BYTES_MAX {
        return below;
    }
    PathBuf::from(format!("/tmp/pipe-{}-{}", nix::unistd::getuid(), &owner.installation()[..8]))
}
