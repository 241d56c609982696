//! What a container is made of: least rights, bounded in processes and log, started again with the machine.

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, SocketAddr};

use bollard::models::{
    ContainerCreateBody, EndpointIpamConfig, EndpointSettings, HostConfig, HostConfigLogConfig, NetworkingConfig,
    RestartPolicy, RestartPolicyNameEnum,
};
use rollout::plan::Revision;

use super::containers::{
    ADDRESS, COMMIT, Containers, DIGEST, ENVIRONMENT, HEALTH, INSTALLATION, NUMBER, REVISION, ROLLOUT, SECRETS,
    SERVICE, VERSION,
};
use super::network::Network;
use super::settings::Settings;

/// Processes and threads of a container.
const PIDS_MAX: i64 = 4096;
/// Of each file of a container's log, and how many there are.
const LOG_FILE: (&str, &str) = ("10m", "3");
/// Nanoseconds of processor time in a thousandth of a processor.
const NANOS_OF_THOUSANDTH: u64 = 1_000_000;

/// A container to make.
pub(super) struct Make<'a> {
    pub(super) name: String,
    pub(super) service: &'a str,
    pub(super) revision: &'a Revision,
    pub(super) number: u32,
    pub(super) settings: &'a Settings,
    /// Values of the secret variables.
    pub(super) secrets: &'a BTreeMap<String, String>,
    pub(super) network: &'a Network,
}

fn labels(containers: &Containers, make: &Make<'_>, address: SocketAddr) -> HashMap<String, String> {
    let Make { revision, settings, .. } = make;
    [
        (INSTALLATION, containers.installation.clone()),
        (ENVIRONMENT, containers.environment.clone()),
        (SERVICE, make.service.to_owned()),
        (ROLLOUT, revision.id.to_string()),
        (REVISION, revision.image.clone()),
        (VERSION, revision.version.clone()),
        (COMMIT, revision.commit.clone()),
        (NUMBER, make.number.to_string()),
        (ADDRESS, address.to_string()),
        (HEALTH, settings.health_path.clone()),
        (SECRETS, settings.secrets.join(",")),
        (DIGEST, settings.secrets_digest.clone()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// What the engine is asked for.
pub(super) fn body(containers: &Containers, make: &Make<'_>, address: Ipv4Addr) -> ContainerCreateBody {
    let Make { settings, .. } = make;
    let variables = settings.env.iter().chain(make.secrets);
    let endpoint = EndpointSettings {
        // Its own for as long as it lives, so that the proxy's table is right after the machine was started again.
        ipam_config: Some(EndpointIpamConfig {
            ipv4_address: Some(address.to_string()),
            ..EndpointIpamConfig::default()
        }),
        ..EndpointSettings::default()
    };
    let policy = RestartPolicy { name: Some(RestartPolicyNameEnum::UNLESS_STOPPED), maximum_retry_count: None };
    let log = HostConfigLogConfig {
        typ: Some("json-file".to_owned()),
        config: Some(
            [("max-size", LOG_FILE.0), ("max-file", LOG_FILE.1)]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
        ),
    };
    let tmpfs = settings.tmpfs.iter().map(|path| match path.split_once(':') {
        Some((path, options)) => (path.to_owned(), options.to_owned()),
        None => (path.clone(), "rw,size=64m".to_owned()),
    });
    ContainerCreateBody {
        image: Some(make.revision.image.clone()),
        user: settings.user.clone(),
        env: Some(variables.map(|(name, value)| format!("{name}={value}")).collect()),
        labels: Some(labels(containers, make, SocketAddr::from((address, settings.port)))),
        networking_config: Some(NetworkingConfig {
            endpoints_config: Some([(make.network.name.clone(), endpoint)].into()),
        }),
        host_config: Some(HostConfig {
            network_mode: Some(make.network.name.clone()),
            restart_policy: Some(policy),
            log_config: Some(log),
            cap_drop: Some(vec!["ALL".to_owned()]),
            cap_add: Some(settings.cap_add.clone()).filter(|list| !list.is_empty()),
            security_opt: Some(vec!["no-new-privileges".to_owned()]),
            pids_limit: Some(PIDS_MAX),
            readonly_rootfs: Some(settings.read_only),
            tmpfs: Some(tmpfs.collect()),
            binds: Some(settings.volumes.clone()).filter(|list| !list.is_empty()),
            memory: settings.memory_bytes.and_then(|bytes| i64::try_from(bytes).ok()),
            nano_cpus: settings
                .cpu_thousandths
                .and_then(|share| i64::try_from(share.saturating_mul(NANOS_OF_THOUSANDTH)).ok()),
            init: Some(true),
            // Services reach each other through the proxy, which listens on this machine.
            extra_hosts: Some(vec!["host.docker.internal:host-gateway".to_owned()]),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}
