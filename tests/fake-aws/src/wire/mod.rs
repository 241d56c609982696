//! How calls come in and answers go out. Which protocol a service speaks is the caller's choice, as with AWS: JSON 1.0 and 1.1
//! (`X-Amz-Target`), query with XML answers, and Smithy's RPC v2 in CBOR.

mod cbor;
mod query;
pub(crate) mod signature;
mod xml;

use hyper::HeaderMap;
use serde_json::{Value, json};

use crate::error::AwsError;
use crate::value::{TIME_MARK, stamped, without_nulls};

/// A service that the fake has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Service {
    CodeDeploy,
    Ecs,
    Ecr,
    Elb,
    CloudWatch,
    Sts,
    Iam,
    Secrets,
    Parameters,
    Sns,
    Logs,
}

/// Names by which calls, signatures and tests know them: ours, of signatures, a beginning of the target.
const SERVICES: [(Service, &str, &str, &str); 11] = [
    (Service::CodeDeploy, "CodeDeploy", "codedeploy", "CodeDeploy_"),
    (Service::Ecs, "ECS", "ecs", "AmazonEC2ContainerService"),
    (Service::Ecr, "ECR", "ecr", "AmazonEC2ContainerRegistry"),
    (Service::Elb, "ELBv2", "elasticloadbalancing", "ElasticLoadBalancing"),
    (Service::CloudWatch, "CloudWatch", "monitoring", "GraniteService"),
    (Service::Sts, "STS", "sts", "AWSSecurityTokenService"),
    (Service::Iam, "IAM", "iam", "AWSIdentityManagement"),
    (Service::Secrets, "SecretsManager", "secretsmanager", "secretsmanager"),
    (Service::Parameters, "SSM", "ssm", "AmazonSSM"),
    (Service::Sns, "SNS", "sns", "AmazonSimpleNotificationService"),
    (Service::Logs, "Logs", "logs", "Logs_"),
];

impl Service {
    /// The name in faults and in the journal.
    pub(crate) fn name(self) -> &'static str {
        SERVICES.iter().find(|known| known.0 == self).map_or("?", |known| known.1)
    }

    /// By the name in faults and in the journal.
    pub(crate) fn by_name(name: &str) -> Option<Self> {
        SERVICES.iter().find(|known| known.1 == name).map(|known| known.0)
    }

    fn of_signature(name: &str) -> Option<Self> {
        SERVICES.iter().find(|known| known.2 == name).map(|known| known.0)
    }

    fn of_target(name: &str) -> Option<Self> {
        SERVICES.iter().find(|known| name.starts_with(known.3)).map(|known| known.0)
    }

    /// Namespace of the XML it answers.
    const fn namespace(self) -> &'static str {
        match self {
            Self::Elb => "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/",
            Self::CloudWatch => "http://monitoring.amazonaws.com/doc/2010-08-01/",
            Self::Iam => "https://iam.amazonaws.com/doc/2010-05-08/",
            Self::Sns => "http://sns.amazonaws.com/doc/2010-03-31/",
            Self::Sts | Self::CodeDeploy | Self::Ecs | Self::Ecr | Self::Secrets | Self::Parameters | Self::Logs => {
                "https://sts.amazonaws.com/doc/2011-06-15/"
            }
        }
    }
}

/// How it was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Json10,
    Json11,
    Query,
    Cbor,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) service: Service,
    pub(crate) operation: String,
    pub(crate) protocol: Protocol,
    pub(crate) input: Value,
}

/// An answer in bytes.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

/// Understands a call.
///
/// # Errors
/// Neither its target nor its path nor its form says which operation it is, or its body is broken.
pub(crate) fn read(path: &str, headers: &HeaderMap, body: &[u8]) -> Result<Asked, AwsError> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let parts: Vec<_> = path.trim_matches('/').split('/').collect();
    if let ["service", target, "operation", operation] = parts[..] {
        let service = Service::of_target(target).ok_or_else(|| AwsError::unknown(target, operation))?;
        let input = if body.is_empty() { json!({}) } else { cbor::read(body).map_err(broken)? };
        return Ok(Asked { service, operation: operation.to_owned(), protocol: Protocol::Cbor, input });
    }
    if let Some((target, operation)) = header("x-amz-target").rsplit_once('.') {
        let service = Service::of_target(target).ok_or_else(|| AwsError::unknown(target, operation))?;
        let input = if body.is_empty() { json!({}) } else { serde_json::from_slice(body).map_err(broken)? };
        let is_old = header("content-type").starts_with("application/x-amz-json-1.0");
        let protocol = if is_old { Protocol::Json10 } else { Protocol::Json11 };
        return Ok(Asked { service, operation: operation.to_owned(), protocol, input });
    }
    let input = query::read(body);
    let operation = input.get("Action").and_then(Value::as_str).unwrap_or_default().to_owned();
    let version = input.get("Version").and_then(Value::as_str).unwrap_or_default();
    let scope = signature::scope(header("authorization"));
    let service = scope.and_then(|scope| Service::of_signature(&scope.service)).or_else(|| of_version(version));
    match service {
        Some(service) if !operation.is_empty() => {
            let mut input = input;
            for key in ["Action", "Version"] {
                input.as_object_mut().map(|members| members.remove(key));
            }
            Ok(Asked { service, operation, protocol: Protocol::Query, input })
        }
        Some(_) | None => Err(AwsError::new("MissingAction", "the request names no operation that fake-aws knows")),
    }
}

