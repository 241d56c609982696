//! What a job leaves to those that need it. See
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idoutputs>.

use workflow::expression::Object;
use workflow::run::Conclusion;
use workflow::template::evaluate;

use super::log::StepLog;
use super::run::{JobEnd, PlacedJobs};
use super::steps::Stepper;

impl PlacedJobs {
    /// Evaluates `outputs:`. One that holds a secret is left out, as GitHub does it: other jobs log it in clear.
    pub(super) async fn outputs(&self, stepper: &Stepper, end: &mut JobEnd, log: &mut StepLog) {
        let Some(token) = &stepper.order.steps_job().outputs else { return };
        let hash_files = Some(&*stepper.tools.hash_files);
        let scope = stepper.job.scope(&stepper.order, &stepper.job.env, stepper.status(), None, hash_files);
        let value = match evaluate(token, &scope) {
            Ok(value) => value,
            Err(error) => {
                end.conclusion = end.conclusion.merge(Conclusion::Failure);
                end.message = Some(format!("`outputs`: {}", error.message));
                end.told = false;
                return;
            }
        };
        for (name, value) in value.as_object().into_iter().flat_map(Object::iter) {
            let value = value.to_display_string();
            if value.is_empty() {
                continue;
            }
            if self.0.masker.mask(&value) != *value {
                log.warning(&format!("Skip output '{name}' since it may contain secret.")).await;
                continue;
            }
            end.outputs.insert(name.to_string(), value.to_string());
        }
    }
}
