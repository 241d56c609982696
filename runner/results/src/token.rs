//! The keys of one job: the token that its actions send, and what signs its addresses.
//!
//! The token has the form of a JWT, since `@actions/artifact` reads the run's and the job's ids out of it
//! (`scp: Actions.Results:<run>:<job>`). Whether it is the job's is decided by comparing it whole.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use engine::serving::ServedJob;
use hmac::{Hmac, Mac as _};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// Longer than any job, in seconds. When it is over its token is dead whatever this says.
const TOKEN_SECONDS: u64 = 35 * 24 * 60 * 60;
/// What Azure's permissions are in the claim of caches: reading, writing.
const READ: u8 = 1;
const WRITE: u8 = 2;

/// Keys that no other job has.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Keys {
    /// `ACTIONS_RUNTIME_TOKEN`.
    pub(crate) token: String,
    /// `ACTIONS_ID_TOKEN_REQUEST_TOKEN`: asks for identity tokens and opens nothing else.
    pub(crate) request: String,
    /// Signs addresses of uploads and downloads.
    pub(crate) signing: String,
    /// `GITHUB_TOKEN`, of this process and those before: a step may have an older one in its environment.
    #[serde(default)]
    pub(crate) api: Vec<String>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(***)")
    }
}

/// How clients name a run and a job of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ids {
    pub(crate) run: String,
    pub(crate) job: String,
}

impl Ids {
    pub(crate) fn of(job: &ServedJob) -> Self {
        let run = format!("{} {}", job.keeper.repository, job.keeper.run);
        Self { job: uuid(&format!("{run} {} {}", job.run, job.job)), run: uuid(&run) }
    }
}

/// A name in the form of a UUID, always the same for a text.
fn uuid(text: &str) -> String {
    let hex: String = Sha256::digest(text).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

pub(crate) fn random_hex() -> Result<String, String> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| format!("the system gives no random bytes: {error}"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

impl Keys {
    /// Those of the process before, or new ones.
    pub(crate) fn of(job: &ServedJob, ids: &Ids) -> Result<Self, String> {
        let own = job.token.as_ref().map(|token| token.expose().to_owned());
        if let Some(record) = &job.record {
            let before: Self = serde_json::from_str(record)
                .map_err(|error| format!("the keys of this job are unreadable: {error}"))?;
            let api = before.api.iter().cloned().chain(own).collect();
            return Ok(Self { api, ..before });
        }
        let signing = random_hex()?;
        let now = engine::kept::now();
        let scopes: Vec<_> = job
            .scopes
            .readable
            .iter()
            .map(|scope| {
                let may_write = *scope == job.scopes.own && job.scopes.refused.is_none();
                json!({ "Scope": scope, "Permission": if may_write { READ | WRITE } else { READ } })
            })
            .collect();
        let claims = json!({
            "scp": format!("Actions.Results:{}:{}", ids.run, ids.job),
            "ac": serde_json::Value::Array(scopes).to_string(),
            "jti": random_hex()?,
            "iat": now,
            "nbf": now,
            "exp": now + TOKEN_SECONDS,
        });
        let parts = [json!({ "alg": "HS256", "typ": "JWT" }), claims];
        let body = parts.map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
        let mut mac = mac(&signing);
        mac.update(body.as_bytes());
        let token = format!("{body}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()));
        Ok(Self { token, request: random_hex()?, signing, api: own.into_iter().collect() })
    }

    pub(crate) fn record(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Whether this is the job's token.
    pub(crate) fn is_token(&self, given: &str) -> bool {
        self.token.as_bytes().ct_eq(given.as_bytes()).into()
    }

    /// Whether this is what the API is asked with.
    pub(crate) fn is_api_token(&self, given: &str) -> bool {
        self.api.iter().fold(false, |is, token| is | bool::from(token.as_bytes().ct_eq(given.as_bytes())))
    }

    /// Whether this is what asks for identity tokens.
    pub(crate) fn is_request_token(&self, given: &str) -> bool {
        self.request.as_bytes().ct_eq(given.as_bytes()).into()
    }

    pub(crate) fn mac(&self) -> Hmac<Sha256> {
        mac(&self.signing)
    }
}

fn mac(key: &str) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
    Hmac::new_from_slice(key.as_bytes()).expect("a key of any length")
}