/// Calls that are not signed say by their version whom they mean.
fn of_version(version: &str) -> Option<Service> {
    match version {
        "2011-06-15" => Some(Service::Sts),
        "2015-12-01" => Some(Service::Elb),
        "2010-08-01" => Some(Service::CloudWatch),
        "2010-05-08" => Some(Service::Iam),
        "2010-03-31" => Some(Service::Sns),
        _ => None,
    }
}

fn broken(error: impl std::fmt::Display) -> AwsError {
    AwsError::new("SerializationException", format!("the body cannot be read: {error}"))
}

/// Writes an answer in the protocol of its call.
pub(crate) fn write(asked: &Asked, answer: &Result<Value, AwsError>, request_id: &str) -> Written {
    let mut headers = vec![("x-amzn-requestid", request_id.to_owned())];
    let (status, body) = match answer {
        Ok(value) => (200, success(asked, without_nulls(value.clone()), request_id)),
        Err(error) => {
            headers.push(("x-amzn-errortype", error.code.clone()));
            if asked.service == Service::CloudWatch {
                // Clients of before know errors by these names.
                headers.push(("x-amzn-query-error", format!("{};Sender", error.code)));
            }
            (error.status, failure(asked.protocol, error, request_id))
        }
    };
    let content_type = match asked.protocol {
        Protocol::Json10 => "application/x-amz-json-1.0",
        Protocol::Json11 => "application/x-amz-json-1.1",
        Protocol::Query => "text/xml",
        Protocol::Cbor => {
            headers.push(("smithy-protocol", "rpc-v2-cbor".to_owned()));
            "application/cbor"
        }
    };
    headers.push(("content-type", content_type.to_owned()));
    Written { status, headers, body }
}

fn success(asked: &Asked, value: Value, request_id: &str) -> Vec<u8> {
    match asked.protocol {
        Protocol::Json10 | Protocol::Json11 => seconds(value).to_string().into_bytes(),
        Protocol::Cbor => cbor::write(&value),
        Protocol::Query => {
            let result = if matches!(asked.operation.as_str(), "PutMetricData" | "PutMetricAlarm") {
                String::new()
            } else {
                format!("<{0}Result>{1}</{0}Result>", asked.operation, xml::write(&value))
            };
            let metadata = format!("<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>");
            format!(
                "<{0}Response xmlns=\"{1}\">{result}{metadata}</{0}Response>",
                asked.operation,
                asked.service.namespace()
            )
            .into_bytes()
        }
    }
}

fn failure(protocol: Protocol, error: &AwsError, request_id: &str) -> Vec<u8> {
    let value = json!({ "__type": error.code, "message": error.message });
    match protocol {
        Protocol::Json10 | Protocol::Json11 => value.to_string().into_bytes(),
        Protocol::Cbor => cbor::write(&value),
        Protocol::Query => {
            let side = if error.status >= 500 { "Receiver" } else { "Sender" };
            let code = error.code.strip_suffix("Exception").filter(|_| error.code != "ExpiredTokenException");
            format!(
                "<ErrorResponse><Error><Type>{side}</Type><Code>{}</Code><Message>{}</Message></Error>\
                 <RequestId>{request_id}</RequestId></ErrorResponse>",
                code.unwrap_or(&error.code),
                xml::escape(&error.message)
            )
            .into_bytes()
        }
    }
}

/// Points in time as JSON has them: seconds since 1970.
pub(crate) fn seconds(value: Value) -> Value {
    if let Some(at) = stamped(&value) {
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of this millennium are exact in a double")]
        return json!(at as f64 / 1_000.0);
    }
    match value {
        Value::Object(members) => {
            debug_assert!(!members.contains_key(TIME_MARK), "a marked time has no other members");
            Value::Object(members.into_iter().map(|(key, value)| (key, seconds(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(seconds).collect()),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => other,
    }
}
