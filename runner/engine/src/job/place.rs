//! From `runs-on`, `container` and `services` to a placed job, and back to a clean machine.
//! See <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idruns-on>.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexMap;
use workflow::expression::{Object, Scope, Status, Value};
use workflow::model::StepsJob;
use workflow::template::{Token, evaluate};

use super::JobOrder;
use super::containers::folder_beside;
use super::environment::{JobPaths, own_path, own_tool_cache};
use super::facing::JobFacing;
use super::log::StepLog;
use super::placed::{Placed, PlacedRecord};
use super::run::JobSettings;
use crate::notice::Notice;
use crate::placement::{
    Credentials, ExecOutcome, ExecRequest, ImageSpec, JobHandle, JobIdentity, JobShape, JobSpec, Mount, NetworkAccess,
    Placement, PlacementProgress, RunDirectory, ServiceSpec, boot_id,
};
use crate::runner_label::RunnerTarget;
use crate::step::WorkspaceFacts;

/// Where the run directory lies in a container.
const RUN_DIRECTORY_INSIDE: &str = "/__pipe";

/// A job's place, evaluated but not made.
pub(super) struct Place {
    target: RunnerTarget,
    shape: JobShape,
    container: Option<Container>,
    services: Vec<ServiceSpec>,
    placement: Arc<dyn Placement>,
}

/// An evaluated `container:`.
struct Container {
    image: ImageSpec,
    env: IndexMap<String, String>,
    ports: Vec<String>,
    volumes: Vec<String>,
    options: String,
}

impl Place {
    /// Evaluates where a job should run.
    pub(super) fn of(settings: &JobSettings, order: &JobOrder, job: &JobFacing) -> Result<Self, String> {
        let scope = job.scope(order, &job.env, Status::Success, None, None);
        Self::evaluated(settings, order.steps_job(), &scope)
    }

    /// The same of a job that may not have begun.
    pub(super) fn evaluated(settings: &JobSettings, steps: &StepsJob, scope: &dyn Scope) -> Result<Self, String> {
        let value =
            |token: &Token, what: &str| evaluate(token, scope).map_err(|error| format!("`{what}`: {}", error.message));
        let labels = labels(&value(&steps.runs_on, "runs-on")?);
        let mut target = settings.labels.resolve(&labels).map_err(|error| error.0)?;
        let container = match &steps.container {
            Some(token) => Container::of(&value(token, "container")?)?,
            None => None,
        };
        let services = match &steps.services {
            Some(token) => services(&value(token, "services")?, settings)?,
            None => Vec::new(),
        };
        let shape = if container.is_some() { JobShape::Container } else { JobShape::Runner };
        if let Some(container) = &container {
            target = RunnerTarget::Image(container.image.reference.clone());
        }
        let docker = || {
            settings
                .docker
                .clone()
                .ok_or_else(|| settings.docker_problem.clone().unwrap_or_else(|| "there is no Docker".into()))
        };
        let placement = match &target {
            RunnerTarget::Image(_) => docker()?,
            RunnerTarget::Host if services.is_empty() => Arc::clone(&settings.host),
            RunnerTarget::Host => {
                return Err("`services` need a container engine, and this job runs on this machine itself; \
                            give the job a `container:` or a label that is mapped to an image"
                    .into());
            }
        };
        Ok(Self { target, shape, container, services, placement })
    }

