//! AWS as steps gave it: keys that rollouts of this process use. Plans hold none, and nothing of a key is written down.
//!
//! Keys end, and a process that was started anew has none. A rollout's plan says as whom its step acted ([`Renewal`]), so that a server
//! which is an issuer of identity tokens can take the same role again; else the machine's own keys serve where its owner allows
//! that ([`MACHINE_KEYS`]); else a step brings new ones.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use aws::{Cloud, Machine, Problem};
use engine::issuer::Issuer;
use rollout::Plan;

use super::renewal::Renewal;
use crate::rollout::CallError;

/// The variable of this process, not of a job, that lets rollouts and steps have the machine's own keys.
pub(crate) const MACHINE_KEYS: &str = "PIPE_AWS_MACHINE_KEYS";
/// Keys that end within this are not begun with.
const SHORT: Duration = Duration::from_secs(120);

tokio::task_local! {
    /// The keys of the rollout that a call or a look is of.
    static OWN: Arc<Own>;
}

/// Keys in use.
#[derive(Debug)]
struct Own {
    cloud: Cloud,
    /// Whether AWS said that they have.
    have_ended: AtomicBool,
}

/// Whose keys: of which environment (empty: of any), account and region. Each environment has a role of its own.
type Place = (String, String, String);

/// AWS by environment, account and region. Cheap to clone; all targets share one.
#[derive(Debug, Clone, Default)]
pub struct Clouds(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    held: Mutex<HashMap<Place, Cloud>>,
    /// Who issues this server's identity tokens, and its name.
    issuer: OnceLock<(Issuer, String)>,
}

/// Where a plan goes to in AWS: account and region; `None`: elsewhere.
pub(crate) fn account_of(plan: &Plan) -> Option<(&str, &str)> {
    Some((plan.settings["account"].as_str()?, plan.settings["region"].as_str()?))
}

/// Whether whoever runs `pipe` lets it use what the machine may do.
pub(crate) fn machine_is_allowed() -> bool {
    std::env::var(MACHINE_KEYS).is_ok_and(|value| matches!(value.trim(), "allow" | "true" | "1"))
}

impl Clouds {
    /// Lets rollouts to this account use these keys from now on, in place of earlier ones, whatever their environment.
    pub fn hold(&self, account: &str, cloud: &Cloud) {
        self.hold_for("", account, cloud);
    }

