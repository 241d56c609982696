//! Steps of every kind.

use serde_json::Value;
use workflow::model::{Step, StepId, StepKind};
use workflow::source::Spanned;

use super::{Fields, Writer};

impl Writer<'_> {
    pub(super) fn steps(&self, steps: &[Step]) -> Value {
        steps.iter().map(|step| self.step(step)).collect()
    }

    fn step(&self, step: &Step) -> Value {
        let mut fields = Fields::default();
        fields.put("id", Value::from(step.id.as_str()));
        let default_name = step.kind.default_name().map(|name| self.text(name, None));
        fields.put("name", self.optional(step.name.as_ref()).or(default_name));
        if matches!(step.kind, StepKind::Run { .. } | StepKind::Uses { .. }) {
            fields.put("if", self.condition(&step.condition, step.condition_span));
        }
        fields.put("continue-on-error", self.optional(step.continue_on_error.as_ref()));
        fields.put("timeout-minutes", self.optional(step.timeout_minutes.as_ref()));
        fields.put("env", self.optional(step.env.as_ref()));
        fields.put("background", step.background.map(Value::from));
        match &step.kind {
            StepKind::Run { script, shell, working_directory } => {
                fields.put("working-directory", self.optional(working_directory.as_ref()));
                fields.put("shell", self.optional(shell.as_ref()));
                fields.put("run", self.token(script));
            }
            StepKind::Uses { uses, with } => {
                fields.put("uses", self.text(&uses.value.text(), Some(uses.span)));
                fields.put("with", self.optional(with.as_ref()));
            }
            StepKind::Wait(targets) => {
                fields.put("wait", targets.iter().map(|target| self.target(target)).collect::<Value>());
            }
            StepKind::WaitAll => fields.put("wait-all", Value::from(true)),
            StepKind::Cancel(target) => fields.put("cancel", self.target(target)),
            StepKind::Parallel(steps) => fields.put("parallel", self.steps(steps)),
        }
        fields.value(self.form)
    }

    fn target(&self, target: &Spanned<StepId>) -> Value {
        self.text(target.value.as_str(), Some(target.span))
    }
}
