//! Names that a checker has to know: properties of contexts, labels of machines, shells, and words that people bring
//! along from other tools.
//!
//! Follows <https://docs.github.com/en/actions/reference/workflows-and-actions/contexts> and
//! <https://docs.github.com/en/actions/reference/runners/github-hosted-runners>.

/// Keys of other tools and other spellings, in lower case without `-`, `_` and spaces, with ours.
pub(super) const OTHER_NAMES: &[(&str, &str)] = &[
    ("script", "run"),
    ("command", "run"),
    ("commands", "run"),
    ("cmd", "run"),
    ("sh", "run"),
    ("action", "uses"),
    ("use", "uses"),
    ("dependson", "needs"),
    ("requires", "needs"),
    ("need", "needs"),
    ("when", "if"),
    ("condition", "if"),
    ("timeout", "timeout-minutes"),
    ("timeoutinminutes", "timeout-minutes"),
    ("allowfailure", "continue-on-error"),
    ("continueonfailure", "continue-on-error"),
    ("ignoreerrors", "continue-on-error"),
    ("variables", "env"),
    ("vars", "env"),
    ("environmentvariables", "env"),
    ("envs", "env"),
    ("workdir", "working-directory"),
    ("cwd", "working-directory"),
    ("workingdir", "working-directory"),
    ("dir", "working-directory"),
    ("runson", "runs-on"),
    ("os", "runs-on"),
    ("image", "runs-on"),
    ("machine", "runs-on"),
    ("runner", "runs-on"),
    ("service", "services"),
    ("output", "outputs"),
    ("args", "with"),
    ("inputs", "with"),
    ("params", "with"),
    ("parameters", "with"),
    ("triggers", "on"),
    ("event", "on"),
    ("events", "on"),
    ("stages", "jobs"),
    ("maxjobs", "max-parallel"),
    ("tz", "timezone"),
];

/// The same for events.
pub(super) const EVENT_OTHER_NAMES: &[(&str, &str)] = &[
    ("pr", "pull_request"),
    ("mergerequest", "pull_request"),
    ("manual", "workflow_dispatch"),
    ("dispatch", "workflow_dispatch"),
    ("cron", "schedule"),
    ("call", "workflow_call"),
    ("tag", "push"),
];

/// Keys that are right elsewhere, with where that is.
pub(super) const KEYS_ELSEWHERE: &[(&str, &str)] = &[
    ("matrix", "`matrix` belongs below `strategy:` of a job"),
    ("fail-fast", "`fail-fast` belongs below `strategy:` of a job"),
    ("max-parallel", "`max-parallel` belongs below `strategy:` of a job"),
    ("include", "`include` belongs below `strategy.matrix`"),
    ("exclude", "`exclude` belongs below `strategy.matrix`"),
    ("branches", "`branches` belongs below an event that has branches, such as `push:` or `pull_request:`"),
    ("branches-ignore", "`branches-ignore` belongs below an event that has branches, such as `push:`"),
    ("tags", "`tags` belongs below `push:`; other events have none"),
    ("tags-ignore", "`tags-ignore` belongs below `push:`; other events have none"),
    ("paths", "`paths` belongs below `push:`, `pull_request:` or `pull_request_target:`"),
    ("paths-ignore", "`paths-ignore` belongs below `push:`, `pull_request:` or `pull_request_target:`"),
    ("types", "`types` belongs below an event that has several kinds, such as `pull_request:`; `push` has none"),
    ("cron", "`cron` belongs into the list below `schedule:`"),
    ("steps", "`steps` belongs into a job, below `jobs: <name>:`; a job with `uses` has none"),
    ("runs-on", "`runs-on` belongs into a job with `steps`, below `jobs: <name>:`"),
    ("needs", "`needs` belongs into a job, below `jobs: <name>:`"),
    ("strategy", "`strategy` belongs into a job, below `jobs: <name>:`"),
    ("services", "`services` belongs into a job with `steps`"),
    ("container", "`container` belongs into a job with `steps`"),
    ("environment", "`environment` belongs into a job with `steps`; variables go below `env:`"),
    ("timeout-minutes", "`timeout-minutes` belongs into a job with `steps` or into a step"),
    ("continue-on-error", "`continue-on-error` belongs into a job with `steps` or into a step"),
    ("outputs", "`outputs` belongs into a job with `steps`; a step writes them to `$GITHUB_OUTPUT`"),
    ("permissions", "`permissions` belongs to the workflow or to a job"),
    ("defaults", "`defaults` belongs to the workflow or to a job with `steps`"),
    ("shell", "`shell` belongs into a step with `run`, or below `defaults: run:`"),
    ("working-directory", "`working-directory` belongs into a step with `run`, or below `defaults: run:`"),
    ("with", "`with` belongs to `uses`; a step with `run` takes values through `env:`"),
    ("run", "a step has either `run` or `uses`; make two steps of it, each beginning with `-`"),
    ("uses", "a step has either `run` or `uses`; make two steps of it, each beginning with `-`"),
    ("env", "`env` belongs to the workflow, to a job with `steps`, or to a step"),
    ("secrets", "`secrets` belongs to a job with `uses`, or below `workflow_call:`"),
    ("if", "`if` belongs to a job or a step"),
];

