//! Containers of actions beside that of their job: in its network, so that services and what listens on its localhost are
//! where they are for its other steps, and with GitHub's folders.
//!
//! The agent is the first program in each, as in a job's container: a command goes on while nobody watches it and is found
//! again. There is no socket of the container engine in them, unlike on GitHub. Folders follow
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/dockerfile-support>.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indexmap::IndexMap;
use tokio::sync::mpsc;

use super::JobOrder;
use super::environment::JobPaths;
use super::files::{JobFiles, StepNumber};
use super::place::{make_open, write_event};
use super::placed::PlacedRecord;
use super::run::JobSettings;
use crate::notice::Notice;
use crate::placement::{
    Beside, ImageOrder, ImageSpec, JobHandle, JobIdentity, JobShape, JobSpec, Mount, NetworkAccess, Placement,
    PlacementProgress, RunDirectory,
};

/// The folders that an action of an image sees.
const WORKSPACE: &str = "/github/workspace";
const HOME: &str = "/github/home";
const TEMP: &str = "/github/runner_temp";
const WORKFLOW: &str = "/github/workflow";
const FILE_COMMANDS: &str = "/github/file_commands";

/// The build of an action's image takes no longer; nor than its job may. The time limit of a step is that of what runs in the
/// image, since GitHub builds it before the first step.
const BUILD_TIME_MAX: Duration = Duration::from_secs(60 * 60);

/// Where actions of a job get containers.
#[derive(Debug)]
pub(super) struct JobContainers {
    settings: Arc<JobSettings>,
    order: Arc<JobOrder>,
    /// Why there can be none.
    problem: Option<String>,
    /// The job's workspace on this machine, and the folder of all of its folders.
    workspace: PathBuf,
    work: PathBuf,
    /// Where their run directories are made, which no step sees.
    folder: PathBuf,
    paths: JobPaths,
}

/// A container that runs, and what lies in its run directory.
pub(super) struct OpenContainer {
    pub(super) handle: Arc<dyn JobHandle>,
    pub(super) files: JobFiles,
    folder: PathBuf,
}

/// Where the run directories of such containers are, for that of their job.
pub(super) fn folder_beside(run: &Path) -> PathBuf {
    let mut name = run.file_name().unwrap_or_default().to_owned();
    name.push("b");
    run.with_file_name(name)
}

impl JobContainers {
    pub(super) fn of(settings: &Arc<JobSettings>, order: &Arc<JobOrder>, placed: &PlacedRecord) -> Self {
        let problem = if placed.on_host {
            Some(
                "this job runs on this machine itself; give it a `container:`, or a label that is mapped to an image \
                 (`-P LABEL=IMAGE`)",
            )
        } else if !placed.workspace.shared {
            Some("the container engine is on another machine and does not see the job's folders")
        } else {
            None
        };
        Self {
            settings: Arc::clone(settings),
            order: Arc::clone(order),
            problem: problem
                .map(|problem| format!("an action of an image needs a container engine beside its job: {problem}")),
            workspace: placed.workspace.host.clone(),
            work: placed.folders.first().cloned().unwrap_or_default(),
            folder: folder_beside(&placed.run_directory.host),
            paths: placed.paths.clone(),
        }
    }

    fn placement(&self) -> Result<&Arc<dyn Placement>, String> {
        if let Some(problem) = &self.problem {
            return Err(problem.clone());
        }
        self.settings.docker.as_ref().ok_or_else(|| self.settings.docker_problem.clone().unwrap_or_default())
    }

