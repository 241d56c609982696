//! Environments of a local run: their values, and the person at the terminal as their reviewer.

use std::io::IsTerminal as _;

use async_trait::async_trait;
use engine::dispatcher::Control;
use engine::job::{EnvironmentSecrets, JobOrder, SecretStore};
use indexmap::IndexMap;
use tokio::sync::mpsc;
use workflow::secret::Secret;

use super::question::Questions;
use crate::args::OnReview;
use crate::values::{OfEnvironments, Values};

/// What jobs have in their environments.
#[derive(Debug)]
pub struct LocalEnvironments {
    secrets: IndexMap<String, Secret>,
    vars: IndexMap<String, String>,
    environments: OfEnvironments,
}

impl LocalEnvironments {
    /// Those that were given.
    pub fn new(values: &Values) -> Self {
        let Values { secrets, vars, environments, .. } = values;
        Self { secrets: secrets.clone(), vars: vars.clone(), environments: environments.clone() }
    }
}

/// Secrets as the engine takes them; of several with one name the last wins.
pub fn store<'a>(secrets: impl IntoIterator<Item = (&'a String, &'a Secret)>) -> SecretStore {
    let mut store = SecretStore::default();
    secrets.into_iter().for_each(|(name, secret)| store.add(name, secret.clone()));
    store
}

#[async_trait]
impl EnvironmentSecrets for LocalEnvironments {
    async fn secrets(
        &self,
        _order: &JobOrder,
        environment: &str,
    ) -> Result<(SecretStore, IndexMap<String, String>), String> {
        let own = self.environments.get(&environment.to_lowercase());
        let secrets = self.secrets.iter().chain(own.iter().flat_map(|own| &own.secrets));
        let mut vars = self.vars.clone();
        vars.extend(own.iter().flat_map(|own| own.vars.clone()));
        Ok((store(secrets), vars))
    }
}

/// Who answers where an environment wants a review.
#[derive(Debug, Clone)]
pub struct Reviewer {
    /// Environments that were approved on the command line, in lower case.
    pub approved: Vec<String>,
    /// Who else.
    pub on_review: OnReview,
    /// Whether somebody can be asked.
    pub can_ask: bool,
    /// What is asked.
    pub questions: Questions,
}

impl Reviewer {
    /// As the command line says.
    pub fn new(approved: &[String], on_review: OnReview, json: bool) -> Self {
        let can_ask = !json && std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        let approved = approved.iter().map(|name| name.to_lowercase()).collect();
        Self { approved, on_review, can_ask, questions: Questions::default() }
    }

    /// Answers for an environment that a run waits for; gives what is said of it at once, if anything. `say` shows a question when it
    /// is its turn.
    pub fn answer(
        &self,
        environment: &str,
        run: u64,
        control: &mpsc::UnboundedSender<Control>,
        say: impl FnOnce(&str) + Send + 'static,
    ) -> Option<String> {
        let answer = |environment: &str, approved: bool, comment: &str| Control::Review {
            environment: environment.to_owned(),
            approved,
            by: "the user".to_owned(),
            comment: comment.to_owned(),
            subjects: Vec::new(),
        };
        if self.approved.iter().any(|approved| *approved == environment.to_lowercase()) {
            let _over = control.send(answer(environment, true, "--approve"));
            return None;
        }
        match (self.on_review, self.can_ask) {
            (OnReview::Wait, _) => {
                let command = format!("pipe approve {run} {environment}");
                Some(format!("A job waits for a review of {environment}: `{command}`, or `pipe reject` so."))
            }
            (OnReview::Ask, true) => {
                let question = format!(
                    "A job waits for a review of {environment}. Let it go on? [y/N] (`pipe approve {run} {environment}` \
                     elsewhere does as well)"
                );
                let about = (run, environment.to_lowercase());
                let (environment, control) = (environment.to_owned(), control.clone());
                let answered = move |approved| {
                    let _over = control.send(answer(&environment, approved, ""));
                };
                let asked = self.questions.ask(about, move || say(&question), answered);
                asked.err().map(|error| format!("You cannot be asked: {error}."))
            }
            (OnReview::Reject, _) | (OnReview::Ask, false) => {
                let comment = format!(
                    "nobody can be asked here; `--approve {environment}` lets it go on, `--on-review wait` waits for \
                     `pipe approve`"
                );
                let _over = control.send(answer(environment, false, &comment));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_not_asked_before_has_not_approved() {
        let on_review = OnReview::Ask;
        let (approved, questions) = (vec!["production".into()], Questions::default());
        let reviewer = Reviewer { approved, on_review, can_ask: false, questions };
        for (environment, expected) in [("Production", true), ("staging", false)] {
            let (control, mut orders) = mpsc::unbounded_channel();
            assert_eq!(reviewer.answer(environment, 7, &control, |_| {}), None);
            let order = orders.try_recv();
            assert!(
                matches!(order, Ok(Control::Review { approved, .. }) if approved == expected),
                "{environment}: {order:?}"
            );
        }
        let (control, mut orders) = mpsc::unbounded_channel();
        let waits = Reviewer { on_review: OnReview::Wait, ..reviewer };
        let said = waits.answer("staging", 7, &control, |_| {}).unwrap();
        assert!(said.contains("`pipe approve 7 staging`") && orders.try_recv().is_err(), "{said}");
    }
}
