//! Containers that are made before their jobs are known, so that a job finds one whose agent listens.
//!
//! After each job one more of its kind ([`key`]) is made, and for jobs whose needs are about to end; [`plan`] says how
//! many. One is used by one job, once, and only by jobs of the trust that it was made for. It has folders of its own, which
//! move to where the job's are ([`folders`]); whose it is from then on stands in a file ([`claims`]). A process that ends in
//! order leaves none of it. What a killed one had made ahead and nobody has taken is removed by the next start on the same
//! folder, since it belongs to no run.

pub(super) mod claims;
mod container;
mod folders;
mod key;
mod plan;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::future::join_all;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::container::{Ahead, made};
use self::key::Key;
use self::plan::{Bounds, Kind, Step, plan};
use super::DockerPlacement;
use super::address::hex;
use super::job::DockerJob;
use super::transport::unique;
use crate::image::ImageFacts;
use crate::placement::{
    Disposable, ImageOrder, JobHandle, JobShape, JobSpec, LeftoverFilter, Placement, PlacementError, PlacementProgress,
    ProgressSink, Removed, Resource,
};

/// What stands in the place of a run's id.
pub(super) const RUN: &str = "ahead";
/// The next one is made a little later, so that it does not slow down the job that took the last.
const REFILL_PAUSE: Duration = Duration::from_millis(300);
/// How long a job may stay away that was expected.
const EXPECTED: Duration = Duration::from_secs(60);
/// After one that could not be made.
const FAILED_PAUSE: Duration = Duration::from_secs(60);
/// How long the end of the process waits for the engine. What it does not remove then, the next start does.
const CLOSE_TIME: Duration = Duration::from_secs(20);
/// How often it is looked for kinds that are out of use.
const TIDY_EVERY: Duration = Duration::from_secs(10);

/// How many are made, and where their folders are: beside those of jobs, on the same disk.
#[derive(Debug, Clone)]
pub struct WarmSettings {
    /// For workspaces; also for [`super::DockerSettings::claims`].
    pub folder: PathBuf,
    /// For sockets; its path is short.
    pub sockets: PathBuf,
    /// For each image and trust in use.
    pub each: usize,
    /// In all.
    pub all: usize,
    /// An image that no job has used for so long is not in use.
    pub idle: Duration,
}

/// Jobs in containers, of which some were made ahead.
#[derive(Debug)]
pub struct WarmPlacement(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    docker: DockerPlacement,
    settings: WarmSettings,
    state: Mutex<State>,
    making: TaskTracker,
    stop: CancellationToken,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<Line>,
    count: u64,
    closed: bool,
}

/// One kind.
#[derive(Debug)]
struct Line {
    key: Key,
    shape: JobShape,
    used: Instant,
    ready: Vec<Ahead>,
    making: usize,
    expected: Vec<Instant>,
    failed: Option<Instant>,
}

impl WarmPlacement {
    /// On this placement, whose settings have the folder of claims. What an earlier process had in the folders is removed.
    #[must_use]
    pub fn new(docker: DockerPlacement, settings: WarmSettings) -> Self {
        for parent in [&settings.folder, &settings.sockets] {
            for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
                if docker.settings.claims.as_ref() != Some(&entry.path()) {
                    // What stays is in nobody's way: names are not used twice.
                    let _left = std::fs::remove_dir_all(entry.path());
                }
            }
        }
        if settings.all > 0 && std::fs::create_dir_all(&settings.folder).is_ok() {
            crate::folders::spread(&settings.folder);
        }
        let (making, stop) = (TaskTracker::new(), CancellationToken::new());
        let this = Arc::new(Shared { docker, settings, state: Mutex::default(), making, stop });
        tokio::spawn(Arc::clone(&this).tidy());
        Self(this)
    }

    /// How many wait for a job, and how many are being made.
    #[must_use]
    pub fn count(&self) -> (usize, usize) {
        let state = self.0.state();
        state.lines.iter().fold((0, 0), |(ready, making), line| (ready + line.ready.len(), making + line.making))
    }
}

