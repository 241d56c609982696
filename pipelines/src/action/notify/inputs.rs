//! Inputs of `pipe/notify`, checked.

use engine::notify::{Direct, Form, MailServer, Occasion};
use engine::step::{ActionCall, InputFacts};
use workflow::catalogue::{Form as Takes, Wrong};
use workflow::secret::Secret;

use super::super::{OutputFacts, input, switch};
use super::place::Place;

/// Its inputs.
pub const INPUTS: &[InputFacts] = &[
    input("slack-webhook", "", "Address of an incoming webhook of Slack, out of a secret"),
    input("teams-webhook", "", "Address of a workflow's webhook of Teams, out of a secret"),
    input("discord-webhook", "", "Address of a channel's webhook of Discord, out of a secret"),
    input("webhook", "", "Address that gets JSON, out of a secret"),
    input("webhook-secret", "", "What JSON is signed with: X-Pipe-Signature-256"),
    input(
        "sns-topic-arn",
        "",
        "Topic of Amazon SNS, such as `arn:aws:sns:eu-central-1:123456789012:deployments`; needs AWS_ACCESS_KEY_ID and \
         AWS_SECRET_ACCESS_KEY in `env`",
    ),
    input("email", "", "Who gets a mail; separated by commas"),
    input(
        "mail-server",
        "",
        "HOST or HOST:PORT that takes mail: STARTTLS, TLS at port 465, in the clear on this machine only",
    ),
    input("mail-user", "", "Who hands mail in"),
    input("mail-password", "", "Their password, out of a secret"),
    input("mail-from", "", "The sender, such as `pipe <ci@example.com>`"),
    input("status", "", "What happened: `${{ job.status }}`, or the `status` of a deployment")
        .form(Takes::Read(|name, text| Wrong::of(occasion(name, text.trim())))),
    input("on", "failure,rollback,approval,success", "Of what is told; needs `status`")
        .form(Takes::Read(|name, text| Wrong::of(occasions(name, text)))),
    input("title", "", "The headline; else it is made of the run"),
    input("message", "", "More, line by line"),
    input("url", "", "Where there is more"),
    input("template", "", "Own words instead, with what happened as values: `{{ headline }}`, `{{ environment }}`"),
    input("thread-by", "", "What has the same value belongs together: threads of mail, X-Pipe-Thread of hooks"),
    input("required", "false", "Whether the step fails when nobody could be told").switch(),
    input("dry-run", "false", "Only say what would be told to whom").switch(),
];

/// Its outputs.
pub const OUTPUTS: &[OutputFacts] = &[
    OutputFacts::new("sent", "How many places were told"),
    OutputFacts::new("occasion", "Of what was told, such as `failure`; empty without `status`"),
    OutputFacts::new("plan-hash", "SHA-256 of what is told and to whom"),
];

