//! `pipe/push-registry`: an image of this machine's Docker into any registry, once, and its digest as the registry has it.

#[cfg(test)]
mod tests;

use std::path::Path;

use async_trait::async_trait;
use engine::image::stored_login;
use engine::step::{ActionCall, ActionError, BuiltInAction, InputFacts};
use serde_json::json;
use workflow::catalogue::{Form, Wrong};
use workflow::secret::Secret;

use super::aws_step::{failed, given, text};
use super::{OutputFacts, input, push_facts, required, switch};
use crate::docker::Docker;
use crate::push::{Push, Pushed, tags};
use crate::registry::{Login, Reference};

/// Its inputs.
pub const INPUTS: &[InputFacts] = &[
    push_facts::IMAGE,
    required("repository", "Where to: HOST/NAME, such as `registry.example:5000/shop/orders`")
        .form(Form::Read(|name, text| Wrong::of(repository(name, text)))),
    push_facts::TAGS,
    push_facts::SCANNED_IMAGE,
    input("move-tags", "false", "Whether a tag that another image has may be taken from it").switch(),
    input("username", "", "Who pushes; empty: as `docker login` on the machine keeps it, if `use-docker-login`"),
    input("password", "", "Their password, out of a secret"),
    input("use-docker-login", "false", "Whether the machine's own `docker login` may be used").switch(),
    push_facts::CONTAINER_NAME,
    push_facts::DRY_RUN,
];

/// Its outputs.
pub const OUTPUTS: &[OutputFacts] = &[
    push_facts::REGISTRY,
    push_facts::DEPLOYED,
    push_facts::DIGEST,
    push_facts::GIVEN_TAGS,
    push_facts::PUSHED,
    push_facts::IMAGE_DEFINITIONS,
    push_facts::IMAGE_DETAIL,
];

/// The action.
#[derive(Debug, Clone, Copy, Default)]
pub struct PushRegistry;

#[async_trait]
impl BuiltInAction for PushRegistry {
    fn name(&self) -> &'static str {
        "pipe/push-registry"
    }

    fn inputs(&self) -> &'static [InputFacts] {
        INPUTS
    }

    fn refuses_unknown_inputs(&self) -> bool {
        true
    }

    async fn run(&self, call: &mut ActionCall<'_>) -> Result<(), ActionError> {
        let (host, name) = repository("repository", text(call, "repository")).map_err(failed)?;
        let login = login(call, &host).await?;
        let push = Push {
            image: text(call, "image").to_owned(),
            must_be: given(call, "scanned-image").map(str::to_owned),
            tags: tags(text(call, "tags")).map_err(failed)?,
            may_move: switch(call, "move-tags").map_err(failed)?,
            // What is deployed on this machine is found by it.
            keeps_name: true,
            repository: name,
            host,
            login,
        };
        if switch(call, "dry-run").map_err(failed)? {
            say_plan(call, &push).await;
            return Ok(());
        }
        let pushed = carry(call, &push).await?;
        outputs(call, &push, &pushed);
        Ok(())
    }
}

/// `HOST/NAME` in its two parts.
fn repository(input: &str, text: &str) -> Result<(String, String), String> {
    let wrong =
        || format!("`{input}: {text}` is no repository: write HOST/NAME without a tag, such as `ghcr.io/shop/orders`");
    let read = Reference::parse(&format!("{}:x", text.trim())).map_err(|_| wrong())?;
    if read.reference == "x" { Ok((read.host, read.repository)) } else { Err(wrong()) }
}

async fn login(call: &ActionCall<'_>, host: &str) -> Result<Option<Login>, ActionError> {
    match (given(call, "username"), given(call, "password")) {
        (Some(user), Some(password)) => {
            let _too_short = call.masker.add(password);
            Ok(Some(Login { user: user.to_owned(), password: Secret::new(password) }))
        }
        (None, None) if switch(call, "use-docker-login").map_err(failed)? => {
            let folder = std::env::var_os("DOCKER_CONFIG").map_or_else(
                || Path::new(&std::env::var_os("HOME").unwrap_or_default()).join(".docker"),
                |folder| Path::new(&folder).to_path_buf(),
            );
            let found = stored_login(&folder, host).await.map_err(failed)?;
            Ok(found.map(|(user, password)| Login { user, password }))
        }
        (None, None) => Ok(None),
        (Some(_), None) | (None, Some(_)) => {
            Err(failed("`username` and `password` belong together; a secret that is not set is empty"))
        }
    }
}

/// Says what would be done.
pub(super) async fn say_plan(call: &mut ActionCall<'_>, push: &Push) {
    call.log.line("This is a dry run; it would:").await;
    let taken = if push.may_move { "even if another image has them" } else { "unless another image has one of them" };
    let lines = [
        format!("look whether {} has the image already, and send the layers that it has not", push.name()),
        format!("give it the tags {}, {taken}", push.tags.join(", ")),
        "read its digest again, and compare".to_owned(),
    ];
    for (number, line) in lines.iter().enumerate() {
        call.log.line(&format!("  {}. {line}", number + 1)).await;
    }
}

/// Pushes, and tells.
pub(super) async fn carry(call: &mut ActionCall<'_>, push: &Push) -> Result<Pushed, ActionError> {
    let docker = Docker::connect().await.map_err(failed)?;
    let mut said = Vec::new();
    let pushed = tokio::select! {
        pushed = push.run(&docker, |line| said.push(line.to_owned())) => pushed.map_err(failed)?,
        () = call.cancel.cancelled() => return Err(ActionError::Cancelled),
    };
    for line in said {
        call.log.line(&line).await;
    }
    let how = if pushed.was_there { "was there already" } else { "was pushed" };
    call.log.line(&format!("{}@{} {how}: {}", push.name(), pushed.digest, push.tags.join(", "))).await;
    Ok(pushed)
}

/// What is known now.
pub(super) fn outputs(call: &mut ActionCall<'_>, push: &Push, pushed: &Pushed) {
    let image = format!("{}@{}", push.name(), pushed.digest);
    let container = given(call, "container-name").map(str::to_owned);
    let container = container.unwrap_or_else(|| push.repository.rsplit('/').next().unwrap_or_default().to_owned());
    let definitions = json!([{ "name": container, "imageUri": image }]).to_string();
    let detail = json!({ "ImageURI": image }).to_string();
    for (name, value) in [
        ("registry", push.host.clone()),
        ("image", image),
        ("digest", pushed.digest.clone()),
        ("tags", push.tags.join(",")),
        ("pushed", (!pushed.was_there).to_string()),
        ("imagedefinitions", definitions),
        ("image-detail", detail),
    ] {
        call.outputs.insert(name.to_owned(), value);
    }
}
