//! Inputs of `pipe/aws-credentials`, by the names of `aws-actions/configure-aws-credentials`.

use aws::{AllowedAccounts, Keys, RoleWish};
use engine::step::{ActionCall, ActionError, InputFacts};
use workflow::catalogue::{Form, Wrong};

use super::super::aws_step::{failed, given, text};
use super::super::{OutputFacts, input, switch};
use super::token;

/// Its inputs.
pub const INPUTS: &[InputFacts] = &[
    input("aws-region", "", "Where, such as `eu-central-1`; empty: AWS_REGION"),
    input("role-to-assume", "", "The role that is taken: its ARN, or its name in the account of the keys"),
    input("aws-access-key-id", "", "A key, out of a secret; better none: a role for the job's token"),
    input("aws-secret-access-key", "", "Its secret"),
    input("aws-session-token", "", "The token of a temporary key"),
    input("web-identity-token-file", "", "A file with a token of OpenID, instead of the job's own"),
    input("role-chaining", "false", "Whether the role is taken with the credentials of an earlier step").switch(),
    input("audience", "sts.amazonaws.com", "For whom the job's token is"),
    input("mask-aws-account-id", "false", "Whether the account's number is hidden in logs").switch(),
    input("role-duration-seconds", "3600", "How long the keys of the role are good for: 900 to 43200")
        .form(Form::Read(|name, text| Wrong::of(seconds(name, text)))),
    input("role-external-id", "", "What the role's owner asks for"),
    input("role-session-name", "GitHubActions", "As CloudTrail shows it"),
    input("role-skip-session-tagging", "true", "Sessions get no tags; here for workflows that write it").switch(),
    input("inline-session-policy", "", "A policy, as JSON, that takes rights away")
        .form(Form::Read(|name, text| Wrong::of(policy(name, text)))),
    input("output-credentials", "false", "Whether the keys are outputs too").switch(),
    input("output-env-credentials", "true", "Whether the keys are variables of the steps behind").switch(),
    input("unset-current-credentials", "false", "Whether keys of earlier steps are forgotten first").switch(),
    input("use-existing-credentials", "false", "Whether keys of an earlier step that are good are kept").switch(),
    input("allowed-account-ids", "", "Accounts that may be changed, with commas; empty: any").form(Form::Read(
        |name, text| Wrong::of(AllowedAccounts::read(text).map_err(|error| format!("`{name}`: {error}"))),
    )),
    input("aws-profile", "", "A profile of the machine, where whoever runs `pipe` allows it"),
    input("dry-run", "false", "Only say what would be asked").switch(),
];

/// Its outputs.
pub const OUTPUTS: &[OutputFacts] = &[
    OutputFacts::new("aws-account-id", "The account of the credentials"),
    OutputFacts::new("aws-access-key-id", "The key, with `output-credentials: true`"),
    OutputFacts::new("aws-secret-access-key", "Its secret, with `output-credentials: true`"),
    OutputFacts::new("aws-session-token", "Its token, with `output-credentials: true`"),
    OutputFacts::new("aws-expiration", "When it ends, with `output-credentials: true`"),
];

/// Where the first keys come from.
#[derive(Debug)]
pub(super) enum Source {
    /// The inputs.
    Inputs(Keys),
    /// The steps before.
    Step,
    /// The machine.
    Machine,
    /// A token in a file.
    TokenFile(String),
    /// The job's own token.
    Job,
}

/// What is wanted.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) source: Source,
    pub(super) role: Option<RoleWish>,
    pub(super) profile: Option<String>,
    pub(super) audience: String,
    pub(super) masks_account: bool,
    pub(super) outputs: bool,
    pub(super) exports: bool,
    pub(super) is_dry: bool,
}

fn seconds(name: &str, text: &str) -> Result<i32, String> {
    let read = text.trim().parse().ok().filter(|seconds| (900..=43_200).contains(seconds));
    read.ok_or_else(|| format!("`{name}: {text}` is not a number of seconds from 900 to 43200"))
}

fn policy(name: &str, text: &str) -> Result<(), String> {
    if text.trim().is_empty() {
        return Ok(());
    }
    let read = serde_json::from_str::<serde_json::Value>(text);
    read.map(drop).map_err(|error| format!("`{name}` is no JSON: {error}"))
}

impl Wanted {
    pub(super) fn of(call: &ActionCall<'_>) -> Result<Self, ActionError> {
        let truth = |name: &str| switch(call, name).map_err(failed);
        let role = role(call)?;
        let profile = given(call, "aws-profile").map(str::to_owned);
        let source = source(call, role.is_some(), profile.is_some())?;
        if let Some(role) = &role
            && matches!(source, Source::TokenFile(_) | Source::Job)
            && !role.role.starts_with("arn:")
        {
            return Err(failed(format!(
                "`role-to-assume: {}` must be the whole ARN of a role: a token is of no account",
                role.role
            )));
        }
        Ok(Self {
            source,
            role,
            profile,
            audience: text(call, "audience").to_owned(),
            masks_account: truth("mask-aws-account-id")?,
            outputs: truth("output-credentials")?,
            exports: truth("output-env-credentials")?,
            is_dry: truth("dry-run")?,
        })
    }
}

fn role(call: &ActionCall<'_>) -> Result<Option<RoleWish>, ActionError> {
    let Some(role) = given(call, "role-to-assume") else { return Ok(None) };
    // STS takes these and no others: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
    let plain = |one: char| if one.is_ascii_alphanumeric() || "_=,.@-".contains(one) { one } else { '-' };
    let session: String = text(call, "role-session-name").chars().map(plain).take(64).collect();
    if session.len() < 2 {
        return Err(failed("`role-session-name` has at least two characters"));
    }
    Ok(Some(RoleWish {
        role: role.to_owned(),
        session_name: session,
        seconds: seconds("role-duration-seconds", text(call, "role-duration-seconds")).map_err(failed)?,
        external_id: given(call, "role-external-id").map(str::to_owned),
        policy: given(call, "inline-session-policy").map(str::to_owned),
    }))
}

/// In the order of the official action: inputs, a token's file, the job's token, then what is there.
fn source(call: &ActionCall<'_>, has_role: bool, has_profile: bool) -> Result<Source, ActionError> {
    let truth = |name: &str| switch(call, name).map_err(failed);
    let has_keys = |call: &ActionCall<'_>| call.env.get("AWS_ACCESS_KEY_ID").is_some_and(|id| !id.is_empty());
    match (given(call, "aws-access-key-id"), given(call, "aws-secret-access-key")) {
        (Some(id), Some(secret)) => {
            let _too_short = call.masker.add_found(secret);
            let session = given(call, "aws-session-token").map(str::to_owned);
            return Ok(Source::Inputs(Keys::new(id, secret, session, None, "inputs")));
        }
        (None, None) => {}
        (Some(_), None) | (None, Some(_)) => {
            return Err(failed(
                "`aws-access-key-id` and `aws-secret-access-key` belong together; a secret that is not set is empty",
            ));
        }
    }
    let forgets = truth("unset-current-credentials")?;
    if truth("role-chaining")? || truth("use-existing-credentials")? && has_keys(call) && !forgets {
        return Ok(Source::Step);
    }
    if let Some(path) = given(call, "web-identity-token-file") {
        return Ok(Source::TokenFile(path.to_owned()));
    }
    if has_role && !has_profile && token::can_be_had(call) {
        return Ok(Source::Job);
    }
    if has_keys(call) && !has_profile && !forgets { Ok(Source::Step) } else { Ok(Source::Machine) }
}
