//! Inputs of `pipe/deploy-local`, checked: all that is wrong is said at once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use proxy::table::Affinity;
use workflow::catalogue::Wrong;

use super::super::deploy::inputs::{Course, Reader};
use super::super::deploy::values::{affinity, bytes, thousandths, variables};
use crate::target::local::{AlarmSource, DeadBlue, Settings};

/// What a step wants.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    pub(super) service: String,
    pub(super) image: String,
    pub(super) settings: Settings,
    pub(super) course: Course,
    pub(super) env_file: Option<PathBuf>,
    pub(super) secrets: Secrets,
}

/// Variables that nobody may see.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Secrets(pub(super) BTreeMap<String, String>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

fn settings(reader: &mut Reader<'_>) -> Settings {
    let count = |text: &str| text.parse().ok().filter(|number| (1..=100).contains(number));
    let absolute = |text: &str| text.starts_with('/').then(|| text.to_owned());
    let test_port = reader.some("test-port").map(|_| reader.port("test-port"));
    let memory = reader.some("memory").map(|_| reader.parse("memory", 0, "like 256m or 1g", bytes));
    let cpus = reader.some("cpus").map(|_| reader.parse("cpus", 0, "like 0.5 or 2", thousandths));
    Settings {
        replicas: reader.parse("replicas", 1, "a number from 1 to 100", count),
        port: reader.port("port"),
        health_path: reader.parse("health-path", String::new(), "a path that begins with /", absolute),
        health_interval: reader.duration("health-interval"),
        health_threshold: reader.parse("health-threshold", 1, "a number from 1 to 100", count),
        proxy_port: reader.port("proxy-port"),
        test_port,
        route: reader.parse("route", String::new(), "a path that begins with /", absolute),
        strip: reader.truth("strip"),
        networks: reader.lines("networks", &[',', '\n']),
        env: reader.variables("env"),
        read_only: reader.truth("read-only"),
        tmpfs: reader.lines("tmpfs", &['\n']),
        volumes: reader.lines("volumes", &['\n']),
        user: reader.some("user"),
        cap_add: reader.lines("cap-add", &[',', '\n']),
        affinity: reader.parse("affinity", Affinity::None, "none, cookie:NAME or header:NAME", affinity),
        drain_timeout: reader.duration("drain-timeout"),
        stop_timeout: reader.duration("stop-timeout"),
        memory_bytes: memory,
        cpu_thousandths: cpus,
        dead_blue: reader.parse("dead-blue", DeadBlue::Fail, "fail or replace", |text| match text {
            "fail" => Some(DeadBlue::Fail),
            "replace" => Some(DeadBlue::Replace),
            _ => None,
        }),
        alarms: alarms(reader),
        ..Settings::default()
    }
}

fn alarms(reader: &mut Reader<'_>) -> Vec<AlarmSource> {
    let read = |line: &String| AlarmSource::read(line).map_err(|error| format!("`alarms`: {error}"));
    let read = reader.lines("alarms", &['\n']).iter().map(read).collect::<Result<_, _>>();
    reader.take(read, Vec::new())
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
        let mut reader = Reader::new(text);
        let wish = Self {
            settings: settings(&mut reader),
            service: reader.text("service"),
            image: reader.text("image"),
            course: Course::read(&mut reader),
            env_file: reader.some("env-file").map(PathBuf::from),
            secrets: Secrets(reader.variables("secrets")),
        };
        reader.end(wish)
    }

    /// With the variables of a file. What two of them say differently counts as the later one of `env-file`, `secrets`.
    pub(super) fn with_file(&mut self, path: &Path, text: &str) -> Result<(), String> {
        let mut all = variables(text).map_err(|error| format!("`env-file: {}`: {error}", path.display()))?;
        all.append(&mut self.secrets.0);
        self.secrets.0 = all;
        Ok(())
    }
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
        let course = &wish.course;
        assert_eq!((course.start_timeout.as_secs(), course.keep_blue.as_secs(), course.tick.as_secs()), (60, 3600, 1));
        // 15 minutes of steps, two of them may be extended by 15 minutes each.
        assert_eq!(course.timeout.as_mins(), 15 + 30 + 1 + 60);
        assert!(!course.dry_run && course.environment.is_none());
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
        assert_eq!(wish.course.timeout.as_hours(), 25);
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
