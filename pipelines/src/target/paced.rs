//! Schedules that AWS can be told, and those that it cannot: CodeDeploy and ECS shift in one, two or equal parts.
//!
//! Said before anything is asked of AWS, by `pipe check` and by the action.

use aws::Routing;
use jiff::SignedDuration;
use rollout::read::Mistake;
use rollout::{Schedule, Step, Weight};
use serde::{Deserialize, Serialize};

/// Minutes between the first part and the last one at CodeDeploy: quota L-86A1A2E1, which AWS words for Lambda and whose
/// configurations ECS has too, <https://docs.aws.amazon.com/codedeploy/latest/userguide/limits.html>.
const CODEDEPLOY_MINUTES_MAX: i64 = 2_880;
/// Longest interval that ECS takes, `canaryBakeTimeInMinutes` and `stepBakeTimeInMinutes`: 0 to 1440,
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CanaryConfiguration.html>.
const ECS_MINUTES_MAX: i64 = 1_440;
/// The least part of a linear deployment of ECS, in thousandths: `stepPercent` is from 3.0 to 100.0,
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_LinearConfiguration.html>.
const ECS_STEP_MIN: u16 = 30;

/// What both have in common: equal parts, or one and the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Parts {
    /// All at once.
    One,
    /// A part, in thousandths, for so many minutes, then the rest.
    Two(u16, u32),
    /// Equal parts, in thousandths, so many minutes apart.
    Equal(u16, u32),
}

/// Whose rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shifter {
    /// CodeDeploy.
    CodeDeploy,
    /// ECS itself.
    Ecs,
    /// ECS, task by task: it has no shares at all.
    Rolling,
}

