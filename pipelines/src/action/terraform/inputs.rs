//! Inputs of `pipe/terraform`, checked. Their names are those that users of other actions for Terraform know.

use std::path::PathBuf;

use engine::step::{ActionCall, InputFacts};
use workflow::catalogue::{Form, Wrong};
use workflow::secret::Secret;

use super::super::{OutputFacts, input, paths, required, switch};

const COMMANDS: &[&str] = &["plan", "apply", "drift", "validate", "fmt"];

/// Its inputs.
pub const INPUTS: &[InputFacts] = &[
    required(
        "command",
        "`plan`; `apply` of exactly such a plan; `drift`: whether what there is is still as it was left; `validate`; `fmt`",
    )
    .form(Form::Words(COMMANDS)),
    input("working-directory", ".", "Folder of the configuration in the workspace"),
    input("workspace", "", "Workspace of Terraform; empty: the one that is selected, `default` at first").form(Form::Read(
        |name, text| Wrong::of(word(name, text)),
    )),
    input("create-workspace", "false", "Whether a workspace that does not exist is made").switch(),
    input("backend-config", "", "NAME=value or a file, one a line, for `init`"),
    input("var", "", "NAME=value, one a line").form(Form::Read(|name, text| Wrong::of(variables(name, text)))),
    input("var-file", "", "Files with values, one a line, as seen from `working-directory`"),
    input("target", "", "Addresses to which a plan is restricted, one a line"),
    input("destroy", "false", "Whether the plan removes everything").switch(),
    input("lock-timeout", "1m", "How long it waits for somebody else's lock, such as `10m`")
        .form(Form::Read(|name, text| Wrong::of(duration(name, text)))),
    input("parallelism", "10", "How many resources at once").form(Form::Read(|name, text| Wrong::of(count(name, text)))),
    input(
        "plan-file",
        "tfplan",
        "File of the plan, as seen from `working-directory`. It holds secrets in the clear: keep it for a short time only",
    ),
    input("digest", "", "`digest` of the step that made the plan: another plan is not applied"),
    input("allow-destroy", "false", "Whether a plan is applied that removes or replaces something").switch(),
    input("fail-on-drift", "true", "Whether `drift` fails when it finds some").switch(),
    input("comment", "false", "Whether the pull request is told: one comment, changed by later runs").switch(),
    input("comment-id", "", "What tells comments apart; else folder and workspace do"),
    input("pull-request", "", "Its number, where the run is not of one").form(Form::Read(|name, text| {
        Wrong::of(count(name, text))
    })),
    input("github-token", "", "With `pull-requests: write`, such as `${{ github.token }}`"),
    input("cost", "true", "Whether a plan says what a month costs before and after").switch(),
    input("prices", "", "Own prices: a file of the workspace, in the form of the table that comes with the action"),
    input("price-region", "", "Region of the prices; else that of the plan's provider, else AWS_REGION"),
    input("program", "terraform", "Such as `tofu`, or a path in the job"),
    input("dry-run", "false", "`apply` checks everything and applies nothing, and nobody is told").switch(),
];

/// Its outputs.
pub const OUTPUTS: &[OutputFacts] = &[
    OutputFacts::new(
        "outcome",
        "`changes` or `no-changes`, `applied` or `not-applied`, `drift` or `no-drift`, `valid`, `formatted`",
    ),
    OutputFacts::new("add", "How many resources are made"),
    OutputFacts::new("change", "How many are changed where they stand"),
    OutputFacts::new("replace", "How many are removed and made anew"),
    OutputFacts::new("destroy", "How many are removed"),
    OutputFacts::new("changes", "What becomes of which resource, as JSON, without values"),
    OutputFacts::new("plan-file", "The plan in the workspace; beside it lies what its digest is of (`.pipe.json`)"),
    OutputFacts::new("digest", "SHA-256 of plan, configuration, lock file and state: what is approved"),
    OutputFacts::new("drift", "Whether something is not as it was left: `true` or `false`"),
    OutputFacts::new("cost-before", "Dollars a month before, as far as prices are known"),
    OutputFacts::new("cost-after", "Dollars a month after"),
    OutputFacts::new("cost-delta", "The difference, with its sign"),
    OutputFacts::new("outputs", "Outputs of the configuration that are not sensitive, as JSON"),
    OutputFacts::new("comment-url", "Where the comment is"),
];

