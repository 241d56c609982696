//! Steps in a row: the steps of `parallel:` blocks become background steps with a wait behind them.

use crate::model::{Step, StepId, StepKind};

use super::StepIndex;

/// One step in running order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlatStep {
    /// Its place in the file: index below `steps:`, and below `parallel:` where it stands in one. `None`: it is not in
    /// the file (the wait behind a `parallel:` block, a post step). That of a `pre` step is its step's.
    pub place: Option<(usize, Option<usize>)>,
    /// What kind of place it has in the order.
    pub role: Role,
}

/// What kind of place a step has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// The next one waits for it.
    Foreground,
    /// The next one does not.
    Background,
    /// Waits for these.
    Wait(Vec<StepIndex>),
    /// Waits for every background step before it.
    WaitAll,
    /// Cancels this one.
    Cancel(Option<StepIndex>),
    /// The `pre:` part of the action that the step in its place uses: before the first step, in order.
    Pre,
    /// Runs at the end, last added first.
    Post,
}

impl FlatStep {
    pub(super) const fn post() -> Self {
        Self { place: None, role: Role::Post }
    }

    /// The step in the file.
    #[must_use]
    pub fn find<'a>(&self, steps: &'a [Step]) -> Option<&'a Step> {
        let (outer, inner) = self.place?;
        let step = steps.get(outer)?;
        match (inner, &step.kind) {
            (None, _) => Some(step),
            (Some(inner), StepKind::Parallel(steps)) => steps.get(inner),
            (
                Some(_),
                StepKind::Run { .. }
                | StepKind::Uses { .. }
                | StepKind::Wait(_)
                | StepKind::WaitAll
                | StepKind::Cancel(_),
            ) => None,
        }
    }
}

/// Puts the steps of a job in a row.
#[must_use]
pub fn flatten(steps: &[Step]) -> Vec<FlatStep> {
    let mut flat: Vec<FlatStep> = Vec::with_capacity(steps.len());
    let mut ids: Vec<(StepId, StepIndex)> = Vec::new();
    for (outer, step) in steps.iter().enumerate() {
        if let StepKind::Parallel(block) = &step.kind {
            let mut waited = Vec::new();
            for (inner, step) in block.iter().enumerate() {
                let index = index_of(flat.len());
                waited.push(index);
                ids.push((step.id.clone(), index));
                flat.push(FlatStep { place: Some((outer, Some(inner))), role: Role::Background });
            }
            flat.push(FlatStep { place: Some((outer, None)), role: Role::Wait(waited) });
            continue;
        }
        ids.push((step.id.clone(), index_of(flat.len())));
        flat.push(FlatStep { place: Some((outer, None)), role: role(step, &ids) });
    }
    flat
}

/// Puts the `pre` steps of some of these before all of them; `of`: whose, by their indices before.
#[must_use]
pub fn with_pre(steps: Vec<FlatStep>, of: &[StepIndex]) -> Vec<FlatStep> {
    let moved = |step: StepIndex| StepIndex(step.0 + u32::try_from(of.len()).unwrap_or(u32::MAX));
    let pre =
        |step: &StepIndex| FlatStep { place: steps.get(step.0 as usize).and_then(|step| step.place), role: Role::Pre };
    let mut all: Vec<FlatStep> = of.iter().map(pre).collect();
    all.extend(steps.into_iter().map(|FlatStep { place, role }| {
        let role = match role {
            Role::Wait(steps) => Role::Wait(steps.into_iter().map(moved).collect()),
            Role::Cancel(step) => Role::Cancel(step.map(moved)),
            Role::Foreground | Role::Background | Role::WaitAll | Role::Pre | Role::Post => role,
        };
        FlatStep { place, role }
    }));
    all
}

fn role(step: &Step, ids: &[(StepId, StepIndex)]) -> Role {
    let find = |id: &StepId| {
        ids.iter().rev().find(|(other, _)| other.as_str().eq_ignore_ascii_case(id.as_str())).map(|(_, index)| *index)
    };
    match &step.kind {
        StepKind::Run { .. } | StepKind::Uses { .. } if step.background == Some(true) => Role::Background,
        StepKind::Run { .. } | StepKind::Uses { .. } | StepKind::Parallel(_) => Role::Foreground,
        StepKind::Wait(waited) => Role::Wait(waited.iter().filter_map(|id| find(&id.value)).collect()),
        StepKind::WaitAll => Role::WaitAll,
        StepKind::Cancel(id) => Role::Cancel(find(&id.value)),
    }
}

fn index_of(index: usize) -> StepIndex {
    StepIndex(u32::try_from(index).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pre_steps_come_first() {
        let at = |place, role| FlatStep { place: Some((place, None)), role };
        let file = vec![
            at(0, Role::Background),
            at(1, Role::Foreground),
            at(2, Role::Wait(vec![StepIndex(0)])),
            at(3, Role::Cancel(Some(StepIndex(0)))),
        ];
        let expect = vec![
            at(1, Role::Pre),
            at(0, Role::Pre),
            at(0, Role::Background),
            at(1, Role::Foreground),
            at(2, Role::Wait(vec![StepIndex(2)])),
            at(3, Role::Cancel(Some(StepIndex(2)))),
        ];
        assert_eq!(with_pre(file.clone(), &[StepIndex(1), StepIndex(0)]), expect);
        assert_eq!(with_pre(file.clone(), &[]), file);
    }
}
