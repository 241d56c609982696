//! Inputs of `pipe/rollback`, checked.

use engine::step::{ActionCall, InputFacts};
use workflow::catalogue::{Form, Wrong};

use super::super::{OutputFacts, input, required, switch};

/// Its inputs.
pub const INPUTS: &[InputFacts] = &[
    input("environment", "", "Where; the job's environment where absent"),
    required("service", "What"),
    input("to", "", "The number of a rollout that succeeded: what it brought shall stand; else what stood before")
        .form(Form::Read(|_, text| Wrong::of(rollout(text)))),
    input("reason", "", "Why, for those who read it later"),
    input("dry-run", "false", "Only say what would be done").switch(),
];

/// Its outputs.
pub const OUTPUTS: &[OutputFacts] = &[
    OutputFacts::new("deployment-id", "The rollout that goes back"),
    OutputFacts::new("status", "`succeeded`; else `failed`, `stuck`, `too-late` (it had succeeded before it was told)"),
    OutputFacts::new("image", "What stands then, by its digest"),
    OutputFacts::new("version", "Its version"),
    OutputFacts::new("plan-hash", "SHA-256 of what is to be done"),
];

/// What is asked for.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) environment: String,
    pub(super) service: String,
    pub(super) to: Option<u64>,
    pub(super) reason: String,
    pub(super) dry_run: bool,
}

impl Wanted {
    pub(super) fn of(call: &ActionCall<'_>) -> Result<Self, String> {
        let text = |name: &str| call.inputs.get(name).map_or("", |value| value.trim());
        let given = |name: &str| Some(text(name)).filter(|text| !text.is_empty()).map(str::to_owned);
        let environment = given("environment").or_else(|| call.run.environment.clone());
        let to = given("to").map(|to| rollout(&to));
        Ok(Self {
            environment: environment.ok_or("pipe/rollback needs `environment`")?,
            service: text("service").to_owned(),
            to: to.transpose()?,
            reason: text("reason").to_owned(),
            dry_run: switch(call, "dry-run")?,
        })
    }
}

/// The number of a rollout.
fn rollout(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let number = text.trim_start_matches('#').parse();
    number.map_err(|_| format!("`to` must be the number of a rollout, as `pipe deploy history` has it, not `{text}`"))
}
