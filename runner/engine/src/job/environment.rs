//! Environment variables of a job's steps.
//! See <https://docs.github.com/en/actions/reference/workflows-and-actions/variables#default-environment-variables>.

use indexmap::IndexMap;
use workflow::expression::Value;

use crate::image::ImageFacts;
use crate::serving::GIT_SETTINGS;

/// Where things are, as the job sees them.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct JobPaths {
    /// `GITHUB_WORKSPACE`.
    pub(super) workspace: String,
    /// `RUNNER_WORKSPACE`, the folder above it.
    pub(super) runner_workspace: String,
    /// `RUNNER_TEMP`.
    pub(super) temp: String,
    /// `RUNNER_TOOL_CACHE`.
    pub(super) tool_cache: String,
    /// `HOME`; `None` keeps that of the machine.
    pub(super) home: Option<String>,
    /// `GITHUB_EVENT_PATH`.
    pub(super) event: String,
}

/// Variables that every step of a job has, without those of its own files.
pub(super) fn defaults(github: &Value, paths: &JobPaths, runner: &RunnerFacts) -> IndexMap<String, String> {
    let mut env = IndexMap::new();
    let mut set = |name: &str, value: &str| {
        env.insert(name.to_owned(), value.to_owned());
    };
    set("CI", "true");
    set("GITHUB_ACTIONS", "true");
    for name in GITHUB_VARIABLES {
        let key = name.trim_start_matches("GITHUB_").to_lowercase();
        let value = github.get(&key).map(Value::to_display_string).unwrap_or_default();
        set(name, &value);
    }
    set("GITHUB_WORKSPACE", &paths.workspace);
    set("GITHUB_EVENT_PATH", &paths.event);
    if let Some(home) = &paths.home {
        set("HOME", home);
        // In a container the workspace belongs to whoever runs `pipe`, which git would call dubious. Said through the
        // environment, since it then holds for every user, HOME and image.
        set(GIT_SETTINGS, "'safe.directory=*'");
    }
    set("RUNNER_ARCH", runner.arch);
    set("RUNNER_ENVIRONMENT", "self-hosted");
    set("RUNNER_NAME", &runner.name);
    set("RUNNER_OS", runner.os);
    set("RUNNER_TEMP", &paths.temp);
    set("RUNNER_TOOL_CACHE", &paths.tool_cache);
    set("AGENT_TOOLSDIRECTORY", &paths.tool_cache);
    set("RUNNER_WORKSPACE", &paths.runner_workspace);
    if runner.debug {
        set("RUNNER_DEBUG", "1");
    }
    env
}

/// Taken from the `github` context under the same name in lower case.
const GITHUB_VARIABLES: [&str; 27] = [
    "GITHUB_ACTOR",
    "GITHUB_ACTOR_ID",
    "GITHUB_API_URL",
    "GITHUB_BASE_REF",
    "GITHUB_EVENT_NAME",
    "GITHUB_GRAPHQL_URL",
    "GITHUB_HEAD_REF",
    "GITHUB_JOB",
    "GITHUB_REF",
    "GITHUB_REF_NAME",
    "GITHUB_REF_PROTECTED",
    "GITHUB_REF_TYPE",
    "GITHUB_REPOSITORY",
    "GITHUB_REPOSITORY_ID",
    "GITHUB_REPOSITORY_OWNER",
    "GITHUB_REPOSITORY_OWNER_ID",
    "GITHUB_RETENTION_DAYS",
    "GITHUB_RUN_ATTEMPT",
    "GITHUB_RUN_ID",
    "GITHUB_RUN_NUMBER",
    "GITHUB_SERVER_URL",
    "GITHUB_SHA",
    "GITHUB_TRIGGERING_ACTOR",
    "GITHUB_WORKFLOW",
    "GITHUB_WORKFLOW_REF",
    "GITHUB_WORKFLOW_SHA",
    "GITHUB_JOB_WORKFLOW_SHA",
];

/// What runs the job.
#[derive(Debug, Clone)]
pub(super) struct RunnerFacts {
    pub(super) name: String,
    pub(super) os: &'static str,
    pub(super) arch: &'static str,
    pub(super) debug: bool,
}

impl RunnerFacts {
    /// This machine's kind; containers run on it too.
    pub(super) fn here(name: String, debug: bool) -> Self {
        let arch = match std::env::consts::ARCH {
            "x86_64" => "X64",
            "aarch64" => "ARM64",
            "arm" => "ARM",
            _ => "X86",
        };
        Self { name, os: "Linux", arch, debug }
    }

