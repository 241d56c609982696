//! `pipe/render-task-definition`, and `aws-actions/amazon-ecs-render-task-definition` natively: an image and variables put into a
//! task definition, which is checked as AWS would before anything is deployed.

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use aws::{Flaw, TaskDefinition};
use engine::step::{ActionCall, ActionError, BuiltInAction, InputFacts};
use serde_json::{Map, Value, json};

use super::aws_step::{failed, given, leave_file, read_file, text};
use super::{OutputFacts, input, required, switch};
use crate::docker::Docker;

/// Its inputs, by the names of the official action.
pub const INPUTS: &[InputFacts] = &[
    required("container-name", "The container that gets the image; several with commas"),
    required("image", "The image by its digest, HOST/NAME@sha256:…, as `pipe/push-ecr` gives it"),
    input("task-definition", "", "Path of the task definition's JSON in the workspace"),
    input("environment-variables", "", "NAME=value, one a line, that everybody may see"),
    input("secrets", "", "NAME=ARN of a secret or parameter, one a line: ECS gives its value to the container"),
    input("env-files", "", "ARNs of files in S3 with variables, one a line"),
    input("docker-labels", "", "name=value, one a line"),
    input("command", "", "What the container runs, in words"),
    input("log-configuration-log-driver", "", "Where its log goes, such as `awslogs`"),
    input("log-configuration-options", "", "name=value, one a line, of that"),
    input("task-role-arn", "", "The role of the task"),
    input("execution-role-arn", "", "The role that ECS pulls and reads secrets with"),
    input("allow-tag", "false", "Whether the image may be named by a tag, which may be moved").switch(),
    input("check-platform", "true", "Whether an image that this machine has is compared with the task's platform")
        .switch(),
    input("dry-run", "false", "Only show what would be written").switch(),
];

/// Its outputs.
pub const OUTPUTS: &[OutputFacts] = &[
    OutputFacts::new("task-definition", "Path of the file that was written"),
    OutputFacts::new("family", "The family that it is of"),
];

/// The official action's name.
pub const OFFICIAL: &str = "aws-actions/amazon-ecs-render-task-definition";

/// The action.
#[derive(Debug, Clone, Copy)]
pub struct RenderTaskDefinition {
    /// Under which name.
    pub name: &'static str,
}

#[async_trait]
impl BuiltInAction for RenderTaskDefinition {
    fn name(&self) -> &'static str {
        self.name
    }

    fn inputs(&self) -> &'static [InputFacts] {
        INPUTS
    }

    fn refuses_unknown_inputs(&self) -> bool {
        self.name != OFFICIAL
    }

    async fn run(&self, call: &mut ActionCall<'_>) -> Result<(), ActionError> {
        let path = given(call, "task-definition").map(str::to_owned);
        let path = path.ok_or_else(|| failed("`task-definition` is needed: the path of its JSON in the workspace"))?;
        let read = read_file(call, "task-definition", &path).await?;
        let mut rendered = TaskDefinition::parse(&read).map_err(|flaws| told(&path, &flaws))?;
        for name in rendered.left_out.clone() {
            call.log.line(&format!("`{name}` is left out: AWS shows it and takes it from nobody")).await;
        }
        self.judge_image(call).await?;
        render(call, &mut rendered, &path)?;
        check_platform(call, &rendered).await?;
        call.outputs.insert("family".to_owned(), rendered.family().to_owned());
        let json = format!("{:#}\n", rendered.json());
        if switch(call, "dry-run").map_err(failed)? {
            call.log.line(&format!("This is a dry run; it would write:\n{json}")).await;
            return Ok(());
        }
        let name = format!("task-definition-{}-{}.json", rendered.family(), call.step);
        let path = leave_file(call, &name, json).await?;
        call.log.line(&format!("Wrote {path}")).await;
        call.outputs.insert("task-definition".to_owned(), path);
        Ok(())
    }
}

impl RenderTaskDefinition {
    /// A tag may be another image by the time that it is deployed.
    async fn judge_image(&self, call: &mut ActionCall<'_>) -> Result<(), ActionError> {
        let image = text(call, "image");
        let digest = image.split_once("@sha256:").map(|(_, hex)| hex);
        if let Some(hex) = digest {
            let is_whole = hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
            return if is_whole {
                Ok(())
            } else {
                Err(failed(format!("`image: {image}` has no whole SHA-256: 64 digits")))
            };
        }
        let words = format!(
            "`image: {image}` is a tag, which may be another image when it is deployed than when it was scanned: write \
             HOST/NAME@sha256:…, such as `${{{{ steps.push.outputs.image }}}}`"
        );
        if self.name == OFFICIAL || switch(call, "allow-tag").map_err(failed)? {
            call.log.warning(&words).await;
            return Ok(());
        }
        Err(failed(format!("{words}, or `allow-tag: true`")))
    }
}

fn told(path: &str, flaws: &[Flaw]) -> ActionError {
    let lines = flaws.iter().map(|flaw| format!("{path}: {flaw}"));
    failed(lines.collect::<Vec<_>>().join("\n"))
}

