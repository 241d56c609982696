//! The tokens of a job, good while it goes on: for the API of its own server, asked for by name (`secrets.PIPE_TOKEN`), and for
//! GitHub's API as `serving` has it, where its owner gave it none of GitHub.

use std::sync::Arc;

use workflow::expression::Value;
use workflow::secret::Secret;

use super::facing::JobFacing;
use super::{JobOrder, PlacedJobs, SecretStore};
use crate::store::job_tokens::{JOB_TOKEN, scopes};

/// The name of GitHub's own token of a job.
pub(super) const GITHUB_TOKEN: &str = "GITHUB_TOKEN";
/// Random bytes of a token.
const TOKEN_BYTES: usize = 18;

impl PlacedJobs {
    /// The job's contexts, its token among the secrets.
    pub(super) async fn with_own_token(
        &self,
        order: &JobOrder,
        own: Result<Option<SecretStore>, String>,
    ) -> Result<(JobFacing, Value), String> {
        let own = own?;
        let token = self.own_token(order).await?;
        let given = own.as_ref().unwrap_or(&self.0.secrets).get(GITHUB_TOKEN);
        let api = match given {
            None if self.0.services.is_some() && self.wants_services(order) => Some(self.api_token()?),
            _ => None,
        };
        self.contexts(order, own.as_ref(), [(JOB_TOKEN, token), (GITHUB_TOKEN, api)])
    }

    /// One for the services of this job. Nothing knows it until they begin.
    fn api_token(&self) -> Result<Secret, String> {
        let mut bytes = [0_u8; TOKEN_BYTES];
        getrandom::fill(&mut bytes).map_err(|error| format!("the system gives no random bytes: {error}"))?;
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        // In GitHub's form, so that tools that look for tokens find it.
        let token = Secret::from(format!("ghs_{hex}").as_str());
        let _long_enough = self.0.masker.add_found(token.expose());
        Ok(token)
    }

    /// A token for this job alone, where it names one and is of a run whose code is trusted.
    async fn own_token(&self, order: &JobOrder) -> Result<Option<Secret>, String> {
        let Some(tokens) = self.0.tokens.as_ref().filter(|_| order.names_secret(JOB_TOKEN)) else { return Ok(None) };
        let scopes = scopes(order.job.permissions.as_ref());
        let given = tokens.give(order.run, &order.key, &self.0.repository.name, &scopes).await;
        let token = given.map_err(|error| format!("the job's token cannot be made: {error}"))?;
        if let Some(token) = &token {
            // A process that takes the job up hides it too.
            let _long_enough = self.0.masker.add_found(token.expose());
        }
        Ok(token)
    }
}

/// A secret of the user's own of that name wins.
pub(super) fn with_token(secrets: Value, name: &str, token: Option<&Secret>) -> Value {
    let Some(token) = token else { return secrets };
    let mut all = secrets.as_object().cloned().unwrap_or_default();
    if all.get(name).is_none() {
        all.insert(name, Value::String(Arc::from(token.expose())));
    }
    Value::Object(Arc::new(all))
}
