//! Inputs of `pipe/deploy-ecs`, checked: all that is wrong is said at once.

use std::collections::BTreeMap;

use aws::Arn;
use rollout::plan::Metric;
use workflow::catalogue::Wrong;

use super::super::deploy::inputs::{Course, Reader};
use super::Strategy;
use super::facts::INPUTS;

/// How long the old one stays warm if nobody says otherwise.
const KEEP_BLUE: &str = "60m";
/// Tasks of a service, as ECS allows them.
const TASKS_MAX: u32 = 5_000;

/// What a listener's ARN is like.
const LISTENER: &str =
    "arn:aws:elasticloadbalancing:eu-central-1:123456789012:listener/app/shop/50dc6c495c0c9188/f2f7dc8efc522ab2";

/// Inputs that only some strategies have.
const ONLY: &[(&str, &[Strategy])] = &[
    ("services", &[Strategy::Weighted]),
    ("listener-rule", &[Strategy::Weighted]),
    ("test-listener-rule", &[Strategy::Weighted]),
    ("codedeploy-application", &[Strategy::CodeDeploy]),
    ("codedeploy-deployment-group", &[Strategy::CodeDeploy]),
    ("codedeploy-appspec", &[Strategy::CodeDeploy]),
    ("codedeploy-deployment-config", &[Strategy::CodeDeploy]),
    ("codedeploy-deployment-description", &[Strategy::CodeDeploy]),
    ("minimum-healthy-percent", &[Strategy::Rolling]),
    ("maximum-percent", &[Strategy::Rolling]),
];

/// Inputs that say what a rolling deployment cannot do, and why.
const NOT_ROLLING: &[(&str, &str)] = &[
    ("analysis", "both colours answer from one target group, and CloudWatch does not tell them apart: use `alarms`"),
    ("keep-blue", "ECS stops the old tasks as the new ones come; going back deploys what stood anew"),
    ("termination-wait", "ECS stops the old tasks as the new ones come; going back deploys what stood anew"),
    ("test-url", "nothing leads tests past the users"),
];

/// What a step wants.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    pub(super) strategy: Strategy,
    pub(super) cluster: String,
    pub(super) service: String,
    pub(super) image: Option<String>,
    pub(super) container: Option<String>,
    /// Who takes turns in `weighted`.
    pub(super) pair: Pair,
    /// `None`: as many as what stands has.
    pub(super) tasks: Option<u32>,
    /// Of `rolling`: percent of the tasks that stay healthy, and that run at most.
    pub(super) percents: [Option<u32>; 2],
    pub(super) alarms: Vec<String>,
    pub(super) url: String,
    pub(super) test_url: Option<String>,
    pub(super) course: Course,
    texts: BTreeMap<&'static str, String>,
}

/// Who takes turns, as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pair {
    /// Two services.
    Services([String; 2]),
    /// Task sets of one.
    TaskSets(String),
}

