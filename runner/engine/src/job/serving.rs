//! A job's way to the services of its steps: a port on its own localhost, behind which is a socket in its run directory.
//!
//! The agent's forwarder listens in the job's network namespace, so nothing listens on any interface of this machine for a
//! job in a container, and no other job can reach what is this one's. A job on this machine has a port of the machine's
//! localhost; there its tokens are what keeps others out. Port and tokens stand in the journal: a process that takes the
//! job up listens again behind the same port.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use workflow::expression::Value;
use workflow::model::{PermissionLevel, Step, StepKind, Uses};
use workflow::secret::Secret;

use super::JobOrder;
use super::facing::JobFacing;
use super::fetched::is_built_in;
use super::log::StepLog;
use super::own_token::GITHUB_TOKEN;
use super::placed::Placed;
use super::run::PlacedJobs;
use crate::kept::{CacheScopes, RunOfCaches};
use crate::placement::{ExecEvent, ExecOutcome, ExecRequest};
use crate::serving::ServedJob;
use crate::step::JobFolders;

/// The socket's name in the run directory.
const SOCKET: &str = "services.sock";
/// Longest answer of the forwarder that is read.
const SAID_BYTES_MAX: usize = 4_096;
/// As the forwarder ends where a port is taken.
const PORT_TAKEN: i32 = 3;

/// What a process needs that takes the job up.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct ServingRecord {
    port: u16,
    given: String,
}

impl std::fmt::Debug for ServingRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServingRecord").field("port", &self.port).finish_non_exhaustive()
    }
}

impl PlacedJobs {
    /// Opens the services for a job that wants them. A job that cannot have them goes on without.
    pub(super) async fn serve(&self, order: &JobOrder, job: &mut JobFacing, placed: &mut Placed, log: &mut StepLog) {
        let Some(services) = self.0.services.as_ref().filter(|_| self.wants_services(order)) else { return };
        let before = placed.record.serving.take();
        let served = async {
            let port = forward(placed, before.as_ref().map_or(0, |before| before.port)).await?;
            let served = services.begin(self.served_job(order, job, placed, port, before)).await?;
            Ok::<_, String>((port, served))
        };
        match served.await {
            Ok((port, served)) => {
                for secret in &served.secrets {
                    // A process that takes the job up hides them too.
                    let _long_enough = self.0.masker.add_found(secret.expose());
                }
                for token in &served.signed {
                    let _long_enough = self.0.masker.add_signed(token.expose());
                }
                placed.record.serving = Some(ServingRecord { port, given: served.record.clone() });
                for (name, value) in &served.github {
                    job.github.insert(*name, Value::String(Arc::from(value.as_str())));
                }
                placed.served = Some(Arc::new(served));
            }
            Err(reason) => {
                if self.has_own_api(job) {
                    job.github.insert("token", Value::String(Arc::from("")));
                }
                let text = format!("Actions of this job have no artifacts, caches and tokens: {reason}");
                log.warning(&text).await;
            }
        }
    }

    /// Whether the token of the job is one for the API that is served here.
    fn has_own_api(&self, job: &JobFacing) -> bool {
        self.0.secrets.get(GITHUB_TOKEN).is_none() && token_of(job).is_some()
    }

    pub(super) fn wants_services(&self, order: &JobOrder) -> bool {
        let permissions = order.job.permissions.as_ref();
        let may_ask = permissions.is_some_and(|given| given.level("id-token") == PermissionLevel::Write);
        may_ask || order.names_github_token() || order.steps_job().steps.iter().any(|step| self.is_foreign(step))
    }

    /// Whether a step may be of somebody who asks for services. What is built in has the stores themselves.
    fn is_foreign(&self, step: &Step) -> bool {
        match &step.kind {
            StepKind::Uses { uses, .. } => match &uses.value {
                Uses::BuiltIn { .. } => false,
                Uses::Repository { repository, path, .. } => {
                    !is_built_in(&self.0.built_in, &self.0.actions, repository, path)
                }
                Uses::Docker { .. } | Uses::Local { .. } => true,
            },
            StepKind::Parallel(steps) => steps.iter().any(|step| self.is_foreign(step)),
            StepKind::Run { .. } | StepKind::Wait(_) | StepKind::WaitAll | StepKind::Cancel(_) => false,
        }
    }

    fn served_job(
        &self,
        order: &JobOrder,
        job: &JobFacing,
        placed: &Placed,
        port: u16,
        before: Option<ServingRecord>,
    ) -> ServedJob {
        let settings = &*self.0;
        let github = Value::Object(Arc::new(job.github.clone()));
        let facts = self.run_facts(order, &placed.record, &github);
        let scopes = CacheScopes::of(RunOfCaches {
            event: &facts.event,
            git_ref: &facts.git_ref,
            base_ref: &facts.base_ref,
            default_branch: &facts.default_branch,
            trusted: settings.keeper.trusted,
            fork: facts.fork,
            mode: facts.cache_mode,
        });
        ServedJob {
            socket: placed.record.run_directory.host.join(SOCKET),
            origin: format!("http://127.0.0.1:{port}"),
            record: before.map(|before| before.given),
            run: order.run,
            job: order.key.to_string(),
            github: github.to_json(),
            environment: facts.environment,
            token: token_of(job).filter(|_| self.has_own_api(job)),
            permissions: order.job.permissions.clone(),
            trusted: settings.keeper.trusted && !facts.fork,
            repository: settings.repository.clone(),
            kept: settings.kept.clone(),
            keeper: settings.keeper.clone(),
            scopes,
            places: JobFolders { workspace: placed.record.workspace.inside.clone(), home: facts.home },
            masker: Arc::clone(&settings.masker),
        }
    }
}

/// `github.token`, if it has one.
fn token_of(job: &JobFacing) -> Option<Secret> {
    let token = job.github.get("token")?.to_display_string();
    (!token.is_empty()).then(|| Secret::from(&*token))
}

/// Opens a port on the job's localhost before the socket; 0: a free one. Gives the port.
async fn forward(placed: &Placed, port: u16) -> Result<u16, String> {
    let facts = placed.handle.facts();
    let Some(agent) = facts.agent.clone().filter(|_| facts.files_are_shared) else {
        return Err("they are not there for a container engine on another machine".to_owned());
    };
    let argv = [agent, "forward".to_owned(), format!("{port}=unix:{SOCKET}")];
    let request = ExecRequest::new(argv, facts.run_directory.as_str());
    let mut exec = placed.handle.exec(request).await.map_err(|error| error.to_string())?;
    let mut said = Vec::new();
    while let Some(event) = exec.next().await {
        match event {
            ExecEvent::Output { offset: _, bytes } => {
                said.extend_from_slice(&bytes);
                if said.ends_with(b"ready\n") {
                    let text = String::from_utf8_lossy(&said);
                    let drawn = text.lines().find_map(|line| line.strip_prefix("port ")?.parse().ok());
                    return Ok(drawn.unwrap_or(port));
                }
                if said.len() > SAID_BYTES_MAX {
                    break;
                }
            }
            // The forwarder of the process before is still there.
            ExecEvent::Ended(ExecOutcome::Exited { code: PORT_TAKEN, .. }) if port != 0 => return Ok(port),
            ExecEvent::Ended(ExecOutcome::NotStarted { reason } | ExecOutcome::Lost { reason }) => return Err(reason),
            ExecEvent::Ended(ExecOutcome::Exited { .. }) => break,
        }
    }
    Err(format!("no port could be opened: {}", String::from_utf8_lossy(&said).trim()))
}
