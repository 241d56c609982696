//! Which containers that were made ahead fit which jobs: all that cannot be changed once a container exists has to be the
//! same. Pure.

use std::path::{Path, PathBuf};

use crate::placement::{JobSpec, Limits, Mount, NetworkAccess, PullPolicy};

/// What a container was made with, as far as jobs differ in it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Key {
    /// Its id, not its name: what the name means may have changed.
    pub(super) image: String,
    pub(super) platform: Option<String>,
    pub(super) trust: &'static str,
    pub(super) options: String,
    pub(super) limits: Limits,
    pub(super) network: NetworkAccess,
    pub(super) run_inside: String,
    pub(super) mounts: Vec<Place>,
}

/// A folder of the job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) inside: String,
    /// Where it lies in the folder of an earlier one, if it does.
    pub(super) within: Option<(usize, PathBuf)>,
}

impl Key {
    /// Of a job in this image (its id). `None`: nothing is made ahead for such a job. That is so for one with services,
    /// volumes and ports, and for one whose container gets variables or whose image needs credentials: those may be
    /// secrets, and a container that waits shows them to whoever may ask the engine.
    pub(super) fn of(spec: &JobSpec, image: &str) -> Option<Self> {
        let plain = spec.beside.is_none()
            && spec.env.is_empty()
            && spec.services.is_empty()
            && spec.volumes.is_empty()
            && spec.ports.is_empty()
            && spec.user.is_none()
            && !spec.options.contains("platform")
            && spec.image.credentials.is_none()
            && spec.image.pull != PullPolicy::Always
            && spec.mounts.iter().all(|mount| !mount.read_only);
        Some(Self {
            image: image.to_owned(),
            platform: spec.image.platform.clone(),
            trust: spec.trust.filter(|_| plain)?,
            options: spec.options.trim().to_owned(),
            limits: spec.limits,
            network: spec.network,
            run_inside: spec.run_directory.inside.clone(),
            mounts: places(&spec.mounts),
        })
    }

    /// The same mounts in other folders of this machine, below `root`.
    pub(super) fn mounts(&self, root: &Path) -> Vec<Mount> {
        let mut mounts: Vec<Mount> = Vec::new();
        for (index, place) in self.mounts.iter().enumerate() {
            let own = || root.join(index.to_string());
            let host = match &place.within {
                Some((earlier, rest)) => mounts.get(*earlier).map_or_else(own, |mount| mount.host.join(rest)),
                None => own(),
            };
            mounts.push(Mount { host, inside: place.inside.clone(), read_only: false });
        }
        mounts
    }
}

fn places(mounts: &[Mount]) -> Vec<Place> {
    let place = |(index, mount): (usize, &Mount)| {
        let earlier = mounts[..index].iter().enumerate();
        let within = earlier.rev().find_map(|(at, other)| {
            let rest = mount.host.strip_prefix(&other.host).ok().filter(|rest| !rest.as_os_str().is_empty())?;
            Some((at, rest.to_owned()))
        });
        Place { inside: mount.inside.clone(), within }
    };
    mounts.iter().enumerate().map(place).collect()
}

#[cfg(test)]
mod tests {
    use indexmap::IndexMap;

    use super::*;
    use crate::placement::{Credentials, ImageSpec, JobIdentity, JobShape, RunDirectory};

    fn mount(host: &str, inside: &str) -> Mount {
        Mount { host: host.into(), inside: inside.into(), read_only: false }
    }

    fn job(run: &str) -> JobSpec {
        JobSpec {
            identity: JobIdentity { run: run.into(), job: "a".into(), attempt: 1 },
            shape: JobShape::Runner,
            image: ImageSpec::new("image"),
            env: IndexMap::new(),
            user: None,
            workdir: format!("/w/{run}"),
            run_directory: RunDirectory { host: format!("/r/{run}").into(), inside: "/__pipe".into() },
            mounts: vec![mount(&format!("/d/{run}"), "/w"), mount(&format!("/d/{run}/_home"), "/home")],
            services: Vec::new(),
            options: String::new(),
            volumes: Vec::new(),
            ports: Vec::new(),
            limits: Limits::default(),
            network: NetworkAccess::Internet,
            trust: Some("trusted"),
            beside: None,
        }
    }

    #[test]
    fn what_fits() {
        let check = |what: &str, change: fn(&mut JobSpec), expect: bool| {
            let made = Key::of(&job("1"), "sha256:1").unwrap();
            let mut other = job("2");
            change(&mut other);
            assert_eq!(Key::of(&other, "sha256:1").is_some_and(|key| key == made), expect, "{what}");
        };
        check("another run of the same kind", |_| {}, true);
        check("another name of the same image", |job| job.image.reference = "other".into(), true);
        check("another workspace", |job| job.workdir = "/elsewhere".into(), true);
        check("another repository's job key", |job| job.identity.job = "b(1)".into(), true);
        check("a fork", |job| job.trust = Some("fork"), false);
        check("a run without a pool", |job| job.trust = None, false);
        check("options", |job| job.options = "--cpus 1".into(), false);
        check("a platform by options", |job| job.options = "--platform linux/arm64".into(), false);
        check("variables", |job| drop(job.env.insert("A".into(), "1".into())), false);
        check("volumes", |job| job.volumes.push("data:/data".into()), false);
        check("ports", |job| job.ports.push("80".into()), false);
        check("a user", |job| job.user = Some("1000".into()), false);
        check("memory", |job| job.limits.memory_bytes = Some(1), false);
        check("network", |job| job.network = NetworkAccess::ServicesOnly, false);
        check("platform", |job| job.image.platform = Some("linux/arm64".into()), false);
        check("always pulled", |job| job.image.pull = PullPolicy::Always, false);
        check(
            "credentials",
            |job| {
                job.image.credentials = Some(Credentials { username: "u".into(), password: "p".into() });
            },
            false,
        );
        check("another mount", |job| job.mounts.push(mount("/x", "/x")), false);
        check("other places in the job", |job| job.mounts[0].inside = "/__w".into(), false);
        check("other places on this machine", |job| job.mounts[1].host = "/elsewhere".into(), false);
        check("a mount that is read only", |job| job.mounts[1].read_only = true, false);
        check("another run directory", |job| job.run_directory.inside = "/other".into(), false);
    }

    #[test]
    fn another_digest_does_not_fit() {
        assert_ne!(Key::of(&job("1"), "sha256:1"), Key::of(&job("1"), "sha256:2"));
    }

    #[test]
    fn mounts_elsewhere() {
        let key = Key::of(&job("1"), "sha256:1").unwrap();
        let mounts = key.mounts(Path::new("/ahead"));
        assert_eq!(mounts, [mount("/ahead/0", "/w"), mount("/ahead/0/_home", "/home")]);
        assert_eq!(places(&mounts), key.mounts);
    }
}
