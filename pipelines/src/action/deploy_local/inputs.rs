//! Inputs of `pipe/deploy-local`, checked: all that is wrong is said at once.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};

use jiff::SignedDuration;
use proxy::table::Affinity;
use rollout::Stage;
use rollout::plan::{Analysis, Deed, Hook, OnActive, RollbackOn, Schedule};
use rollout::read::{Mistake, Mistakes, duration};
use workflow::catalogue::Wrong;

use super::super::probe;
use super::values::{affinity, bytes, thousandths, variables};
use crate::target::local::{AlarmSource, DeadBlue, Settings};

/// Longer than any pause that waits for a person.
const PAUSE_MAX: SignedDuration = SignedDuration::from_hours(24);
/// More than starting, draining and stopping take.
const MARGIN: SignedDuration = SignedDuration::from_hours(1);

/// What a step wants.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    pub(super) service: String,
    pub(super) image: String,
    pub(super) environment: Option<String>,
    pub(super) version: String,
    pub(super) settings: Settings,
    pub(super) schedule: Schedule,
    pub(super) analysis: Analysis,
    pub(super) rollback_on: RollbackOn,
    pub(super) hooks: Vec<Hook>,
    pub(super) on_active: OnActive,
    pub(super) start_timeout: SignedDuration,
    pub(super) timeout: SignedDuration,
    pub(super) keep_blue: SignedDuration,
    pub(super) tick: SignedDuration,
    pub(super) irreversible: Option<String>,
    pub(super) env_file: Option<PathBuf>,
    pub(super) secrets: Secrets,
    pub(super) dry_run: bool,
}

/// Variables that nobody may see.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Secrets(pub(super) BTreeMap<String, String>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Reads inputs and gathers what is wrong.
struct Reader<'a> {
    text: &'a dyn Fn(&str) -> String,
    wrong: Vec<Wrong>,
}

impl Reader<'_> {
    fn text(&self, name: &str) -> String {
        (self.text)(name).trim().to_owned()
    }

    fn some(&self, name: &str) -> Option<String> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    fn take<T, E: Display>(&mut self, read: Result<T, E>, fallback: T) -> T {
        read.unwrap_or_else(|error| {
            self.wrong.push(Wrong::new(error.to_string()));
            fallback
        })
    }

    /// What says where in its text it is wrong.
    fn placed<T>(&mut self, read: Result<T, Mistakes>, fallback: T) -> T {
        read.unwrap_or_else(|Mistakes(mistakes)| {
            self.wrong.extend(mistakes.iter().map(wrong));
            fallback
        })
    }

    fn parse<T>(&mut self, name: &str, fallback: T, what: &str, parse: impl Fn(&str) -> Option<T>) -> T {
        let text = self.text(name);
        let read = parse(&text).ok_or_else(|| format!("`{name}: {text}` is not {what}"));
        self.take(read, fallback)
    }

    fn duration(&mut self, name: &str) -> SignedDuration {
        let read = duration(&self.text(name)).map_err(|error| format!("`{name}`: {error}"));
        self.take(read, SignedDuration::ZERO)
    }

    fn truth(&mut self, name: &str) -> bool {
        self.parse(name, false, "true or false", |text| match text {
            "true" => Some(true),
            "false" | "" => Some(false),
            _ => None,
        })
    }

    fn port(&mut self, name: &str) -> u16 {
        self.parse(name, 1, "a port from 1 to 65535", |text| text.parse().ok().filter(|port| *port > 0))
    }

    fn lines(&self, name: &str, separators: &[char]) -> Vec<String> {
        let text = self.text(name);
        text.split(separators).map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }

    fn variables(&mut self, name: &str) -> BTreeMap<String, String> {
        let read = variables(&(self.text)(name)).map_err(|error| format!("`{name}`: {error}"));
        self.take(read, BTreeMap::new())
    }

    fn hooks(&mut self) -> Vec<Hook> {
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

    fn settings(&mut self) -> Settings {
        let count = |text: &str| text.parse().ok().filter(|number| (1..=100).contains(number));
        let absolute = |text: &str| text.starts_with('/').then(|| text.to_owned());
        let test_port = self.some("test-port").map(|_| self.port("test-port"));
        let memory = self.some("memory").map(|_| self.parse("memory", 0, "like 256m or 1g", bytes));
        let cpus = self.some("cpus").map(|_| self.parse("cpus", 0, "like 0.5 or 2", thousandths));
        Settings {
            replicas: self.parse("replicas", 1, "a number from 1 to 100", count),
            port: self.port("port"),
            health_path: self.parse("health-path", String::new(), "a path that begins with /", absolute),
            health_interval: self.duration("health-interval"),
            health_threshold: self.parse("health-threshold", 1, "a number from 1 to 100", count),
            proxy_port: self.port("proxy-port"),
            test_port,
            route: self.parse("route", String::new(), "a path that begins with /", absolute),
            strip: self.truth("strip"),
            networks: self.lines("networks", &[',', '\n']),
            env: self.variables("env"),
            read_only: self.truth("read-only"),
            tmpfs: self.lines("tmpfs", &['\n']),
            volumes: self.lines("volumes", &['\n']),
            user: self.some("user"),
            cap_add: self.lines("cap-add", &[',', '\n']),
            affinity: self.parse("affinity", Affinity::None, "none, cookie:NAME or header:NAME", affinity),
            drain_timeout: self.duration("drain-timeout"),
            stop_timeout: self.duration("stop-timeout"),
            memory_bytes: memory,
            cpu_thousandths: cpus,
            dead_blue: self.parse("dead-blue", DeadBlue::Fail, "fail or replace", |text| match text {
                "fail" => Some(DeadBlue::Fail),
                "replace" => Some(DeadBlue::Replace),
                _ => None,
            }),
            alarms: self.alarms(),
            ..Settings::default()
        }
    }

    fn alarms(&mut self) -> Vec<AlarmSource> {
        let read = |line: &String| AlarmSource::read(line).map_err(|error| format!("`alarms`: {error}"));
        let read = self.lines("alarms", &['\n']).iter().map(read).collect::<Result<_, _>>();
        self.take(read, Vec::new())
    }
}