    /// Makes folders and starts the job's container or agent.
    pub(super) async fn start(
        self,
        settings: &JobSettings,
        order: &Arc<JobOrder>,
        log: &mut StepLog,
    ) -> Result<Placed, String> {
        let folders = Folders::make(settings, order, matches!(self.target, RunnerTarget::Host), self.shape)?;
        let runner = match &self.target {
            RunnerTarget::Image(image) => format!("docker: {image}"),
            RunnerTarget::Host => "this machine".to_owned(),
        };
        log.line(&format!("Runner: {runner}")).await;
        let identity = JobIdentity { run: order.run.to_string(), job: order.key.to_string(), attempt: 1 };
        let spec = self.spec(settings, identity, &folders);
        let (key, notices, masker) = (order.key.clone(), settings.notices.clone(), Arc::clone(&settings.masker));
        let progress = Arc::new(move |mut progress: PlacementProgress| {
            progress.each_text(&mut |text| masker.hide(text));
            notices.offer(Notice::Placing { key: key.clone(), progress });
        });
        match self.placement.start(spec, progress).await {
            Ok(handle) => {
                let on_host = matches!(self.target, RunnerTarget::Host);
                Ok(folders.placed(handle, runner, self.shape, on_host).await)
            }
            Err(error) => {
                folders.remove();
                Err(error.to_string())
            }
        }
    }

    /// What its placement is told before such a job comes; no folder is made. Nothing for a job on this machine.
    pub(super) fn foretold(self, settings: &JobSettings) -> Option<(Arc<dyn Placement>, JobSpec)> {
        if matches!(self.target, RunnerTarget::Host) {
            return None;
        }
        let folders = Folders::plan(settings, "expected", false, self.shape);
        let identity = JobIdentity { run: String::new(), job: String::new(), attempt: 1 };
        let spec = self.spec(settings, identity, &folders);
        Some((self.placement, spec))
    }

    fn spec(&self, settings: &JobSettings, identity: JobIdentity, folders: &Folders) -> JobSpec {
        let mut image = match (&self.container, &self.target) {
            (Some(container), _) => container.image.clone(),
            (None, RunnerTarget::Image(image)) => ImageSpec::new(image.clone()),
            (None, RunnerTarget::Host) => ImageSpec::new(String::new()),
        };
        image.pull = settings.pull;
        let container = self.container.as_ref();
        JobSpec {
            identity,
            shape: self.shape,
            image,
            env: container.map(|container| container.env.clone()).unwrap_or_default(),
            user: None,
            workdir: folders.paths.workspace.clone(),
            run_directory: folders.run_directory.clone(),
            mounts: folders.mounts.clone(),
            services: self.services.iter().map(copy_service).collect(),
            options: container.map(|container| container.options.clone()).unwrap_or_default(),
            volumes: container.map(|container| container.volumes.clone()).unwrap_or_default(),
            ports: container.map(|container| container.ports.clone()).unwrap_or_default(),
            limits: settings.limits,
            network: NetworkAccess::Internet,
            trust: settings.trust,
            beside: None,
        }
    }
}

fn copy_service(service: &ServiceSpec) -> ServiceSpec {
    ServiceSpec {
        id: service.id.clone(),
        image: service.image.clone(),
        env: service.env.clone(),
        ports: service.ports.clone(),
        volumes: service.volumes.clone(),
        options: service.options.clone(),
        entrypoint: service.entrypoint.clone(),
        command: service.command.clone(),
        limits: service.limits,
    }
}

/// Folders of a job on this machine, and where the job sees them.
struct Folders {
    paths: JobPaths,
    workspace: WorkspaceFacts,
    run_directory: RunDirectory,
    mounts: Vec<Mount>,
    /// Those in the folder of the job.
    made: Vec<PathBuf>,
    /// To be removed at the end.
    temporary: Vec<PathBuf>,
}

impl Folders {
    /// Makes those of a job.
    fn make(settings: &JobSettings, order: &JobOrder, on_host: bool, shape: JobShape) -> Result<Self, String> {
        let unique = format!("{}-{:08x}", order.run, short_hash(&order.key.to_string()));
        let folders = Self::plan(settings, &unique, on_host, shape);
        for folder in folders.made.iter().chain([&folders.run_directory.host]) {
            make_open(folder)?;
        }
        write_event(&folders.run_directory.host, order)?;
        Ok(folders)
    }

