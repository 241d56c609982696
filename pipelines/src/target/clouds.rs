//! AWS as steps gave it: keys that rollouts of this process use. Plans hold none, and nothing of this is written down.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws::{Cloud, Problem};

use crate::rollout::CallError;

/// AWS by account and region. Cheap to clone; all targets share one.
#[derive(Debug, Clone, Default)]
pub struct Clouds(Arc<Mutex<HashMap<(String, String), Cloud>>>);

impl Clouds {
    /// Lets rollouts to this account use these keys from now on, in place of earlier ones.
    pub fn hold(&self, account: &str, cloud: &Cloud) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert((account.to_owned(), cloud.region().to_owned()), cloud.clone());
    }

    /// AWS with the keys that were given last.
    ///
    /// # Errors
    /// This process was given none: it may be, later.
    pub fn of(&self, account: &str, region: &str) -> Result<Cloud, CallError> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&(account.to_owned(), region.to_owned())).cloned().ok_or_else(|| {
            CallError::transient(format!(
                "the credentials for account {account} are not known to this process, which was started after the step that gave \
                 them; they are known again once the step is taken up, or a later one deploys there"
            ))
        })
    }
}

/// A failure of AWS as one of a call. What nobody heard the answer of is asked for again: each call looks first.
pub(crate) fn refused(problem: Problem) -> CallError {
    if problem.is_for_now { CallError::transient(problem.words) } else { CallError::last(problem.words) }
}
