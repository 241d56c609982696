//! What is asked of the engine for a container: hardened by default, then what `options:` allowed.
//!
//! Builds requests and sends none. The defaults are items 11 to 13 of the security model.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, EndpointSettings, HealthConfig, HostConfig, HostConfigCgroupnsModeEnum, HostConfigLogConfig,
    Mount as EngineMount, MountType, NetworkingConfig, ResourcesUlimits, RestartPolicy, RestartPolicyNameEnum,
};

use super::connection::Capabilities;
use super::options::{Health, Options};
use super::volumes::Volume;
use super::words;
use crate::placement::{Limits, Mount, PlacementError, ServiceSpec};

/// What containers may do beyond an ordinary user: install packages, change owners, switch users, listen on port 80.
const CAPABILITIES: [&str; 9] =
    ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "SETUID", "SETGID", "KILL", "NET_BIND_SERVICE", "SYS_CHROOT"];

/// Open files of one process.
pub(super) const OPEN_FILES_MAX: u64 = 65_536;

const OPEN_FILES: i64 = OPEN_FILES_MAX.cast_signed();

/// Shared memory of a container; browsers and databases need more than Docker's 64 MiB.
const SHARED_MEMORY_BYTES: i64 = 256 * 1024 * 1024;

/// How the network of a container is named that has that of another one.
pub(super) const BESIDE: &str = "container:";

/// A service's log is kept for its error message alone.
const SERVICE_LOG_SIZE_MAX: &str = "1m";

/// What both kinds of container share.
#[derive(Debug)]
pub(super) struct Container<'a> {
    pub(super) image: &'a str,
    pub(super) labels: HashMap<String, String>,
    pub(super) options: &'a Options,
    pub(super) limits: Limits,
    pub(super) env: Vec<(String, String)>,
    pub(super) network: &'a str,
    pub(super) aliases: Vec<String>,
    pub(super) capabilities: &'a Capabilities,
    /// Whether the engine may set the number of open files; one that may not hands on its own.
    pub(super) sets_open_files: bool,
}

impl Container<'_> {
    fn body(self) -> ContainerCreateBody {
        let options = self.options;
        let mut labels = options.labels.clone().into_iter().collect::<HashMap<_, _>>();
        labels.extend(self.labels);
        let mut aliases = self.aliases;
        aliases.extend(options.aliases.iter().cloned());
        // Aliases exist on networks of our own only.
        let own_network = !matches!(self.network, "bridge" | "none") && !self.network.starts_with(BESIDE);
        let networking = own_network.then(|| NetworkingConfig {
            endpoints_config: Some(
                [(self.network.to_owned(), EndpointSettings { aliases: Some(aliases), ..EndpointSettings::default() })]
                    .into(),
            ),
        });
        let mut env: Vec<String> = self.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        env.extend(options.env.iter().map(|(name, value)| format!("{name}={value}")));
        ContainerCreateBody {
            image: Some(self.image.to_owned()),
            hostname: options.hostname.clone(),
            env: Some(env),
            labels: Some(labels),
            host_config: Some(host_config(options, self.limits, self.network, self.capabilities, self.sets_open_files)),
            networking_config: networking,
            ..ContainerCreateBody::default()
        }
    }
}

