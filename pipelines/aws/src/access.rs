//! Whose credentials are used, and where AWS is.

use std::fmt;

use aws_credential_types::Credentials;

/// The variables of keys, as the SDKs and the command line of AWS have them:
/// <https://docs.aws.amazon.com/sdkref/latest/guide/environment-variables.html>.
const KEY_ID: &str = "AWS_ACCESS_KEY_ID";
const KEY: &str = "AWS_SECRET_ACCESS_KEY";
const SESSION: &str = "AWS_SESSION_TOKEN";
const ENDPOINT: &str = "AWS_ENDPOINT_URL";
const ENDPOINTS_IGNORED: &str = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS";

/// Credentials, and the address of a service where it is not AWS's own.
#[derive(Clone)]
pub struct Access {
    credentials: Credentials,
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
        let set = |name: &str| variable(name).map(str::trim).filter(|value| !value.is_empty());
        let (id, key) = match (set(KEY_ID), set(KEY)) {
            (Some(id), Some(key)) => (id, key),
            (None, None) => return Err(AccessError::NoCredentials),
            (None, Some(_)) => return Err(AccessError::HalfAKey { missing: KEY_ID }),
            (Some(_), None) => return Err(AccessError::HalfAKey { missing: KEY }),
        };
        let ignored = set(ENDPOINTS_IGNORED).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let endpoint = set(&format!("{ENDPOINT}_{service}")).or_else(|| set(ENDPOINT)).filter(|_| !ignored);
        Ok(Self {
            credentials: Credentials::new(id, key, set(SESSION).map(str::to_owned), None, "step"),
            endpoint: endpoint.map(str::to_owned),
        })
    }

    /// The address that the step sets in place of AWS's own, not checked.
    #[must_use]
    pub fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }

    pub(crate) const fn credentials(&self) -> &Credentials {
        &self.credentials
    }
}

impl fmt::Debug for Access {
    /// The key's id, which is no secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.credentials.access_key_id();
        f.debug_struct("Access").field("key", &id).field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}
