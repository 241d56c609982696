//! A job as it was asked for, read and judged before anything is made.
//!
//! All that a workflow can have written wrongly is an error here, at no cost.

use indexmap::IndexMap;

use super::network::Plan;
use super::options::{self, Options};
use super::volumes::{self, Allowed, Volume};
use super::{DockerSettings, ports};
use crate::placement::{JobIdentity, JobShape, JobSpec, PlacementError};

/// What was judged.
#[derive(Debug)]
pub(super) struct Prepared {
    /// Begins the names of all that is made for the job.
    pub(super) name: String,
    pub(super) options: Options,
    pub(super) volumes: Vec<Volume>,
    pub(super) services: Vec<PreparedService>,
    /// Service → port inside → port on the job's localhost.
    pub(super) ports: ports::Plan,
    pub(super) network: Plan,
}

/// A service that was judged.
#[derive(Debug)]
pub(super) struct PreparedService {
    pub(super) options: Options,
    pub(super) volumes: Vec<Volume>,
}

impl Prepared {
    pub(super) fn new(spec: &JobSpec, settings: &DockerSettings, unique: &str) -> Result<Self, PlacementError> {
        let allowed = Allowed { mounts: &spec.mounts, folders: &settings.allowed_folders };
        let read = |owner: &str, options: &str, volumes: &[String]| {
            let options = options::parse(options, owner, &settings.allowed_options)?;
            let volumes = volumes.iter().map(|entry| volumes::parse(entry, owner, allowed));
            Ok::<_, PlacementError>((options, volumes.collect::<Result<Vec<_>, _>>()?))
        };
        let (options, volumes) = read("container", &spec.options, &spec.volumes)?;
        if options.entrypoint.is_some() {
            return Err(PlacementError::OptionRefused {
                owner: "container".to_owned(),
                option: "--entrypoint".to_owned(),
                reason: "is not allowed, as on GitHub: the job's own program comes first".to_owned(),
            });
        }
        let mut services = Vec::new();
        for service in &spec.services {
            let (options, volumes) = read(&format!("service `{}`", service.id), &service.options, &service.volumes)?;
            services.push(PreparedService { options, volumes });
        }
        // The job's own ports are at home on its localhost; they are only read, so that mistakes are told.
        ports::plan(std::iter::once(("container", spec.ports.as_slice())))?;
        let ports = ports::plan(spec.services.iter().map(|service| (service.id.as_str(), service.ports.as_slice())))?;
        // A name of its own is for a network of its own: on a shared one it could be that of somebody else's server.
        let has_names = !spec.services.is_empty() || !options.aliases.is_empty();
        let network = Plan::of(has_names, spec.network, settings.isolate, spec.trust);
        Ok(Self { name: name(&spec.identity, unique), options, volumes, services, ports, network })
    }

    /// What the agent opens on the job's localhost: port there → service and its port.
    pub(super) fn forwards(&self, shape: JobShape) -> IndexMap<u16, (&str, u16)> {
        match shape {
            JobShape::Container => IndexMap::new(),
            JobShape::Runner => self
                .ports
                .iter()
                .flat_map(|(service, ports)| {
                    ports.iter().map(|(inside, outside)| (*outside, (service.as_str(), *inside)))
                })
                .collect(),
        }
    }
}

/// Characters of a job's key that its containers' names show.
const NAME_CHARS_MAX: usize = 40;

/// A name that engines accept and people recognise.
fn name(job: &JobIdentity, unique: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-') { c } else { '-' };
    let key: String = job.job.chars().map(safe).take(NAME_CHARS_MAX).collect();
    format!("pipe-{}-{unique}", key.trim_matches(['-', '.', '_']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let check = |job: &str, expect: &str| {
            let job = JobIdentity { run: "r".into(), job: job.into(), attempt: 1 };
            assert_eq!(name(&job, "u"), expect);
        };
        check("build", "pipe-build-u");
        check("test (ubuntu, 20)", "pipe-test--ubuntu--20-u");
        check("ä/ö", "pipe--u");
        check(&"x".repeat(100), &format!("pipe-{}-u", "x".repeat(40)));
    }
}
