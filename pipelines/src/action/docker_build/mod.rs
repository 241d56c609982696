//! `pipe/docker-build`: an image from a Dockerfile of the workspace (of the repository too, for [`push`]), by the engine's BuildKit.
//!
//! Builds for this machine's Docker and pushes nothing. Base images that are here are used as they are, no registry is
//! asked for them. See [`inputs`] for what it takes, [`session`] for how BuildKit gets files and secrets.

mod context;
pub mod inputs;
mod patterns;
mod progress;
pub mod push;
mod session;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bollard::models::{BuildInfo, BuildInfoAux};
use bollard::query_parameters::{BuildImageOptions, BuildImageOptionsBuilder, TagImageOptionsBuilder};
use engine::image::to_the_end;
use engine::inside::Inside;
use engine::step::checkout::{SourceFiles, source_files};
use engine::step::{ActionCall, ActionError, BuiltInAction, InputFacts};
use futures_util::StreamExt as _;

pub use self::inputs::{INPUTS, OUTPUTS};

use self::context::Folders;
use self::inputs::Order;
use self::progress::Progress;
use self::session::Session;
use crate::docker::{Docker, words};

/// A Dockerfile, at most; secrets too.
const FILE_BYTES_MAX: u64 = 512 * 1024;

/// The action.
#[derive(Debug, Clone, Default)]
pub struct DockerBuild {
    /// What images carry, so that those may go that nobody uses when the disk is full.
    pub labels: BTreeMap<String, String>,
}

#[async_trait]
impl BuiltInAction for DockerBuild {
    fn name(&self) -> &'static str {
        "pipe/docker-build"
    }

    fn inputs(&self) -> &'static [InputFacts] {
        INPUTS
    }

    async fn run(&self, call: &mut ActionCall<'_>) -> Result<(), ActionError> {
        let order = Order::of(call, false).map_err(ActionError::Failed)?;
        self.built(call, order).await.map(drop)
    }
}

impl DockerBuild {
    /// Builds and tags; gives the image's id.
    async fn built(&self, call: &mut ActionCall<'_>, mut order: Order) -> Result<String, ActionError> {
        order.labels.extend(self.labels.clone());
        for warning in &order.warnings {
            call.log.warning(warning).await;
        }
        let of_workspace = !order.of_repository || order.file_of_workspace || !order.secret_files.is_empty();
        if of_workspace && !call.workspace.shared {
            return Err(failed(
                "the workspace is on another machine than this one, so its files cannot be given to the build",
            ));
        }
        let repository = if order.of_repository { Some(of_repository(call).await?) } else { None };
        let sources = Sources::open(call, &mut order, repository).map_err(ActionError::Failed)?;
        let docker = Docker::connect().await.map_err(ActionError::Failed)?;
        let image = build(call, &docker, &order, &sources).await?;
        tag(&docker, &order, &image).await?;
        for name in &order.tags {
            call.log.line(&format!("Tagged {name}")).await;
        }
        let metadata = serde_json::json!({
            "containerimage.config.digest": image, "containerimage.digest": image, "image.name": order.tags.join(","),
        });
        call.outputs.insert("imageid".into(), image.clone());
        call.outputs.insert("digest".into(), image.clone());
        call.outputs.insert("metadata".into(), metadata.to_string());
        Ok(image)
    }
}

fn failed(text: impl Into<String>) -> ActionError {
    ActionError::Failed(text.into())
}

/// The repository's own files, which the log tells of.
async fn of_repository(call: &mut ActionCall<'_>) -> Result<SourceFiles, ActionError> {
    let files = source_files(call).await?;
    let text = "The context is the repository as actions/checkout gives it, not what steps made of the workspace (`context: .`): ";
    call.log.line(&format!("{text}{}", files.lines.join(", "))).await;
    if !files.left_out.is_empty() {
        let names: Vec<_> = files.left_out.iter().map(|path| path.display().to_string()).collect();
        let help = if call.repository.working_tree {
            "are not checked out in the repository's folder: `git submodule update --init --recursive`"
        } else {
            "are not here: check them out in the workspace by actions/checkout itself (`submodules: recursive`) and write `context: .`"
        };
        call.log
            .warning(&format!("these submodules are left out of the context, since they {help}: {}", names.join(", ")))
            .await;
    }
    Ok(files)
}