/// What it is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    /// Makes a plan.
    Plan,
    /// Applies one.
    Apply,
    /// Compares what there is with what was left.
    Drift,
    /// Checks the configuration.
    Validate,
    /// Checks how it is written.
    Format,
}

/// Whom to tell.
#[derive(Debug)]
pub(super) struct Telling {
    /// What tells comments apart.
    pub(super) id: String,
    /// Number of the pull request.
    pub(super) number: Option<u64>,
    /// What it is authorised with.
    pub(super) token: Option<Secret>,
}

/// What is asked for.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) command: Command,
    /// Below the workspace; empty: the workspace itself.
    pub(super) folder: PathBuf,
    pub(super) workspace: Option<String>,
    pub(super) create_workspace: bool,
    pub(super) backend: Vec<String>,
    pub(super) variables: Vec<String>,
    pub(super) variable_files: Vec<String>,
    pub(super) targets: Vec<String>,
    pub(super) destroy: bool,
    pub(super) lock_timeout: String,
    pub(super) parallelism: u64,
    /// Below `folder`.
    pub(super) plan_file: PathBuf,
    pub(super) digest: Option<String>,
    pub(super) allow_destroy: bool,
    pub(super) fail_on_drift: bool,
    pub(super) telling: Option<Telling>,
    pub(super) cost: bool,
    pub(super) prices: Option<String>,
    pub(super) price_region: Option<String>,
    pub(super) program: String,
    pub(super) dry_run: bool,
}

impl Wanted {
    pub(super) fn of(call: &ActionCall<'_>) -> Result<Self, String> {
        let given = |name: &str| call.inputs.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
        let text = |name: &str| given(name).map(str::to_owned);
        let lines = |name: &str| lines(given(name).unwrap_or_default()).map(str::to_owned).collect::<Vec<_>>();
        let command = match given("command").unwrap_or_default() {
            "plan" => Command::Plan,
            "apply" => Command::Apply,
            "drift" => Command::Drift,
            "validate" => Command::Validate,
            "fmt" => Command::Format,
            other => return Err(format!("`command` must be one of {}, not `{other}`", COMMANDS.join(", "))),
        };
        let folder =
            paths::below("working-directory", given("working-directory").unwrap_or("."), &call.workspace.inside)?;
        let plan_file = paths::below("plan-file", given("plan-file").unwrap_or("tfplan"), "")?;
        if plan_file.as_os_str().is_empty() {
            return Err("`plan-file` names no file".to_owned());
        }
        let digest = text("digest");
        if command == Command::Apply && digest.is_none() {
            return Err("`command: apply` needs `digest`, an output of the step that made the plan (of another job: \
                        `${{ needs.JOB.outputs.digest }}`): only what was seen is applied"
                .to_owned());
        }
        let workspace = text("workspace");
        Ok(Self {
            command,
            workspace: workspace.clone(),
            create_workspace: switch(call, "create-workspace")?,
            backend: lines("backend-config"),
            variables: variables("var", given("var").unwrap_or_default())?,
            variable_files: lines("var-file"),
            targets: lines("target"),
            destroy: switch(call, "destroy")?,
            lock_timeout: text("lock-timeout").unwrap_or_else(|| "0s".to_owned()),
            parallelism: given("parallelism").map_or(Ok(10), |text| count("parallelism", text))?,
            plan_file,
            digest,
            allow_destroy: switch(call, "allow-destroy")?,
            fail_on_drift: switch(call, "fail-on-drift")?,
            telling: telling(call, &folder.to_string_lossy(), workspace.as_deref())?,
            cost: switch(call, "cost")?,
            prices: text("prices"),
            price_region: text("price-region"),
            program: text("program").unwrap_or_else(|| "terraform".to_owned()),
            dry_run: switch(call, "dry-run")?,
            folder,
        })
    }