/// `github`.
pub(super) const GITHUB: &[&str] = &[
    "action",
    "action_path",
    "action_ref",
    "action_repository",
    "action_status",
    "actor",
    "actor_id",
    "api_url",
    "artifact_cache_size_limit",
    "base_ref",
    "env",
    "event",
    "event_name",
    "event_path",
    "graphql_url",
    "head_ref",
    "job",
    "job_workflow_sha",
    "output",
    "path",
    "ref",
    "ref_name",
    "ref_protected",
    "ref_type",
    "repository",
    "repository_id",
    "repository_owner",
    "repository_owner_id",
    "repository_visibility",
    "repositoryUrl",
    "retention_days",
    "run_attempt",
    "run_id",
    "run_number",
    "secret_source",
    "server_url",
    "sha",
    "state",
    "step_summary",
    "token",
    "triggering_actor",
    "workflow",
    "workflow_ref",
    "workflow_sha",
    "workspace",
];

/// `runner`.
pub(super) const RUNNER: &[&str] =
    &["arch", "debug", "environment", "name", "os", "perflog", "temp", "tool_cache", "workspace"];

/// `job`.
pub(super) const JOB: &[&str] = &[
    "check_run_id",
    "container",
    "services",
    "status",
    "workflow_file_path",
    "workflow_ref",
    "workflow_repository",
    "workflow_sha",
];

/// `strategy`.
pub(super) const STRATEGY: &[&str] = &["fail-fast", "job-index", "job-total", "max-parallel"];

/// Every context.
pub(super) const CONTEXTS: &[&str] =
    &["github", "env", "vars", "job", "jobs", "steps", "runner", "secrets", "strategy", "matrix", "needs", "inputs"];

/// Shells that need no `{0}`.
pub(super) const SHELLS: &[&str] = &["bash", "sh", "pwsh", "powershell", "python", "cmd"];

/// Labels of GitHub's machines, and those that every self-hosted one has.
pub(super) const LABELS: &[&str] = &[
    "ubuntu-latest",
    "ubuntu-slim",
    "ubuntu-26.04",
    "ubuntu-24.04",
    "ubuntu-24.04-arm",
    "ubuntu-22.04",
    "ubuntu-22.04-arm",
    "ubuntu-20.04",
    "windows-latest",
    "windows-2025",
    "windows-2022",
    "windows-2019",
    "windows-11-arm",
    "macos-latest",
    "macos-latest-large",
    "macos-latest-xlarge",
    "macos-26",
    "macos-15",
    "macos-14",
    "macos-13",
    "macos-15-intel",
    "self-hosted",
];

/// What a stranger may write, below `github`: shown by anybody who opens an issue, a pull request or a discussion.
/// Follows <https://securitylab.github.com/resources/github-actions-untrusted-input/>.
pub(super) const UNTRUSTED: &[&str] = &[
    "head_ref",
    "event.issue.title",
    "event.issue.body",
    "event.pull_request.title",
    "event.pull_request.body",
    "event.pull_request.head.ref",
    "event.pull_request.head.label",
    "event.pull_request.head.repo.default_branch",
    "event.comment.body",
    "event.review.body",
    "event.review_comment.body",
    "event.discussion.title",
    "event.discussion.body",
    "event.workflow_run.head_branch",
    "event.workflow_run.display_title",
    "event.workflow_run.head_commit.message",
    "event.workflow_run.head_commit.author.email",
    "event.workflow_run.head_commit.author.name",
    "event.workflow_run.head_repository.description",
    "event.head_commit.message",
    "event.head_commit.author.email",
    "event.head_commit.author.name",
    "event.commits",
    "event.pages",
    "event.milestone.title",
    "event.milestone.description",
];

/// Inputs of actions that are run as code, or as a template of code. GitHub's CodeQL and zizmor have the same list.
pub(super) const CODE_INPUTS: &[(&str, &[&str])] = &[
    ("8398a7/action-slack", &["custom_payload"]),
    ("actions/github-script", &["script"]),
    ("addnab/docker-run-action", &["options", "run"]),
    ("amadevus/pwsh-script", &["script"]),
    ("appleboy/ssh-action", &["script"]),
    ("azure/cli", &["inlineScript"]),
    ("azure/powershell", &["inlineScript"]),
    ("cardinalby/js-eval-action", &["expression"]),
    ("jannekem/run-python-script-action", &["script"]),
    ("mikefarah/yq", &["cmd"]),
    ("nick-fields/retry", &["command", "new_command_on_retry", "on_retry_command"]),
    ("sergeysova/jq-action", &["cmd"]),
];
