//! Runs that are asked for by others: by triggers, and again by a forge's check.

use async_trait::async_trait;
use tokio::task::JoinSet;

use super::{Rerun, RunService, RunSpec, ServiceError};
use crate::store::{RefOf, RunId, RunNumbers, StoreError};
use crate::triggering::{RerunAsked, RunMaker};

#[async_trait]
impl RunMaker for RunService {
    async fn make(&self, delivery: Option<u64>, specs: Vec<RunSpec>) -> Result<Option<Vec<RunNumbers>>, StoreError> {
        Self::make(self, delivery, specs).await
    }

    async fn again(&self, asked: &RerunAsked) -> Result<String, StoreError> {
        // The number of the run stands first in what we give to a check.
        let number = |id: &str| id.split(|c: char| !c.is_ascii_digit()).find_map(|digits| digits.parse().ok());
        let runs = match asked.external_id.as_deref().map(number) {
            Some(Some(run)) => vec![RunId(run)],
            Some(None) => return Ok("the check is none of ours".to_owned()),
            None => self.0.store.latest_of_commit(asked.sha.clone()).await?,
        };
        let mut told = Vec::new();
        for run in runs {
            let made = match self.rerun(run, &Rerun::Failed, &asked.by).await {
                Err(ServiceError::NothingFailed(_)) if asked.external_id.is_some() => {
                    self.rerun(run, &Rerun::All, &asked.by).await
                }
                made => made,
            };
            told.push(match made {
                Ok(numbers) => format!("run {} is attempt {} of run {}", numbers.id, numbers.attempt, numbers.first),
                Err(ServiceError::Store(error)) => return Err(error),
                Err(refused) => refused.to_string(),
            });
        }
        Ok(if told.is_empty() { "there is no run of this commit".to_owned() } else { told.join("; ") })
    }

    async fn end_of_ref(&self, of: &RefOf) -> Result<usize, StoreError> {
        let runs = self.0.store.unfinished_of_ref(of.clone()).await?;
        let (count, mut asking) = (runs.len(), JoinSet::new());
        for run in runs {
            let (service, by) = (self.clone(), format!("the deletion of `{}`", of.git_ref));
            asking.spawn(async move { service.cancel(run, &by, false).await });
        }
        while let Some(asked) = asking.join_next().await {
            // One that was just over needs nothing; one that has not answered in time will.
            if let Ok(Err(ServiceError::Store(error))) = asked {
                return Err(error);
            }
        }
        Ok(count)
    }
}
