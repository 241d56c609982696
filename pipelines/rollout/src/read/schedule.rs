//! `steps:` of a deploy action.

use jiff::SignedDuration;
use serde_yaml::Value;

use super::entry::{Entry, kind, yaml};
use super::{Mistakes, Reader};
use crate::plan::{Schedule, Step, Weight};

/// Most steps of a schedule.
const STEPS_MAX: usize = 100;

const EXAMPLE: &str = "- { weight: 10, for: 5m, analyse: true }";

impl Default for Schedule {
    /// 10 % and 50 % for five minutes each, compared with blue; then all, watched for five minutes.
    fn default() -> Self {
        let step = |weight, analyse| Step { weight, hold: SignedDuration::from_mins(5), analyse, pause: false };
        Self::of(vec![step(Weight(100), true), step(Weight(500), true), step(Weight::ALL, false)])
    }
}

impl Schedule {
    /// Steps that the rollout takes.
    #[must_use]
    pub const fn of(steps: Vec<Step>) -> Self {
        Self { steps, is_paced_by_target: false }
    }

    /// Whether it is what counts where nothing is written.
    #[must_use]
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }

    /// Reads a list of `{ weight: 10, for: 5m, analyse: true, pause: true }`; weights are percents (12.5 too) that rise and end at
    /// 100, whose `for` may be called `bake`. Nothing written is [`Schedule::default`].
    ///
    /// # Errors
    /// All that is wrong.
    pub fn read(text: &str) -> Result<Self, Mistakes> {
        let mut reader = Reader::default();
        let Some(value) = yaml(&mut reader, "steps", text) else {
            return reader.end(Self::default());
        };
        let entries = match &value {
            Value::Sequence(entries) if entries.is_empty() => {
                reader.wrong(
                    "steps",
                    format!("an empty list; write at least one step like `{EXAMPLE}`, or leave it out"),
                );
                return reader.end(Self::default());
            }
            Value::Sequence(entries) if entries.len() > STEPS_MAX => {
                reader.wrong("steps", format!("{} steps; at most {STEPS_MAX} are taken", entries.len()));
                return reader.end(Self::default());
            }
            Value::Sequence(entries) => entries,
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Mapping(_)
            | Value::Tagged(_) => {
                reader.wrong("steps", format!("{} where a list was expected; begin each step with `- `", kind(&value)));
                return reader.end(Self::default());
            }
        };
        let mut steps: Vec<Step> = Vec::new();
        let count = entries.len();
        for (index, value) in entries.iter().enumerate() {
            read_step(&mut reader, &mut steps, index + 1, count, value);
        }
        if let Some(last) = steps.last()
            && last.weight < Weight::ALL
            && reader.mistakes.is_empty()
        {
            let place = format!("steps[{count}].weight");
            reader.wrong(place, format!("the last step ends at {}; add `- {{ weight: 100, bake: 5m }}`", last.weight));
        }
        reader.end(Self::of(steps))
    }
}

fn read_step(reader: &mut Reader, steps: &mut Vec<Step>, number: usize, count: usize, value: &Value) {
    const KEYS: [&str; 5] = ["weight", "for", "bake", "analyse", "pause"];
    let Some(entry) = Entry::new(reader, format!("steps[{number}]"), value, &KEYS, EXAMPLE) else { return };
    let (held, bake) = (entry.duration(reader, "for"), entry.duration(reader, "bake"));
    // `- bake: 5m` behind the step at 100.
    if entry.get("weight").is_none()
        && let Some(bake) = bake
        && let Some(last) = steps.last_mut().filter(|last| last.weight == Weight::ALL && number == count)
    {
        last.hold = last.hold.saturating_add(bake);
        return;
    }
    if entry.get("bake").is_some() && entry.get("for").is_some() {
        reader.wrong(entry.at("bake"), "`for` and `bake` are the same here; leave one of them out");
    }
    let Some(weight) = read_weight(reader, &entry, steps.last().map(|step| step.weight)) else { return };
    if entry.get("bake").is_some() && weight < Weight::ALL {
        reader.wrong(entry.at("bake"), format!("only at 100 % is there a `bake`; write `for` at {weight}"));
    }
    let hold = held.or(bake).unwrap_or(SignedDuration::ZERO);
    let (analyse, pause) = (entry.flag(reader, "analyse"), entry.flag(reader, "pause"));
    steps.push(Step { weight, hold, analyse, pause });
}

fn read_weight(reader: &mut Reader, entry: &Entry<'_>, before: Option<Weight>) -> Option<Weight> {
    let place = entry.at("weight");
    let percent = match entry.number("weight") {
        None => {
            reader.wrong(place, "missing; green's share in percent, such as `weight: 10`");
            return None;
        }
        Some(Err(words)) => {
            reader.wrong(place, format!("{words}; green's share in percent, such as `10` or `12.5`"));
            return None;
        }
        Some(Ok(percent)) => percent,
    };
    if percent <= 0.0 || percent > 100.0 {
        reader.wrong(place, format!("{percent} is not a share; weights are percents above 0, up to 100"));
        return None;
    }
    let tenths = percent * 10.0;
    if (tenths - tenths.round()).abs() > 1e-6 {
        reader.wrong(place, format!("{percent} is too fine; weights are whole tenths of a percent, such as `12.5`"));
        return None;
    }
    let weight = (1..=1_000).find(|weight| (f64::from(*weight) - tenths).abs() < 0.5).map(Weight)?;
    match before {
        Some(Weight::ALL) => reader.wrong(place, "comes after 100 %; nothing can follow"),
        Some(before) if weight <= before => {
            reader.wrong(place, format!("{weight} after {before}; weights rise from step to step and end at 100"));
        }
        Some(_) | None => {}
    }
    Some(weight)
}
