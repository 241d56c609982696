//! What goes wrong on purpose, and the journal of all calls.

use std::time::Duration;

use serde_json::{Value, json};

use crate::clock::span;
use crate::error::AwsError;
use crate::sts::is_like;
use crate::value::Time;

/// What happens to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The call takes effect, and its caller never hears of it.
    DropResponse,
    /// The connection ends before the call takes effect.
    DropRequest,
    /// `InternalError`, status 500; nothing has happened.
    Http500,
    /// `ThrottlingException`.
    Throttle,
    /// The answer takes so long.
    Delay(Duration),
    /// The session's token is over.
    ExpiredToken,
    /// The caller may not do this.
    AccessDenied,
}

impl Fault {
    fn read(text: &str) -> Option<Self> {
        Some(match text {
            "drop-response" => Self::DropResponse,
            "drop-request" => Self::DropRequest,
            "http500" => Self::Http500,
            "throttle" => Self::Throttle,
            "expired-token" => Self::ExpiredToken,
            "access-denied" => Self::AccessDenied,
            other => {
                let millis = span(other.strip_prefix("delay:")?)?;
                Self::Delay(Duration::from_millis(u64::try_from(millis).ok()?))
            }
        })
    }

    fn name(&self) -> &'static str {
        match self {
            Self::DropResponse => "drop-response",
            Self::DropRequest => "drop-request",
            Self::Http500 => "http500",
            Self::Throttle => "throttle",
            Self::Delay(_) => "delay",
            Self::ExpiredToken => "expired-token",
            Self::AccessDenied => "access-denied",
        }
    }
}

/// Calls that something happens to.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pattern: String,
    /// Which of the calls that match, from 1; 0 for all of them.
    nth: u64,
    seen: u64,
    fault: Fault,
}

/// Rules that stand.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    rules: Vec<Rule>,
}

impl Faults {
    pub(crate) fn add(&mut self, pattern: &str, nth: u64, fault: Fault) {
        self.rules.push(Rule { pattern: pattern.to_owned(), nth, seen: 0, fault });
    }

    /// Takes rules as they are posted: one, or a list.
    ///
    /// # Errors
    /// One of them is not understood; none is kept then.
    pub(crate) fn post(&mut self, posted: &Value) -> Result<usize, String> {
        let all = posted.as_array().cloned().unwrap_or_else(|| vec![posted.clone()]);
        let mut rules = Vec::new();
        for one in &all {
            let pattern = one["match"]
                .as_str()
                .ok_or_else(|| format!("`match` is missing in {one}: Service.Operation, with * and ?"))?;
            let what = one["do"].as_str().unwrap_or_default();
            let fault = Fault::read(what).ok_or_else(|| {
                format!("`do` is `{what}`, none of drop-response, drop-request, http500, throttle, delay:3s, expired-token, access-denied")
            })?;
            rules.push(Rule { pattern: pattern.to_owned(), nth: one["nth"].as_u64().unwrap_or(1), seen: 0, fault });
        }
        self.rules.append(&mut rules);
        Ok(all.len())
    }

    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    /// What happens to this call. Every rule that matches counts it.
    pub(crate) fn of(&mut self, call: &str) -> Option<Fault> {
        let mut found = None;
        for rule in self.rules.iter_mut().filter(|rule| is_like(call, &rule.pattern)) {
            rule.seen += 1;
            if rule.nth == 0 || rule.nth == rule.seen {
                found = found.or_else(|| Some(rule.fault.clone()));
            }
        }
        found
    }
}

/// A refusal that a fault stands for.
pub(crate) fn refusal(fault: &Fault, call: &str, caller: &str, is_query: bool) -> Option<AwsError> {
    match fault {
        Fault::Http500 => Some(
            AwsError::new("InternalFailure", "The request processing has failed because of an unknown error.")
                .with_status(500),
        ),
        Fault::Throttle => Some(AwsError::new("ThrottlingException", "Rate exceeded")),
        Fault::ExpiredToken => {
            let code = if is_query { "ExpiredToken" } else { "ExpiredTokenException" };
            let status = if is_query { 403 } else { 400 };
            Some(AwsError::new(code, "The security token included in the request is expired").with_status(status))
        }
        Fault::AccessDenied => {
            let (service, operation) = call.split_once('.').unwrap_or((call, ""));
            let prefix = match service {
                "ELBv2" => "elasticloadbalancing".to_owned(),
                other => other.to_lowercase(),
            };
            let message = format!(
                "User: {caller} is not authorized to perform: {prefix}:{operation} on resource: * because no identity-based policy allows the {prefix}:{operation} action"
            );
            let status = if is_query { 403 } else { 400 };
            Some(AwsError::new("AccessDeniedException", message).with_status(status))
        }
        Fault::DropResponse | Fault::DropRequest | Fault::Delay(_) => None,
    }
}

/// A call, as it is remembered.
#[derive(Debug, Clone)]
pub struct Call {
    /// From 1.
    pub number: u64,
    /// By the virtual clock, in milliseconds since 1970.
    pub at: Time,
    /// `ECS`, `CodeDeploy`, `ELBv2`, `ECR`, `CloudWatch`, `STS`, `IAM`.
    pub service: String,
    /// As AWS names it.
    pub operation: String,
    /// Where it went.
    pub region: String,
    /// What it brought.
    pub input: Value,
    /// Of HTTP; 0 if its caller got no answer.
    pub status: u16,
    /// The exception's name, if it was refused.
    pub error: Option<String>,
    /// What was done to it.
    pub fault: Option<String>,
    /// Whether it took effect, or would have if it were no question.
    pub is_done: bool,
}

impl Call {
    /// As the journal shows it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "number": self.number, "at": self.at, "service": self.service, "operation": self.operation,
            "region": self.region, "input": self.input, "status": self.status, "error": self.error, "fault": self.fault,
            "done": self.is_done,
        })
    }
}

/// All calls.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    pub(crate) calls: Vec<Call>,
}

impl Journal {
    pub(crate) fn add(&mut self, call: Call) {
        let number = self.calls.len() as u64 + 1;
        self.calls.push(Call { number, ..call });
    }
}

/// The name of a fault, for the journal.
pub(crate) fn fault_name(fault: Option<&Fault>) -> Option<String> {
    fault.map(|fault| fault.name().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_meet_the_calls_that_they_name() {
        let mut faults = Faults::default();
        let posted = json!([
            { "match": "CodeDeploy.CreateDeployment", "nth": 2, "do": "drop-response" },
            { "match": "ECS.*", "nth": 0, "do": "delay:3s" },
        ]);
        assert_eq!(faults.post(&posted), Ok(2));
        assert_eq!(faults.of("CodeDeploy.CreateDeployment"), None);
        assert_eq!(faults.of("CodeDeploy.CreateDeployment"), Some(Fault::DropResponse));
        assert_eq!(faults.of("CodeDeploy.CreateDeployment"), None);
        for _ in 0..2 {
            assert_eq!(faults.of("ECS.RunTask"), Some(Fault::Delay(Duration::from_secs(3))));
        }
        assert!(faults.post(&json!({ "match": "ECS.*", "do": "explode" })).unwrap_err().contains("none of"));
        assert!(faults.post(&json!({ "do": "http500" })).unwrap_err().contains("`match` is missing"));
    }
}
