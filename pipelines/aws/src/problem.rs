//! Failures of calls, in words: whose fault it is, and what to do.

use std::error::Error;
use std::time::Duration;

use aws_sdk_sns::config::http::HttpResponse;
use aws_sdk_sns::error::{ProvideErrorMetadata, SdkError};

/// Longest part of what AWS says that is shown, in characters.
const SAID_MAX: usize = 300;

/// Whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The credentials: none, expired, unknown.
    Credentials,
    /// What they may do.
    Permission,
    /// The clock of this machine.
    Clock,
    /// What was asked for, or what was set up at AWS.
    Request,
    /// AWS, which is busy or broken.
    Aws,
    /// The way there.
    Network,
}

/// Why a call did not do what it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong and what to do.
    pub words: String,
    /// Whether the same call may go well later.
    pub is_for_now: bool,
    /// How long AWS asks to be left alone.
    pub after: Option<Duration>,
    /// Whether it may have been done: nobody heard the answer.
    pub is_uncertain: bool,
    /// AWS's own name for it, such as `ThrottlingException`; empty where AWS said nothing.
    pub code: String,
    /// Whose fault it is.
    pub fault: Fault,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.words)
    }
}

impl Error for Problem {}

/// What was asked of AWS, for the words.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// As policies name it, such as `sns:Publish`.
    pub(crate) action: &'a str,
    /// The ARN that it was for.
    pub(crate) resource: &'a str,
    /// Where that is.
    pub(crate) region: &'a str,
}

/// An answer that no SDK has read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) after: Option<Duration>,
}

impl Problem {
    pub(crate) fn of<E>(error: &SdkError<E, HttpResponse>, asked: Asked<'_>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let for_now = |words: String, is_uncertain: bool| Self {
            words,
            is_for_now: true,
            is_uncertain,
            after: None,
            code: String::new(),
            fault: Fault::Network,
        };
        match error {
            SdkError::ServiceError(said) => Self::said(said.err(), said.raw(), asked),
            SdkError::TimeoutError(_) => {
                for_now("AWS did not answer in time; whether it was done is not known".to_owned(), true)
            }
            SdkError::DispatchFailure(failure) => {
                let error = failure.as_connector_error();
                let why = chain_of(error.map(|error| error as &dyn Error));
                // A connection that was never made carried nothing.
                let was_refused = why.contains("refused") || why.contains("dns error");
                for_now(format!("AWS was not reached: {why}"), !was_refused)
            }
            SdkError::ResponseError(_) => for_now("AWS gave an answer that is not understood".to_owned(), true),
            SdkError::ConstructionFailure(_) | _ => Self::unmade(error),
        }
    }

    /// Something of the call cannot be written.
    pub(crate) fn unmade(error: &dyn Error) -> Self {
        Self::plain(Fault::Request, format!("the call could not be made: {}", chain_of(Some(error))))
    }

    /// One that stays, which is not AWS's own.
    #[must_use]
    pub fn plain(fault: Fault, words: impl Into<String>) -> Self {
        let (words, code) = (words.into(), String::new());
        Self { words, is_for_now: false, after: None, is_uncertain: false, code, fault }
    }

    /// Whether AWS calls it that.
    #[must_use]
    pub fn is(&self, code: &str) -> bool {
        self.code == code
    }

    fn said(error: &impl ProvideErrorMetadata, raw: &HttpResponse, asked: Asked<'_>) -> Self {
        let after = raw.headers().get("retry-after").and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
        let (code, message) = (error.code().unwrap_or_default(), error.message().unwrap_or_default());
        Self::worded(code, message, raw.status().as_u16(), after, asked)
    }

    /// An answer that says no, in JSON.
    pub(crate) fn of_answer(answer: &Answer, asked: Asked<'_>) -> Self {
        let json: serde_json::Value = serde_json::from_str(&answer.body).unwrap_or_default();
        let text = |names: [&str; 2]| names.iter().find_map(|name| json.get(*name)?.as_str()).unwrap_or_default();
        // `com.amazonaws.monitoring#Throttling`
        let code = text(["__type", "code"]);
        let code = code.rsplit_once('#').map_or(code, |(_, code)| code);
        Self::worded(code, text(["message", "Message"]), answer.status, answer.after, asked)
    }

    /// No answer, to a call that changes nothing.
    pub(crate) fn of_way<E: Error + 'static>(error: &SdkError<E, HttpResponse>) -> Self {
        let words = format!("AWS was not reached: {}", chain_of(Some(error)));
        Self { is_for_now: true, ..Self::plain(Fault::Network, words) }
    }

    fn worded(code: &str, message: &str, status: u16, after: Option<Duration>, asked: Asked<'_>) -> Self {
        let message: String = message.chars().take(SAID_MAX).collect();
        let is_for_now = is_throttling(code) || status >= 500 || status == 429;
        let Asked { action, resource, region } = asked;
        let meaning = meaning(code, &message);
        let fault = if is_for_now { Fault::Aws } else { meaning.fault() };
        let words = match meaning {
            _ if is_for_now => "AWS asks to come back later".to_owned(),
            Meaning::Expired => "the credentials have expired: get new ones in the job that uses them".to_owned(),
            Meaning::Clock => "the clocks of this machine and of AWS differ: set this machine's by NTP".to_owned(),
            Meaning::UnknownKey => {
                "AWS does not know the access key: it was deleted, or belongs to another partition".to_owned()
            }
            Meaning::WrongKey => "the secret key does not belong to the key's id: set both again".to_owned(),
            Meaning::Denied => format!("the credentials may not do `{action}` on {resource}: allow it in their policy"),
            Meaning::Missing => format!("{resource} does not exist in {region}: check its name, account and region"),
            Meaning::Other => format!("AWS refused `{action}` on {resource}"),
        };
        let said = match (code, message.trim()) {
            ("", "") => format!("status {status}"),
            (code, "") => code.to_owned(),
            ("", message) => message.to_owned(),
            (code, message) => format!("{code}: {message}"),
        };
        let is_uncertain = status >= 500 && !is_throttling(code);
        Self { words: format!("{words} ({said})"), is_for_now, after, is_uncertain, code: code.to_owned(), fault }
    }
}