fn host_config(
    options: &Options,
    limits: Limits,
    network: &str,
    capabilities: &Capabilities,
    sets_open_files: bool,
) -> HostConfig {
    let drop_all = options.cap_drop.iter().any(|name| name == "ALL");
    let mut cap_add: Vec<String> = CAPABILITIES
        .iter()
        .filter(|name| !drop_all && !options.cap_drop.iter().any(|dropped| dropped == *name))
        .map(|name| (*name).to_owned())
        .collect();
    cap_add.extend(options.cap_add.iter().cloned());
    let memory_limit = limits.memory_bytes.and_then(|bytes| i64::try_from(bytes).ok());
    let memory = at_most(options.memory_bytes, memory_limit);
    let cpus_limit = limits.cpus.map(|cpus| words::truncate(cpus * 1e9));
    let pids = at_most(options.pids, Some(i64::from(limits.pids)));
    let open_files =
        ResourcesUlimits { name: Some("nofile".to_owned()), soft: Some(OPEN_FILES), hard: Some(OPEN_FILES) };
    let asked = options.ulimits.iter().map(|limit| ResourcesUlimits {
        name: Some(limit.name.clone()),
        soft: Some(limit.soft),
        hard: Some(limit.hard),
    });
    let names_files = options.ulimits.iter().any(|limit| limit.name == "nofile");
    let ulimits = asked.chain((sets_open_files && !names_files).then_some(open_files)).collect();
    HostConfig {
        cap_drop: Some(vec!["ALL".to_owned()]),
        cap_add: Some(cap_add),
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        privileged: Some(false),
        ipc_mode: Some("private".to_owned()),
        cgroupns_mode: capabilities.private_cgroups().then_some(HostConfigCgroupnsModeEnum::PRIVATE),
        network_mode: Some(network.to_owned()),
        restart_policy: Some(RestartPolicy { name: Some(RestartPolicyNameEnum::NO), maximum_retry_count: None }),
        memory,
        // Equal to memory: no swap on top of it.
        memory_swap: options.memory_swap_bytes.filter(|_| memory_limit.is_none()).or(memory),
        memory_reservation: options.memory_reservation_bytes,
        nano_cpus: at_most(options.cpus_nano, cpus_limit),
        pids_limit: pids,
        shm_size: Some(options.shm_bytes.unwrap_or(SHARED_MEMORY_BYTES)),
        ulimits: Some(ulimits),
        tmpfs: (!options.tmpfs.is_empty()).then(|| options.tmpfs.clone().into_iter().collect()),
        extra_hosts: (!options.hosts.is_empty()).then(|| options.hosts.clone()),
        dns: (!options.dns.is_empty()).then(|| options.dns.clone()),
        group_add: (!options.groups.is_empty()).then(|| options.groups.clone()),
        readonly_rootfs: options.read_only.then_some(true),
        init: options.init.then_some(true),
        ..HostConfig::default()
    }
}

fn at_most(asked: Option<i64>, limit: Option<i64>) -> Option<i64> {
    match (asked, limit) {
        (Some(asked), Some(limit)) => Some(asked.min(limit)),
        (asked, limit) => asked.or(limit),
    }
}

/// The container of a job. Its entrypoint is the agent, as root: steps get the job's user.
pub(super) fn job(
    container: Container<'_>,
    command: Vec<String>,
    mounts: Vec<EngineMount>,
    stdio: bool,
) -> ContainerCreateBody {
    let mut body = container.body();
    let mut command = command.into_iter();
    body.entrypoint = command.next().map(|program| vec![program]);
    body.cmd = Some(command.collect());
    body.user = Some("0:0".to_owned());
    body.working_dir = Some("/".to_owned());
    // An image's own check would run in the job for nothing.
    body.healthcheck = Some(HealthConfig { test: Some(vec!["NONE".to_owned()]), ..HealthConfig::default() });
    body.stop_signal = Some("SIGKILL".to_owned());
    if stdio {
        body.open_stdin = Some(true);
        body.attach_stdin = Some(true);
        body.attach_stdout = Some(true);
    }
    if let Some(host) = &mut body.host_config {
        host.log_config = Some(HostConfigLogConfig { typ: Some("none".to_owned()), config: None });
        host.mounts = Some(mounts);
        // The agent is PID 1 and reaps.
        host.init = None;
    }
    body
}

