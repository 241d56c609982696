//! Inputs of `pipe/approve`, checked.

use engine::step::{ActionCall, InputFacts};
use jiff::SignedDuration;
use rollout::gate::{Asks, PREFIX};
use workflow::catalogue::{Form, Wrong};

use super::super::{OutputFacts, input, switch};

/// Its inputs.
pub const INPUTS: &[InputFacts] = &[
    input("subject", "", "What is approved, in a sentence or more; another subject is another approval"),
    input("details", "", "More of it, shown below: a plan, a list; another text is another approval"),
    input("name", "", "Its name, where a job has several"),
    input("environment", "", "Who may deploy there may approve; the job's environment where absent"),
    input("reviewers", "", "Only these people; separated by commas. Else all who may deploy there"),
    input("approvals", "1", "How many of them have to").form(Form::Read(|_, text| Wrong::of(approvals(text)))),
    input("prevent-self-review", "false", "Whether who started the run may not approve").switch(),
    input("timeout", "24h", "How long it waits; then the step fails")
        .form(Form::Read(|_, text| Wrong::of(timeout(text)))),
    input("dry-run", "false", "Only say who would be asked for what").switch(),
];

/// Its outputs.
pub const OUTPUTS: &[OutputFacts] = &[
    OutputFacts::new("approval-id", "Its number, for `pipe deploy` and the API"),
    OutputFacts::new("approved-by", "Who approved, separated by commas"),
    OutputFacts::new("comment", "What the last of them said"),
    OutputFacts::new("plan-hash", "SHA-256 of what is approved"),
];

/// People that can be named.
const REVIEWERS_MAX: usize = 50;

/// Longest `details`.
const DETAILS_BYTES_MAX: usize = 64 * 1024;

/// What is asked for.
#[derive(Debug)]
pub(super) struct Wanted {
    /// What is asked, of whom.
    pub(super) asks: Asks,
    /// The gate's name, as pages and commands have it.
    pub(super) gate: String,
    pub(super) environment: String,
    pub(super) timeout: SignedDuration,
    pub(super) dry_run: bool,
}

impl Wanted {
    pub(super) fn of(call: &ActionCall<'_>) -> Result<Self, String> {
        let text = |name: &str| call.inputs.get(name).map_or("", |value| value.trim());
        let given = |name: &str| Some(text(name)).filter(|text| !text.is_empty()).map(str::to_owned);
        let environment = given("environment").or_else(|| call.run.environment.clone());
        let environment = environment.ok_or("pipe/approve needs `environment`: who may deploy there may approve")?;
        let reviewers: Vec<String> = text("reviewers")
            .split([',', '\n'])
            .map(str::trim)
            .filter(|one| !one.is_empty())
            .map(str::to_owned)
            .collect();
        let approvals = approvals(text("approvals"))?;
        let prevents_self_review = switch(call, "prevent-self-review")?;
        let can =
            reviewers.iter().filter(|one| !(prevents_self_review && one.eq_ignore_ascii_case(&call.run.actor))).count();
        if reviewers.len() > REVIEWERS_MAX || !reviewers.is_empty() && can < approvals {
            let need = if approvals == 1 { "one has".to_owned() } else { format!("{approvals} have") };
            return Err(format!("nobody can satisfy this gate: {need} to approve, and {can} of `reviewers` may"));
        }
        let timeout = timeout(text("timeout"))?;
        let details = text("details");
        if details.len() > DETAILS_BYTES_MAX {
            return Err(format!("`details` has {} bytes, and at most {DETAILS_BYTES_MAX} are shown", details.len()));
        }
        let masked = |text: &str| call.masker.mask(text);
        Ok(Self {
            asks: Asks {
                subject: masked(text("subject")),
                details: masked(details),
                reviewers,
                approvals,
                prevent_self_review: prevents_self_review,
            },
            gate: format!("{PREFIX}{}", given("name").unwrap_or_else(|| call.run.job.clone())),
            environment,
            timeout,
            dry_run: switch(call, "dry-run")?,
        })
    }
}

fn approvals(text: &str) -> Result<usize, String> {
    let count = text.trim().parse().ok().filter(|count| (1..=REVIEWERS_MAX).contains(count));
    count.ok_or_else(|| format!("`approvals` must be a number from 1, not `{}`", text.trim()))
}

fn timeout(text: &str) -> Result<SignedDuration, String> {
    rollout::read::duration(text).map_err(|problem| format!("`timeout`: {problem}"))
}
