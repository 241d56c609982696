//! Keys: those that a test begins with, and those of sessions. A session ends by the machine's clock, as its holder sees it.

use serde_json::{Value, json};

use super::Role;
use crate::clock::machine_time;
use crate::error::{Answer, AwsError, refuse};
use crate::value::{SECOND, Time, stamp};
use crate::world::World;

/// Sessions may last so long; roles of AWS are asked up to 12 hours.
const DURATION_SECONDS: std::ops::RangeInclusive<i64> = 900..=43_200;
/// Unless they are asked otherwise.
const DURATION_USUAL: i64 = 3_600;

/// Who signed a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) arn: String,
    pub(crate) user_id: String,
    /// Where the call goes.
    pub(crate) region: String,
}

/// Keys that calls are signed with.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    pub(crate) secret: String,
    pub(crate) token: Option<String>,
    pub(crate) arn: String,
    pub(crate) user_id: String,
    /// By the machine's clock.
    pub(crate) expires: Option<Time>,
}

impl World {
    /// The keys of a call, if they may be used at all.
    ///
    /// # Errors
    /// Nobody has them, the session's token is missing or another one, or it has ended.
    pub(crate) fn credentials(
        &self,
        key: &str,
        token: &str,
        now: Time,
        is_query: bool,
    ) -> Result<&Credentials, AwsError> {
        let unknown = || {
            let code = if is_query { "InvalidClientTokenId" } else { "UnrecognizedClientException" };
            AwsError::new(code, "The security token included in the request is invalid.").with_status(403)
        };
        let found = self.identities.sessions.get(key).ok_or_else(unknown)?;
        if found.token.as_deref().unwrap_or_default() != token {
            return Err(unknown());
        }
        if found.expires.is_some_and(|at| at <= now) {
            let code = if is_query { "ExpiredToken" } else { "ExpiredTokenException" };
            let message = "The security token included in the request is expired";
            return Err(AwsError::new(code, message).with_status(if is_query { 403 } else { 400 }));
        }
        Ok(found)
    }

    /// Adds keys of a user.
    pub(crate) fn add_user(&mut self, name: &str, key: &str, secret: &str) {
        let credentials = Credentials {
            secret: secret.to_owned(),
            token: None,
            arn: format!("arn:aws:iam::{}:user/{name}", self.settings.account),
            user_id: format!("AIDA{}", self.ids.capitals(17)),
            expires: None,
        };
        self.identities.sessions.insert(key.to_owned(), credentials);
    }

    /// Ends sessions now: of one key, or of all roles.
    pub(crate) fn expire_sessions(&mut self, key: Option<&str>) -> usize {
        let mut ended = 0;
        for (known, session) in &mut self.identities.sessions {
            if key.map_or(session.token.is_some(), |key| key == known) {
                session.expires = Some(0);
                ended += 1;
            }
        }
        ended
    }

    pub(super) fn begin_session(&mut self, role: &Role, name: &str, seconds: Option<i64>) -> Answer {
        let seconds = seconds.unwrap_or(DURATION_USUAL);
        if !DURATION_SECONDS.contains(&seconds) {
            let message = format!(
                "1 validation error detected: Value '{seconds}' at 'durationSeconds' failed to satisfy constraint: Member \
                 must have value between 900 and 43200"
            );
            return refuse("ValidationError", message);
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || "+=,.@-_".contains(c);
        if !(2..=64).contains(&name.len()) || !name.chars().all(allowed) {
            let message = format!(
                "1 validation error detected: Value '{name}' at 'roleSessionName' failed to satisfy constraint: Member must \
                 satisfy regular expression pattern: [\\w+=,.@-]*"
            );
            return refuse("ValidationError", message);
        }
        let key = format!("ASIA{}", self.ids.capitals(16));
        let role_name = role.arn.rsplit('/').next().unwrap_or_default();
        let session = Credentials {
            secret: self.ids.hex(40),
            token: Some(format!("FwoGZXIvYXdzE{}", self.ids.hex(64))),
            arn: format!("arn:aws:sts::{}:assumed-role/{role_name}/{name}", self.settings.account),
            user_id: format!("{}:{name}", role.id),
            expires: Some(machine_time() + seconds * SECOND),
        };
        let answer: Value = json!({
            "Credentials": {
                "AccessKeyId": key, "SecretAccessKey": session.secret, "SessionToken": session.token,
                "Expiration": stamp(machine_time() + seconds * SECOND),
            },
            "AssumedRoleUser": { "AssumedRoleId": session.user_id, "Arn": session.arn },
            "PackedPolicySize": 0,
        });
        self.identities.sessions.insert(key, session);
        Ok(answer)
    }
}
