//! From a judged job to one whose steps can run, with as little waiting in turn as can be.
//!
//! Images, network and containers are asked for at the same time; the agent's socket is looked for while the engine still
//! starts the container.

use std::collections::HashMap;
use std::sync::Arc;

use agent::protocol::sync::NONCE_BYTES;
use bollard::models::{ContainerCreateBody, Mount as EngineMount, MountType};
use bollard::query_parameters::CreateContainerOptionsBuilder;
use bytes::Bytes;
use futures_util::future::join_all;

use super::address::hex;
use super::adopt::Record;
use super::connection::{message, refused};
use super::create::{self, Container};
use super::job::DockerJob;
use super::prepared::Prepared;
use super::resources::Resources;
use super::services::{self, Started};
use super::transport::{SocketTransport, StdioTransport, unique};
use super::{DockerPlacement, Transport, beside, network, upload};
use crate::image::{ImageError, ImageFacts};
use crate::nodes::NODES_INSIDE;
use crate::placement::client::{AgentClient, SocketPath};
use crate::placement::{
    JobFacts, JobSpec, Mount, PlacementError, PlacementProgress, ProgressSink, ResourceKind, ServiceFacts, ServiceSpec,
};

/// Name of the socket in the run directory.
pub(crate) const SOCKET: &str = "agent.sock";
/// Name of the folder for output that was not delivered yet.
pub(crate) const SPOOL: &str = "spool";

/// Name of the agent in its folder.
pub(super) const AGENT: &str = "pipe-agent";

/// Folder beside the agent that holds `sudo`.
const SUDO_FOLDER: &str = "sudo";

/// One job on its way up.
pub(super) struct Start<'a> {
    pub(super) placement: &'a DockerPlacement,
    pub(super) spec: &'a JobSpec,
    pub(super) prepared: &'a Prepared,
    pub(super) resources: &'a Arc<Resources>,
    pub(super) progress: &'a ProgressSink,
    pub(super) transport: Transport,
    /// The job's image, if somebody has looked already.
    pub(super) known: Option<&'a ImageFacts>,
}

/// What is known before containers are made.
struct Ground {
    image: ImageFacts,
    service_images: Vec<Result<ImageFacts, ImageError>>,
    network: String,
}

/// What came of the services.
struct Services {
    started: Vec<Started>,
    /// Why one of them does not serve.
    problem: Option<PlacementError>,
}