fn render(call: &ActionCall<'_>, of: &mut TaskDefinition, path: &str) -> Result<(), ActionError> {
    let wrong = |flaws: Vec<Flaw>| told(path, &flaws);
    for (name, member) in [("task-role-arn", "taskRoleArn"), ("execution-role-arn", "executionRoleArn")] {
        if let Some(role) = given(call, name) {
            of.set(member, json!(role)).map_err(wrong)?;
        }
    }
    let change = Change::of(call)?;
    for container in text(call, "container-name").split(',').map(str::trim).filter(|name| !name.is_empty()) {
        of.change(container, |one| change.apply(one)).map_err(wrong)?;
    }
    Ok(())
}

/// What changes in a container.
struct Change {
    image: String,
    variables: Vec<(String, String)>,
    secrets: Vec<(String, String)>,
    files: Vec<String>,
    labels: Vec<(String, String)>,
    command: Vec<String>,
    log_driver: Option<String>,
    log_options: Vec<(String, String)>,
}

impl Change {
    fn of(call: &ActionCall<'_>) -> Result<Self, ActionError> {
        let pairs = |name: &str| pairs(name, text(call, name)).map_err(failed);
        let secrets = pairs("secrets")?;
        if let Some((name, value)) =
            secrets.iter().find(|(_, value)| !value.starts_with("arn:") && !value.starts_with('/'))
        {
            // The value itself is not shown: it may be the secret.
            return Err(failed(format!(
                "`secrets`: `{name}` has {} characters that are no ARN of a secret or parameter: secrets are put into task \
                 definitions by reference, since everybody who may describe one reads it",
                value.chars().count()
            )));
        }
        let files = text(call, "env-files").lines().map(str::trim).filter(|line| !line.is_empty());
        Ok(Self {
            image: text(call, "image").to_owned(),
            variables: pairs("environment-variables")?,
            secrets,
            files: files.map(str::to_owned).collect(),
            labels: pairs("docker-labels")?,
            command: text(call, "command").split_whitespace().map(str::to_owned).collect(),
            log_driver: given(call, "log-configuration-log-driver").map(str::to_owned),
            log_options: pairs("log-configuration-options")?,
        })
    }

    fn apply(&self, container: &mut Map<String, Value>) {
        container.insert("image".to_owned(), json!(self.image));
        merge(container, "environment", "value", &self.variables);
        merge(container, "secrets", "valueFrom", &self.secrets);
        if !self.files.is_empty() {
            let files: Vec<_> = self.files.iter().map(|file| json!({ "value": file, "type": "s3" })).collect();
            container.insert("environmentFiles".to_owned(), json!(files));
        }
        if !self.command.is_empty() {
            container.insert("command".to_owned(), json!(self.command));
        }
        set_all(container, "dockerLabels", &self.labels);
        if let Some(driver) = &self.log_driver {
            container.insert("logConfiguration".to_owned(), json!({ "logDriver": driver }));
        }
        if !self.log_options.is_empty() {
            let log = container.entry("logConfiguration").or_insert_with(|| json!({}));
            if let Some(log) = log.as_object_mut() {
                set_all(log, "options", &self.log_options);
            }
        }
    }
}

/// Sets members of a map.
fn set_all(object: &mut Map<String, Value>, member: &str, pairs: &[(String, String)]) {
    if pairs.is_empty() {
        return;
    }
    let map = object.entry(member).or_insert_with(|| json!({}));
    for (name, value) in pairs {
        map[name] = json!(value);
    }
}

/// Adds to a list of names with something: one of the same name is replaced.
fn merge(container: &mut Map<String, Value>, member: &str, of: &str, pairs: &[(String, String)]) {
    if pairs.is_empty() {
        return;
    }
    let list = container.entry(member).or_insert_with(|| json!([]));
    let Some(list) = list.as_array_mut() else { return };
    for (name, value) in pairs {
        list.retain(|one| one["name"] != *name);
        list.push(json!({ "name": name, of: value }));
    }
}

fn pairs(input: &str, text: &str) -> Result<Vec<(String, String)>, String> {
    let mut all = Vec::new();
    for (number, line) in text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty()) {
        let pair = line.split_once('=').filter(|(name, _)| !name.trim().is_empty());
        let (name, value) = pair.ok_or_else(|| format!("`{input}`: line {} is not NAME=value", number + 1))?;
        all.push((name.trim().to_owned(), value.trim().to_owned()));
    }
    Ok(all)
}

/// Compares the image with the platform of its tasks, if this machine has the image.
async fn check_platform(call: &mut ActionCall<'_>, of: &TaskDefinition) -> Result<(), ActionError> {
    if !switch(call, "check-platform").map_err(failed)? {
        return Ok(());
    }
    let Ok(docker) = Docker::connect().await else { return Ok(()) };
    let Ok(found) = docker.client.inspect_image(text(call, "image")).await else { return Ok(()) };
    let (os, architecture) = (found.os.unwrap_or_default(), found.architecture.unwrap_or_default());
    match of.refuses_platform(&os, &architecture) {
        Some(words) => Err(failed(words)),
        None => Ok(()),
    }
}