impl Shifter {
    const fn name(self) -> &'static str {
        match self {
            Self::CodeDeploy => "CodeDeploy",
            Self::Ecs => "ECS",
            Self::Rolling => "A rolling deployment",
        }
    }

    const fn minutes_max(self) -> i64 {
        match self {
            Self::CodeDeploy => CODEDEPLOY_MINUTES_MAX,
            Self::Ecs | Self::Rolling => ECS_MINUTES_MAX,
        }
    }

    /// The parts that steps come down to.
    ///
    /// # Errors
    /// What of them it cannot do, with places.
    pub fn parts(self, schedule: &Schedule) -> Result<Parts, Vec<Mistake>> {
        let (steps, mut mistakes) = (schedule.steps.as_slice(), Vec::new());
        if self == Self::Rolling {
            return whole(steps);
        }
        let name = self.name();
        for (at, _) in steps.iter().enumerate().filter(|(_, step)| step.pause) {
            let words = format!(
                "{name} holds no share until a person says so: leave `pause` out; a pause at any share needs `strategy: weighted`"
            );
            mistakes.push(mistake(at, "pause", words));
        }
        let Some((last, before)) = steps.split_last() else { return Err(mistakes) };
        for (at, step) in before.iter().enumerate() {
            mistakes.extend(self.interval(at, step));
            mistakes.extend(self.share(at, step.weight, before.len()));
        }
        if before.len() > 1 {
            mistakes.extend(self.equal(steps));
            mistakes.extend(self.whole_time(before));
        }
        let minutes = before.first().map_or(0, |step| u32::try_from(step.hold.as_mins()).unwrap_or(0));
        debug_assert!(last.weight == Weight::ALL, "a schedule ends with all");
        match before {
            _ if !mistakes.is_empty() => Err(mistakes),
            [] => Ok(Parts::One),
            [only] => Ok(Parts::Two(only.weight.0, minutes)),
            [first, ..] => Ok(Parts::Equal(first.weight.0, minutes)),
        }
    }

    fn interval(self, at: usize, step: &Step) -> Option<Mistake> {
        let is_whole = step.hold.as_secs() % 60 == 0 && step.hold.subsec_nanos() == 0;
        let minutes = step.hold.as_mins();
        let is_taken = is_whole && (1..=self.minutes_max()).contains(&minutes);
        (!is_taken).then(|| {
            let words = format!(
                "{} waits for whole minutes, from 1 to {}: `for: 5m`; other times need `strategy: weighted`",
                self.name(),
                self.minutes_max()
            );
            mistake(at, "for", words)
        })
    }

    /// All intervals together, where whoever shifts has a limit for that.
    fn whole_time(self, before: &[Step]) -> Option<Mistake> {
        let minutes: i64 = before.iter().map(|step| step.hold.as_mins()).sum();
        let is_limited = match self {
            Self::CodeDeploy => before.iter().all(|step| step.hold.as_mins() <= CODEDEPLOY_MINUTES_MAX),
            Self::Ecs | Self::Rolling => false,
        };
        (is_limited && minutes > CODEDEPLOY_MINUTES_MAX).then(|| {
            let words = format!(
                "CodeDeploy gives the last part {CODEDEPLOY_MINUTES_MAX} min after the first one at most, and these take {minutes} min: \
                 shorter intervals, larger parts, or `strategy: weighted`"
            );
            mistake(0, "for", words)
        })
    }

    fn share(self, at: usize, weight: Weight, parts: usize) -> Option<Mistake> {
        let words = match self {
            Self::CodeDeploy if !weight.0.is_multiple_of(10) => {
                "CodeDeploy shifts whole percents: tenths need `strategy: weighted`"
            }
            Self::Ecs if parts > 1 && at == 0 && weight.0 < ECS_STEP_MIN => {
                "the parts of a linear deployment of ECS are 3 % at least: smaller ones need `strategy: weighted`"
            }
            Self::CodeDeploy | Self::Ecs | Self::Rolling => return None,
        };
        Some(mistake(at, "weight", words.to_owned()))
    }

    /// The first step that breaks the row.
    fn equal(self, steps: &[Step]) -> Option<Mistake> {
        let (first, name) = (steps.first()?, self.name());
        let count = steps.len();
        let all = || steps.iter().map(|step| step.weight.to_string().replace(" %", "")).collect::<Vec<_>>().join("/");
        for (at, step) in steps.iter().enumerate().skip(1) {
            let wanted = first.weight.0.saturating_mul(u16::try_from(at + 1).unwrap_or(u16::MAX)).min(1_000);
            if step.weight.0 != wanted || (wanted == 1_000 && at + 1 < count) {
                let words = format!(
                    "{name} shifts in two or in equal parts: {} needs `strategy: weighted`, or equal parts of {}",
                    all(),
                    first.weight
                );
                return Some(mistake(at, "weight", words));
            }
            if at + 1 < count && step.hold != first.hold {
                let words = format!("{name} shifts at equal intervals: unequal ones need `strategy: weighted`");
                return Some(mistake(at, "for", words));
            }
        }
        None
    }
}

impl Parts {
    /// As CodeDeploy calls them.
    #[must_use]
    pub fn routing(self) -> Routing {
        let percent = |thousandths: u16| u32::from(thousandths / 10);
        match self {
            Self::One => Routing::AllAtOnce,
            Self::Two(part, minutes) => Routing::Canary { percent: percent(part), minutes },
            Self::Equal(part, minutes) => Routing::Linear { percent: percent(part), minutes },
        }
    }

    /// Those of a configuration of CodeDeploy.
    #[must_use]
    pub fn of(routing: Routing) -> Self {
        let thousandths = |percent: u32| u16::try_from(percent.saturating_mul(10).clamp(1, 1_000)).unwrap_or(1_000);
        match routing {
            Routing::AllAtOnce => Self::One,
            Routing::Canary { percent, minutes } => Self::Two(thousandths(percent), minutes),
            Routing::Linear { percent, minutes } => Self::Equal(thousandths(percent), minutes),
        }
    }