/// What the build reads.
struct Sources {
    context: Inside,
    dockerfile: Inside,
    /// Name of the Dockerfile in its folder.
    name: String,
    text: String,
    /// The repository's files, where the context is among them.
    repository: Option<SourceFiles>,
}

impl Sources {
    fn open(call: &ActionCall<'_>, order: &mut Order, repository: Option<SourceFiles>) -> Result<Self, String> {
        let workspace =
            || Inside::workspace(&call.workspace.host).map_err(|error| format!("cannot open the workspace: {error}"));
        let root = match &repository {
            Some(files) => Inside::workspace(&files.folder)
                .map_err(|error| format!("cannot open the files of the repository: {error}"))?,
            None => workspace()?,
        };
        let context = root
            .folder(&order.context)
            .map_err(|error| format!("`context: {}` cannot be opened: {error}", shown(&order.context)))?;
        let beside = if order.file_of_workspace { workspace()? } else { root };
        let parent = order.file.parent().unwrap_or(Path::new(""));
        let name = order.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let text = read(&beside, &order.file).map_err(|error| no_dockerfile(&beside, order, &error))?;
        for (id, path) in &order.secret_files {
            let text =
                read(&workspace()?, path).map_err(|error| format!("`secret-files`: {}: {error}", path.display()))?;
            order.secrets.insert(id.clone(), text);
        }
        let dockerfile = beside.folder(parent).map_err(|error| error.to_string())?;
        Ok(Self { context, dockerfile, name, text: String::from_utf8_lossy(&text).into_owned(), repository })
    }
}

fn read(workspace: &Inside, path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    workspace.file(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(std::io::Error::other("it is longer than 512 KiB"));
    }
    Ok(bytes)
}

fn shown(path: &Path) -> String {
    if path.as_os_str().is_empty() { ".".to_owned() } else { path.display().to_string() }
}

fn no_dockerfile(root: &Inside, order: &Order, error: &std::io::Error) -> String {
    let path = &order.file;
    let folder = path.parent().unwrap_or(Path::new(""));
    let names: Vec<String> = root
        .folder(folder)
        .and_then(|folder| folder.names())
        .unwrap_or_default()
        .into_iter()
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    let wanted = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let lower = wanted.to_lowercase();
    let near = names
        .iter()
        .find(|name| name.to_lowercase() == lower)
        .or_else(|| {
            names.iter().find(|name| name.to_lowercase().contains("dockerfile") && !name.ends_with(".dockerignore"))
        })
        .map(String::as_str)
        .or_else(|| workflow::diagnostic::suggest(&wanted, names.iter().map(String::as_str)));
    let is_empty = || !order.of_repository && root.names().is_ok_and(|names| names.is_empty());
    // In the repository it is said from the context on.
    let below = if order.of_repository { folder.strip_prefix(&order.context).unwrap_or(folder) } else { folder };
    let hint = match near {
        Some(near) => format!("; did you mean `file: {}`?", below.join(near).display()),
        None if is_empty() => {
            "; the workspace is empty: check the repository out first (`uses: actions/checkout`)".into()
        }
        None => String::new(),
    };
    format!("the Dockerfile {} cannot be read: {error}{hint}", path.display())
}

async fn build(
    call: &mut ActionCall<'_>,
    docker: &Docker,
    order: &Order,
    sources: &Sources,
) -> Result<String, ActionError> {
    let id = session_id(call);
    let folders = Folders {
        by_name: HashMap::from([("context", sources.context.clone()), ("dockerfile", sources.dockerfile.clone())]),
        are_whole: sources.repository.is_some(),
    };
    let session = Session { id: id.clone(), folders, secrets: Arc::new(order.secrets.clone()) };
    let _open = session.open(docker).await.map_err(ActionError::Failed)?;
    // Bollard opens a session of its own for version 2, which carries no files; ours is named in the request.
    let client = docker.client.clone().with_request_modifier(|mut request| {
        let uri = request.uri().to_string().replace("version=1", "version=2");
        if let Ok(uri) = uri.parse() {
            *request.uri_mut() = uri;
        }
        request
    });
    let body = bollard::body_full(bytes::Bytes::new());
    let mut events = Box::pin(to_the_end(client.build_image(options(order, &id, &sources.name), None, Some(body))));
    let mut progress = Progress::default();
    let mut image = None;
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            // Hanging up ends the build.
            () = call.cancel.cancelled() => return Err(ActionError::Cancelled),
        };
        match event {
            None => break,
            Some(Ok(event)) => take(event, &mut progress, &mut image, call).await,
            Some(Err(error)) => return Err(failed(failure(&error, &progress, order, sources))),
        }
    }
    image.ok_or_else(|| failed("Docker ended the build without an image"))
}