    /// Whether there can be any.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn check(&self) -> Result<(), String> {
        self.placement().map(|_| ())
    }

    /// The folder of the workspace that a path of the job is.
    pub(super) fn in_workspace(&self, folder: &str) -> Option<(PathBuf, PathBuf)> {
        let below = Path::new(folder).strip_prefix(&self.paths.workspace).ok()?;
        Some((self.workspace.clone(), below.to_owned()))
    }

    /// An image to build, with the limits of this job.
    pub(super) fn image_order(
        &self,
        (folder, below): (PathBuf, PathBuf),
        dockerfile: &str,
        key: Option<String>,
    ) -> ImageOrder {
        let JobSettings { limits, trust, .. } = *self.settings;
        ImageOrder { folder, below, dockerfile: dockerfile.to_owned(), key, limits, time: BUILD_TIME_MAX, trust }
    }

    /// Builds an image; gives its id.
    pub(super) async fn build(&self, order: ImageOrder, said: mpsc::UnboundedSender<String>) -> Result<String, String> {
        self.placement()?.build(order, said).await.map_err(|error| error.to_string())
    }

    /// Starts one for a part of an action.
    pub(super) async fn start(
        &self,
        number: StepNumber,
        image: &str,
        job: &dyn JobHandle,
    ) -> Result<OpenContainer, String> {
        let placement = self.placement()?;
        let facts = job.facts();
        let container = facts.container_id.clone().ok_or("the job has no container")?;
        let folder = self.folder_of(number);
        // What a killed process had begun there.
        let _gone = std::fs::remove_dir_all(&folder);
        let (run, workflow) = (folder.join("r"), folder.join("w"));
        for folder in [&run, &workflow] {
            make_open(folder)?;
        }
        write_event(&workflow, &self.order)?;
        let mount = |host: PathBuf, inside: &str| Mount { host, inside: inside.to_owned(), read_only: false };
        let mut of_job = vec![TEMP.to_owned(), HOME.to_owned()];
        if !self.settings.bind {
            of_job.push(WORKSPACE.to_owned());
        }
        let mut image = ImageSpec::new(image);
        image.pull = self.settings.pull;
        let spec = JobSpec {
            identity: JobIdentity { run: self.order.run.to_string(), job: self.order.key.to_string(), attempt: 1 },
            shape: JobShape::Runner,
            image,
            env: IndexMap::new(),
            user: None,
            workdir: WORKSPACE.to_owned(),
            run_directory: RunDirectory { host: run, inside: FILE_COMMANDS.to_owned() },
            mounts: vec![
                mount(self.work.join("_temp"), TEMP),
                mount(self.work.join("_home"), HOME),
                mount(workflow, WORKFLOW),
                mount(self.workspace.clone(), WORKSPACE),
            ],
            services: Vec::new(),
            options: String::new(),
            volumes: Vec::new(),
            ports: Vec::new(),
            limits: self.settings.limits,
            network: NetworkAccess::Internet,
            trust: None,
            beside: Some(Beside { container, of_job }),
        };
        let (key, notices, masker) =
            (self.order.key.clone(), self.settings.notices.clone(), Arc::clone(&self.settings.masker));
        let progress = Arc::new(move |mut progress: PlacementProgress| {
            progress.each_text(&mut |text| masker.hide(text));
            notices.offer(Notice::Placing { key: key.clone(), progress });
        });
        let mut starting = Starting { unfinished: &self.settings.unfinished_starts, is_over: false };
        let started = placement.start(spec, progress).await;
        starting.is_over = true;
        let handle = started.map_err(|error| error.to_string())?;
        job.keep(&*handle);
        Ok(self.opened(number, handle))
    }

    /// One that another process had started.
    pub(super) async fn adopt(
        &self,
        number: StepNumber,
        record: &serde_json::Value,
        job: &dyn JobHandle,
    ) -> Result<OpenContainer, String> {
        let handle = self.placement()?.adopt(record).await.map_err(|error| error.to_string())?;
        job.keep(&*handle);
        Ok(self.opened(number, handle))
    }

    fn opened(&self, number: StepNumber, handle: Arc<dyn JobHandle>) -> OpenContainer {
        let folder = self.folder_of(number);
        let run = RunDirectory { host: folder.join("r"), inside: FILE_COMMANDS.to_owned() };
        OpenContainer { files: JobFiles::new(run, Arc::clone(&handle)), handle, folder }
    }

    fn folder_of(&self, number: StepNumber) -> PathBuf {
        self.folder.join(format!("{}.{}", number.step.0, number.inner))
    }

    /// Variables as they are in there: what names a folder of the job names the same one.
    pub(super) fn environment(&self, env: IndexMap<String, String>) -> Vec<(String, String)> {
        let JobPaths { workspace, temp, event, .. } = &self.paths;
        let event_inside = format!("{WORKFLOW}/event.json");
        let pairs = [(event.as_str(), event_inside.as_str()), (temp, TEMP), (workspace, WORKSPACE)];
        let mut env: Vec<_> = env.into_iter().map(|(name, value)| (name, translated(&value, &pairs))).collect();
        env.retain(|(name, _)| name != "HOME");
        env.push(("HOME".to_owned(), HOME.to_owned()));
        env
    }

    /// The folder that commands begin in.
    pub(super) const fn workspace(&self) -> &'static str {
        WORKSPACE
    }
}

impl OpenContainer {
    /// Removes it. What cannot be removed goes with the job.
    pub(super) async fn close(self) {
        if let Err(error) = self.handle.stop().await {
            tracing::debug!(%error, "the container of an action goes with its job");
        }
        let _gone = std::fs::remove_dir_all(&self.folder);
    }
}

/// A start; one that is dropped before it is over may have made something of which nobody knows.
struct Starting<'a> {
    unfinished: &'a AtomicBool,
    is_over: bool,
}

impl Drop for Starting<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.unfinished.store(true, Ordering::Relaxed);
        }
    }
}

fn translated(value: &str, pairs: &[(&str, &str)]) -> String {
    for (from, to) in pairs {
        match value.strip_prefix(from) {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => return format!("{to}{rest}"),
            Some(_) | None => {}
        }
    }
    value.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_job_are_translated() {
        let pairs = [("/home/runner/work/_temp", TEMP), ("/home/runner/work/r/r", WORKSPACE)];
        for (value, expect) in [
            ("/home/runner/work/r/r", "/github/workspace"),
            ("/home/runner/work/r/r/a b", "/github/workspace/a b"),
            ("/home/runner/work/r/rest", "/home/runner/work/r/rest"),
            ("/home/runner/work/_temp/x", "/github/runner_temp/x"),
            ("a:/home/runner/work/r/r", "a:/home/runner/work/r/r"),
            ("", ""),
        ] {
            assert_eq!(translated(value, &pairs), expect);
        }
    }

    #[test]
    fn their_folders_lie_beside_that_of_the_job() {
        assert_eq!(folder_beside(Path::new("/r/1-2")), Path::new("/r/1-2b"));
    }
}
