//! Plans are made, kept, told and applied.

use engine::step::{ActionCall, ActionError};

use super::super::aws_step::failed;
use super::changes::Changes;
use super::digest::StateMark;
use super::surroundings::{about, hide, outputs, plain_outputs};
use super::{Work, words};

impl Work {
    pub(super) async fn plan(&mut self, call: &mut ActionCall<'_>) -> Result<(), ActionError> {
        let workspace = self.begin(call).await?;
        let more: &[&str] = if self.wanted.destroy { &["-destroy"] } else { &[] };
        let (has_changes, plan) = self.made(call, &self.wanted.plan_file.clone(), more).await?;
        let changes = Changes::of(&plan).map_err(failed)?;
        let state = StateMark::of(&self.terminal.state(call).await?);
        let parts = self.parts(call, &workspace, state)?;
        self.keep(call, &parts).await?;
        let cost = self.cost(call, &plan).await?;
        let details =
            if has_changes { self.terminal.shown(call, &self.wanted.plan_file.clone()).await? } else { String::new() };
        call.log.line(&format!("Plan: {}", changes.words())).await;
        for line in words::lines(&changes.resources) {
            call.log.line(&line).await;
        }
        if !changes.destroyed().is_empty() {
            call.log
                .warning(&format!(
                    "{} go away with this plan; it is applied with `allow-destroy: true` only",
                    changes.destroyed().len()
                ))
                .await;
        }
        if let Some(cost) = &cost {
            call.log.line(&format!("Cost: {}", cost.words())).await;
        }
        let digest = parts.digest();
        call.log.line(&format!("Digest {digest}")).await;
        outputs(call, &changes, if has_changes { "changes" } else { "no-changes" });
        call.outputs.insert("plan-file".into(), self.wanted.plan_path().to_string_lossy().into_owned());
        call.outputs.insert("digest".into(), digest.clone());
        let text = {
            let about = about(call, (&parts.folder, &workspace), Some(&digest));
            words::plan(&changes, cost.as_ref(), &call.masker.mask(&details), about.as_about())
        };
        call.summary.push_str(&text);
        self.tell(call, &text).await
    }

    pub(super) async fn apply(&mut self, call: &mut ActionCall<'_>) -> Result<(), ActionError> {
        let approved = self.approved(call)?;
        let workspace = self.begin(call).await?;
        let state = StateMark::of(&self.terminal.state(call).await?);
        let now = self.parts(call, &workspace, state)?;
        if let Some(difference) = approved.difference(&now) {
            return Err(failed(difference));
        }
        let plan = self.terminal.show(call, &self.wanted.plan_file.clone()).await?;
        hide(call, &plan);
        let changes = Changes::of(&plan).map_err(failed)?;
        outputs(call, &changes, "not-applied");
        call.log.line(&format!("Plan {}: {}", approved.digest(), changes.words())).await;
        for line in words::lines(&changes.resources) {
            call.log.line(&line).await;
        }
        let destroyed: Vec<&str> = changes.destroyed().iter().map(|change| change.address.as_str()).collect();
        if !destroyed.is_empty() && !self.wanted.allow_destroy {
            return Err(failed(format!(
                "the plan removes or replaces {}, nothing was applied: {}. If that is meant, write `allow-destroy: true`; otherwise \
                 change the files, or keep it with `lifecycle {{ prevent_destroy = true }}`",
                destroyed.len(),
                destroyed.join(", ")
            )));
        }
        if self.wanted.dry_run {
            call.log.line("Dry run: nothing was applied").await;
            return Ok(());
        }
        if changes.is_applicable {
            let file = self.wanted.plan_file.to_string_lossy().into_owned();
            let (timeout, many) = (&self.wanted.lock_timeout, self.wanted.parallelism);
            let (timeout, many) = (format!("-lock-timeout={timeout}"), format!("-parallelism={many}"));
            self.terminal.done(call, &["apply", "-json", "-input=false", &timeout, &many, &file]).await?;
        } else {
            call.log.line("There is nothing to apply").await;
        }
        call.outputs.insert("outcome".into(), "applied".into());
        let known = self.terminal.outputs(call).await?;
        call.outputs.insert("outputs".into(), plain_outputs(call, &known));
        let text = format!("### Terraform: applied, {}\n\n{}\n", changes.words(), words::code(&approved.digest()));
        call.summary.push_str(&text);
        self.tell(call, &text).await
    }
}
