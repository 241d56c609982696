//! Which labels of `runs-on` this machine can serve, and with what.
//!
//! GitHub's hosted labels stand for virtual machines; here a label stands for a container image, or for this machine
//! itself. See <https://docs.github.com/en/actions/writing-workflows/choosing-where-your-workflow-runs>.

use indexmap::IndexMap;

/// The image for `ubuntu-*` labels that are not mapped: it has git, a compiler and the usual tools.
pub const DEFAULT_IMAGE: &str = "buildpack-deps:bookworm";

/// What serves a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunnerTarget {
    /// A container of this image.
    Image(String),
    /// Processes on this machine.
    Host,
}

/// Labels in lower case to what serves them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunnerLabels {
    map: IndexMap<String, RunnerTarget>,
    host_for_all: bool,
    host_for_none: bool,
}

/// A `runs-on` that cannot be served here; the text says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unserved(pub String);

impl RunnerLabels {
    /// Maps a label to an image; `-self-hosted` maps it to this machine, as act writes it.
    pub fn map(&mut self, label: &str, image: &str) {
        let target = match image {
            "-self-hosted" | "host" => RunnerTarget::Host,
            image => RunnerTarget::Image(image.to_owned()),
        };
        self.map.insert(label.to_lowercase(), target);
    }

    /// Runs every job on this machine.
    pub const fn use_host(&mut self) {
        self.host_for_all = true;
    }

    /// The same without this machine itself: what it would serve is not served.
    #[must_use]
    pub fn without_host(mut self) -> Self {
        self.host_for_all = false;
        self.host_for_none = true;
        self
    }

    /// What serves a job with these labels: the first label that is mapped decides.
    ///
    /// # Errors
    /// [`Unserved`] when no label can be served.
    pub fn resolve(&self, labels: &[String]) -> Result<RunnerTarget, Unserved> {
        match self.find(labels)? {
            RunnerTarget::Host if self.host_for_none => Err(Unserved(format!(
                "code of a fork does not run on this machine itself, and {} means it; give the job a label that is \
                 mapped to an image",
                quoted(labels)
            ))),
            target @ (RunnerTarget::Host | RunnerTarget::Image(_)) => Ok(target),
        }
    }

    fn find(&self, labels: &[String]) -> Result<RunnerTarget, Unserved> {
        if self.host_for_all {
            return Ok(RunnerTarget::Host);
        }
        let lower: Vec<_> = labels.iter().map(|label| label.to_lowercase()).collect();
        if let Some(target) = lower.iter().find_map(|label| self.map.get(label)) {
            return Ok(target.clone());
        }
        if lower.iter().any(|label| label == "self-hosted") {
            return Ok(RunnerTarget::Host);
        }
        if lower.iter().any(|label| label == "linux" || label.starts_with("ubuntu")) {
            return Ok(RunnerTarget::Image(DEFAULT_IMAGE.to_owned()));
        }
        Err(Unserved(unserved(labels)))
    }
}

fn unserved(labels: &[String]) -> String {
    let Some(first) = labels.first().filter(|label| !label.is_empty()) else {
        return "`runs-on` is empty; name a label such as `ubuntu-latest`".to_owned();
    };
    let lower = first.to_lowercase();
    let what = if lower.starts_with("windows") || lower.starts_with("macos") {
        let system = if lower.starts_with("windows") { "Windows" } else { "macOS" };
        format!("`{first}` means a {system} machine, and jobs here run in Linux containers or on this machine")
    } else {
        format!("no runner has the label {}", quoted(labels))
    };
    format!("{what}; map it to an image with `-P {first}=IMAGE`, or to this machine with `-P {first}=-self-hosted`")
}

fn quoted(labels: &[String]) -> String {
    labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(" + ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(labels: &[&str], expected: Result<RunnerTarget, &str>) {
        let mut map = RunnerLabels::default();
        map.map("Windows-latest", "wine:latest");
        map.map("gpu", "-self-hosted");
        let labels: Vec<_> = labels.iter().map(ToString::to_string).collect();
        match (map.resolve(&labels), expected) {
            (Ok(target), Ok(wanted)) => assert_eq!(target, wanted),
            (Err(error), Err(part)) => assert!(error.0.contains(part), "{error}"),
            (got, wanted) => panic!("{labels:?}: {got:?} instead of {wanted:?}"),
        }
    }

    #[test]
    fn labels_find_their_runner_or_say_what_to_do() {
        check(&["ubuntu-latest"], Ok(RunnerTarget::Image(DEFAULT_IMAGE.into())));
        check(&["Ubuntu-22.04"], Ok(RunnerTarget::Image(DEFAULT_IMAGE.into())));
        check(&["windows-latest"], Ok(RunnerTarget::Image("wine:latest".into())));
        check(&["self-hosted", "linux"], Ok(RunnerTarget::Host));
        check(&["self-hosted", "gpu"], Ok(RunnerTarget::Host));
        check(&["macos-14"], Err("macOS machine"));
        check(&["my-runner"], Err("-P my-runner=IMAGE"));
        check(&[], Err("empty"));
    }
}