async fn take(event: BuildInfo, progress: &mut Progress, image: &mut Option<String>, call: &mut ActionCall<'_>) {
    match event.aux {
        Some(BuildInfoAux::BuildKit(status)) => {
            let lines = progress.take(&status);
            if !lines.is_empty() {
                call.log.line(&lines.join("\n")).await;
            }
        }
        Some(BuildInfoAux::Default(id)) => *image = id.id.or(image.take()),
        None => {
            if let Some(text) = event.stream.filter(|text| !text.trim().is_empty()) {
                call.log.line(text.trim_end()).await;
            }
        }
    }
}

/// Unique in this process and run; other processes have other numbers.
fn session_id(call: &ActionCall<'_>) -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |time| time.as_nanos());
    format!("pipe-{}-{}-{number}-{time:x}", call.run.id, std::process::id())
}

fn options(order: &Order, session: &str, dockerfile: &str) -> BuildImageOptions {
    let mut options = BuildImageOptionsBuilder::default()
        .remote("client-session")
        .session(session)
        .dockerfile(dockerfile)
        .rm(true)
        .forcerm(true)
        .nocache(order.no_cache)
        .labels(&order.labels)
        .buildargs(&order.build_args);
    if let Some(first) = order.tags.first() {
        options = options.t(first);
    }
    if order.pull {
        options = options.pull("true");
    }
    for (text, set) in [
        (
            &order.target,
            BuildImageOptionsBuilder::target as fn(BuildImageOptionsBuilder, &str) -> BuildImageOptionsBuilder,
        ),
        (&order.platform, BuildImageOptionsBuilder::platform),
        (&order.network, BuildImageOptionsBuilder::networkmode),
    ] {
        if !text.is_empty() {
            options = set(options, text);
        }
    }
    if !order.hosts.is_empty() {
        options = options.extrahosts(&order.hosts.join(","));
    }
    if !order.cache_from.is_empty() {
        options = options.cachefrom(&order.cache_from);
    }
    options.build()
}

async fn tag(docker: &Docker, order: &Order, image: &str) -> Result<(), ActionError> {
    for name in order.tags.iter().skip(1) {
        let (repository, tag) = match name.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository, tag),
            Some(_) | None => (name.as_str(), "latest"),
        };
        let options = TagImageOptionsBuilder::default().repo(repository).tag(tag).build();
        let tagged = docker.client.tag_image(image, Some(options)).await;
        tagged.map_err(|error| failed(format!("the image cannot be tagged {name}: {}", words(&error))))?;
    }
    Ok(())
}

/// What went wrong: the engine's words, the step with the end of its output, and its line in the Dockerfile.
fn failure(error: &bollard::errors::Error, progress: &Progress, order: &Order, sources: &Sources) -> String {
    let Some(step) = &progress.failed else { return format!("the build failed: {}", words(error)) };
    let place =
        line_of(&sources.text, step).map(|line| format!("{}:{line}: ", order.file.display())).unwrap_or_default();
    format!("{place}the build failed at {step}")
}

/// The line of the instruction that a step's name (`[build 2/4] RUN npm ci`) shows.
fn line_of(dockerfile: &str, step: &str) -> Option<usize> {
    let (_, instruction) = step.lines().next()?.split_once("] ")?;
    let mut start = 0;
    let mut text = String::new();
    for (number, line) in (1..).zip(dockerfile.lines()) {
        let line = line.trim();
        if line.starts_with('#') || (line.is_empty() && text.is_empty()) {
            continue;
        }
        if text.is_empty() {
            start = number;
        }
        text.push_str(line.trim_end_matches('\\'));
        if line.ends_with('\\') {
            continue;
        }
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let (here, there) = (words(&text), words(instruction));
        if there.starts_with(&here) {
            return Some(start);
        }
        text.clear();
    }
    None
}
