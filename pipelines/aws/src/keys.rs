//! Keys of AWS: what they are, how they are shown (never), and when they end.

use std::fmt;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;

use crate::AccessError;

/// The variables of keys, as the SDKs and the command line of AWS have them:
/// <https://docs.aws.amazon.com/sdkref/latest/guide/environment-variables.html>.
pub(crate) const KEY_ID: &str = "AWS_ACCESS_KEY_ID";
pub(crate) const KEY: &str = "AWS_SECRET_ACCESS_KEY";
pub(crate) const SESSION: &str = "AWS_SESSION_TOKEN";
/// The variable that says when keys end: `ASIA… 2026-01-02T03:04:05Z`. With their id, since a later step may set other keys.
pub const KEYS_END: &str = "PIPE_AWS_KEYS_END";
/// The variable that says whose keys they are: `ASIA… arn:aws:iam::123456789012:role/ci/deploy`. A session's own ARN has the role's name
/// without its path.
pub const KEYS_ROLE: &str = "PIPE_AWS_KEYS_ROLE";

/// Credentials: an id, a secret, and a token where they are temporary.
#[derive(Clone)]
pub struct Keys {
    inner: Credentials,
    from: &'static str,
}

impl Keys {
    /// Of these parts; `from` says where they were found, for people.
    #[must_use]
    pub fn new(
        id: impl Into<String>,
        secret: impl Into<String>,
        session: Option<String>,
        expires: Option<SystemTime>,
        from: &'static str,
    ) -> Self {
        Self { inner: Credentials::new(id, secret, session, expires, from), from }
    }

    /// Those of variables, of which `variable` gives the values.
    ///
    /// # Errors
    /// There is none, or half of one.
    pub fn of<'a>(variable: impl Fn(&str) -> Option<&'a str>) -> Result<Self, AccessError> {
        let set = |name: &str| variable(name).map(str::trim).filter(|value| !value.is_empty());
        match (set(KEY_ID), set(KEY)) {
            (Some(id), Some(key)) => {
                let end = set(KEYS_END).and_then(|text| text.strip_prefix(id)?.trim().parse::<jiff::Timestamp>().ok());
                Ok(Self::new(id, key, set(SESSION).map(str::to_owned), end.map(SystemTime::from), "step"))
            }
            (None, None) => Err(AccessError::NoCredentials),
            (None, Some(_)) => Err(AccessError::HalfAKey { missing: KEY_ID }),
            (Some(_), None) => Err(AccessError::HalfAKey { missing: KEY }),
        }
    }

    /// The key's id, which is no secret.
    #[must_use]
    pub fn id(&self) -> &str {
        self.inner.access_key_id()
    }

    /// The secret. Whoever asks for it keeps it out of logs.
    #[must_use]
    pub fn secret(&self) -> &str {
        self.inner.secret_access_key()
    }

    /// The token of temporary keys, which is a secret too.
    #[must_use]
    pub fn session(&self) -> Option<&str> {
        self.inner.session_token()
    }

    /// When they end, where that is known.
    #[must_use]
    pub fn expires(&self) -> Option<SystemTime> {
        self.inner.expiry()
    }

    /// Whether they last for so long from now on; keys whose end is not known are taken to.
    #[must_use]
    pub fn last_for(&self, time: Duration) -> bool {
        self.expires().is_none_or(|end| end.duration_since(SystemTime::now()).is_ok_and(|left| left >= time))
    }

    /// Where they were found: `step`, `profile` and so on.
    #[must_use]
    pub const fn from(&self) -> &'static str {
        self.from
    }

    pub(crate) const fn credentials(&self) -> &Credentials {
        &self.inner
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("id", &self.id()).field("from", &self.from).finish_non_exhaustive()
    }
}
