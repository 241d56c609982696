//! Refusals as AWS words them: a code, a message, and whose fault it is by the status.

use serde_json::Value;

/// What an operation gives.
pub(crate) type Answer = Result<Value, AwsError>;

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AwsError {
    /// The exception's name, as the service's reference has it.
    pub(crate) code: String,
    /// What people read.
    pub(crate) message: String,
    /// Of HTTP.
    pub(crate) status: u16,
}

impl AwsError {
    /// The caller's fault.
    pub(crate) fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), status: 400 }
    }

    /// With another status than 400.
    pub(crate) fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// A parameter is missing or wrong, in the words of the services that speak JSON.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterException", message)
    }

    /// This operation is none that the fake knows. Named, so that a test does not take it for AWS's own refusal.
    pub(crate) fn unknown(service: &str, operation: &str) -> Self {
        Self::new("UnknownOperationException", format!("fake-aws does not have {service}.{operation}"))
    }
}

/// Shorthand for a refusal.
pub(crate) fn refuse<T>(code: &str, message: impl Into<String>) -> Result<T, AwsError> {
    Err(AwsError::new(code, message))
}