    /// The folder, for people.
    pub(super) fn shown_folder(&self) -> String {
        let folder = self.folder.to_string_lossy();
        if folder.is_empty() { "the workspace".to_owned() } else { folder.into_owned() }
    }

    /// The plan below the workspace.
    pub(super) fn plan_path(&self) -> PathBuf {
        self.folder.join(&self.plan_file)
    }
}

fn telling(call: &ActionCall<'_>, folder: &str, workspace: Option<&str>) -> Result<Option<Telling>, String> {
    let given = |name: &str| call.inputs.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
    if !switch(call, "comment")? {
        return Ok(None);
    }
    let of_ref = call.run.git_ref.strip_prefix("refs/pull/").and_then(|rest| rest.split('/').next()?.parse().ok());
    let number = given("pull-request").map(|text| count("pull-request", text)).transpose()?.or(of_ref);
    let token = given("github-token").map(Secret::new);
    if number.is_some() && token.is_none() {
        return Err("`comment: true` needs `github-token`: write `github-token: ${{ github.token }}`, and `pull-requests: write` \
                    into the job's `permissions`"
            .to_owned());
    }
    let place = || format!("{} {}", if folder.is_empty() { "." } else { folder }, workspace.unwrap_or("default"));
    let id = given("comment-id").map_or_else(place, str::to_owned);
    Ok(Some(Telling { id, number, token }))
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// `NAME=value` lines.
fn variables(input: &str, text: &str) -> Result<Vec<String>, String> {
    let one = |line: &str| {
        let name = line.split_once('=').map(|(name, _)| name.trim()).unwrap_or_default();
        let is_name = |name: &str| {
            name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
        };
        if is_name(name) {
            Ok(line.to_owned())
        } else {
            Err(format!(
                "`{input}` has a line that is not NAME=value: `{}`",
                line.split('=').next().unwrap_or_default()
            ))
        }
    };
    lines(text).map(one).collect()
}

/// What Go calls a duration: `30s`, `1h30m`.
fn duration(input: &str, text: &str) -> Result<(), String> {
    let text = text.trim();
    let (mut has_digit, mut is_whole) = (false, text == "0");
    for c in text.chars() {
        match c {
            '0'..='9' => (has_digit, is_whole) = (true, text == "0"),
            's' | 'm' | 'h' if has_digit => (has_digit, is_whole) = (false, true),
            _ => return Err(format!("`{input}` must be a duration such as `30s` or `10m`, not `{text}`")),
        }
    }
    if is_whole { Ok(()) } else { Err(format!("`{input}` must be a duration such as `30s` or `10m`, not `{text}`")) }
}

fn count(input: &str, text: &str) -> Result<u64, String> {
    let number = text.trim().parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| format!("`{input}` must be a number from 1, not `{}`", text.trim()))
}

fn word(input: &str, text: &str) -> Result<(), String> {
    let is_plain = text.trim().chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if is_plain {
        Ok(())
    } else {
        Err(format!("`{input}` takes letters, digits, `-`, `_` and `.`, not `{}`", text.trim()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_go() {
        for (text, is_one) in [
            ("30s", true),
            ("1h30m", true),
            ("0", true),
            ("0s", true),
            ("10", false),
            ("m", false),
            ("1 m", false),
            ("", false),
        ] {
            assert_eq!(duration("lock-timeout", text).is_ok(), is_one, "{text}");
        }
    }

    #[test]
    fn variables_have_names() {
        assert_eq!(variables("var", "a=1\n# no\n\n b-c = x=y ").unwrap(), ["a=1", "b-c = x=y"]);
        assert_eq!(variables("var", "a:b").unwrap_err(), "`var` has a line that is not NAME=value: `a:b`");
        assert!(variables("var", "$(rm)=1").is_err() && word("workspace", "a b").is_err());
    }
}
