//! Which strategies there are, and what each says for itself: one module for each turns inputs into the target of a plan.

use async_trait::async_trait;
use aws::{Cloud, TaskDefinition};
use engine::step::ActionError;
use rollout::View;
use rollout::plan::Plan;
use serde_json::Value;
use workflow::catalogue::Wrong;

use super::super::deploy::inputs::Course;
use super::by_codedeploy::ByCodeDeploy;
use super::by_ecs::ByEcs;
use super::by_rolling::ByRolling;
use super::inputs::Wish;
use super::weighted::Weights;
use crate::target::paced::Shifter;

/// How users come to the new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strategy {
    /// Our steps, by the weights of a listener's rule.
    Weighted,
    /// As CodeDeploy does it.
    CodeDeploy,
    /// As ECS itself does it since 2025: blue/green, canary, linear.
    EcsNative,
    /// Task by task, by ECS.
    Rolling,
}

impl Strategy {
    /// Their words, in the order of the variants.
    pub(super) const WORDS: &[&str] = &["weighted", "codedeploy", "ecs-native", "rolling"];
    const ALL: [Self; 4] = [Self::Weighted, Self::CodeDeploy, Self::EcsNative, Self::Rolling];

    /// As workflows have it.
    pub(super) fn word(self) -> &'static str {
        let at = Self::ALL.iter().position(|one| *one == self).unwrap_or_default();
        Self::WORDS[at]
    }

    /// The one of that word.
    pub(super) fn read(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.word() == word)
    }

    /// Who knows about it.
    pub(super) fn way(self) -> &'static dyn Way {
        match self {
            Self::Weighted => &Weights,
            Self::CodeDeploy => &ByCodeDeploy,
            Self::EcsNative => &ByEcs,
            Self::Rolling => &ByRolling,
        }
    }

    /// Who goes from share to share, where that is not the rollout itself.
    pub(super) const fn shifter(self) -> Option<Shifter> {
        match self {
            Self::CodeDeploy => Some(Shifter::CodeDeploy),
            Self::EcsNative => Some(Shifter::Ecs),
            Self::Rolling => Some(Shifter::Rolling),
            Self::Weighted => None,
        }
    }
}

/// What is known before a plan is made.
#[derive(Debug)]
pub(super) struct Made<'a> {
    pub(super) wish: &'a Wish,
    /// AWS with the step's keys.
    pub(super) cloud: Cloud,
    /// Whose keys these are: 12 digits.
    pub(super) account: String,
    /// The task definition with the image in it, by its digest.
    pub(super) definition: TaskDefinition,
    /// The container that serves.
    pub(super) container: String,
    /// Text of the file that `codedeploy-appspec` names.
    pub(super) appspec: Option<String>,
}

/// What a plan has of its target.
#[derive(Debug)]
pub(super) struct Own {
    /// The target's name, by which the keeper of rollouts knows it.
    pub(super) target: &'static str,
    /// Its settings.
    pub(super) settings: Value,
    /// Lines of the plan for a person.
    pub(super) lines: Vec<String>,
    /// How it goes, where AWS has a say in it; `None`: as the inputs have it.
    pub(super) course: Option<Course>,
}

/// A strategy.
#[async_trait]
pub(super) trait Way: Send + Sync {
    /// What of the inputs it cannot do: a schedule that it cannot express, an input that it needs.
    fn check(&self, wish: &Wish) -> Vec<Wrong>;

    /// The target of the plan. It may ask AWS, and changes nothing.
    ///
    /// # Errors
    /// It cannot be done.
    async fn own(&self, made: &Made<'_>) -> Result<Own, ActionError>;

    /// The exact calls that would change something at AWS, in order, for a dry run.
    ///
    /// # Errors
    /// It would be rejected.
    async fn calls(&self, made: &Made<'_>, plan: &Plan) -> Result<Vec<String>, ActionError>;

    /// Outputs of the step that only this strategy knows, after the end.
    async fn outputs(&self, made: &Made<'_>, view: &View) -> Vec<(&'static str, String)>;
}
