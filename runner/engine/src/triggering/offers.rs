//! What can be run by hand at a ref: the workflows with `workflow_dispatch` and their inputs, for a form.

use serde::Serialize;
use workflow::model::{DispatchInput, InputType, Workflow};
use workflow::template::{Token, TokenKind};

use super::dispatch::DispatchError;
use super::{Triggering, workflows};
use crate::mirror::CommitText;

/// A workflow that can be run by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Offer {
    /// Its path in the repository.
    pub path: String,
    /// What people call it.
    pub name: String,
    /// What it wants to know.
    pub inputs: Vec<OfferedInput>,
}

/// One input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OfferedInput {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Whether there has to be a value.
    pub required: bool,
    /// `string`, `boolean`, `number`, `choice` or `environment`.
    pub kind: &'static str,
    /// The value where none is given.
    pub default: String,
    /// What can be chosen.
    pub options: Vec<String>,
}

/// The workflows of a commit that can be run by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Offers {
    /// The whole ref.
    pub git_ref: String,
    /// The commit.
    pub sha: String,
    /// By path.
    pub workflows: Vec<Offer>,
}

impl Triggering {
    /// What can be run by hand at a branch or tag; at the default branch without one.
    ///
    /// # Errors
    /// The repository or the ref is not there, or cannot be had.
    pub async fn offers(&self, repository: &str, git_ref: Option<&str>) -> Result<Offers, DispatchError> {
        let place = self.place(None, repository).await?;
        let git_ref = self.wanted_ref(&place, git_ref).await?;
        let reading = self.mirrors.read(place.origin.id, move |git| {
            let commit = CommitText::tip(git, &git_ref)?;
            let read = workflows::read(git, &commit.id)?;
            let workflows = read.iter().filter_map(|one| offer(&one.path, one.workflow.as_deref().ok()?)).collect();
            Ok(Offers { git_ref: git_ref.to_string(), sha: commit.id, workflows })
        });
        Ok(reading.await?)
    }
}

fn offer(path: &str, workflow: &Workflow) -> Option<Offer> {
    let trigger = workflow.on.entries.get("workflow_dispatch")?;
    let inputs = trigger.dispatch_inputs.iter().map(|(name, input)| offered(name, input)).collect();
    Some(Offer { path: path.to_owned(), name: workflow.display_name().to_owned(), inputs })
}

fn offered(name: &str, input: &DispatchInput) -> OfferedInput {
    OfferedInput {
        name: name.to_owned(),
        description: input.description.clone().unwrap_or_default(),
        required: input.required,
        kind: match input.kind {
            InputType::String => "string",
            InputType::Boolean => "boolean",
            InputType::Number => "number",
            InputType::Choice => "choice",
            InputType::Environment => "environment",
        },
        default: input.default.as_ref().map(text).unwrap_or_default(),
        options: input.options.iter().map(|option| option.value.clone()).collect(),
    }
}

fn text(token: &Token) -> String {
    match &token.kind {
        TokenKind::Boolean(boolean) => boolean.to_string(),
        TokenKind::Number(number) => number.to_string(),
        TokenKind::String(text) => text.to_string(),
        TokenKind::Null
        | TokenKind::Sequence(_)
        | TokenKind::Mapping(_)
        | TokenKind::Expression(_)
        | TokenKind::Insert => String::new(),
    }
}
