//! Networks of jobs: the engine's own bridge where a job is alone, one of its own where it has services.
//!
//! A network of its own costs about 70 ms to make and 190 ms to remove (Docker 20.10), as much as a container; and an
//! engine that was not told otherwise has addresses for about 30. A job without services pays none of that. On the shared
//! bridge other containers could be reached by address, though none can be listened in on or impersonated (NET_RAW is
//! dropped). With `isolate` such jobs share others ([`super::apart`]), one for each trust, on which no container reaches
//! another.

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
    /// One for all jobs of this installation and trust, on which none reaches another.
    Apart { trust: &'static str },
    /// None at all.
    None,
    /// Its own; `internal`: without a way out.
    Own { internal: bool },
}

impl Plan {
    /// `isolate`: no other job is reached; `trust`: with whom a network may be shared then, if with anybody.
    pub(super) const fn of(has_names: bool, access: NetworkAccess, isolate: bool, trust: Option<&'static str>) -> Self {
        match (access, trust) {
            (NetworkAccess::Internet, _) if has_names => Self::Own { internal: false },
            (NetworkAccess::Internet, Some(trust)) if isolate => Self::Apart { trust },
            (NetworkAccess::Internet, None) if isolate => Self::Own { internal: false },
            (NetworkAccess::Internet, _) => Self::Shared,
            (NetworkAccess::ServicesOnly, _) if has_names => Self::Own { internal: true },
            (NetworkAccess::ServicesOnly, _) => Self::None,
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
        Plan::Apart { trust } => match apart.ensure(docker, trust).await {
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
        let (trusted, fork) = (Some("trusted"), Some("fork"));
        for (has_names, access, isolate, trust, expect) in [
            (false, Internet, false, None, Plan::Shared),
            (false, Internet, false, trusted, Plan::Shared),
            (false, Internet, true, trusted, Plan::Apart { trust: "trusted" }),
            (false, Internet, true, fork, Plan::Apart { trust: "fork" }),
            (false, Internet, true, None, Plan::Own { internal: false }),
            (true, Internet, true, trusted, Plan::Own { internal: false }),
            (true, Internet, false, None, Plan::Own { internal: false }),
            (true, ServicesOnly, false, None, Plan::Own { internal: true }),
            (false, ServicesOnly, false, None, Plan::None),
            (false, ServicesOnly, true, fork, Plan::None),
        ] {
            assert_eq!(
                Plan::of(has_names, access, isolate, trust),
                expect,
                "{has_names} {access:?} {isolate} {trust:?}"
            );
        }
    }
}
