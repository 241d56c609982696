//! One container that is made ahead: how it is made, becomes a job's, or goes unused.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::key::Key;
use super::{RUN, WarmSettings, claims, folders};
use crate::image::ImageFacts;
use crate::placement::docker::DockerPlacement;
use crate::placement::docker::job::DockerJob;
use crate::placement::{
    ImageSpec, JobHandle as _, JobIdentity, JobShape, JobSpec, PlacementError, ProgressSink, PullPolicy, RunDirectory,
};

/// How long an agent may take to answer, before its container is thrown away.
const ANSWER_TIME: Duration = Duration::from_secs(1);

/// A container that nobody has taken.
#[derive(Debug)]
pub(super) struct Ahead {
    pub(super) name: String,
    pub(super) job: DockerJob,
    folders: Vec<PathBuf>,
}

/// Makes one.
pub(super) async fn made(
    docker: &DockerPlacement,
    settings: &WarmSettings,
    key: &Key,
    (shape, name): (JobShape, String),
) -> Result<Ahead, PlacementError> {
    let (root, run) = (settings.folder.join(&name), settings.sockets.join(&name));
    let mounts = key.mounts(&root);
    let all = mounts.iter().map(|mount| &mount.host).chain([&run]);
    all.cloned().try_for_each(|folder| folders::make_open(&folder)).map_err(|error| PlacementError::File {
        action: "make",
        path: root.clone(),
        reason: error.to_string(),
    })?;
    let spec = JobSpec {
        identity: JobIdentity { run: RUN.to_owned(), job: name.clone(), attempt: 1 },
        shape,
        image: ImageSpec {
            platform: key.platform.clone(),
            pull: PullPolicy::Never,
            ..ImageSpec::new(key.image.clone())
        },
        env: indexmap::IndexMap::new(),
        user: None,
        workdir: String::new(),
        run_directory: RunDirectory { host: run.clone(), inside: key.run_inside.clone() },
        mounts,
        services: Vec::new(),
        options: key.options.clone(),
        volumes: Vec::new(),
        ports: Vec::new(),
        limits: key.limits,
        network: key.network,
        trust: Some(key.trust),
        beside: None,
    };
    let progress: ProgressSink = Arc::new(|_| {});
    let folders = vec![root, run];
    match docker.start_job(&spec, None, &progress).await {
        Ok(job) => Ok(Ahead { name, job, folders }),
        Err(error) => {
            remove_folders(&folders);
            Err(error)
        }
    }
}

impl Ahead {
    /// Becomes the job's. The inner error says why another one has to; after the outer one the job's folders are not whole.
    pub(super) async fn take(
        &mut self,
        claims: &Path,
        spec: &JobSpec,
        image: &ImageFacts,
    ) -> Result<Result<(), String>, PlacementError> {
        let pairs = match self.fits(spec).await {
            Ok(pairs) => pairs,
            Err(reason) => return Ok(Err(reason)),
        };
        let claim = match claims::write(claims, &self.name, &spec.identity) {
            Ok(claim) => claim,
            Err(error) => return Ok(Err(format!("it cannot be written whose it is: {error}"))),
        };
        let mut record = self.job.record.clone();
        record.claim = Some(claim);
        for (ahead, job) in &pairs {
            if let Err(error) = folders::take_place(ahead, job) {
                // So that its end takes the claim with it.
                self.job.record = record;
                let (action, path, reason) = ("make", job.clone(), error.to_string());
                return Err(PlacementError::File { action, path, reason });
            }
        }
        record.facts.image = Some(image.clone());
        record.workdir = if spec.workdir.is_empty() { "/".to_owned() } else { spec.workdir.clone() };
        record.mounts.clone_from(&spec.mounts);
        record.run_directory = spec.run_directory.clone();
        self.job.become_the_job(record);
        remove_folders(&self.folders);
        Ok(Ok(()))
    }

    /// Which folders have to take the place of which, if that can be and the agent is there.
    async fn fits(&self, spec: &JobSpec) -> Result<Vec<(PathBuf, PathBuf)>, String> {
        let record = &self.job.record;
        if record.stdio_token.is_some() {
            return Err("its folders are not this machine's".to_owned());
        }
        let nothing = format!("{}/nothing", record.run_directory.inside);
        match tokio::time::timeout(ANSWER_TIME, self.job.client.read_file(&nothing, 1)).await {
            Ok(Ok(_)) => {}
            Ok(Err(reason)) => return Err(format!("its agent {reason}")),
            Err(_) => return Err("its agent does not answer".to_owned()),
        }
        // Of folders within folders only the outer ones move.
        let pairs = record.mounts.iter().zip(&spec.mounts).map(|(ahead, job)| (ahead.host.clone(), job.host.clone()));
        let mut pairs: Vec<_> = pairs.collect();
        let hosts: Vec<PathBuf> = pairs.iter().map(|(ahead, _)| ahead.clone()).collect();
        pairs.retain(|(ahead, _)| !hosts.iter().any(|other| other != ahead && ahead.starts_with(other)));
        pairs.push((record.run_directory.host.clone(), spec.run_directory.host.clone()));
        let failed = |error: std::io::Error| format!("its folders cannot become the job's: {error}");
        for (ahead, job) in &pairs {
            if !folders::on_one_disk(ahead, job).map_err(failed)? {
                return Err("its folders lie on another disk".to_owned());
            }
        }
        Ok(pairs)
    }

    pub(super) async fn remove(self) {
        if let Err(left) = self.job.stop().await {
            tracing::warn!(%left, "a container that was made ahead is left; the next start removes it");
        }
        remove_folders(&self.folders);
    }
}

fn remove_folders(folders: &[PathBuf]) {
    for folder in folders {
        // The next start tries again.
        let _left = std::fs::remove_dir_all(folder);
    }
}