/// The container of a service.
pub(super) fn service(
    container: Container<'_>,
    spec: &ServiceSpec,
    mounts: Vec<EngineMount>,
) -> Result<ContainerCreateBody, PlacementError> {
    let options = container.options;
    let words = |name: &str, text: &Option<String>| {
        text.as_deref().map(words::split).transpose().map_err(|reason| PlacementError::OptionRefused {
            owner: format!("service `{}`", spec.id),
            option: name.to_owned(),
            reason: reason.to_owned(),
        })
    };
    let entrypoint = words("entrypoint", &spec.entrypoint)?;
    let command = words("command", &spec.command)?;
    let mut body = container.body();
    body.entrypoint = entrypoint.or_else(|| options.entrypoint.clone().map(|program| vec![program]));
    body.cmd = command;
    body.user.clone_from(&options.user);
    body.working_dir.clone_from(&options.workdir);
    body.healthcheck = health(&options.health);
    if let Some(host) = &mut body.host_config {
        let log = [("max-size", SERVICE_LOG_SIZE_MAX), ("max-file", "1"), ("compress", "false")];
        let log = log.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        host.log_config = Some(HostConfigLogConfig { typ: Some("local".to_owned()), config: Some(log) });
        host.mounts = Some(mounts);
    }
    Ok(body)
}

/// `None`: that of the image.
fn health(asked: &Health) -> Option<HealthConfig> {
    if asked.none {
        return Some(HealthConfig { test: Some(vec!["NONE".to_owned()]), ..HealthConfig::default() });
    }
    if *asked == Health::default() {
        return None;
    }
    Some(HealthConfig {
        test: asked.command.clone().map(|command| vec!["CMD-SHELL".to_owned(), command]),
        interval: asked.interval_nanos,
        timeout: asked.timeout_nanos,
        retries: asked.retries,
        start_period: asked.start_period_nanos,
        start_interval: None,
    })
}

/// A folder of this machine, as the engine mounts it. It must exist there: nothing is created.
pub(super) fn bind(mount: &Mount) -> EngineMount {
    EngineMount {
        typ: Some(MountType::BIND),
        source: Some(mount.host.to_string_lossy().into_owned()),
        target: Some(mount.inside.clone()),
        read_only: Some(mount.read_only),
        ..EngineMount::default()
    }
}

