//! What can be run by hand at a ref: the workflows with `workflow_dispatch` and their inputs, for a form.

use std::sync::Arc;

use git2::Repository;
use serde::Serialize;
use workflow::event::GitRef;
use workflow::model::{DispatchInput, InputType, Workflow};
use workflow::template::{Token, TokenKind};

use super::dispatch::{DispatchError, candidates};
use super::{Known, Triggering, workflows};
use crate::mirror::{CommitText, MirrorError, default_branch};

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
    /// What can be run by hand at a branch or tag; at the default branch without one. Of a ref that is known, as of the
    /// last fetch: the form does not wait for the forge, what comes of it ([`Self::dispatch`]) does.
    ///
    /// # Errors
    /// The repository or the ref is not there, or cannot be had.
    pub async fn offers(&self, repository: &str, git_ref: Option<&str>) -> Result<Offers, DispatchError> {
        let place = self.place(None, repository).await?;
        let (candidates, actions) = (candidates(git_ref), Arc::clone(&self.actions));
        let known = self.mirrors.read_now(&place.origin, move |git| {
            let candidates = candidates.unwrap_or_else(|| GitRef::branch(&default_branch(git)).into_iter().collect());
            let found = candidates.into_iter().find(|one| CommitText::tip(git, one).is_ok());
            found.map(|git_ref| read(git, &git_ref, &actions)).transpose()
        });
        // What cannot be read there, or is not, may be by a fetch.
        if let Ok(Some(Some(offers))) = known.await {
            return Ok(offers);
        }
        let (git_ref, actions) = (self.wanted_ref(&place, git_ref).await?, Arc::clone(&self.actions));
        Ok(self.mirrors.read(place.origin.id, move |git| read(git, &git_ref, &actions)).await?)
    }
}

fn read(git: &Repository, git_ref: &GitRef, actions: &Known) -> Result<Offers, MirrorError> {
    let commit = CommitText::tip(git, git_ref)?;
    let read = workflows::read(git, &commit.id, actions)?;
    let workflows = read.iter().filter_map(|one| offer(&one.path, one.workflow.as_deref().ok()?)).collect();
    Ok(Offers { git_ref: git_ref.to_string(), sha: commit.id, workflows })
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