impl Start<'_> {
    pub(super) async fn run(&self) -> Result<DockerJob, PlacementError> {
        let ground = self.ground().await?;
        let (job, mut services) = tokio::join!(self.job(&ground), self.services(&ground));
        let (client, container, stdio_token) = job?;
        if let Some(beside) = &self.spec.beside {
            beside::check(&client, self.spec, beside).await?;
        }
        if services.problem.is_none() {
            services.problem = self.serve(&client, &services.started, &ground.network).await?;
        }
        (self.progress)(PlacementProgress::Ready);
        Ok(self.handle(client, container, stdio_token, ground, &services))
    }

    /// Waits for the services and opens their ports; gives what is wrong with them.
    async fn serve(
        &self,
        client: &AgentClient,
        services: &[Started],
        network: &str,
    ) -> Result<Option<PlacementError>, PlacementError> {
        let addresses = match self.ready(services, network).await {
            Ok(addresses) => addresses,
            Err(problem) => return Ok(Some(problem)),
        };
        self.forward(client, &addresses).await?;
        let last_look =
            services.iter().map(|started| services::check_running(&self.placement.connection.docker, started));
        Ok(futures_util::future::try_join_all(last_look).await.err())
    }

    /// All of it is waited for, also when one part fails: what is under way must be known to be removed.
    async fn ground(&self) -> Result<Ground, PlacementError> {
        let DockerPlacement { connection, images, settings, .. } = self.placement;
        let service_images = self.spec.services.iter().zip(&self.prepared.services).map(async |(service, prepared)| {
            let mut wanted = service.image.clone();
            wanted.platform = wanted.platform.or_else(|| prepared.options.platform.clone());
            images.ensure(&wanted, self.progress).await
        });
        let mut wanted = self.spec.image.clone();
        wanted.platform = wanted.platform.or_else(|| self.prepared.options.platform.clone());
        let name = &self.prepared.name;
        let (image, service_images, network) = tokio::join!(
            async {
                match self.known {
                    Some(known) => Ok(known.clone()),
                    None => images.ensure(&wanted, self.progress).await,
                }
            },
            join_all(service_images),
            async {
                if let Some(beside) = &self.spec.beside {
                    return Ok(format!("{}{}", create::BESIDE, beside.container));
                }
                let (plan, apart) = (self.prepared.network, &self.placement.apart);
                let (docker, job) = (&connection.docker, &self.spec.identity);
                network::make(docker, (plan, apart), name, job, &settings.owner, self.resources).await
            },
        );
        Ok(Ground { image: image?, service_images, network: network? })
    }

    fn labels(&self, role: &str) -> HashMap<String, String> {
        self.placement.settings.owner.labels(&self.spec.identity, role)
    }

    async fn create(&self, name: &str, body: ContainerCreateBody) -> Result<String, PlacementError> {
        self.resources.note(ResourceKind::Container, name);
        let options = CreateContainerOptionsBuilder::default().name(name).build();
        let docker = &self.placement.connection.docker;
        let created = docker.create_container(Some(options), body).await;
        Ok(created.map_err(refused(format!("create container {name}")))?.id)
    }

    async fn start(&self, container: &str, name: &str) -> Result<(), PlacementError> {
        let docker = &self.placement.connection.docker;
        docker.start_container(container, None).await.map_err(refused(format!("start container {name}")))
    }

    /// Where the agent is in the container.
    pub(super) fn agent_folder(&self) -> String {
        format!("{}_agent", self.spec.run_directory.inside)
    }

    /// The job's container with its agent connected, over stdio with the token of their conversation.
    async fn job(&self, ground: &Ground) -> Result<(AgentClient, String, Option<String>), PlacementError> {
        let (spec, name) = (self.spec, &self.prepared.name);
        let run = &spec.run_directory;
        let program = format!("{}/{AGENT}", self.agent_folder());
        let spool = format!("{}/{SPOOL}", run.inside);
        let token = hex(&unique(0)[..NONCE_BYTES]);
        let (command, stdio) = match self.transport {
            Transport::Socket => {
                (vec![program, "--socket".into(), format!("{}/{SOCKET}", run.inside), "--spool".into(), spool], false)
            }
            Transport::Stdio => {
                (vec![program, "--stdio".into(), "--token".into(), token.clone(), "--spool".into(), spool], true)
            }
        };
        let mut env: Vec<(String, String)> = spec.env.clone().into_iter().collect();
        env.retain(|(name, _)| !name.is_empty());
        let container = Container {
            image: &ground.image.id,
            labels: self.labels("job"),
            options: &self.prepared.options,
            limits: spec.limits,
            env,
            network: &ground.network,
            aliases: vec![],
            capabilities: &self.placement.connection.capabilities,
            sets_open_files: self.placement.sets_open_files(),
        };
        let body = create::job(container, command, self.mounts(), stdio);
        // Nobody closes it.
        let _turn = self.placement.starting.acquire().await.ok();
        let id = self.create(name, body).await?;
        match self.transport {
            Transport::Socket => Ok((self.over_socket(&id).await?, id, None)),
            Transport::Stdio => Ok((self.over_stdio(&id, token.clone()).await?, id, Some(token))),
        }
    }

    fn mounts(&self) -> Vec<EngineMount> {
        let spec = self.spec;
        let mut mounts = Vec::new();
        match self.transport {
            Transport::Socket => {
                let run = &spec.run_directory;
                mounts.push(create::bind(&Mount {
                    host: run.host.clone(),
                    inside: run.inside.clone(),
                    read_only: false,
                }));
                for name in [AGENT.to_owned(), format!("{SUDO_FOLDER}/sudo")] {
                    let host = self.placement.settings.agent.clone();
                    let inside = format!("{}/{name}", self.agent_folder());
                    mounts.push(create::bind(&Mount { host, inside, read_only: true }));
                }
                if let Some(host) = self.placement.settings.nodes.clone() {
                    mounts.push(create::bind(&Mount { host, inside: NODES_INSIDE.to_owned(), read_only: true }));
                }
                mounts.extend(spec.mounts.iter().map(create::bind));
            }
            Transport::Stdio => {}
        }
        mounts.extend(self.volumes(&self.prepared.volumes));
        mounts
    }

    fn volumes(&self, volumes: &[super::volumes::Volume]) -> Vec<EngineMount> {
        let labels = self.labels("volume");
        let name = &self.prepared.name;
        let mounts: Vec<_> = volumes.iter().map(|volume| create::volume(volume, name, &labels)).collect();
        for named in
            mounts.iter().filter(|mount| mount.typ == Some(MountType::VOLUME)).filter_map(|mount| mount.source.clone())
        {
            self.resources.note(ResourceKind::Volume, named);
        }
        mounts
    }

    async fn over_socket(&self, id: &str) -> Result<AgentClient, PlacementError> {
        let run = &self.spec.run_directory;
        let failed = |reason: String| PlacementError::Agent { reason };
        // The folder of a container that is made ahead moves to its job's.
        let path = run.host.join(SOCKET);
        let socket = if self.spec.identity.run == super::warm::RUN {
            SocketPath::that_moves(&path)
        } else {
            SocketPath::new(&path)
        };
        let socket = socket.map_err(|error| failed(format!("has no socket: {error}")))?;
        let docker = self.placement.connection.docker.clone();
        let transport = Arc::new(SocketTransport { docker, container: id.to_owned(), socket });
        let name = &self.prepared.name;
        let starting = self.start(id, name);
        let listening = transport.wait();
        tokio::pin!(starting, listening);
        // The agent often listens before the engine says that it started.
        tokio::select! {
            started = &mut starting => {
                started?;
                listening.await.map_err(failed)?;
                AgentClient::start(Arc::<SocketTransport>::clone(&transport)).await.map_err(failed)
            }
            listens = &mut listening => {
                listens.map_err(failed)?;
                let connecting = AgentClient::start(Arc::<SocketTransport>::clone(&transport));
                let (started, client) = tokio::join!(starting, connecting);
                started?;
                client.map_err(failed)
            }
        }
    }

    async fn over_stdio(&self, id: &str, token: String) -> Result<AgentClient, PlacementError> {
        let docker = &self.placement.connection.docker;
        let failed = |reason: String| PlacementError::Agent { reason };
        let agent = self.placement.settings.agent.clone();
        let program = tokio::fs::read(&agent).await.map(Bytes::from).map_err(|error| PlacementError::File {
            action: "read",
            path: agent,
            reason: error.to_string(),
        })?;
        let folder = self.agent_folder();
        let files = vec![
            (format!("{folder}/{AGENT}"), program.clone(), 0o755),
            (format!("{folder}/{SUDO_FOLDER}/sudo"), program, 0o755),
        ];
        upload::put_files(docker, id, files).await?;
        let run = &self.spec.run_directory;
        let run = Mount { host: run.host.clone(), inside: run.inside.clone(), read_only: false };
        for mount in std::iter::once(&run).chain(&self.spec.mounts) {
            upload::put_folder(docker, id, mount).await?;
        }
        let transport = StdioTransport { docker: docker.clone(), container: id.to_owned(), token };
        self.start(id, &self.prepared.name).await?;
        AgentClient::start(Arc::new(transport)).await.map_err(failed)
    }

    /// The services' containers, started.
    async fn services(&self, ground: &Ground) -> Services {
        let numbered = self.spec.services.iter().enumerate();
        let starting = numbered.map(|(index, service)| self.service(index, service, ground));
        let mut services = Services { started: Vec::new(), problem: None };
        for started in join_all(starting).await {
            match started {
                Ok(started) => services.started.push(started),
                Err(problem) => services.problem = services.problem.or(Some(problem)),
            }
        }
        services
    }

    async fn service(&self, index: usize, service: &ServiceSpec, ground: &Ground) -> Result<Started, PlacementError> {
        let (Some(prepared), Some(image)) = (self.prepared.services.get(index), ground.service_images.get(index))
        else {
            return Err(PlacementError::Agent { reason: "lost count of the services".to_owned() });
        };
        let image = image.as_ref().map_err(|error| PlacementError::from(error.clone()))?;
        let name = format!("{}-{}", self.prepared.name, service.id);
        let container = Container {
            image: &image.id,
            labels: self.labels(&format!("service {}", service.id)),
            options: &prepared.options,
            limits: service.limits,
            env: service.env.clone().into_iter().collect(),
            network: &ground.network,
            aliases: vec![service.id.clone()],
            capabilities: &self.placement.connection.capabilities,
            sets_open_files: self.placement.sets_open_files(),
        };
        let body = create::service(container, service, self.volumes(&prepared.volumes))?;
        let container = self.create(&name, body).await?;
        let ports =
            self.prepared.ports.get(&service.id).map(|ports| ports.keys().copied().collect()).unwrap_or_default();
        let started = Started { service: service.id.clone(), image: service.image.reference.clone(), container, ports };
        let docker = &self.placement.connection.docker;
        if let Err(error) = docker.start_container(&started.container, None).await {
            let what = format!("could not be started: {}", message(&error));
            return Err(services::failure(docker, &started, what, None).await);
        }
        (self.progress)(PlacementProgress::ServiceStarted { service: service.id.clone() });
        Ok(started)
    }

    /// Waits for all services; gives their addresses.
    async fn ready(&self, services: &[Started], network: &str) -> Result<HashMap<String, String>, PlacementError> {
        let connection = &self.placement.connection;
        let waiting = services.iter().map(async |started| {
            let address = services::wait_ready(connection, started, network, self.progress).await?;
            Ok::<_, PlacementError>((started.service.clone(), address))
        });
        futures_util::future::try_join_all(waiting).await.map(|pairs| pairs.into_iter().collect())
    }

    fn handle(
        &self,
        client: AgentClient,
        container: String,
        stdio_token: Option<String>,
        ground: Ground,
        services: &Services,
    ) -> DockerJob {
        let spec = self.spec;
        let own = self.spec.user.clone().or_else(|| self.prepared.options.user.clone());
        let user = own.or_else(|| Some(ground.image.user.clone()));
        let ports = |started: &Started| self.prepared.ports.get(&started.service).cloned().unwrap_or_default();
        let facts = JobFacts {
            shape: spec.shape,
            container_id: Some(container),
            network: Some(ground.network.clone()),
            image: Some(ground.image),
            services_problem: services.problem.as_ref().map(ToString::to_string),
            services: services
                .started
                .iter()
                .map(|started| {
                    let facts = ServiceFacts {
                        container_id: started.container.clone(),
                        network: ground.network.clone(),
                        ports: ports(started),
                    };
                    (started.service.clone(), facts)
                })
                .collect(),
            run_directory: spec.run_directory.inside.clone(),
            sudo_directory: Some(format!("{}/{SUDO_FOLDER}", self.agent_folder())),
            agent: Some(format!("{}/{AGENT}", self.agent_folder())),
            files_are_shared: stdio_token.is_none(),
        };
        let record = Record {
            facts,
            resources: self.resources.list(),
            user: user.filter(|user| !matches!(user.as_str(), "" | "0" | "root" | "0:0" | "root:root")),
            workdir: if spec.workdir.is_empty() { "/".to_owned() } else { spec.workdir.clone() },
            mounts: spec.mounts.clone(),
            run_directory: spec.run_directory.clone(),
            stdio_token,
            claim: None,
            boot_id: Some(client.boot_id().to_owned()),
        };
        DockerJob::new(client, Arc::clone(self.resources), record)
    }
}