impl Wish {
    /// Reads the inputs, of which `text` gives each by its name.
    ///
    /// # Errors
    /// All that is wrong, a line each.
    pub(super) fn read(text: &dyn Fn(&str) -> String) -> Result<Self, String> {
        Self::gather(text, true).map_err(|wrong| wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    /// The same, each by itself. Unless all of them are there (`together`), what fits together is not asked.
    pub(super) fn gather(text: &dyn Fn(&str) -> String, together: bool) -> Result<Self, Vec<Wrong>> {
        let aliased = |name: &str| match name {
            "keep-blue" => first([text("keep-blue"), text("termination-wait"), KEEP_BLUE.to_owned()]),
            "timeout" => {
                let minutes = text("wait-for-minutes").trim().to_owned();
                first([
                    text("timeout"),
                    if minutes.is_empty() { minutes } else { format!("{minutes}m") },
                    String::new(),
                ])
            }
            _ => text(name),
        };
        let mut reader = Reader::new(&aliased);
        let mut course = Course::read(&mut reader);
        metrics(&mut reader, &mut course);
        for (one, other) in [("keep-blue", "termination-wait"), ("timeout", "wait-for-minutes")] {
            if !text(one).trim().is_empty() && !text(other).trim().is_empty() {
                reader.wrong(format!("`{one}` and `{other}` are the same: write one of them"));
            }
        }
        if reader.text("wait-for-service-stability") == "false" {
            reader.wrong("`wait-for-service-stability: false` is not possible: a step that does not wait cannot say that it went back");
        } else {
            let _true = reader.truth("wait-for-service-stability");
        }
        let count = |text: &str| text.parse().ok().filter(|count| (1..=TASKS_MAX).contains(count));
        let tasks = reader.some("desired-count");
        let tasks = tasks.map(|_| reader.parse("desired-count", 1, "a number from 1 to 5000", count));
        let percents = percents(&mut reader);
        let pair = pair(&mut reader);
        for name in ["listener-rule", "test-listener-rule"] {
            let is_listener = |arn: &Arn| arn.resource().starts_with("listener");
            let read = |arn: &str| Arn::of(arn, "elasticloadbalancing", LISTENER).ok().filter(is_listener);
            if let Some(arn) = reader.some(name).filter(|arn| read(arn).is_none()) {
                reader
                    .wrong(format!("`{name}: {arn}` is no ARN of a listener or of a rule of one, such as {LISTENER}"));
            }
        }
        if let Some(image) = reader.some("image").filter(|image| !is_pinned(image)) {
            reader.wrong(format!(
                "`image: {image}` is a tag, which may be another image now than when it was scanned: write HOST/NAME@sha256:…, such \
                 as `${{{{ steps.push.outputs.image }}}}`"
            ));
        }
        let wish = Self {
            strategy: Strategy::read(&reader.text("strategy")).unwrap_or(Strategy::Weighted),
            cluster: reader.text("cluster"),
            service: reader.text("service"),
            image: reader.some("image"),
            container: reader.some("container-name"),
            alarms: reader.lines("alarms", &[',', '\n']),
            url: reader.text("url"),
            test_url: reader.some("test-url"),
            // As they are written: what nobody wrote has no default here.
            texts: INPUTS.iter().map(|input| (input.name, text(input.name).trim().to_owned())).collect(),
            pair,
            tasks,
            percents,
            course,
        };
        if together {
            wish.fits().into_iter().for_each(|wrong| reader.wrong(wrong.to_string()));
        }
        reader.end(wish)
    }

    /// An input by its name, without blanks around it; empty: not written.
    pub(super) fn text(&self, name: &str) -> &str {
        self.texts.get(name).map_or("", String::as_str)
    }

    /// What does not fit together.
    fn fits(&self) -> Vec<Wrong> {
        let written = INPUTS.iter().map(|input| input.name).filter(|name| !self.text(name).is_empty());
        let foreign = written.filter_map(|name| foreign(name, self.strategy));
        foreign.chain(self.strategy.way().check(self)).collect()
    }
}

/// Why an input that is written is not for a strategy, if it is not.
pub(super) fn foreign(name: &str, strategy: Strategy) -> Option<Wrong> {
    let word = strategy.word();
    if let Some((_, of)) = ONLY.iter().find(|(known, of)| *known == name && !of.contains(&strategy)) {
        let of = of.iter().map(|one| format!("`{}`", one.word())).collect::<Vec<_>>().join(" and ");
        return Some(Wrong::new(format!("`{name}` is for strategy {of}, and this one is `{word}`")));
    }
    let (_, why) = NOT_ROLLING.iter().find(|(known, _)| *known == name && strategy == Strategy::Rolling)?;
    Some(Wrong::new(format!("`{name}` is not for `{word}`: {why}")))
}

/// Whether an image is named by its digest.
pub(super) fn is_pinned(image: &str) -> bool {
    let digest = image.split_once("@sha256:").map(|(_, hex)| hex);
    digest.is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn first(texts: [String; 3]) -> String {
    texts.into_iter().find(|text| !text.trim().is_empty()).unwrap_or_default()
}

/// CloudWatch has a percentile of each minute and no times of single requests, and shares of two populations cannot be made of those:
/// so nothing sound can be said of them.
fn metrics(reader: &mut Reader<'_>, course: &mut Course) {
    let is_written = reader.text("analysis").contains("metrics");
    if !is_written {
        course.analysis.metrics.retain(|metric| *metric != Metric::LatencyP95);
    } else if course.analysis.metrics.contains(&Metric::LatencyP95) {
        reader.wrong(
            "`analysis`: `latency-p95` cannot be compared on ECS: CloudWatch gives percentiles of whole minutes and no times of \
             requests. Leave it out of `metrics` and put an alarm on TargetResponseTime of each target group into `alarms`",
        );
    }
}

/// As ECS takes them: of a service with tasks of which as many run as are wanted.
fn percents(reader: &mut Reader<'_>) -> [Option<u32>; 2] {
    let mut percent = |name: &str, least: u32, most: u32| {
        reader.some(name)?;
        let read = |text: &str| text.parse().ok().filter(|percent| (least..=most).contains(percent));
        Some(reader.parse(name, most, &format!("a percentage from {least} to {most}"), read))
    };
    [percent("minimum-healthy-percent", 0, 100), percent("maximum-percent", 100, 200)]
}

fn pair(reader: &mut Reader<'_>) -> Pair {
    let service = reader.text("service");
    let usual = || Pair::Services([format!("{service}-a"), format!("{service}-b")]);
    let written = reader.lines("services", &[',', '\n']);
    match written.as_slice() {
        [] => usual(),
        [one] => Pair::TaskSets(one.clone()),
        [one, other] if one != other => Pair::Services([one.clone(), other.clone()]),
        _ => {
            reader.wrong(
                "`services` must be two different ECS services, with a comma between them, or one whose task sets take turns",
            );
            usual()
        }
    }
}

/// Why a count of tasks is not for these `services`, if it is not.
pub(super) fn uncounted(services: &str) -> Option<Wrong> {
    let names = services.split([',', '\n']).map(str::trim).filter(|name| !name.is_empty());
    (names.count() == 1).then(|| {
        Wrong::new(
            "`desired-count` is not for task sets: all of a service have its count, what stands too. Leave it out, and scale the \
             service itself (`aws ecs update-service --desired-count`)",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: &str = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:listener-rule/app/shop/50dc/f2f7/9683";
    const LEAST: [(&str, &str); 4] =
        [("task-definition", "taskdef.json"), ("cluster", "shop"), ("service", "orders"), ("listener-rule", RULE)];

    fn read(given: &[(&str, &str)]) -> Result<Wish, String> {
        let mut all: BTreeMap<&str, &str> = INPUTS.iter().map(|input| (input.name, input.default)).collect();
        all.extend(LEAST.iter().copied().chain(given.iter().copied()));
        Wish::read(&|name| all.get(name).copied().unwrap_or_default().to_owned())
    }

    #[test]
    fn the_least_that_is_written() {
        let wish = read(&[]).unwrap();
        assert_eq!(wish.pair, Pair::Services(["orders-a", "orders-b"].map(str::to_owned)));
        assert_eq!((wish.strategy, wish.tasks, wish.course.keep_blue.as_mins()), (Strategy::Weighted, None, 60));
        assert_eq!(wish.course.analysis.metrics, [Metric::Errors, Metric::Restarts]);
        // What nobody wrote is not taken for written, so that a strategy may have another usual time.
        assert_eq!((wish.text("keep-blue"), wish.text("timeout")), ("", ""));
    }

    #[test]
    fn what_is_written() {
        let wish = read(&[
            ("services", "blue, green"),
            ("termination-wait", "5m"),
            ("wait-for-minutes", "30"),
            ("alarms", "orders-5xx,orders-p95"),
            ("desired-count", "3"),
            ("analysis", "{ metrics: [restarts] }"),
        ]);
        let wish = wish.unwrap();
        assert_eq!(wish.pair, Pair::Services(["blue", "green"].map(str::to_owned)));
        assert_eq!((wish.course.keep_blue.as_mins(), wish.course.timeout.as_mins()), (5, 30));
        assert_eq!((wish.alarms.len(), wish.tasks), (2, Some(3)));
        assert_eq!(wish.course.analysis.metrics, [Metric::Restarts]);
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let error = read(&[
            ("image", "r.example/orders:1"),
            ("services", "orders,orders"),
            ("listener-rule", "orders"),
            ("desired-count", "0"),
            ("keep-blue", "1h"),
            ("termination-wait", "1h"),
            ("wait-for-service-stability", "false"),
            ("codedeploy-application", "shop"),
            ("analysis", "{ metrics: [errors, latency-p95] }"),
        ]);
        let error = error.unwrap_err();
        for expected in [
            "`image: r.example/orders:1` is a tag",
            "`services` must be two different ECS services",
            "`listener-rule: orders` is no ARN",
            "`desired-count: 0` is not a number from 1 to 5000",
            "`keep-blue` and `termination-wait` are the same",
            "`wait-for-service-stability: false` is not possible",
            "`codedeploy-application` is for strategy `codedeploy`, and this one is `weighted`",
            "`latency-p95` cannot be compared on ECS",
        ] {
            assert!(error.contains(expected), "{expected}\n{error}");
        }
        let wish = read(&[("services", "orders")]).unwrap();
        assert_eq!(wish.pair, Pair::TaskSets("orders".to_owned()));
        let counted = read(&[("services", "orders"), ("desired-count", "2")]).unwrap_err();
        assert!(counted.contains("`desired-count` is not for task sets"), "{counted}");
        let none = read(&[("listener-rule", "")]).unwrap_err();
        assert!(none.contains("`listener-rule` is needed"), "{none}");
    }
}
