//! Removing what was made: by this fake at its end, and by others whose process is gone.

use std::collections::HashMap;

use bollard::Docker;
use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListNetworksOptionsBuilder, RemoveContainerOptionsBuilder,
};

/// Which task a container is of.
pub(super) const TASK: &str = "pipe.fake.task";
/// Which process made it, and when that was started: ids of processes come again.
const PROCESS: &str = "pipe.fake.process";
/// Which of the process's fakes.
const INSTANCE: &str = "pipe.fake.instance";

/// Whose something is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    process: String,
    instance: String,
}

impl Mark {
    /// Of this process.
    pub(crate) fn new(instance: String) -> Self {
        Self { process: process(std::process::id()).unwrap_or_else(|| std::process::id().to_string()), instance }
    }

    pub(super) fn name(&self) -> &str {
        &self.instance
    }

    pub(super) fn labels(&self) -> HashMap<String, String> {
        [(PROCESS.to_owned(), self.process.clone()), (INSTANCE.to_owned(), self.instance.clone())].into()
    }

    /// Whether something with these labels is to go: it is this fake's, or nobody's any more.
    fn takes(&self, labels: &HashMap<String, String>) -> bool {
        let Some(owner) = labels.get(PROCESS) else { return false };
        if *owner == self.process {
            return labels.get(INSTANCE) == Some(&self.instance);
        }
        let id = owner.split('-').next().and_then(|id| id.parse().ok());
        id.and_then(process).as_deref() != Some(owner)
    }
}

/// Id and start of a process that lives.
fn process(id: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name in parentheses may have spaces and parentheses.
    let after = stat.rsplit_once(')')?.1;
    let start = after.split_whitespace().nth(19)?;
    Some(format!("{id}-{start}"))
}

/// Removes containers and networks of this fake, and of fakes whose process is gone.
///
/// # Errors
/// Docker is not there, or something could not be removed: it is named.
pub(crate) async fn remove_all(mark: &Mark) -> Result<(), String> {
    let docker = Docker::connect_with_local_defaults().map_err(|error| format!("Docker cannot be reached: {error}"))?;
    let filters: HashMap<&str, Vec<&str>> = [("label", vec![PROCESS])].into();
    let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
    let failed = |error: bollard::errors::Error| format!("Docker does not list containers: {error}");
    let mut left = Vec::new();
    for container in docker.list_containers(Some(options)).await.map_err(failed)? {
        let (Some(id), Some(labels)) = (container.id, container.labels) else { continue };
        if mark.takes(&labels) {
            let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
            if let Err(error) = docker.remove_container(&id, Some(options)).await
                && !is_gone(&error)
            {
                left.push(format!("container {id}: {error}"));
            }
        }
    }
    let options = ListNetworksOptionsBuilder::default().filters(&filters).build();
    let failed = |error: bollard::errors::Error| format!("Docker does not list networks: {error}");
    for network in docker.list_networks(Some(options)).await.map_err(failed)? {
        let (Some(id), Some(labels)) = (network.id, network.labels) else { continue };
        if mark.takes(&labels)
            && let Err(error) = docker.remove_network(&id).await
            && !is_gone(&error)
        {
            left.push(format!("network {id}: {error}"));
        }
    }
    if left.is_empty() { Ok(()) } else { Err(left.join("; ")) }
}

/// Somebody else has removed it, or is about to.
fn is_gone(error: &bollard::errors::Error) -> bool {
    matches!(error, bollard::errors::Error::DockerResponseServerError { status_code: 404 | 409, .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_nobodys_any_more_is_taken() {
        let mark = Mark::new("a".to_owned());
        let labels = |process: &str, instance: &str| {
            [(PROCESS.to_owned(), process.to_owned()), (INSTANCE.to_owned(), instance.to_owned())].into()
        };
        assert!(mark.takes(&mark.labels()));
        assert!(!mark.takes(&labels(&mark.process, "b")), "another fake of this process lives");
        assert!(!mark.takes(&labels(&process(1).unwrap(), "a")), "the first process lives");
        assert!(mark.takes(&labels("1-0", "a")), "the id lives, but as another process");
        assert!(mark.takes(&labels("4194399-5", "a")), "no such process");
        assert!(!mark.takes(&HashMap::new()));
    }
}
