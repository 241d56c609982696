//! What lies around Terraform's own work: what a plan was made of, what it costs, what is hidden, who is told.

use std::path::PathBuf;

use engine::step::{ActionCall, ActionError};
use serde_json::{Value as Json, json};

use super::super::aws_step::{failed, read_file};
use super::changes::{self, Changes, Kind};
use super::cost::{self, Cost, Prices, SHIPPED};
use super::digest::{self, Parts, StateMark};
use super::words::About;
use super::{Work, comment};

impl Work {
    pub(super) fn parts(
        &self,
        call: &ActionCall<'_>,
        workspace: &str,
        state: Option<StateMark>,
    ) -> Result<Parts, ActionError> {
        let wanted = &self.wanted;
        digest::parts(&call.workspace.host, &wanted.folder, &wanted.plan_path(), workspace, state).map_err(failed)
    }

    fn parts_file(&self) -> PathBuf {
        let mut name = self.wanted.plan_path().into_os_string();
        name.push(".pipe.json");
        name.into()
    }

    /// Leaves beside the plan what it was made of.
    pub(super) async fn keep(&self, call: &ActionCall<'_>, parts: &Parts) -> Result<(), ActionError> {
        let path = format!("{}/{}", call.workspace.inside, self.parts_file().display());
        let text = serde_json::to_vec(parts).map_err(failed)?;
        let written = call.job.write_file(&path, text.into(), 0o644).await;
        written.map_err(|error| failed(format!("{path} cannot be written: {error}")))
    }

    /// What was approved, as it lies beside the plan.
    pub(super) fn approved(&self, call: &ActionCall<'_>) -> Result<Parts, ActionError> {
        let path = self.parts_file();
        let found = digest::read(&call.workspace.host, &path, digest::PARTS_BYTES_MAX).map_err(failed)?;
        let bytes = found.ok_or_else(|| {
            failed(format!(
                "there is no {}: bring the plan and this file from the step that made them, with `actions/upload-artifact` and \
                 `actions/download-artifact`",
                path.display()
            ))
        })?;
        let digest = self.wanted.digest.as_deref().unwrap_or_default();
        Parts::approved(&String::from_utf8_lossy(&bytes), digest).map_err(failed)
    }

    pub(super) async fn cost(&self, call: &mut ActionCall<'_>, plan: &Json) -> Result<Option<Cost>, ActionError> {
        if !self.wanted.cost {
            return Ok(None);
        }
        let table = match &self.wanted.prices {
            Some(path) => read_file(call, "prices", path).await?,
            None => SHIPPED.to_owned(),
        };
        let prices = Prices::read(&table).map_err(failed)?;
        let region = call.env.get("AWS_REGION").or_else(|| call.env.get("AWS_DEFAULT_REGION")).map(String::as_str);
        let cost = Cost::of(plan, &prices, self.wanted.price_region.as_deref(), region);
        if cost.lines.is_empty() && cost.unpriced.is_empty() {
            return Ok(None);
        }
        for (name, amount) in [("cost-before", cost.before), ("cost-after", cost.after)] {
            call.outputs.insert(name.into(), format!("{amount:.2}"));
        }
        call.outputs.insert("cost-delta".into(), cost::signed(cost.delta()));
        Ok(Some(cost))
    }

    /// Tells the pull request. That it could not be told is no reason for a plan to have failed.
    pub(super) async fn tell(&self, call: &mut ActionCall<'_>, markdown: &str) -> Result<(), ActionError> {
        let Some(telling) = &self.wanted.telling else { return Ok(()) };
        if self.wanted.dry_run {
            call.log.line("Dry run: the pull request is not told").await;
            return Ok(());
        }
        let cancel = call.cancel.clone();
        let told = tokio::select! {
            told = comment::tell(call, telling, markdown) => told,
            () = cancel.cancelled() => return Err(ActionError::Cancelled),
        };
        match told {
            Ok(Some(url)) => {
                call.log.line(&format!("The pull request was told: {url}")).await;
                call.outputs.insert("comment-url".into(), url);
            }
            Ok(None) => call.log.line("This run is of no pull request, so there is nobody to comment to").await,
            Err(problem) => call.log.warning(&format!("the pull request was not told: {problem}")).await,
        }
        Ok(())
    }
}

/// What a text is about, owned.
pub(super) struct OwnAbout {
    folder: String,
    workspace: String,
    commit: String,
    run: Option<String>,
    digest: Option<String>,
}

impl OwnAbout {
    pub(super) fn as_about(&self) -> About<'_> {
        About {
            folder: &self.folder,
            workspace: &self.workspace,
            commit: &self.commit,
            run: self.run.as_deref(),
            digest: self.digest.as_deref(),
        }
    }
}

pub(super) fn about(call: &ActionCall<'_>, (folder, workspace): (&str, &str), digest: Option<&str>) -> OwnAbout {
    let server = call.env.get("GITHUB_SERVER_URL").filter(|server| server.starts_with("http"));
    let run = call.env.get("GITHUB_RUN_ID").zip(server);
    OwnAbout {
        folder: folder.to_owned(),
        workspace: workspace.to_owned(),
        commit: call.run.sha.clone(),
        run: run.map(|(id, server)| format!("{server}/{}/actions/runs/{id}", call.repository.name)),
        digest: digest.map(str::to_owned),
    }
}

/// What is sensitive is hidden in all that is written from now on.
pub(super) fn hide(call: &ActionCall<'_>, plan: &Json) {
    for secret in changes::secrets(plan) {
        let _too_short = call.masker.add_found(&secret);
    }
}

pub(super) fn outputs(call: &mut ActionCall<'_>, changes: &Changes, outcome: &str) {
    for (name, kind) in
        [("add", Kind::Add), ("change", Kind::Change), ("replace", Kind::Replace), ("destroy", Kind::Destroy)]
    {
        call.outputs.insert(name.into(), changes.count(kind).to_string());
    }
    call.outputs.insert("changes".into(), json!(changes.resources).to_string());
    call.outputs.insert("outcome".into(), outcome.to_owned());
}

/// Outputs that are not sensitive; the others are hidden.
pub(super) fn plain_outputs(call: &ActionCall<'_>, known: &Json) -> String {
    let mut plain = serde_json::Map::new();
    for (name, output) in known.as_object().into_iter().flatten() {
        if output["sensitive"] == Json::Bool(true) {
            let mut secrets = Vec::new();
            changes::marked(&output["value"], &Json::Bool(true), &mut secrets);
            for secret in secrets {
                let _too_short = call.masker.add_found(&secret);
            }
        } else {
            plain.insert(name.clone(), output["value"].clone());
        }
    }
    Json::Object(plain).to_string()
}
