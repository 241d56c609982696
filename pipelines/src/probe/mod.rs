//! A visit to a running service: makes the requests that [`scanners::probe`] asks for, within bounds, and gives the verdict of the gate.
//!
//! Goes nowhere but to the host of the address that it was given: redirects are answers, and links are asked for below that address.

mod order;

use std::time::Instant;

use engine::outbound::Asker;
use hyper::Method;
use jiff::Timestamp;
use scanners::case::Case;
use scanners::package::Inventory;
use scanners::policy::{Policy, Warning};
use scanners::probe::{Answer, Api, Probe, Question, Service};

pub(crate) use self::order::{Description, NAMES, Order, Wish};

use crate::scan::Scanned;

/// What is read of an answer.
const BODY_BYTES_MAX: usize = 1 << 20;

/// What a visit gave.
#[derive(Debug)]
pub(crate) struct Visited {
    /// Findings and verdict.
    pub(crate) scanned: Scanned,
    /// Requests.
    pub(crate) asked: usize,
    /// Operations of the description that were asked for.
    pub(crate) operations: usize,
}

impl Visited {
    /// `Asked 61 times in 1.2 s, 4 operations among it`.
    #[must_use]
    pub(crate) fn sentence(&self, begun: Instant) -> String {
        let operations = match self.operations {
            0 => String::new(),
            1 => ", for one operation of its description too".to_owned(),
            many => format!(", for {many} operations of its description too"),
        };
        format!("Asked {} times in {:.1} s{operations}", self.asked, begun.elapsed().as_secs_f64())
    }
}

/// Visits a service. What could not be asked makes the verdict untrusted.
///
/// # Errors
/// There is no way to ask at all; a sentence.
pub(crate) async fn visit(order: &Order) -> Result<Visited, String> {
    let time = order.request_time;
    let asker = Asker::visiting(time, BODY_BYTES_MAX).map_err(|error| format!("cannot {error}"))?;
    let begun = Instant::now();
    let mut doubts = Vec::new();
    let mut warnings = Vec::new();
    let api = match description(&asker, order).await {
        Ok(api) => api,
        Err(doubt) => {
            doubts.push(doubt);
            None
        }
    };
    let operations = api.as_ref().map_or(0, |api| if order.is_free { api.operations().0 } else { api.operations().1 });
    if api.is_some() && operations == 0 {
        doubts.push("the description of the API has no operation that may be asked for; see `methods`".to_owned());
    }
    let service = Service {
        is_tls: order.url.is_tls,
        base: order.base().to_owned(),
        is_free: order.is_free,
        has_credentials: order.has_credentials(),
    };
    let mut probe = Probe::new(service, api);
    while probe.asked() < order.requests_max
        && let Some(question) = probe.ask()
    {
        let left = order.time.saturating_sub(begun.elapsed());
        let asked = tokio::time::timeout(left, ask(&asker, order, &question)).await;
        let Ok(answered) = asked else {
            let left = probe.left() + 1;
            doubts.push(format!(
                "{left} questions were left when {} s were over; see `timeout`",
                order.time.as_secs_f64()
            ));
            break;
        };
        match answered {
            Ok(answer) => probe.answered(&question, &answer),
            Err(why) if probe.asked() == 1 => {
                doubts.push(format!("{} does not answer: {why}", order.url));
                break;
            }
            Err(why) => probe.unanswered(&question, &why),
        }
    }
    if probe.asked() >= order.requests_max && probe.left() > 0 {
        let message = format!("{} questions were not asked: `max-requests` is {}", probe.left(), order.requests_max);
        warnings.push(Warning { message, file: None, line: None });
    }
    let asked = probe.asked();
    Ok(Visited { scanned: judged(order, probe, doubts, warnings), asked, operations })
}

/// By the same gate as everything else.
fn judged(order: &Order, probe: Probe, doubts: Vec<String>, warnings: Vec<Warning>) -> Scanned {
    let inventory = Inventory { target: order.url.to_string(), ..Inventory::default() };
    let mut case = Case::new(inventory, policy(&order.policy));
    (case.findings, case.doubts, case.warnings) = (probe.end(), doubts, warnings);
    let (findings, verdict) = case.judge(Err("nobody asked for them"), Timestamp::now());
    case.note(&verdict);
    Scanned { case, findings, verdict, is_of_daemon: false }
}

/// What a policy says of services: exceptions for packages, baselines of images and the like would be about nothing here, which is
/// something to warn of elsewhere.
fn policy(policy: &Policy) -> Policy {
    let mut policy = policy.clone();
    policy.ignores.retain(|one| {
        let id = one.id.to_ascii_lowercase();
        id.starts_with("probe-") || id.starts_with("zap-")
    });
    (policy.baseline, policy.coverage) = (None, None);
    policy.vex.clear();
    policy
}

async fn description(asker: &Asker, order: &Order) -> Result<Option<Api>, String> {
    let (name, bytes) = match &order.description {
        Description::None => return Ok(None),
        Description::Text { name, bytes } => (name.clone(), bytes.clone()),
        Description::Served(path) => {
            let url = format!("{}{}{path}", order.origin(), order.base());
            let answer = asker.ask(Method::GET, &url, &order.headers(&[]), Vec::new()).await;
            let cannot = |why: &str| Err(format!("the description of the API at {url} cannot be read: {why}"));
            match answer {
                Ok(answer) if answer.status != 200 => return cannot(&format!("HTTP {}", answer.status)),
                Ok(answer) if answer.is_cut => return cannot(&format!("it is longer than {BODY_BYTES_MAX} bytes")),
                Ok(answer) => (url, answer.body.to_vec()),
                Err(why) => return cannot(&why),
            }
        }
    };
    let api =
        Api::read(&bytes).map_err(|error| format!("the description of the API {name} cannot be used: {error}"))?;
    Ok(Some(api))
}

async fn ask(asker: &Asker, order: &Order, question: &Question) -> Result<Answer, String> {
    let method = Method::from_bytes(question.method.as_bytes()).map_err(|error| error.to_string())?;
    let url = format!("{}{}", order.origin(), question.path);
    let body = question.body.clone().unwrap_or_default().into_bytes();
    let answer = asker.ask(method, &url, &order.headers(&question.headers), body).await?;
    let headers = answer.headers().map(|(name, value)| (name.to_owned(), value)).collect();
    Ok(Answer { status: answer.status, headers, is_cut: answer.is_cut, body: answer.body.into() })
}
