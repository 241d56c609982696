//! A gate as it is kept: a rollout that moves nothing and waits at its only step, so that pages, the API and `pipe deploy` show it
//! and take the same orders for it, from the same people, with the same audit log.

use engine::store::StoreError;
use engine::store::rollouts::{Addition, NewRollout, NotAdded, RolloutRow, RolloutState, Rollouts};
use jiff::{SignedDuration, Timestamp};
use rollout::gate::{PREFIX, TARGET};
use rollout::plan::{Analysis, Inconclusive, OnActive, Revision, RollbackOn, Schedule, Step, Weight};
use rollout::view::{ColourView, Line, Phase, StepState, StepView};
use rollout::{Cause, Fact, Order, Outcome, Plan, View};
use serde_json::Value;

/// What a gate is asked for with.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) key: String,
    pub(super) plan: Plan,
    pub(super) run: engine::store::RunId,
    pub(super) job: String,
    pub(super) by: String,
    pub(super) words: String,
    /// How long people are asked.
    pub(super) timeout: SignedDuration,
}

/// A gate that waits, or has ended.
#[derive(Debug)]
pub(super) struct Gate {
    rollouts: Rollouts,
    pub(super) id: u64,
    seq: u64,
    pub(super) view: View,
}

/// Why nothing can be kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GateError {
    #[error("the approval cannot be kept: {0}")]
    Store(#[from] StoreError),
    #[error("the approval cannot be kept: {0}")]
    NotAdded(#[from] NotAdded),
    #[error("the approval cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
    #[error("approval {0} was asked for by this step with another plan; run the job again")]
    Changed(u64),
}

impl Gate {
    /// Asks, or finds what was asked under the same key.
    pub(super) async fn open(rollouts: &Rollouts, asked: Asked, at: Timestamp) -> Result<Self, GateError> {
        let hash = asked.plan.hash();
        let view = view_of(&asked, at);
        let fact = Fact::Planned { plan: Box::new(asked.plan.clone()), by: asked.by.clone() };
        let new = NewRollout {
            key: asked.key.clone(),
            environment: asked.plan.environment.clone(),
            service: asked.plan.service.clone(),
            repository: asked.plan.repository.clone(),
            run: Some(asked.run),
            job: asked.job.clone(),
            actor: asked.by.clone(),
            plan_hash: hash.clone(),
            fact: serde_json::to_value(&fact)?,
            view: serde_json::to_value(&view)?,
            at,
        };
        let row: RolloutRow = rollouts.create(new).await?;
        if row.plan_hash != hash {
            return Err(GateError::Changed(row.id));
        }
        let view: View = serde_json::from_value(row.view)?;
        let mut gate = Self { rollouts: rollouts.clone(), id: row.id, seq: row.seq, view: View { id: row.id, ..view } };
        if gate.seq == 1 {
            gate.keep(Fact::Asks { step: 0, words: asked.words, cause: None }, at).await?;
        }
        Ok(gate)
    }

    /// Keeps what somebody said, with a line of the story.
    pub(super) async fn tell(&mut self, fact: Fact, words: String, at: Timestamp) -> Result<(), GateError> {
        self.view.timeline.push(Line { at, words: words.clone(), is_bad: false });
        self.view.words = words;
        self.keep(fact, at).await
    }

    /// Keeps how it ended. It takes no orders any more.
    pub(super) async fn end(
        &mut self,
        (outcome, cause): (Outcome, Option<Cause>),
        words: &str,
        at: Timestamp,
    ) -> Result<(), GateError> {
        let is_good = outcome == Outcome::Succeeded;
        let view = &mut self.view;
        (view.outcome, view.cause, view.ended_at, view.phase) = (Some(outcome), cause, Some(at), Phase::Ended);
        view.orders.clear();
        view.next_at = None;
        view.words = words.to_owned();
        view.timeline.push(Line { at, words: words.to_owned(), is_bad: !is_good });
        for step in &mut view.steps {
            step.state = if is_good { StepState::Passed } else { StepState::Failed };
            step.ended_at = Some(at);
            words.clone_into(&mut step.words);
        }
        self.keep(Fact::Ended { outcome, words: words.to_owned() }, at).await
    }

    /// The word `closed` says that nobody has to carry it on: the step does that itself.
    async fn keep(&mut self, fact: Fact, at: Timestamp) -> Result<(), GateError> {
        let facts = vec![(at, serde_json::to_value(&fact)?)];
        let view: Value = serde_json::to_value(&self.view)?;
        self.rollouts
            .append(
                self.id,
                Addition { seq: self.seq, token: None, facts, view, state: RolloutState::Closed, passing: None },
            )
            .await?;
        self.seq += 1;
        Ok(())
    }
}

/// Ends a gate that its step does not end any more.
///
/// # Errors
/// Its step has gone on with it, or the store said no.
pub(crate) async fn end_gate(
    rollouts: &Rollouts,
    row: RolloutRow,
    how: (Outcome, Option<Cause>),
    words: &str,
    at: Timestamp,
) -> Result<(), GateError> {
    let view = View { id: row.id, ..serde_json::from_value(row.view)? };
    Gate { rollouts: rollouts.clone(), id: row.id, seq: row.seq, view }.end(how, words, at).await
}

/// A plan that deploys nothing; what is approved is in its settings.
pub(super) fn plan_of(environment: &str, gate: &str, (repository, commit): (&str, &str), settings: Value) -> Plan {
    let (name, timeout) = (gate.trim_start_matches(PREFIX).to_owned(), SignedDuration::ZERO);
    Plan {
        environment: environment.to_owned(),
        service: gate.to_owned(),
        repository: repository.to_owned(),
        commit: commit.to_owned(),
        image: String::new(),
        version: name,
        target: TARGET.to_owned(),
        settings,
        schedule: Schedule::of(vec![Step {
            weight: Weight::ALL,
            hold: SignedDuration::ZERO,
            analyse: false,
            pause: true,
        }]),
        analysis: Analysis {
            metrics: Vec::new(),
            max_ratio: 1.0,
            alpha: 0.05,
            min_requests: 0,
            inconclusive: Inconclusive::Ask,
            max_extend: SignedDuration::ZERO,
        },
        rollback_on: RollbackOn { failure: false, alarm: false, analysis: false, cancel: true },
        on_active: OnActive::Wait,
        hooks: Vec::new(),
        start_timeout: timeout,
        timeout,
        keep_blue: timeout,
        tick: timeout,
        irreversible: None,
        rollback_of: None,
        reuse: None,
    }
}

fn view_of(asked: &Asked, at: Timestamp) -> View {
    let plan = &asked.plan;
    let revision = Revision { id: 0, image: String::new(), version: plan.version.clone(), commit: plan.commit.clone() };
    let green = ColourView {
        revision,
        weight: Weight::NONE,
        wanted: 0,
        healthy: 0,
        restarts: 0,
        requests: 0,
        errors: 0,
        in_flight: 0,
        p50_ms: None,
        p95_ms: None,
        trouble: None,
    };
    let step = StepView {
        weight: Weight::ALL,
        hold_seconds: 0.0,
        state: StepState::Running,
        started_at: Some(at),
        ended_at: None,
        analyse: false,
        pause: true,
        words: asked.words.clone(),
    };
    View {
        id: 0,
        environment: plan.environment.clone(),
        service: plan.service.clone(),
        repository: plan.repository.clone(),
        by: asked.by.clone(),
        phase: Phase::Paused,
        outcome: None,
        cause: None,
        words: asked.words.clone(),
        weight: Weight::NONE,
        blue: None,
        green,
        steps: vec![step],
        evidence: Vec::new(),
        timeline: vec![Line { at, words: asked.words.clone(), is_bad: false }],
        orders: vec![Order::Promote, Order::Abort],
        // When nobody is asked any more.
        next_at: at.checked_add(asked.timeout).ok(),
        blue_until: None,
        irreversible: None,
        rollback_of: None,
        plan_hash: plan.hash(),
        started_at: at,
        ended_at: None,
    }
}
