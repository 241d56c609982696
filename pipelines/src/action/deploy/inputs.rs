//! Inputs of actions that deploy, checked: all that is wrong is said at once. What each of them takes is in [`Course`].

use std::collections::BTreeMap;
use std::fmt::Display;

use jiff::SignedDuration;
use rollout::Stage;
use rollout::plan::{Analysis, Deed, Hook, OnActive, Plan, RollbackOn, Schedule};
use rollout::read::{Mistake, Mistakes, duration};
use workflow::catalogue::{Form, Wrong};

use super::super::{InputFacts, input, probe};
use super::values::variables;

/// Longer than any pause that waits for a person.
const PAUSE_MAX: SignedDuration = SignedDuration::from_hours(24);
/// More than starting, draining and stopping take.
const MARGIN: SignedDuration = SignedDuration::from_hours(1);
/// Nobody looks more often.
const TICK_MIN: SignedDuration = SignedDuration::from_millis(50);

/// Reads inputs and gathers what is wrong.
pub(in crate::action) struct Reader<'a> {
    text: &'a dyn Fn(&str) -> String,
    wrong: Vec<Wrong>,
}

impl<'a> Reader<'a> {
    /// Of inputs, of which `text` gives each by its name.
    pub(in crate::action) fn new(text: &'a dyn Fn(&str) -> String) -> Self {
        Self { text, wrong: Vec::new() }
    }

    /// What was read, or all that is wrong.
    pub(in crate::action) fn end<T>(self, read: T) -> Result<T, Vec<Wrong>> {
        if self.wrong.is_empty() { Ok(read) } else { Err(self.wrong) }
    }

    /// Something more is wrong.
    pub(in crate::action) fn wrong(&mut self, wrong: impl Into<String>) {
        self.wrong.push(Wrong::new(wrong));
    }

    /// An input, without blanks around it.
    pub(in crate::action) fn text(&self, name: &str) -> String {
        (self.text)(name).trim().to_owned()
    }

    /// One that says something.
    pub(in crate::action) fn some(&self, name: &str) -> Option<String> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    /// What was read by itself.
    pub(in crate::action) fn take<T, E: Display>(&mut self, read: Result<T, E>, fallback: T) -> T {
        read.unwrap_or_else(|error| {
            self.wrong.push(Wrong::new(error.to_string()));
            fallback
        })
    }

    /// What says where in its text it is wrong.
    pub(in crate::action) fn placed<T>(&mut self, read: Result<T, Mistakes>, fallback: T) -> T {
        read.unwrap_or_else(|Mistakes(mistakes)| {
            self.wrong.extend(mistakes.iter().map(wrong));
            fallback
        })
    }