    /// The steps that a rollout watches: the same shares, and how long green is looked at with all of the users.
    #[must_use]
    pub fn schedule(self, bake: SignedDuration, analyse: bool) -> Schedule {
        let (shares, minutes): (Vec<u16>, u32) = match self {
            Self::One => (Vec::new(), 0),
            Self::Two(part, minutes) => (vec![part], minutes),
            Self::Equal(part, minutes) => {
                let part = part.max(1);
                (
                    (1..).map(|number: u16| number.saturating_mul(part)).take_while(|share| *share < 1_000).collect(),
                    minutes,
                )
            }
        };
        let hold = SignedDuration::from_mins(i64::from(minutes));
        let part = |share: u16| Step { weight: Weight(share), hold, analyse, pause: false };
        let last = Step { weight: Weight::ALL, hold: bake, analyse: false, pause: false };
        let steps = shares.into_iter().map(part).chain([last]).collect();
        Schedule { steps, is_paced_by_target: true }
    }

    /// For a person: `10 %, then all 5 min later`.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Self::One => "all at once".to_owned(),
            Self::Two(part, minutes) => format!("{}, then the rest {minutes} min later", Weight(part)),
            Self::Equal(part, minutes) => format!("{} more every {minutes} min", Weight(part)),
        }
    }
}

/// The only schedule of a deployment without shares.
fn whole(steps: &[Step]) -> Result<Parts, Vec<Mistake>> {
    const WORDS: &str = "a rolling deployment goes task by task and holds no share: leave `steps` out, or write one with `weight: 100` \
                         and how long it is watched, `bake: 5m`; shares need `strategy: weighted`";
    let held = steps.iter().enumerate().filter(|(at, _)| at + 1 < steps.len());
    let mut mistakes: Vec<_> = held.map(|(at, _)| mistake(at, "weight", WORDS.to_owned())).collect();
    let last = steps.len().saturating_sub(1);
    if steps.last().is_some_and(|step| step.pause) {
        mistakes.push(mistake(last, "pause", "a rolling deployment cannot wait for a person".to_owned()));
    }
    if steps.last().is_some_and(|step| step.analyse) {
        mistakes.push(mistake(
            last,
            "analyse",
            "a rolling deployment has nothing to compare with: use `alarms`".to_owned(),
        ));
    }
    if mistakes.is_empty() { Ok(Parts::One) } else { Err(mistakes) }
}