/// An entry of `volumes:`, as the engine mounts it. Volumes belong to the job: `prefix` and labels tell them apart.
pub(super) fn volume(volume: &Volume, prefix: &str, labels: &HashMap<String, String>) -> EngineMount {
    let of_volume = |source: Option<String>, inside: &str, read_only: bool| EngineMount {
        typ: Some(MountType::VOLUME),
        source,
        target: Some(inside.to_owned()),
        read_only: Some(read_only),
        volume_options: Some(bollard::models::MountVolumeOptions {
            labels: Some(labels.clone()),
            ..bollard::models::MountVolumeOptions::default()
        }),
        ..EngineMount::default()
    };
    match volume {
        Volume::Named { name, inside, read_only } => of_volume(Some(format!("{prefix}-{name}")), inside, *read_only),
        Volume::Anonymous { inside } => of_volume(None, inside, false),
        Volume::Folder { host, inside, read_only } => {
            bind(&Mount { host: host.clone(), inside: inside.clone(), read_only: *read_only })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::placement::docker::options;

    fn body(text: &str, limits: Limits, api: (usize, usize)) -> ContainerCreateBody {
        let options = options::parse(text, "container", &[]).unwrap();
        let capabilities = Capabilities { address: String::new(), api, same_kernel: true };
        let container = Container {
            image: "sha256:1",
            labels: [("dev.pipe.run".to_owned(), "r".to_owned())].into(),
            options: &options,
            limits,
            env: vec![("A".into(), "1".into()), ("B\" -v /:/h \"".into(), "--privileged".into())],
            network: "bridge",
            aliases: vec![],
            capabilities: &capabilities,
            sets_open_files: true,
        };
        job(container, vec!["/a/agent".into(), "--socket".into(), "/s".into()], vec![], false)
    }

    #[test]
    fn hardened_by_default() {
        let body = body("", Limits::default(), (1, 41));
        let host = body.host_config.unwrap();
        assert_eq!(host.cap_drop.unwrap(), ["ALL"]);
        assert_eq!(host.cap_add.unwrap(), CAPABILITIES);
        assert_eq!(host.security_opt.unwrap(), ["no-new-privileges"]);
        assert_eq!(host.privileged, Some(false));
        assert_eq!(host.pids_limit, Some(4096));
        assert_eq!(host.ipc_mode.as_deref(), Some("private"));
        assert_eq!(host.cgroupns_mode, Some(HostConfigCgroupnsModeEnum::PRIVATE));
        assert_eq!(host.log_config.unwrap().typ.as_deref(), Some("none"));
        assert_eq!(host.shm_size, Some(SHARED_MEMORY_BYTES));
        assert_eq!(host.ulimits.unwrap()[0].hard, Some(65_536));
        assert_eq!((host.binds, host.devices, host.pid_mode, host.port_bindings), (None, None, None, None));
        assert_eq!(body.entrypoint.unwrap(), ["/a/agent"]);
        assert_eq!(body.cmd.unwrap(), ["--socket", "/s"]);
        assert_eq!(body.user.as_deref(), Some("0:0"));
    }

    #[test]
    fn i11_names_of_variables_are_no_flags() {
        let body = body("-e 'C\" --privileged=x'", Limits::default(), (1, 41));
        let env = body.env.unwrap();
        for entry in ["B\" -v /:/h \"=--privileged", "C\" --privileged=x"] {
            assert_eq!(env.iter().filter(|other| *other == entry).count(), 1, "{env:?}");
        }
        let host = body.host_config.unwrap();
        assert_eq!((host.privileged, host.binds, host.mounts.unwrap_or_default().len()), (Some(false), None, 0));
    }

    #[test]
    fn options_stay_within_limits() {
        let limits = Limits { memory_bytes: Some(1 << 30), cpus: Some(2.0), pids: 100 };
        let host =
            body("--memory 2g --cpus 4 --pids-limit 5000 --memory-swap -1", limits, (1, 40)).host_config.unwrap();
        assert_eq!(host.memory, Some(1 << 30));
        assert_eq!(host.memory_swap, Some(1 << 30));
        assert_eq!(host.nano_cpus, Some(2_000_000_000));
        assert_eq!(host.pids_limit, Some(100));
        assert_eq!(host.cgroupns_mode, None, "an old engine does not know it");
        let host = body("--memory 512m --cap-drop KILL --ulimit nofile=10", limits, (1, 41)).host_config.unwrap();
        assert_eq!(host.memory, Some(512 << 20));
        assert!(!host.cap_add.unwrap().contains(&"KILL".to_owned()));
        assert_eq!(host.ulimits.unwrap().len(), 1);
        let host = body("--cap-drop all", limits, (1, 41)).host_config.unwrap();
        assert_eq!(host.cap_add.unwrap(), [""; 0]);
    }

    #[test]
    fn labels_cannot_be_taken_over() {
        let labels = body("--label team=a", Limits::default(), (1, 41)).labels.unwrap();
        assert_eq!(labels["team"], "a");
        assert_eq!(labels["dev.pipe.run"], "r");
    }

    #[test]
    fn health_checks() {
        let check = |text: &str| health(&options::parse(text, "c", &[]).unwrap().health);
        assert_eq!(check(""), None);
        assert_eq!(check("--no-healthcheck").unwrap().test.unwrap(), ["NONE"]);
        let health = check("--health-cmd 'a b' --health-retries 3").unwrap();
        assert_eq!(
            (health.test.unwrap().as_slice(), health.retries),
            (["CMD-SHELL".to_owned(), "a b".to_owned()].as_slice(), Some(3))
        );
        assert_eq!(check("--health-interval 1s").unwrap().test, None, "the image's own command");
    }
}