    /// Where they are, or would be.
    fn plan(settings: &JobSettings, unique: &str, on_host: bool, shape: JobShape) -> Self {
        let work = settings.work.join(unique);
        let run = settings.run_directories.join(unique);
        let repository = settings.repository.name.rsplit('/').next().unwrap_or("workspace").to_owned();
        let root = match (on_host, shape) {
            (true, _) => work.display().to_string(),
            (false, JobShape::Runner) => "/home/runner/work".to_owned(),
            (false, JobShape::Container) => "/__w".to_owned(),
        };
        let own = work.join(&repository).join(&repository);
        let made = vec![own.clone(), work.join("_temp"), work.join("_tool"), work.join("_home")];
        let inside = format!("{root}/{repository}/{repository}");
        let mut mounts = Vec::new();
        if !on_host {
            mounts.push(Mount { host: work.clone(), inside: root.clone(), read_only: false });
            if shape == JobShape::Container {
                mounts.push(Mount { host: work.join("_home"), inside: "/github/home".into(), read_only: false });
            }
        }
        let host = if settings.bind { settings.repository.folder.clone() } else { own };
        if settings.bind && !on_host {
            mounts.push(Mount { host: host.clone(), inside: inside.clone(), read_only: false });
        }
        let workspace_inside = if on_host { host.display().to_string() } else { inside };
        let run_inside = if on_host { run.display().to_string() } else { RUN_DIRECTORY_INSIDE.to_owned() };
        let home = match (on_host, shape) {
            (true, _) => None,
            (false, JobShape::Runner) => Some("/home/runner".to_owned()),
            (false, JobShape::Container) => Some("/github/home".to_owned()),
        };
        let paths = JobPaths {
            workspace: workspace_inside.clone(),
            runner_workspace: format!("{root}/{repository}"),
            temp: format!("{root}/_temp"),
            tool_cache: format!("{root}/_tool"),
            home,
            event: format!("{run_inside}/event.json"),
        };
        Self {
            paths,
            workspace: WorkspaceFacts { host, inside: workspace_inside, shared: true },
            run_directory: RunDirectory { host: run.clone(), inside: run_inside },
            mounts,
            made,
            temporary: vec![work, folder_beside(&run), run],
        }
    }

    async fn placed(self, handle: Arc<dyn JobHandle>, runner: String, shape: JobShape, on_host: bool) -> Placed {
        let image = handle.facts().image.as_ref();
        let own_path = own_path(image);
        // An image that stands for a machine brings its tools along. A job's own container has the runner's, as on GitHub.
        let tools = own_tool_cache(image).filter(|_| shape == JobShape::Runner);
        // In a job container scripts run in sh unless the workflow names a shell, as on GitHub.
        let has_bash = shape == JobShape::Runner && has_bash(&*handle, &self.paths.workspace, &own_path).await;
        let record = PlacedRecord {
            on_host,
            handle: handle.record(),
            runner,
            paths: JobPaths { tool_cache: tools.unwrap_or(self.paths.tool_cache), ..self.paths },
            workspace: WorkspaceFacts { shared: handle.facts().files_are_shared, ..self.workspace },
            run_directory: self.run_directory,
            own_path,
            has_bash,
            folders: self.temporary,
            actions: std::collections::BTreeMap::new(),
            sources: std::collections::BTreeMap::new(),
            pres: Vec::new(),
            boot: boot_id(),
            serving: None,
            again: None,
        };
        Placed { handle, record, served: None }
    }

    fn remove(&self) {
        for folder in &self.temporary {
            // What cannot be removed goes with the run's folder.
            let _kept = std::fs::remove_dir_all(folder);
        }
    }
}

/// Whether there is a bash to run scripts without a `shell:`.
async fn has_bash(handle: &dyn JobHandle, cwd: &str, path: &str) -> bool {
    let mut request = ExecRequest::new(["bash", "-c", ":"], cwd);
    request.env = vec![("PATH".into(), path.to_owned())];
    let Ok(exec) = handle.exec(request).await else { return false };
    matches!(exec.output(0).await.0, ExecOutcome::Exited { code: 0, .. })
}

