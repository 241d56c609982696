//! Whose credentials are used, and where AWS is.

use std::fmt;

use aws_credential_types::Credentials;

use crate::Keys;
use crate::keys::{KEY, KEY_ID, SESSION};

const ENDPOINT: &str = "AWS_ENDPOINT_URL";
const ENDPOINTS_IGNORED: &str = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS";
const REGIONS: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];

/// Credentials, and the address of a service where it is not AWS's own.
#[derive(Clone)]
pub struct Access {
    keys: Keys,
    endpoint: Option<String>,
}

/// Why there is no access.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessError {
    /// No variable with a key.
    NoCredentials,
    /// One of the two is missing or empty.
    HalfAKey {
        /// Which.
        missing: &'static str,
    },
    /// Nobody says where.
    NoRegion,
    /// What is said is none.
    Region(String),
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCredentials => write!(
                f,
                "the step has no credentials of AWS: give it {KEY_ID} and {KEY} in `env` (with {SESSION} where they are \
                 temporary), out of secrets, or put a step in front that sets them"
            ),
            Self::HalfAKey { missing } => write!(f, "{missing} is not set or empty; a secret that is not set is empty"),
            Self::NoRegion => write!(
                f,
                "no region of AWS is named: write `aws-region` at the step, or set {} in `env`, such as `eu-central-1`",
                REGIONS[0]
            ),
            Self::Region(text) => write!(f, "`{text}` is no region of AWS, such as `eu-central-1`"),
        }
    }
}

impl std::error::Error for AccessError {}

impl Access {
    /// Of a step: `variable` answers with the value of a variable. `service` is the end of the variable of its own address,
    /// such as `SNS` of `AWS_ENDPOINT_URL_SNS`.
    ///
    /// # Errors
    /// The step has no whole key.
    pub fn of<'a>(variable: impl Fn(&str) -> Option<&'a str>, service: &str) -> Result<Self, AccessError> {
        Ok(Self { keys: Keys::of(&variable)?, endpoint: endpoint(variable, service) })
    }

    /// The address that the step sets in place of AWS's own, not checked.
    #[must_use]
    pub fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }

    pub(crate) const fn credentials(&self) -> &Credentials {
        self.keys.credentials()
    }
}

impl fmt::Debug for Access {
    /// The key's id, which is no secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("key", &self.keys.id()).field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// The address of a service that variables set, as
/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html> has it.
pub(crate) fn endpoint<'a>(variable: impl Fn(&str) -> Option<&'a str>, service: &str) -> Option<String> {
    let set = |name: &str| variable(name).map(str::trim).filter(|value| !value.is_empty());
    let ignored = set(ENDPOINTS_IGNORED).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    set(&format!("{ENDPOINT}_{service}")).or_else(|| set(ENDPOINT)).filter(|_| !ignored).map(str::to_owned)
}

/// The region that is written, or that of the variables.
///
/// # Errors
/// There is none, or what is there is none.
pub fn region<'a>(written: Option<&str>, variable: impl Fn(&str) -> Option<&'a str>) -> Result<String, AccessError> {
    let set = |name: &&str| variable(name).map(str::trim).filter(|value| !value.is_empty());
    let written = written.map(str::trim).filter(|text| !text.is_empty());
    let text = written.or_else(|| REGIONS.iter().find_map(set)).ok_or(AccessError::NoRegion)?;
    if is_region(text) { Ok(text.to_owned()) } else { Err(AccessError::Region(text.to_owned())) }
}

/// Two letters, words, a number: `us-gov-west-1`.
fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let is_word = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    match parts.as_slice() {
        [first, words @ .., number] => {
            (2..=5).contains(&first.len())
                && is_word(first)
                && !words.is_empty()
                && words.iter().all(is_word)
                && !number.is_empty()
                && number.len() <= 2
                && number.bytes().all(|byte| byte.is_ascii_digit())
        }
        [] | [_] => false,
    }
}
