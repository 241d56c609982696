//! Names of things inside one run. They are texts, so that an event log can be read by a person.

use std::fmt;
use std::sync::Arc;

use crate::model::JobId;

/// Where a job stands in the tree of called workflows: `build`, or `deploy/push`, or `deploy(1)/push` where the calling
/// job has a matrix and this is below its leg 1.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct JobPath(Arc<str>);

impl JobPath {
    /// A job of the workflow itself.
    #[must_use]
    pub fn root(id: &JobId) -> Self {
        Self(Arc::from(id.as_str()))
    }

    /// A job of the workflow that `caller` calls.
    #[must_use]
    pub fn child(caller: &JobRunKey, id: &JobId) -> Self {
        Self(Arc::from(format!("{caller}/{id}")))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The run of the calling job, if this is a job of a called workflow.
    #[must_use]
    pub fn parent(&self) -> Option<JobRunKey> {
        self.parent_text().map(JobRunKey::parse)
    }

    pub(super) fn parent_text(&self) -> Option<&str> {
        self.0.rsplit_once('/').map(|(parent, _)| parent)
    }

    /// The ids to follow from the workflow's own jobs down to this one, legs left out.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').map(|part| part.split_once('(').map_or(part, |(id, _)| id))
    }

    /// Its id in its own workflow.
    #[must_use]
    pub fn id(&self) -> &str {
        self.ids().last().unwrap_or_default()
    }

    /// Another job of the same workflow.
    #[must_use]
    pub fn sibling(&self, id: &str) -> Self {
        Self(match self.0.rsplit_once('/') {
            Some((parent, _)) => Arc::from(format!("{parent}/{id}")),
            None => Arc::from(id),
        })
    }
}

/// Lets a job of the workflow itself be looked up by its id.
impl std::borrow::Borrow<str> for JobPath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One execution of a job: the job itself, or one leg of its matrix.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobRunKey {
    /// The job.
    pub job: JobPath,
    /// The leg, from 0; `None` where the job has no matrix.
    pub leg: Option<u32>,
}

impl JobRunKey {
    /// Joins the two.
    #[must_use]
    pub const fn new(job: JobPath, leg: Option<u32>) -> Self {
        Self { job, leg }
    }

    /// Reads what [`fmt::Display`] writes. Job ids hold no brackets, so this cannot go wrong on our own texts.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let tail = text.rsplit('/').next().unwrap_or(text);
        let leg = tail.split_once('(').and_then(|(_, leg)| leg.strip_suffix(')')).and_then(|leg| leg.parse().ok());
        let job = match leg {
            Some(_) => text.rsplit_once('(').map_or(text, |(job, _)| job),
            None => text,
        };
        Self { job: JobPath(Arc::from(job)), leg }
    }
}

impl fmt::Display for JobRunKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.leg {
            Some(leg) => write!(f, "{}({leg})", self.job),
            None => write!(f, "{}", self.job),
        }
    }
}

impl serde::Serialize for JobRunKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for JobRunKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
        Ok(Self::parse(&text))
    }
}

/// A step's place in its job, from 0, with the steps of `parallel:` blocks counted one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct StepIndex(pub u32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_survive_their_text() {
        for text in ["build", "test(3)", "deploy/push", "deploy(1)/push", "a(0)/b(12)/c", "a/b(2)"] {
            let key = JobRunKey::parse(text);
            assert_eq!(key.to_string(), text);
        }
        let key = JobRunKey::parse("deploy(1)/push(2)");
        assert_eq!((key.job.as_str(), key.leg), ("deploy(1)/push", Some(2)));
        assert_eq!(key.job.parent(), Some(JobRunKey::parse("deploy(1)")));
        assert_eq!(key.job.ids().collect::<Vec<_>>(), ["deploy", "push"]);
        assert_eq!(key.job.sibling("x").as_str(), "deploy(1)/x");
        assert_eq!(JobRunKey::parse("a").job.parent(), None);
    }
}
