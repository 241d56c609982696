//! Networks of jobs: the engine's own bridge where a job is alone, one of its own where it has services.
//!
//! A network of its own costs about 70 ms to make and 190 ms to remove (Docker 20.10), as much as a container; and an
//! engine that was not told otherwise has addresses for about 30. A job without services pays none of that. On the shared
//! bridge other containers could be reached by address, though none can be listened in on or impersonated (NET_RAW is
//! dropped). With `isolate` such jobs share another one ([`super::apart`]), on which no container reaches another.

use bollard::Docker;
use bollard::models::NetworkCreateRequest;

use super::apart::Apart;
use super::connection::refused;
use super::resources::Resources;
use crate::placement::owner::Owner;
use crate::placement::{JobIdentity, NetworkAccess, PlacementError, ResourceKind};

/// The network of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plan {
    /// The engine's bridge.
    Shared,
    /// One for all jobs of this installation, on which none reaches another.
    Apart,
    /// None at all.
    None,
    /// Its own; `internal`: without a way out.
    Own { internal: bool },
}

impl Plan {
    pub(super) const fn of(has_names: bool, access: NetworkAccess, isolate: bool) -> Self {
        match access {
            NetworkAccess::Internet if has_names => Self::Own { internal: false },
            NetworkAccess::Internet if isolate => Self::Apart,
            NetworkAccess::Internet => Self::Shared,
            NetworkAccess::ServicesOnly if has_names => Self::Own { internal: true },
            NetworkAccess::ServicesOnly => Self::None,
        }
    }
}

/// Makes the network where one is needed. Gives what the engine calls it.
pub(super) async fn make(
    docker: &Docker,
    (plan, apart): (Plan, &Apart),
    name: &str,
    job: &JobIdentity,
    owner: &Owner,
    resources: &Resources,
) -> Result<String, PlacementError> {
    let internal = match plan {
        Plan::Shared => return Ok("bridge".to_owned()),
        Plan::Apart => match apart.ensure(docker).await {
            Some(name) => return Ok(name),
            None => false,
        },
        Plan::None => return Ok("none".to_owned()),
        Plan::Own { internal } => internal,
    };
    // Its name removes it as well as its id: noted before, it is removed whatever happens to the answer.
    resources.note(ResourceKind::Network, name);
    let request = NetworkCreateRequest {
        name: name.to_owned(),
        driver: Some("bridge".to_owned()),
        internal: Some(internal),
        labels: Some(owner.labels(job, "network")),
        ..NetworkCreateRequest::default()
    };
    docker.create_network(request).await.map_err(|error| {
        let mut refused = refused(format!("create a network for job `{}`", job.job))(error);
        if let PlacementError::Engine { action: _, reason } = &mut refused
            && reason.contains("address pool")
        {
            reason.push_str("; remove networks that nobody uses: `docker network prune`");
        }
        refused
    })?;
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans() {
        use NetworkAccess::{Internet, ServicesOnly};
        assert_eq!(Plan::of(false, Internet, false), Plan::Shared);
        assert_eq!(Plan::of(false, Internet, true), Plan::Apart);
        assert_eq!(Plan::of(true, Internet, true), Plan::Own { internal: false });
        assert_eq!(Plan::of(true, Internet, false), Plan::Own { internal: false });
        assert_eq!(Plan::of(true, ServicesOnly, false), Plan::Own { internal: true });
        assert_eq!(Plan::of(false, ServicesOnly, false), Plan::None);
    }
}