    /// The `runner` context.
    pub(super) fn context(&self, paths: &JobPaths) -> Value {
        super::context::strings(
            [
                ("os", self.os),
                ("arch", self.arch),
                ("name", self.name.as_str()),
                ("environment", "self-hosted"),
                ("tool_cache", &paths.tool_cache),
                ("temp", &paths.temp),
                ("workspace", &paths.runner_workspace),
                ("debug", if self.debug { "1" } else { "" }),
            ]
            .into_iter()
            .filter(|(name, value)| *name != "debug" || !value.is_empty()),
        )
    }
}

/// PATH of a step: what steps added, the machine's own, and our `sudo` at the very end, so that an image's own wins.
pub(super) fn path(added: &[String], own: &str, sudo: Option<&str>) -> String {
    let mut parts: Vec<&str> = added.iter().rev().map(String::as_str).collect();
    parts.push(own);
    parts.extend(sudo);
    parts.retain(|part| !part.is_empty());
    parts.join(":")
}

/// PATH of an image that sets none.
const PATH_DEFAULT: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The variables with which a machine names its folder of tools, in the order in which GitHub's runner asks for them
/// (`HostContext.cs`).
const TOOLS: [&str; 3] = ["RUNNER_TOOL_CACHE", "RUNNER_TOOLSDIRECTORY", "AGENT_TOOLSDIRECTORY"];

/// PATH of the machine that a job runs on: of its image, or of this process.
pub(super) fn own_path(image: Option<&ImageFacts>) -> String {
    of_machine(image, "PATH").unwrap_or_else(|| PATH_DEFAULT.to_owned())
}

/// The folder of tools that this machine brings along, such as `/opt/hostedtoolcache`, if it names one.
pub(super) fn own_tool_cache(image: Option<&ImageFacts>) -> Option<String> {
    TOOLS.iter().filter_map(|name| of_machine(image, name)).find(|path| path.starts_with('/'))
}

fn of_machine(image: Option<&ImageFacts>, name: &str) -> Option<String> {
    match image {
        Some(image) => image.env.iter().find(|(own, _)| own == name).map(|(_, value)| value.clone()),
        None => std::env::var(name).ok(),
    }
}

#[cfg(test)]
mod tests {
    use workflow::command::environment_file::check_variable;

    use super::*;

    #[test]
    fn the_last_added_path_is_the_first_searched() {
        let added = ["/a".to_owned(), "/b".to_owned()];
        assert_eq!(path(&added, "/usr/bin", Some("/sudo")), "/b:/a:/usr/bin:/sudo");
        assert_eq!(path(&[], "", None), "");
    }

    #[test]
    fn an_image_names_its_folder_of_tools() {
        for (env, expected) in [
            ("", None),
            ("RUNNER_TOOL_CACHE=/opt/hostedtoolcache", Some("/opt/hostedtoolcache")),
            ("AGENT_TOOLSDIRECTORY=/opt/hostedtoolcache", Some("/opt/hostedtoolcache")),
            ("AGENT_TOOLSDIRECTORY=/c RUNNER_TOOLSDIRECTORY=/b RUNNER_TOOL_CACHE=/a", Some("/a")),
            ("RUNNER_TOOL_CACHE= AGENT_TOOLSDIRECTORY=/c", Some("/c")),
            ("RUNNER_TOOL_CACHE=tools", None),
        ] {
            let pairs = env.split_whitespace().filter_map(|pair| pair.split_once('='));
            let image = ImageFacts {
                env: pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
                ..ImageFacts::default()
            };
            assert_eq!(own_tool_cache(Some(&image)).as_deref(), expected, "{env}");
            assert_eq!(own_path(Some(&image)), PATH_DEFAULT);
        }
    }

    #[test]
    fn what_the_runner_sets_no_step_sets_for_later_ones() {
        let paths = JobPaths {
            workspace: "/w/r/r".to_owned(),
            runner_workspace: "/w/r".to_owned(),
            temp: "/w/_temp".to_owned(),
            tool_cache: "/w/_tool".to_owned(),
            home: None,
            event: "/event.json".to_owned(),
        };
        let env = defaults(&Value::Null, &paths, &RunnerFacts::here("pipe".to_owned(), false));
        let ours = env.keys().filter(|name| name.starts_with("GITHUB_") || name.starts_with("RUNNER_"));
        let free: Vec<_> = ours.filter(|name| check_variable(name, "x").is_ok()).collect();
        assert_eq!(free, Vec::<&String>::new());
    }
}