impl Container {
    fn of(value: &Value) -> Result<Option<Self>, String> {
        let Some(image) = image(value, "container")? else { return Ok(None) };
        Ok(Some(Self {
            image,
            env: string_map(value.get("env")),
            ports: string_list(value.get("ports")),
            volumes: string_list(value.get("volumes")),
            options: string(value.get("options")).unwrap_or_default(),
        }))
    }
}

fn services(value: &Value, settings: &JobSettings) -> Result<Vec<ServiceSpec>, String> {
    let mut services = Vec::new();
    for (id, service) in value.as_object().into_iter().flat_map(Object::iter) {
        // A service whose image is empty is left out, so that an expression can switch it off, as on GitHub.
        let Some(mut image) = image(service, &format!("services.{id}"))? else { continue };
        image.pull = settings.pull;
        services.push(ServiceSpec {
            id: id.to_string(),
            image,
            env: string_map(service.get("env")),
            ports: string_list(service.get("ports")),
            volumes: string_list(service.get("volumes")),
            options: string(service.get("options")).unwrap_or_default(),
            entrypoint: string(service.get("entrypoint")),
            command: string(service.get("command")),
            limits: settings.limits,
        });
    }
    Ok(services)
}

fn image(value: &Value, what: &str) -> Result<Option<ImageSpec>, String> {
    let reference = match value.as_object() {
        Some(mapping) => string(mapping.get("image")).unwrap_or_default(),
        None => value.to_display_string().to_string(),
    };
    if reference.is_empty() {
        return Ok(None);
    }
    let mut image = ImageSpec::new(reference);
    if let Some(credentials) = value.get("credentials").filter(|credentials| credentials.as_object().is_some()) {
        let part = |name: &str| {
            string(credentials.get(name)).ok_or_else(|| format!("`{what}.credentials.{name}` is missing or empty"))
        };
        image.credentials = Some(Credentials { username: part("username")?, password: part("password")?.into() });
    }
    Ok(Some(image))
}

pub(super) fn labels(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().map(|item| item.to_display_string().to_string()).collect(),
        Value::Object(mapping) => {
            let labels = mapping.get("labels").map(labels).unwrap_or_default();
            let group = || string(mapping.get("group")).into_iter().collect();
            if labels.is_empty() { group() } else { labels }
        }
        Value::Null | Value::Boolean(_) | Value::Number(_) | Value::String(_) => {
            vec![value.to_display_string().to_string()]
        }
    }
}

fn string(value: Option<&Value>) -> Option<String> {
    value.map(|value| value.to_display_string().to_string()).filter(|text| !text.is_empty())
}

fn string_list(value: Option<&Value>) -> Vec<String> {
    let items = value.and_then(Value::as_array).unwrap_or_default();
    items.iter().map(|item| item.to_display_string().to_string()).collect()
}

fn string_map(value: Option<&Value>) -> IndexMap<String, String> {
    let pairs = value.and_then(Value::as_object).into_iter().flat_map(Object::iter);
    pairs.map(|(name, value)| (name.to_string(), value.to_display_string().to_string())).collect()
}

fn short_hash(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// A folder that steps of any user may write to.
pub(super) fn make_open(folder: &Path) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o777)))
        .map_err(|error| format!("cannot create {}: {error}", folder.display()))
}

pub(super) fn write_event(run: &Path, order: &JobOrder) -> Result<(), String> {
    let event = order.contexts.github.get("event").map_or(serde_json::Value::Null, Value::to_json);
    let path = run.join("event.json");
    serde_json::to_vec(&event)
        .map_err(std::io::Error::other)
        .and_then(|bytes| std::fs::write(&path, bytes))
        .map_err(|error| format!("cannot write {}: {error}", path.display()))
}