    /// The same for rollouts to one environment.
    pub fn hold_for(&self, environment: &str, account: &str, cloud: &Cloud) {
        let place = (environment.to_owned(), account.to_owned(), cloud.region().to_owned());
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner).insert(place, cloud.clone());
    }

    /// Lets roles be taken again with tokens of this issuer, whose name is `name` (`https://ci.example`).
    pub fn renew_with(&self, issuer: Issuer, name: &str) {
        let _said_once = self.0.issuer.set((issuer, name.to_owned()));
    }

    /// AWS with the keys of the rollout that asks ([`Self::within`]), else those that were given for any environment.
    ///
    /// # Errors
    /// This process was given none: it may be, later.
    pub fn of(&self, account: &str, region: &str) -> Result<Cloud, CallError> {
        if let Ok(own) = OWN.try_with(|own| own.cloud.clone()) {
            return Ok(own);
        }
        self.held("", account, region).ok_or_else(|| unknown(account))
    }

    /// Does what a rollout asks of AWS, with its keys: those that its step gave as long as they are good, else new ones.
    pub(crate) async fn within<T>(
        &self,
        plan: &Plan,
        work: impl Future<Output = Result<T, CallError>>,
    ) -> Result<T, CallError> {
        if account_of(plan).is_none() {
            return work.await;
        }
        let own = Arc::new(Own { cloud: self.ready(plan).await?, have_ended: AtomicBool::new(false) });
        let done = OWN.scope(Arc::clone(&own), work).await;
        match done {
            // Earlier than they said, or they never said when. With new ones the same call is tried again.
            Err(error) if own.have_ended.load(Ordering::Relaxed) => {
                self.forget(plan);
                Err(if self.ready(plan).await.is_ok() { CallError::transient(error.words) } else { error })
            }
            done => done,
        }
    }

    /// Lets go of a plan's keys.
    fn forget(&self, plan: &Plan) {
        let Some((account, region)) = account_of(plan) else { return };
        let mut held = self.0.held.lock().unwrap_or_else(PoisonError::into_inner);
        for environment in ["", &plan.environment] {
            held.remove(&(environment.to_owned(), account.to_owned(), region.to_owned()));
        }
    }

    /// AWS with keys for a plan.
    ///
    /// # Errors
    /// There are none, with all that was tried.
    pub(crate) async fn ready(&self, plan: &Plan) -> Result<Cloud, CallError> {
        let (account, region) = account_of(plan).ok_or_else(|| CallError::last("it does not go to AWS"))?;
        let held = self.held(&plan.environment, account, region).or_else(|| self.held("", account, region));
        if let Some(cloud) = held.filter(|cloud| cloud.keys().is_some_and(|keys| keys.last_for(SHORT))) {
            return Ok(cloud);
        }
        let mut tried = Vec::new();
        for way in [self.by_role(plan, region).await, by_machine(plan, account, region).await] {
            match way {
                Ok(cloud) => {
                    self.hold_for(&plan.environment, account, &cloud);
                    return Ok(cloud);
                }
                Err(words) => tried.push(words),
            }
        }
        let words = unknown(account).words;
        Err(CallError::transient(format!("{words}. What was tried: {}", tried.join("; "))))
    }

    fn held(&self, environment: &str, account: &str, region: &str) -> Option<Cloud> {
        let place = (environment.to_owned(), account.to_owned(), region.to_owned());
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner).get(&place).cloned()
    }

    /// The role that the step had, taken again by who issues tokens of this server's jobs.
    async fn by_role(&self, plan: &Plan, region: &str) -> Result<Cloud, String> {
        let renewal = Renewal::of(plan).ok_or("the step had no role that a token of its job could take again")?;
        let (issuer, name) = self.0.issuer.get().ok_or("this process issues no identity tokens (`pipe serve` does)")?;
        renewal.take(plan, region, issuer, name).await
    }
}

fn unknown(account: &str) -> CallError {
    CallError::transient(format!(
        "the credentials for account {account} are not known to this process, which was started after the step that gave them, or \
         they have ended; they are known again once the step is taken up, or a later one deploys there, or `pipe/rollback` runs behind \
         `pipe/aws-credentials`"
    ))
}

/// The machine's own keys, where they are of the right account.
async fn by_machine(plan: &Plan, account: &str, region: &str) -> Result<Cloud, String> {
    if !machine_is_allowed() {
        return Err(format!("`pipe` may not use the machine's own keys ({MACHINE_KEYS}=allow lets it)"));
    }
    let variable = |name: &str| std::env::var(name).ok();
    let keys = Machine { variable: &variable, profile: None, region }.keys().await.map_err(|problem| problem.words)?;
    let cloud = Renewal::cloud(plan, region)?.with_keys(keys);
    let identity = cloud.identity().await.map_err(|problem| problem.words)?;
    if identity.account == account {
        return Ok(cloud);
    }
    Err(format!("the machine's own keys are of account {} ({})", identity.account, identity.arn))
}

/// A failure of AWS as one of a call. What nobody heard the answer of is asked for again: each call looks first.
pub(crate) fn refused(problem: Problem) -> CallError {
    if problem.code.contains("Expired") {
        // Outside of a rollout nobody takes new ones.
        let _nobody = OWN.try_with(|own| own.have_ended.store(true, Ordering::Relaxed));
    }
    if problem.is_for_now { CallError::transient(problem.words) } else { CallError::last(problem.words) }
}