    /// What a function makes of it.
    pub(in crate::action) fn parse<T>(
        &mut self,
        name: &str,
        fallback: T,
        what: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> T {
        let text = self.text(name);
        let read = parse(&text).ok_or_else(|| format!("`{name}: {text}` is not {what}"));
        self.take(read, fallback)
    }

    /// A time.
    pub(in crate::action) fn duration(&mut self, name: &str) -> SignedDuration {
        let read = duration(&self.text(name)).map_err(|error| format!("`{name}`: {error}"));
        self.take(read, SignedDuration::ZERO)
    }

    /// A switch.
    pub(in crate::action) fn truth(&mut self, name: &str) -> bool {
        self.parse(name, false, "true or false", |text| match text {
            "true" => Some(true),
            "false" | "" => Some(false),
            _ => None,
        })
    }

    /// A port.
    pub(in crate::action) fn port(&mut self, name: &str) -> u16 {
        self.parse(name, 1, "a port from 1 to 65535", |text| text.parse().ok().filter(|port| *port > 0))
    }

    /// A list.
    pub(in crate::action) fn lines(&self, name: &str, separators: &[char]) -> Vec<String> {
        let text = self.text(name);
        text.split(separators).map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }

    /// NAME=value, one a line.
    pub(in crate::action) fn variables(&mut self, name: &str) -> BTreeMap<String, String> {
        let read = variables(&(self.text)(name)).map_err(|error| format!("`{name}`: {error}"));
        self.take(read, BTreeMap::new())
    }

    pub(in crate::action) fn hooks(&mut self) -> Vec<Hook> {
        let hooks = self.placed(Hook::read_all(&self.text("hooks")), Vec::new());
        for hook in &hooks {
            let Deed::Probe(keys) = &hook.deed else { continue };
            let early = matches!(hook.stage, Stage::BeforeInstall | Stage::AfterInstall | Stage::OnRollback);
            let early =
                early.then(|| "nobody reaches green then; AfterAllowTestTraffic is the place for a probe".to_owned());
            let wrong = probe::check(keys).into_iter().chain(early);
            let place = hook.stage.word();
            self.wrong.extend(wrong.map(|wrong| Wrong::new(format!("`hooks`: {place}: {wrong}"))));
        }
        hooks
    }
}

/// How something is rolled out, wherever to.
#[derive(Debug, Clone)]
pub(in crate::action) struct Course {
    pub(in crate::action) environment: Option<String>,
    pub(in crate::action) version: String,
    pub(in crate::action) schedule: Schedule,
    pub(in crate::action) analysis: Analysis,
    pub(in crate::action) rollback_on: RollbackOn,
    pub(in crate::action) hooks: Vec<Hook>,
    pub(in crate::action) on_active: OnActive,
    pub(in crate::action) start_timeout: SignedDuration,
    pub(in crate::action) timeout: SignedDuration,
    pub(in crate::action) keep_blue: SignedDuration,
    pub(in crate::action) tick: SignedDuration,
    pub(in crate::action) irreversible: Option<String>,
    pub(in crate::action) dry_run: bool,
}

/// What is deployed where to, of which a course makes a plan.
#[derive(Debug)]
pub(in crate::action) struct What {
    pub(in crate::action) environment: String,
    pub(in crate::action) service: String,
    pub(in crate::action) repository: String,
    pub(in crate::action) commit: String,
    pub(in crate::action) image: String,
    pub(in crate::action) version: String,
    pub(in crate::action) target: &'static str,
    pub(in crate::action) settings: serde_json::Value,
}

impl Course {
    /// Reads the inputs that are the same for all.
    pub(in crate::action) fn read(reader: &mut Reader<'_>) -> Self {
        let schedule = reader.placed(Schedule::read(&reader.text("steps")), Schedule::default());
        let analysis = reader.placed(Analysis::read(&reader.text("analysis")), Analysis::default());
        let start_timeout = reader.duration("start-period");
        let timeout = match reader.some("timeout") {
            Some(_) => reader.duration("timeout"),
            None => usual_timeout(&schedule, &analysis, start_timeout),
        };
        Self {
            environment: reader.some("environment"),
            version: reader.text("version"),
            rollback_on: reader.placed(RollbackOn::read(&reader.text("rollback-on")), RollbackOn::ALL),
            hooks: reader.hooks(),
            on_active: reader.placed(OnActive::read(&reader.text("on-active-deployment")), OnActive::Wait),
            keep_blue: reader.duration("keep-blue"),
            tick: reader.duration("tick").max(TICK_MIN),
            irreversible: reader.some("irreversible"),
            dry_run: reader.truth("dry-run"),
            schedule,
            analysis,
            start_timeout,
            timeout,
        }
    }

