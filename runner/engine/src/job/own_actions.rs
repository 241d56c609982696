//! Where the actions of a job come from: the store, and for `$/` in its workflow the repository that this is in, which may be
//! the one that the run is for.

use workflow::model::Uses;

use super::facing::JobFacing;
use super::run::JobSettings;
use super::workflow_facts::WorkflowFacts;
use crate::actions::uses::of_self;
use crate::actions::{Actions, Fetched};
use crate::step::RepositoryFacts;

/// The actions that a job may have.
#[derive(Debug, Clone)]
pub(super) struct OwnActions {
    pub(super) actions: Actions,
    repository: RepositoryFacts,
    /// Whose `$/` it is in the workflow: `owner/repo` and the commit.
    pub(super) whose: (String, String),
}

impl OwnActions {
    pub(super) fn of(settings: &JobSettings, standing: &WorkflowFacts) -> Self {
        let whose = (standing.repository.clone(), standing.commit.clone());
        Self { actions: settings.actions.clone(), repository: settings.repository.clone(), whose }
    }

    /// What a step uses: `$/path` is a path of the repository that its action is of, or else of that of the workflow.
    pub(super) fn resolved(&self, used: &Uses, job: &JobFacing) -> Uses {
        let named = |name: &str| {
            let value = job.github.get(name).map(|value| value.to_display_string().to_string());
            value.filter(|value| !value.is_empty())
        };
        let whose = named("action_repository").zip(named("action_ref")).filter(|_| job.action.is_some());
        of_self(used.clone(), Some(whose.as_ref().unwrap_or(&self.whose)))
    }

    /// The files of a repository.
    ///
    /// # Errors
    /// They cannot be had; a sentence for a log.
    pub(super) async fn get(&self, repository: &str, reference: &str) -> Result<Fetched, String> {
        let store = self.actions.store.as_ref().ok_or("there is no store of actions")?;
        let is_own = repository.eq_ignore_ascii_case(&self.repository.name) && reference == self.whose.1;
        let fetched = match is_own {
            true => store.own(&self.repository, reference).await,
            false => store.get(repository, reference).await,
        };
        fetched.map_err(|error| error.to_string())
    }
}