/// What is asked for.
#[derive(Debug)]
pub(super) struct Wanted {
    /// What kind of place, and the place.
    pub(super) places: Vec<(&'static str, Place)>,
    pub(super) occasion: Option<Occasion>,
    pub(super) on: Vec<Occasion>,
    pub(super) title: String,
    pub(super) message: String,
    pub(super) url: Option<String>,
    pub(super) thread: Option<String>,
    pub(super) required: bool,
    pub(super) dry_run: bool,
}

/// Words for what happened: statuses of jobs, of deployments, and those of `on`.
const STATUSES: [(&str, Occasion); 17] = [
    ("success", Occasion::Success),
    ("succeeded", Occasion::Success),
    ("failure", Occasion::Failure),
    ("failed", Occasion::Failure),
    ("rejected", Occasion::Failure),
    ("stuck", Occasion::Failure),
    ("stopped", Occasion::Cancelled),
    ("cancelled", Occasion::Cancelled),
    ("canceled", Occasion::Cancelled),
    ("rollback", Occasion::Rollback),
    ("rolled-back", Occasion::Rollback),
    ("approval", Occasion::Approval),
    ("waiting", Occasion::Approval),
    ("deployment", Occasion::Deployment),
    ("recovery", Occasion::Recovery),
    ("budget", Occasion::Budget),
    ("finding", Occasion::Finding),
];

impl Wanted {
    pub(super) fn of(call: &ActionCall<'_>) -> Result<Self, String> {
        let text = |name: &str| call.inputs.get(name).map_or("", |value| value.trim());
        let given = |name: &str| Some(text(name)).filter(|text| !text.is_empty());
        let status = given("status").map(|word| occasion("status", word)).transpose()?;
        if status.is_none() && !call.defaulted.iter().any(|name| name == "on") {
            return Err("`on` needs `status`: write `status: ${{ job.status }}`".to_owned());
        }
        let on = occasions("on", text("on"))?;
        Ok(Self {
            places: places(&given, |name| call.env.get(name).map(String::as_str))?,
            occasion: status,
            on,
            title: text("title").to_owned(),
            message: text("message").to_owned(),
            url: given("url").map(str::to_owned),
            thread: given("thread-by").map(str::to_owned),
            required: switch(call, "required")?,
            dry_run: switch(call, "dry-run")?,
        })
    }
}

fn places<'a>(
    given: &impl Fn(&str) -> Option<&'a str>,
    variable: impl Fn(&str) -> Option<&'a str>,
) -> Result<Vec<(&'static str, Place)>, String> {
    let template = given("template");
    let hooks = [
        ("slack-webhook", "Slack", Form::Slack),
        ("teams-webhook", "Teams", Form::Teams),
        ("discord-webhook", "Discord", Form::Discord),
        ("webhook", "a hook", Form::Webhook),
    ];
    let mut places = Vec::new();
    for (input, name, form) in hooks {
        let Some(address) = given(input) else { continue };
        let secret = given("webhook-secret").filter(|_| form == Form::Webhook).map(Secret::new);
        let place = Direct::hook(form, address, template.filter(|_| form != Form::Webhook), secret);
        let place = place.map_err(|problem| format!("`{input}`: {problem}"))?;
        places.push((name, Place::Direct(place)));
    }
    if let Some(arn) = given("sns-topic-arn") {
        let topic = Place::topic(arn, variable, template);
        places.push(("SNS", topic.map_err(|problem| format!("`sns-topic-arn`: {problem}"))?));
    }
    if let Some(to) = given("email") {
        let needed = |name: &str| given(name).ok_or_else(|| format!("`email` needs `{name}`"));
        let login = match (given("mail-user"), given("mail-password")) {
            (Some(user), Some(password)) => Some((user.to_owned(), Secret::new(password))),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => {
                return Err("`mail-user` and `mail-password` belong together".to_owned());
            }
        };
        let server =
            MailServer { server: needed("mail-server")?.to_owned(), login, from: needed("mail-from")?.to_owned() };
        let to: Vec<&str> = to.split([',', '\n']).map(str::trim).filter(|one| !one.is_empty()).collect();
        let mail = Direct::mail(server, &to, given("thread-by"), template);
        places.push(("mail", Place::Direct(mail.map_err(|problem| format!("`email`: {problem}"))?)));
    }
    if places.is_empty() {
        let all = "`slack-webhook`, `teams-webhook`, `discord-webhook`, `webhook`, `sns-topic-arn` or `email`";
        return Err(format!("pipe/notify needs somebody to tell: {all}. A secret that is not set is empty"));
    }
    Ok(places)
}

fn occasions(input: &str, text: &str) -> Result<Vec<Occasion>, String> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(|word| occasion(input, word)).collect()
}

fn occasion(input: &str, word: &str) -> Result<Occasion, String> {
    let lower = word.to_lowercase();
    if let Some((_, occasion)) = STATUSES.iter().find(|(known, _)| *known == lower) {
        return Ok(*occasion);
    }
    let near = workflow::diagnostic::suggest(&lower, STATUSES.iter().map(|(known, _)| *known));
    let all = || format!("use {}", Occasion::ALL.map(Occasion::as_str).join(", "));
    let hint = near.map_or_else(all, |near| format!("did you mean `{near}`?"));
    Err(format!("`{input}` has `{word}`; {hint}"))
}