#[async_trait]
impl Placement for WarmPlacement {
    async fn start(&self, spec: JobSpec, progress: ProgressSink) -> Result<Arc<dyn JobHandle>, PlacementError> {
        let this = &self.0;
        if this.settings.all == 0 || Key::of(&spec, "").is_none() {
            return this.docker.start(spec, progress).await;
        }
        let image = this.docker.images.ensure(&spec.image, &progress).await?;
        let Some(key) = Key::of(&spec, &image.id) else { return this.docker.start(spec, progress).await };
        let taken = this.take(&key, &spec, &image).await?;
        let job = match taken {
            Some(job) => {
                progress(PlacementProgress::Ready);
                job
            }
            None => this.docker.start_job(&spec, Some(&image), &progress).await?,
        };
        this.used(key, spec.shape, false);
        this.tend(REFILL_PAUSE);
        Ok(Arc::new(job))
    }

    async fn adopt(&self, record: &serde_json::Value) -> Result<Arc<dyn JobHandle>, PlacementError> {
        self.0.docker.adopt(record).await
    }

    async fn ours(&self) -> Result<Vec<Resource>, PlacementError> {
        let ours = self.0.docker.ours().await?;
        if let Some(folder) = &self.0.docker.settings.claims {
            claims::keep_only(folder, |run, job| ours.iter().any(|it| it.run == run && it.job == job));
        }
        Ok(ours)
    }

    async fn root(&self) -> Option<std::path::PathBuf> {
        self.0.docker.root().await
    }

    async fn disposable(&self) -> Result<Vec<Disposable>, PlacementError> {
        self.0.docker.disposable().await
    }

    async fn dispose(&self, one: &Disposable) -> Result<(), PlacementError> {
        self.0.docker.dispose(one).await
    }

    async fn remove_leftovers(&self, filter: LeftoverFilter) -> Result<Removed, PlacementError> {
        let removed = self.0.docker.remove_leftovers(filter.clone()).await?;
        if let Some(folder) = &self.0.docker.settings.claims {
            claims::keep_only(folder, |run, job| match &filter {
                LeftoverFilter::Run(gone) => run != gone,
                LeftoverFilter::Job { run: of, job: gone } => run != of || job != gone,
                LeftoverFilter::Abandoned
                | LeftoverFilter::AbandonedBut(_)
                | LeftoverFilter::Own
                | LeftoverFilter::Forsaken => true,
            });
        }
        Ok(removed)
    }

    async fn expect(&self, spec: JobSpec) {
        let this = &self.0;
        if this.settings.all == 0 || Key::of(&spec, "").is_none() {
            return;
        }
        let progress: ProgressSink = Arc::new(|_| {});
        // What is wrong with the image is told to the job.
        let Ok(image) = this.docker.images.ensure(&spec.image, &progress).await else { return };
        if let Some(key) = Key::of(&spec, &image.id) {
            this.used(key, spec.shape, true);
            this.tend(Duration::ZERO);
        }
    }

    async fn build(&self, order: ImageOrder, said: mpsc::UnboundedSender<String>) -> Result<String, PlacementError> {
        self.0.docker.build(order, said).await
    }