fn mistake(at: usize, key: &str, words: String) -> Mistake {
    Mistake { place: format!("steps[{}].{key}", at + 1), key: None, words }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the steps come down to, or the first mistake.
    fn check(shifter: Shifter, steps: &str, expected: Result<Parts, (&str, &str)>) {
        let schedule = Schedule::read(steps).unwrap();
        let parts = shifter.parts(&schedule);
        match (&parts, expected) {
            (Ok(parts), Ok(expected)) => assert_eq!(*parts, expected, "{steps}"),
            (Err(mistakes), Err((place, words))) => {
                let first = &mistakes[0];
                assert!(first.place == place && first.words.contains(words), "{steps}: {first}");
            }
            (parts, expected) => panic!("{steps}: {parts:?}, and not {expected:?}"),
        }
    }

    #[test]
    fn what_codedeploy_can_be_told() {
        use Shifter::{CodeDeploy, Ecs};
        let weighted = "needs `strategy: weighted`";
        let all = "[{ weight: 100, bake: 5m }]";
        let canary = "[{ weight: 10, for: 5m }, { weight: 100 }]";
        let linear =
            "[{ weight: 25, for: 3m }, { weight: 50, for: 3m }, { weight: 75, for: 3m }, { weight: 100, bake: 90s }]";
        let thirds = "[{ weight: 30, for: 1m }, { weight: 60, for: 1m }, { weight: 90, for: 1m }, { weight: 100 }]";
        for shifter in [CodeDeploy, Ecs] {
            check(shifter, all, Ok(Parts::One));
            check(shifter, canary, Ok(Parts::Two(100, 5)));
            check(shifter, linear, Ok(Parts::Equal(250, 3)));
            // What is left is less than a part.
            check(shifter, thirds, Ok(Parts::Equal(300, 1)));
            // The seeds' own.
            let seed = "[{ weight: 10, for: 5m }, { weight: 50, for: 5m }, { weight: 100, bake: 5m }]";
            check(shifter, seed, Err(("steps[2].weight", "10/50/100 needs `strategy: weighted`")));
            check(shifter, "", Err(("steps[2].weight", weighted)));
            let short = "[{ weight: 10, for: 5m }, { weight: 20, for: 5m }, { weight: 100 }]";
            check(shifter, short, Err(("steps[3].weight", weighted)));
            let unequal = "[{ weight: 40, for: 5m }, { weight: 80, for: 6m }, { weight: 100 }]";
            check(shifter, unequal, Err(("steps[2].for", "equal intervals")));
            check(shifter, "[{ weight: 10 }, { weight: 100 }]", Err(("steps[1].for", "whole minutes")));
            check(shifter, "[{ weight: 10, for: 90s }, { weight: 100 }]", Err(("steps[1].for", "whole minutes")));
            check(shifter, "[{ weight: 10, for: 49h }, { weight: 100 }]", Err(("steps[1].for", "from 1 to")));
            let pause = "[{ weight: 10, for: 5m, pause: true }, { weight: 100 }]";
            check(shifter, pause, Err(("steps[1].pause", "a pause at any share needs")));
        }
        check(Shifter::Rolling, all, Ok(Parts::One));
        check(Shifter::Rolling, canary, Err(("steps[1].weight", "holds no share")));
        check(Shifter::Rolling, "[{ weight: 100, pause: true }]", Err(("steps[1].pause", "cannot wait for a person")));
        let fine = "[{ weight: 2.5, for: 5m }, { weight: 100 }]";
        check(CodeDeploy, fine, Err(("steps[1].weight", "whole percents")));
        check(Ecs, fine, Ok(Parts::Two(25, 5)));
        let long = "[{ weight: 10, for: 25h }, { weight: 100 }]";
        check(CodeDeploy, long, Ok(Parts::Two(100, 1_500)));
        check(Ecs, long, Err(("steps[1].for", "from 1 to 1440")));
        let slow = "[{ weight: 25, for: 17h }, { weight: 50, for: 17h }, { weight: 75, for: 17h }, { weight: 100 }]";
        check(CodeDeploy, slow, Err(("steps[1].for", "2880 min after the first one at most, and these take 3060 min")));
        check(Ecs, slow, Ok(Parts::Equal(250, 1_020)));
        let step = "{ weight: 2, for: 1m }, { weight: 4, for: 1m }, { weight: 100 }";
        check(Ecs, &format!("[{step}]"), Err(("steps[1].weight", "3 % at least")));
    }

    #[test]
    fn what_aws_says_is_watched() {
        let minute = SignedDuration::from_mins(1);
        for (routing, shares) in [
            (Routing::AllAtOnce, vec![1_000]),
            (Routing::Canary { percent: 10, minutes: 5 }, vec![100, 1_000]),
            (Routing::Linear { percent: 30, minutes: 2 }, vec![300, 600, 900, 1_000]),
            (Routing::Linear { percent: 50, minutes: 2 }, vec![500, 1_000]),
        ] {
            let parts = Parts::of(routing);
            let schedule = parts.schedule(minute, true);
            assert!(schedule.is_paced_by_target);
            assert_eq!(schedule.steps.iter().map(|step| step.weight.0).collect::<Vec<_>>(), shares);
            assert_eq!(schedule.steps.last().map(|step| step.hold), Some(minute));
            assert_eq!(parts.routing(), routing);
        }
    }
}
