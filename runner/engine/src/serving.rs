//! The services that a job's steps see (artifacts, caches, OIDC tokens, the API), as the engine needs them: a port.
//!
//! What is behind it listens on a socket in a folder of the job alone, and tells which variables lead there. How the job
//! comes to the socket is `job/serving`'s business.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use indexmap::IndexMap;
use workflow::model::Permissions;
use workflow::secret::Secret;

use crate::job::SharedMasker;
use crate::kept::{CacheScopes, Keeper, Kept};
use crate::step::{JobFolders, RepositoryFacts};
use crate::store::RunId;

/// Serves jobs.
#[async_trait]
pub trait JobServices: Send + Sync + std::fmt::Debug {
    /// Listens for a job. One that another process served goes on with what it was given, which stands in `job.record`.
    ///
    /// # Errors
    /// A sentence: the socket cannot be opened, or there are no keys.
    async fn begin(&self, job: ServedJob) -> Result<Served, String>;
}

/// A job to serve.
#[derive(Debug)]
pub struct ServedJob {
    /// Where to listen; whatever lies there is of a process that has ended.
    pub socket: PathBuf,
    /// How the job comes there: `http://127.0.0.1:39001`, without a slash at its end.
    pub origin: String,
    /// What [`Served::record`] was in the process before.
    pub record: Option<String>,
    /// The run.
    pub run: RunId,
    /// The job run, as a text.
    pub job: String,
    /// Its `github` context.
    pub github: serde_json::Value,
    /// Its environment.
    pub environment: Option<String>,
    /// What opens the API; `None`: the job's owner gave it a token of the forge.
    pub token: Option<Secret>,
    /// `permissions:`; `None`: nothing is written.
    pub permissions: Option<Permissions>,
    /// Whether its code is that of somebody who may write to the repository.
    pub trusted: bool,
    /// The repository.
    pub repository: RepositoryFacts,
    /// Artifacts and caches.
    pub kept: Kept,
    /// For whom they are kept.
    pub keeper: Keeper,
    /// Whose entries of caches it may use and write.
    pub scopes: CacheScopes,
    /// Where the job's folders are.
    pub places: JobFolders,
    /// Hides secrets in what is kept.
    pub masker: Arc<SharedMasker>,
}

/// A job that is served until this is dropped. Then nothing that it was given opens anything.
#[derive(Debug)]
pub struct Served {
    /// Variables of steps that are actions.
    pub actions: IndexMap<String, String>,
    /// Variables of all steps.
    pub steps: IndexMap<String, String>,
    /// What the `github` context has otherwise from now on.
    pub github: IndexMap<&'static str, String>,
    /// What must not be shown.
    pub secrets: Vec<Secret>,
    /// Signed tokens, which must not be shown either.
    pub signed: Vec<Secret>,
    /// What a process needs that takes the job up. It holds keys.
    pub record: String,
    /// Ends it.
    pub lease: Box<dyn Lease>,
}

impl Served {
    /// Variables of an action that has these of its own. Settings of git that are there stay, and those of here come behind
    /// them.
    #[must_use]
    pub fn beside(&self, own: &IndexMap<String, String>) -> Vec<(String, String)> {
        let given = self.actions.iter().map(|(name, value)| match own.get(name) {
            Some(there) if name == GIT_SETTINGS => (name.clone(), format!("{there} {value}")),
            _ => (name.clone(), value.clone()),
        });
        given.collect()
    }
}

/// Settings of git for a process and those that it starts, each as `'name=value'`, with a space between them: how git
/// itself hands on its `-c`. Not `GIT_CONFIG_COUNT`: git before 2.31 and what runs in submodules does not know it, and
/// actions that use `simple-git` refuse to work where it is set. <https://github.com/steveukx/git-js>
pub const GIT_SETTINGS: &str = "GIT_CONFIG_PARAMETERS";

/// Listens as long as it is there.
pub trait Lease: Send + Sync + std::fmt::Debug {
    /// The job is over, and no process will take it up: what it left unfinished goes.
    fn over(&self);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Nobody;

    impl Lease for Nobody {
        fn over(&self) {}
    }

    #[test]
    fn settings_of_git_stand_behind_those_that_are_there() {
        let map = |pairs: &[(&str, &str)]| -> IndexMap<String, String> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let actions = map(&[("TOKEN", "t"), (GIT_SETTINGS, "'url.here.insteadOf=there'")]);
        let served = Served {
            actions,
            steps: IndexMap::new(),
            github: IndexMap::new(),
            secrets: Vec::new(),
            signed: Vec::new(),
            record: String::new(),
            lease: Box::new(Nobody),
        };
        let check = |own: &[(&str, &str)], expect: &[(&str, &str)]| {
            let seen: IndexMap<_, _> = served.beside(&map(own)).into_iter().collect();
            assert_eq!(seen, map(expect), "{own:?}");
        };
        check(&[], &[("TOKEN", "t"), (GIT_SETTINGS, "'url.here.insteadOf=there'")]);
        check(
            &[("TOKEN", "own"), (GIT_SETTINGS, "'safe.directory=*'")],
            &[("TOKEN", "t"), (GIT_SETTINGS, "'safe.directory=*' 'url.here.insteadOf=there'")],
        );
    }
}