/// What codes of errors come down to. Services name the same thing differently:
/// <https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html>.
enum Meaning {
    Expired,
    Clock,
    UnknownKey,
    WrongKey,
    Denied,
    Missing,
    Other,
}

impl Meaning {
    const fn fault(&self) -> Fault {
        match self {
            Self::Expired | Self::UnknownKey | Self::WrongKey => Fault::Credentials,
            Self::Clock => Fault::Clock,
            Self::Denied => Fault::Permission,
            Self::Missing | Self::Other => Fault::Request,
        }
    }
}

fn meaning(code: &str, message: &str) -> Meaning {
    let is_clock = ["Signature expired", "not yet current", "clock"].iter().any(|part| message.contains(part));
    match code {
        "RequestTimeTooSkewed" | "RequestInTheFuture" => Meaning::Clock,
        "SignatureDoesNotMatch" | "InvalidSignatureException" | "RequestExpired" | "InvalidSecurity" if is_clock => {
            Meaning::Clock
        }
        "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => Meaning::Expired,
        "InvalidClientTokenId" | "UnrecognizedClientException" | "InvalidAccessKeyId" | "AuthFailure" => {
            Meaning::UnknownKey
        }
        "SignatureDoesNotMatch" | "InvalidSignatureException" | "InvalidSecurity" | "IncompleteSignature" => {
            Meaning::WrongKey
        }
        "AccessDenied"
        | "AccessDeniedException"
        | "AuthorizationError"
        | "UnauthorizedOperation"
        | "KMSAccessDenied" => Meaning::Denied,
        "NotFound"
        | "NotFoundException"
        | "ResourceNotFoundException"
        | "RepositoryNotFoundException"
        | "ImageNotFoundException"
        | "ClusterNotFoundException"
        | "ServiceNotFoundException"
        | "TargetGroupNotFound"
        | "ListenerNotFound"
        | "RuleNotFound"
        | "ApplicationDoesNotExistException"
        | "DeploymentGroupDoesNotExistException"
        | "DeploymentConfigDoesNotExistException"
        | "DeploymentDoesNotExistException" => Meaning::Missing,
        _ => Meaning::Other,
    }
}

fn is_throttling(code: &str) -> bool {
    matches!(
        code,
        "Throttling"
            | "ThrottlingException"
            | "ThrottledException"
            | "Throttled"
            | "KMSThrottling"
            | "TooManyRequestsException"
            | "RequestLimitExceeded"
            | "RequestThrottled"
            | "PriorRequestNotComplete"
            | "SlowDown"
    )
}

/// An error with its causes, each once.
pub(crate) fn chain_of(error: Option<&dyn Error>) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut next = error;
    while let Some(error) = next {
        let text = error.to_string();
        if !words.iter().any(|known| known.contains(&text)) {
            words.push(text);
        }
        next = error.source();
    }
    if words.is_empty() { "the reason is not known".to_owned() } else { words.join(": ") }
}
