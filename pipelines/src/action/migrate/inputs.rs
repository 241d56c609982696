//! Inputs of `pipe/migrate`, checked.

use engine::step::{ActionCall, InputFacts};
use rollout::migration::Phase;
use workflow::catalogue::{Form, Wrong};

use super::super::{OutputFacts, input, switch};

/// Its inputs.
pub const INPUTS: &[InputFacts] = &[
    input(
        "command",
        "",
        "What applies the migrations, for bash: `flyway migrate`, `psql -f \"$PIPE_MIGRATION\"` with `each`",
    ),
    input("each", "false", "Whether the command is run once for each migration, its path in `PIPE_MIGRATION`").switch(),
    input("image", "", "An image whose `sh` runs the command, with the workspace mounted; else it runs in the job"),
    input("env", "", "NAME=value, one a line, for the command").form(Form::Read(|_, text| Wrong::of(variables(text)))),
    input("network", "", "Docker network of the image's container; that of the job where there is one"),
    input("migrations", "migrations", "Folder of the migrations in the workspace"),
    input(
        "pending",
        "",
        "A command that prints the files that are pending, one a line; else those that were not applied from here",
    ),
    input(
        "phase",
        "expand",
        "`expand`: what the revision that runs works with; `contract`: what it does not, once it has no traffic",
    )
    .form(Form::Words(&["expand", "contract"])),
    input("environment", "", "Whose database it is; the job's environment where absent"),
    input("service", "", "Services that use it, for `contract`; separated by commas"),
    input("database", "default", "Its name, if the environment has several"),
    input("dry-run", "false", "Only say what would be done").switch(),
];

/// Its outputs.
pub const OUTPUTS: &[OutputFacts] = &[
    OutputFacts::new("pending", "Files that were pending, one a line"),
    OutputFacts::new("applied", "Files that were applied, one a line"),
    OutputFacts::new(
        "irreversible",
        "Files that cannot be undone and why; empty: all can. For the same input of a deployment",
    ),
    OutputFacts::new("plan", "What would be done, as JSON"),
    OutputFacts::new("plan-hash", "SHA-256 of the plan"),
];

/// What is asked for.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) command: String,
    pub(super) each: bool,
    pub(super) image: Option<String>,
    pub(super) env: Vec<(String, String)>,
    pub(super) network: Option<String>,
    pub(super) migrations: String,
    pub(super) pending: Option<String>,
    pub(super) phase: Phase,
    pub(super) environment: String,
    pub(super) services: Vec<String>,
    pub(super) database: String,
    pub(super) dry_run: bool,
}

impl Wanted {
    pub(super) fn of(call: &ActionCall<'_>) -> Result<Self, String> {
        let text = |name: &str| call.inputs.get(name).map_or("", |value| value.trim());
        let given = |name: &str| Some(text(name)).filter(|text| !text.is_empty()).map(str::to_owned);
        let phase = match text("phase") {
            "expand" | "" => Phase::Expand,
            "contract" => Phase::Contract,
            other => {
                let near = workflow::diagnostic::suggest(other, ["expand", "contract"]);
                let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                return Err(format!("`phase` must be `expand` or `contract`, not `{other}`{hint}"));
            }
        };
        let dry_run = switch(call, "dry-run")?;
        let command = text("command").to_owned();
        if command.is_empty() && !dry_run {
            return Err("pipe/migrate needs `command`: what applies the migrations".to_owned());
        }
        let env = variables(text("env"))?;
        let services: Vec<String> = text("service")
            .split([',', '\n'])
            .map(str::trim)
            .filter(|one| !one.is_empty())
            .map(str::to_owned)
            .collect();
        let environment = given("environment").or_else(|| call.run.environment.clone()).unwrap_or_default();
        if phase == Phase::Contract && (services.is_empty() || environment.is_empty()) {
            let text = "`phase: contract` needs `service` and an environment: it is refused while their old revision has traffic";
            return Err(text.to_owned());
        }
        Ok(Self {
            command,
            each: switch(call, "each")?,
            image: given("image"),
            env,
            network: given("network"),
            migrations: text("migrations").trim_end_matches('/').to_owned(),
            pending: given("pending"),
            phase,
            environment,
            services,
            database: text("database").to_owned(),
            dry_run,
        })
    }
}

/// The line itself may be a part of a secret.
fn variables(text: &str) -> Result<Vec<(String, String)>, String> {
    let pair = |line: &str| match line.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.to_owned())),
        Some(_) | None => Err("`env` has a line that is not NAME=value".to_owned()),
    };
    text.lines().filter(|line| !line.trim().is_empty()).map(pair).collect()
}