    /// What a person approves.
    pub(in crate::action) fn plan(&self, what: What) -> Plan {
        Plan {
            environment: what.environment,
            service: what.service,
            repository: what.repository,
            commit: what.commit,
            image: what.image,
            version: what.version,
            target: what.target.to_owned(),
            settings: what.settings,
            schedule: self.schedule.clone(),
            analysis: self.analysis.clone(),
            rollback_on: self.rollback_on,
            on_active: self.on_active,
            hooks: self.hooks.clone(),
            start_timeout: self.start_timeout,
            timeout: self.timeout,
            keep_blue: self.keep_blue,
            tick: self.tick,
            irreversible: self.irreversible.clone(),
            rollback_of: None,
            reuse: None,
        }
    }
}

/// Where to.
pub(in crate::action) const ENVIRONMENT: InputFacts =
    input("environment", "", "Where to; empty: the job's environment");
/// Names a migration.
pub(in crate::action) const IRREVERSIBLE: InputFacts =
    input("irreversible", "", "A migration that cannot be undone: nothing goes back by itself past it");
/// Only looks.
pub(in crate::action) const DRY_RUN: InputFacts =
    input("dry-run", "false", "Shows the plan, its hash and what would be done, and does nothing").switch();

/// `steps`, as its action reads it.
pub(in crate::action) const fn steps(takes: Form) -> InputFacts {
    input("steps", "", "- { weight: 10, for: 5m, analyse: true }, one a line; the last one at 100").form(takes)
}

/// `rollback-on`, as its action reads it.
pub(in crate::action) const fn rollback_on(takes: Form) -> InputFacts {
    input("rollback-on", "", "failure,alarm,analysis,cancel; empty: all of them").form(takes)
}

/// `hooks`, as its action reads it.
pub(in crate::action) const fn hooks(takes: Form) -> InputFacts {
    let description = "Scripts by stage, such as AfterAllowTestTraffic: ./smoke.sh, with bash -e in the job; {probe: {…}} visits green";
    input("hooks", "", description).form(takes)
}

/// `on-active-deployment`, as its action reads it.
pub(in crate::action) const fn on_active(takes: Form) -> InputFacts {
    let description = "While another deployment of the service goes on: wait, supersede or fail";
    input("on-active-deployment", "wait", description).form(takes)
}

/// `timeout`, as its action reads it.
pub(in crate::action) const fn timeout(takes: Form) -> InputFacts {
    let description = "How long all of it may take; empty: the steps, what they may be extended by, and an hour";
    input("timeout", "", description).form(takes)
}

/// All that is wrong with one input: what `gather` says if all others are as they usually are; one that must be written is then
/// `stands_for`.
pub(in crate::action) fn one<T>(
    inputs: &[InputFacts],
    gather: impl Fn(&dyn Fn(&str) -> String) -> Result<T, Vec<Wrong>>,
    stands_for: &str,
    (name, text): (&str, &str),
) -> Vec<Wrong> {
    let usual = |wanted: &str| match inputs.iter().find(|input| input.name == wanted) {
        Some(input) if input.required => stands_for.to_owned(),
        Some(input) => input.default.to_owned(),
        None => String::new(),
    };
    let text = |wanted: &str| if wanted == name { text.to_owned() } else { usual(wanted) };
    gather(&text).err().unwrap_or_default()
}

/// A mistake of the rollout's readers: its place is within the input, and what to do is told apart.
pub(in crate::action) fn wrong(mistake: &Mistake) -> Wrong {
    let text = mistake.to_string();
    let cut = [", did you mean ", "; "].iter().find_map(|cut| Some((text.find(cut)?, cut.split_once(' ')?.0.len())));
    let (message, help) = match cut {
        Some((at, length)) => (&text[..at], Some(text[at + length..].trim_start().to_owned())),
        None => (&*text, None),
    };
    let mut place = mistake.place.find(['[', '.']).map_or("", |at| &mistake.place[at..]).to_owned();
    place.extend(mistake.key.iter().map(|key| format!(".{key}:")));
    Wrong { message: message.to_owned(), help, place }
}

/// How long all of it may take where nobody says so.
pub(in crate::action) fn usual_timeout(
    schedule: &Schedule,
    analysis: &Analysis,
    start: SignedDuration,
) -> SignedDuration {
    let steps = schedule.steps.iter().map(|step| {
        let extend = if step.analyse { analysis.max_extend } else { SignedDuration::ZERO };
        let pause = if step.pause { PAUSE_MAX } else { SignedDuration::ZERO };
        step.hold.saturating_add(extend).saturating_add(pause)
    });
    steps.fold(start.saturating_add(MARGIN), SignedDuration::saturating_add)
}