    async fn close(&self) {
        let this = &self.0;
        if tokio::time::timeout(CLOSE_TIME, this.close()).await.is_err() {
            tracing::warn!("the engine does not answer; what was made ahead is left, and the next start removes it");
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One that was made ahead becomes the job's, if there is one that fits.
    async fn take(&self, key: &Key, spec: &JobSpec, image: &ImageFacts) -> Result<Option<DockerJob>, PlacementError> {
        let Some(claims) = self.docker.settings.claims.as_deref() else { return Ok(None) };
        let mut comes = true;
        while let Some(ahead) = self.next(key, comes) {
            comes = false;
            let name = ahead.name.clone();
            let mut held = Held { ahead: Some(ahead), making: self.making.clone() };
            match held.take(claims, spec, image).await? {
                Ok(taken) => return Ok(taken),
                Err(reason) => {
                    tracing::warn!(container = name, reason, "a container that was made ahead is not used");
                }
            }
        }
        Ok(None)
    }

    /// One of this kind that is ready; a job that `comes` is not expected any more.
    fn next(&self, key: &Key, comes: bool) -> Option<Ahead> {
        let mut state = self.state();
        let line = state.lines.iter_mut().find(|line| line.key == *key)?;
        if comes && !line.expected.is_empty() {
            line.expected.remove(0);
        }
        line.ready.pop()
    }

    /// A kind is in use.
    fn used(&self, key: Key, shape: JobShape, is_expected: bool) {
        let (now, mut state) = (Instant::now(), self.state());
        let expected = is_expected.then_some(now);
        match state.lines.iter_mut().find(|line| line.key == key) {
            Some(line) => {
                line.used = now;
                line.expected.extend(expected);
            }
            None => state.lines.push(Line {
                key,
                shape,
                used: now,
                ready: Vec::new(),
                making: 0,
                expected: expected.into_iter().collect(),
                failed: None,
            }),
        }
    }

    /// Makes and removes what the plan says.
    fn tend(self: &Arc<Self>, pause: Duration) {
        let (now, mut state) = (Instant::now(), self.state());
        if state.closed {
            return;
        }
        for line in &mut state.lines {
            line.expected.retain(|at| now.duration_since(*at) < EXPECTED);
            line.failed = line.failed.filter(|at| now.duration_since(*at) < FAILED_PAUSE);
        }
        let kind = |line: &Line| Kind {
            unused: now.duration_since(line.used),
            ready: line.ready.len(),
            making: line.making,
            expected: line.expected.len(),
            fails: line.failed.is_some(),
        };
        let kinds: Vec<Kind> = state.lines.iter().map(kind).collect();
        let WarmSettings { each, all, idle, .. } = self.settings;
        let mut forgotten = Vec::new();
        for step in plan(&kinds, Bounds { each, all, idle }) {
            match step {
                Step::Make(index) => {
                    state.count += 1;
                    let name = format!("{RUN}-{}", hex(&unique(state.count)[..6]));
                    let line = &mut state.lines[index];
                    line.making += 1;
                    self.making.spawn(Arc::clone(self).make(line.key.clone(), line.shape, name, pause));
                }
                Step::Remove(index) => {
                    let ahead = state.lines[index].ready.pop();
                    self.making.spawn(async move {
                        if let Some(ahead) = ahead {
                            ahead.remove().await;
                        }
                    });
                }
                Step::Forget(index) => forgotten.push(index),
            }
        }
        forgotten.sort_unstable();
        for index in forgotten.into_iter().rev() {
            state.lines.swap_remove(index);
        }
    }

    async fn make(self: Arc<Self>, key: Key, shape: JobShape, name: String, pause: Duration) {
        let made = tokio::select! {
            () = tokio::time::sleep(pause) => Some(made(&self.docker, &self.settings, &key, (shape, name)).await),
            () = self.stop.cancelled() => None,
        };
        let unwanted = {
            let mut state = self.state();
            let is_closed = state.closed;
            let line = state.lines.iter_mut().find(|line| line.key == key);
            match (made, line) {
                (Some(Ok(ahead)), Some(line)) if !is_closed => {
                    line.making -= 1;
                    line.ready.push(ahead);
                    None
                }
                (Some(Ok(ahead)), _) => Some(ahead),
                (Some(Err(error)), Some(line)) => {
                    tracing::warn!(%error, "no container can be made ahead");
                    line.making -= 1;
                    line.failed = Some(Instant::now());
                    None
                }
                (Some(Err(_)) | None, _) => None,
            }
        };
        if let Some(ahead) = unwanted {
            ahead.remove().await;
        }
    }

    async fn close(&self) {
        let ready: Vec<Ahead> = {
            let mut state = self.state();
            state.closed = true;
            state.lines.drain(..).flat_map(|line| line.ready).collect()
        };
        self.stop.cancel();
        join_all(ready.into_iter().map(Ahead::remove)).await;
        self.making.close();
        self.making.wait().await;
        self.docker.close().await;
        let claims = self.docker.settings.claims.as_deref();
        for folder in claims.into_iter().chain([&*self.settings.folder, &*self.settings.sockets]) {
            claims::remove_empty(folder);
        }
    }

    async fn tidy(self: Arc<Self>) {
        while tokio::time::timeout(TIDY_EVERY, self.stop.cancelled()).await.is_err() {
            self.tend(Duration::ZERO);
        }
    }
}

/// One that is about to become a job's. If it does not, also since the job was cancelled meanwhile, it is removed.
struct Held {
    ahead: Option<Ahead>,
    making: TaskTracker,
}

impl Held {
    async fn take(
        &mut self,
        claims: &Path,
        spec: &JobSpec,
        image: &ImageFacts,
    ) -> Result<Result<Option<DockerJob>, String>, PlacementError> {
        if let Some(ahead) = &mut self.ahead
            && let Err(reason) = ahead.take(claims, spec, image).await?
        {
            return Ok(Err(reason));
        }
        Ok(Ok(self.ahead.take().map(|ahead| ahead.job)))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let (Some(ahead), Ok(runtime)) = (self.ahead.take(), tokio::runtime::Handle::try_current()) {
            self.making.spawn_on(ahead.remove(), &runtime);
        }
    }
}
