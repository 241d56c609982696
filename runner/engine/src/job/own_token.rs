//! The token of a job for the API of its own server: asked for by name (`secrets.PIPE_TOKEN`), good while the job goes on.

use std::sync::Arc;

use workflow::expression::Value;
use workflow::secret::Secret;

use super::facing::JobFacing;
use super::{JobOrder, PlacedJobs, SecretStore};
use crate::store::job_tokens::{JOB_TOKEN, scopes};

impl PlacedJobs {
    /// The job's contexts, its token among the secrets.
    pub(super) async fn with_own_token(
        &self,
        order: &JobOrder,
        own: Result<Option<SecretStore>, String>,
    ) -> Result<(JobFacing, Value), String> {
        let own = own?;
        let token = self.own_token(order).await?;
        self.contexts(order, own.as_ref(), token)
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
pub(super) fn with_token(secrets: Value, token: Option<&Secret>) -> Value {
    let Some(token) = token else { return secrets };
    let mut all = secrets.as_object().cloned().unwrap_or_default();
    if all.get(JOB_TOKEN).is_none() {
        all.insert(JOB_TOKEN, Value::String(Arc::from(token.expose())));
    }
    Value::Object(Arc::new(all))
}