impl Wish {
    /// Reads the inputs, of which `text` gives each by its name.
    ///
    /// # Errors
    /// All that is wrong, a line each.
    pub(super) fn read(text: &dyn Fn(&str) -> String) -> Result<Self, String> {
        Self::gather(text).map_err(|wrong| wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    /// The same, each by itself.
    pub(super) fn gather(text: &dyn Fn(&str) -> String) -> Result<Self, Vec<Wrong>> {
        let mut reader = Reader { text, wrong: Vec::new() };
        let settings = reader.settings();
        let schedule = reader.placed(Schedule::read(&text("steps")), Schedule::default());
        let analysis = reader.placed(Analysis::read(&text("analysis")), Analysis::default());
        let start_timeout = reader.duration("start-period");
        let timeout = match reader.some("timeout") {
            Some(_) => reader.duration("timeout"),
            None => usual_timeout(&schedule, &analysis, start_timeout),
        };
        let wish = Self {
            service: reader.text("service"),
            image: reader.text("image"),
            environment: reader.some("environment"),
            version: reader.text("version"),
            rollback_on: reader.placed(RollbackOn::read(&text("rollback-on")), RollbackOn::ALL),
            hooks: reader.hooks(),
            on_active: reader.placed(OnActive::read(&text("on-active-deployment")), OnActive::Wait),
            keep_blue: reader.duration("keep-blue"),
            tick: reader.duration("tick").max(SignedDuration::from_millis(50)),
            irreversible: reader.some("irreversible"),
            env_file: reader.some("env-file").map(PathBuf::from),
            secrets: Secrets(reader.variables("secrets")),
            dry_run: reader.truth("dry-run"),
            settings,
            schedule,
            analysis,
            start_timeout,
            timeout,
        };
        if reader.wrong.is_empty() { Ok(wish) } else { Err(reader.wrong) }
    }

    /// With the variables of a file. What two of them say differently counts as the later one of `env-file`, `secrets`.
    pub(super) fn with_file(&mut self, path: &Path, text: &str) -> Result<(), String> {
        let mut all = variables(text).map_err(|error| format!("`env-file: {}`: {error}", path.display()))?;
        all.append(&mut self.secrets.0);
        self.secrets.0 = all;
        Ok(())
    }
}

/// A mistake of the rollout's readers: its place is within the input, and what to do is told apart.
fn wrong(mistake: &Mistake) -> Wrong {
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

fn usual_timeout(schedule: &Schedule, analysis: &Analysis, start: SignedDuration) -> SignedDuration {
    let steps = schedule.steps.iter().map(|step| {
        let extend = if step.analyse { analysis.max_extend } else { SignedDuration::ZERO };
        let pause = if step.pause { PAUSE_MAX } else { SignedDuration::ZERO };
        step.hold.saturating_add(extend).saturating_add(pause)
    });
    steps.fold(start.saturating_add(MARGIN), SignedDuration::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::super::INPUTS;
    use super::*;

    const LEAST: [(&str, &str); 3] = [("service", "orders"), ("image", "shop/orders:1"), ("port", "8080")];

    fn read(given: &[(&str, &str)]) -> Result<Wish, String> {
        let mut all: BTreeMap<&str, &str> = INPUTS.iter().map(|input| (input.name, input.default)).collect();
        all.extend(LEAST.iter().copied().chain(given.iter().copied()));
        Wish::read(&|name| all.get(name).copied().unwrap_or_default().to_owned())
    }

    #[test]
    fn the_least_that_is_written() {
        let wish = read(&[]).unwrap();
        let expected = Settings { port: 8080, test_port: Some(8089), ..Settings::default() };
        assert_eq!(wish.settings, expected, "defaults of inputs are those of settings");
        assert_eq!((wish.start_timeout.as_secs(), wish.keep_blue.as_secs(), wish.tick.as_secs()), (60, 3600, 1));
        // 15 minutes of steps, two of them may be extended by 15 minutes each.
        assert_eq!(wish.timeout.as_mins(), 15 + 30 + 1 + 60);
        assert!(!wish.dry_run && wish.environment.is_none());
    }

    #[test]
    fn what_is_written() {
        let wish = read(&[
            ("env", "A=1\n# no\n\nB= b=c "),
            ("secrets", "KEY=value"),
            ("memory", "256m"),
            ("cpus", "1.5"),
            ("affinity", "cookie:session"),
            ("networks", "db, cache"),
            ("steps", "- { weight: 20, for: 10s }\n- { weight: 100, pause: true }"),
            ("test-port", ""),
        ]);
        let mut wish = wish.unwrap();
        let settings = &wish.settings;
        assert_eq!(settings.env, [("A".to_owned(), "1".to_owned()), ("B".to_owned(), " b=c ".to_owned())].into());
        assert_eq!((settings.memory_bytes, settings.cpu_thousandths), (Some(256 << 20), Some(1500)));
        assert_eq!(settings.affinity, Affinity::Cookie("session".to_owned()));
        assert_eq!((settings.networks.len(), settings.test_port), (2, None));
        assert_eq!(wish.timeout.as_hours(), 25);
        wish.with_file(Path::new(".env"), "KEY=other\nMORE=1").unwrap();
        assert_eq!(wish.secrets.0["KEY"], "value", "what is written at the step is nearer");
        assert_eq!(format!("{:?}", wish.secrets), r#"{"KEY", "MORE"}"#);
        assert_eq!(
            wish.with_file(Path::new(".env"), "A=1\nsecret").unwrap_err(),
            "`env-file: .env`: line 2 is not NAME=value"
        );
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let error = read(&[
            ("port", "0"),
            ("replicas", "many"),
            ("health-path", "health"),
            ("health-interval", "soon"),
            ("strip", "perhaps"),
            ("affinity", "cookie"),
            ("memory", "1x"),
            ("cpus", "0"),
            ("dead-blue", "hope"),
            ("secrets", "word"),
            ("steps", "- { weight: 50 }\n- { weight: 10 }"),
            ("on-active-deployment", "queue"),
            ("alarms", "orders-5xx"),
            ("hooks", "AfterInstall: {probe: {openapy: a, methods: some}}"),
        ]);
        let error = error.unwrap_err();
        for expected in [
            "`port: 0` is not a port from 1 to 65535",
            "`replicas: many` is not a number from 1 to 100",
            "`health-path: health` is not a path that begins with /",
            "`health-interval`: `soon` is not a duration",
            "`strip: perhaps` is not true or false",
            "`affinity: cookie` is not none, cookie:NAME or header:NAME",
            "`memory: 1x` is not like 256m or 1g",
            "`cpus: 0` is not like 0.5 or 2",
            "`dead-blue: hope` is not fail or replace",
            "`secrets`: line 1 is not NAME=value",
            "steps[2].weight",
            "on-active-deployment",
            "`alarms`: ",
            "`hooks`: AfterInstall: a probe has no key `openapy`, did you mean `openapi`?",
            "`hooks`: AfterInstall: `methods: some` is neither safe nor all",
            "`hooks`: AfterInstall: nobody reaches green then",
        ] {
            assert!(error.contains(expected), "{expected}\n{error}");
        }
    }
}
