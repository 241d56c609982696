//! What news say of a run beside its log: from what it was asked for.

use serde_json::Value as Json;
use workflow::mask::Masker;

use super::{Author, RunToldOf};
use crate::github::About;
use crate::service::RunSpec;
use crate::store::RunRow;

/// A run as people know it. Its texts are masked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Story {
    number: u64,
    branch: String,
    actor: String,
    title: String,
    author: Option<Author>,
    /// The file of the workflow.
    pub(crate) path: String,
}

impl Story {
    /// That of a run.
    pub(crate) fn of(row: &RunRow, spec: &RunSpec, masker: &Masker) -> Self {
        let masked = |text: &str| masker.mask_str(text).into_owned();
        let event = &spec.event;
        let head = event.pull_request.as_ref().map(|pull| pull.head_ref.as_str());
        let title = event.head_message.as_deref().unwrap_or_default().lines().next().unwrap_or_default();
        let author = author(&event.payload).map(|author| Author {
            name: masked(&author.name),
            login: author.login.map(|login| masked(&login)),
            email: author.email.map(|email| masked(&email)),
        });
        Self {
            number: row.numbers.number,
            branch: masked(head.unwrap_or_else(|| event.git_ref.short())),
            actor: masked(&event.actor.login),
            title: masked(title),
            author,
            path: spec.workflow.clone(),
        }
    }

    /// The branch that it is for.
    pub(crate) fn branch(&self) -> &str {
        &self.branch
    }

    /// With what its log says.
    pub(super) fn told(&self, about: &About, summary: &str) -> RunToldOf {
        RunToldOf {
            id: about.run,
            number: self.number,
            attempt: about.attempt,
            repository: about.repository.clone(),
            commit: about.commit.clone(),
            git_ref: about.git_ref.clone(),
            branch: self.branch.clone(),
            workflow: about.workflow.clone(),
            trigger: about.event.clone(),
            actor: self.actor.clone(),
            title: self.title.clone(),
            author: self.author.clone(),
            pull_request: about.pull_request,
            summary: summary.to_owned(),
            url: about.url.clone(),
        }
    }
}

/// Who wrote the commit: of a push the head commit's author, of a pull request who opened it.
fn author(payload: &Json) -> Option<Author> {
    let text = |value: &Json| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let last = || payload["commits"].as_array().and_then(|commits| commits.last());
    let commit = Some(&payload["head_commit"]).filter(|commit| commit.is_object()).or_else(last);
    if let Some(author) = commit.map(|commit| &commit["author"]).filter(|author| author.is_object()) {
        let login = text(&author["username"]).or_else(|| text(&author["login"]));
        let name = text(&author["name"]).or_else(|| login.clone())?;
        return Some(Author { name, login, email: text(&author["email"]) });
    }
    let login = text(&payload["pull_request"]["user"]["login"])?;
    Some(Author { name: login.clone(), login: Some(login), email: None })
}
