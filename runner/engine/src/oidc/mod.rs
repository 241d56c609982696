//! Signing in at an OpenID provider: the authorisation code flow with PKCE, and what a group there means here.
//!
//! It sends a browser off ([`Provider::begin`]) and makes of the code that it comes back with a person
//! ([`Provider::finish`]). That it is the same browser, the caller proves. Nothing that the provider says is believed
//! without its signature; no address but those of its own description is asked, and no redirect is followed.
//! Follows <https://openid.net/specs/openid-connect-core-1_0.html>, RFC 7636 (PKCE) and RFC 9700 (what is safe today).

mod keys;
mod request;
#[cfg(test)]
mod tests;
mod token;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use indexmap::IndexMap;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;
use workflow::secret::Secret;

use crate::outbound::OutboundError;
use crate::sealing;
use crate::store::people::{Assignment, Vouched};
use keys::Keys;
use request::Asker;
use token::Expected;

/// How long the provider's description is believed.
const DESCRIPTION_AGE_MAX: SignedDuration = SignedDuration::from_hours(1);
/// Between two looks for a key that is not known.
const KEYS_EVERY: SignedDuration = SignedDuration::from_secs(60);
/// Groups of a person that are looked at.
const GROUPS_MAX: usize = 1_000;
/// How long a request to the provider may take.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(10);

/// How to sign in there.
#[derive(Debug, Clone)]
pub struct OidcSettings {
    /// Its name, such as `https://id.example`, as its tokens have it.
    pub issuer: String,
    /// Our name there.
    pub client_id: String,
    /// What proves that we are it; none for a public client.
    pub client_secret: Option<Secret>,
    /// Where browsers come back to: `https://ci.example/login/oidc/callback`.
    pub redirect: String,
    /// What is asked for beside `openid`.
    pub scopes: Vec<String>,
    /// The claim with the groups of a person.
    pub groups_claim: String,
    /// What a group may do here.
    pub roles: IndexMap<String, Vec<Assignment>>,
    /// Which team here a group is.
    pub teams: IndexMap<String, String>,
}

/// Why somebody cannot sign in there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OidcError {
    /// The settings.
    #[error("{0}")]
    Settings(String),
    /// It does not answer, or not what it should.
    #[error("the provider cannot be asked: {0}")]
    Unreachable(String),
    /// What it says cannot be believed.
    #[error("what the provider says cannot be believed: {0}")]
    Unbelievable(String),
    /// It did not let them in.
    #[error("the provider did not take the code: {0}")]
    Refused(String),
}

impl From<OutboundError> for OidcError {
    fn from(error: OutboundError) -> Self {
        Self::Settings(error.to_string())
    }
}

/// A browser that is sent off. All but the address is for who sent it off, and is needed when it comes back.
#[derive(Debug, Clone)]
pub struct Begun {
    /// Where to.
    pub address: String,
    /// What it comes back with.
    pub state: Secret,
    /// What its token must hold.
    pub nonce: Secret,
    /// What proves that the code is ours.
    pub verifier: Secret,
}

/// A provider.
#[derive(Debug)]
pub struct Provider {
    settings: OidcSettings,
    asker: Asker,
    described: Mutex<Option<Described>>,
}

/// What the provider says of itself.
#[derive(Debug, Clone, Deserialize)]
struct Description {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
}

#[derive(Debug, Clone)]
struct Described {
    description: Description,
    keys: Keys,
    at: Timestamp,
    keys_at: Timestamp,
}

impl Provider {
    /// A provider; it is asked when somebody signs in.
    ///
    /// # Errors
    /// The settings cannot be used.
    pub fn new(mut settings: OidcSettings) -> Result<Self, OidcError> {
        request::check_address(&settings.issuer, &settings.issuer)?;
        if settings.client_id.is_empty() {
            return Err(OidcError::Settings("`client-id` is missing".to_owned()));
        }
        if settings.groups_claim.is_empty() {
            settings.groups_claim = "groups".to_owned();
        }
        Ok(Self { asker: Asker::new(REQUEST_TIME_MAX)?, settings, described: Mutex::default() })
    }

    /// Its name.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.settings.issuer
    }

    /// Sends a browser off.
    ///
    /// # Errors
    /// The provider does not describe itself.
    pub async fn begin(&self, now: Timestamp) -> Result<Begun, OidcError> {
        let description = self.describe(now).await?.description;
        let [state, nonce, verifier] = [random()?, random()?, random()?];
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.expose().as_bytes()));
        let mut scope = "openid".to_owned();
        self.settings.scopes.iter().filter(|one| *one != "openid").for_each(|one| scope = format!("{scope} {one}"));
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("redirect_uri", &self.settings.redirect)
            .append_pair("scope", &scope)
            .append_pair("state", state.expose())
            .append_pair("nonce", nonce.expose())
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256")
            .finish();
        let endpoint = &description.authorization_endpoint;
        let joint = if endpoint.contains('?') { '&' } else { '?' };
        Ok(Begun { address: format!("{endpoint}{joint}{query}"), state, nonce, verifier })
    }

    /// Who came back with this code.
    ///
    /// # Errors
    /// The provider takes it back, or says what cannot be believed.
    pub async fn finish(
        &self,
        code: &str,
        verifier: &Secret,
        nonce: &Secret,
        now: Timestamp,
    ) -> Result<Vouched, OidcError> {
        let described = self.describe(now).await?;
        let answer = self.redeem(&described.description, code, verifier).await?;
        let token = answer["id_token"].as_str().ok_or_else(|| unbelievable("there is no `id_token`"))?;
        let head = token::head(token)?;
        let keys = match described.keys.find(head.kid.as_deref(), &head.alg) {
            Some(_) => described.keys,
            // It may have a new one.
            None => self.newer_keys(described, now).await?,
        };
        let expected = Expected { issuer: &self.settings.issuer, client_id: &self.settings.client_id, nonce, now };
        let claims = token::verify(token, &keys, &expected)?;
        Ok(self.person(&claims))
    }

    async fn redeem(&self, description: &Description, code: &str, verifier: &Secret) -> Result<Json, OidcError> {
        let (form, basic) = self.form(description, code, verifier);
        let (status, answer) = self.asker.post(&description.token_endpoint, form, basic).await?;
        if !status.is_success() {
            let word = answer["error"].as_str().unwrap_or("no reason is given");
            return Err(OidcError::Refused(format!("{}: {}", status.as_u16(), shown(word))));
        }
        Ok(answer)
    }

    /// What is sent for a code, and what proves that we are who we are, where that is not in the form.
    fn form(&self, description: &Description, code: &str, verifier: &Secret) -> (String, Option<(&str, &Secret)>) {
        let settings = &self.settings;
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code")
            .append_pair("code", code)
            .append_pair("redirect_uri", &settings.redirect)
            .append_pair("code_verifier", verifier.expose());
        let methods = &description.token_endpoint_auth_methods_supported;
        // Where nothing is said it is `client_secret_basic`.
        let takes_basic = methods.is_empty() || methods.iter().any(|one| one == "client_secret_basic");
        let mut basic = None;
        match &settings.client_secret {
            Some(secret) if takes_basic => basic = Some((settings.client_id.as_str(), secret)),
            Some(secret) => {
                form.append_pair("client_id", &settings.client_id).append_pair("client_secret", secret.expose());
            }
            None => {
                form.append_pair("client_id", &settings.client_id);
            }
        }
        (form.finish(), basic)
    }

    async fn describe(&self, now: Timestamp) -> Result<Described, OidcError> {
        let mut described = self.described.lock().await;
        if let Some(known) = described.as_ref().filter(|known| now.duration_since(known.at) < DESCRIPTION_AGE_MAX) {
            return Ok(known.clone());
        }
        let issuer = &self.settings.issuer;
        let address = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let answer = self.asker.get(&address).await?;
        let description: Description = serde_json::from_value(answer)
            .map_err(|error| OidcError::Unreachable(format!("its description has {error}")))?;
        if description.issuer != *issuer {
            return Err(unbelievable(format!("it calls itself `{}`, not `{issuer}`", shown(&description.issuer))));
        }
        for address in [&description.authorization_endpoint, &description.token_endpoint, &description.jwks_uri] {
            request::check_address(address, issuer)?;
        }
        let keys = Keys::read(&self.asker.get(&description.jwks_uri).await?);
        let new = Described { description, keys, at: now, keys_at: now };
        *described = Some(new.clone());
        Ok(new)
    }

    async fn newer_keys(&self, known: Described, now: Timestamp) -> Result<Keys, OidcError> {
        let mut described = self.described.lock().await;
        let last = described.as_ref().map_or(known.keys_at, |described| described.keys_at);
        // Somebody may send tokens with made up keys, to have the provider asked again and again.
        if now.duration_since(last) < KEYS_EVERY {
            return Ok(described.as_ref().map_or(known.keys, |described| described.keys.clone()));
        }
        let keys = Keys::read(&self.asker.get(&known.description.jwks_uri).await?);
        if let Some(described) = described.as_mut() {
            (described.keys, described.keys_at) = (keys.clone(), now);
        }
        Ok(keys)
    }

    /// What the claims of a token that is believed say.
    fn person(&self, claims: &Json) -> Vouched {
        let settings = &self.settings;
        let text = |name: &str| claims[name].as_str().map(str::to_owned);
        let subject = text("sub").unwrap_or_default();
        // An address that nobody checked may be somebody else's.
        let email = text("email").filter(|_| claims["email_verified"] == Json::Bool(true));
        let digest = Sha256::digest(format!("{}\n{subject}", settings.issuer));
        let plain = format!("user-{:02x}{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2], digest[3]);
        let names = [text("preferred_username"), email, Some(plain)].into_iter().flatten().collect();
        let groups: Vec<&str> = match &claims[settings.groups_claim.as_str()] {
            Json::String(group) => vec![group],
            Json::Array(groups) => groups.iter().filter_map(Json::as_str).take(GROUPS_MAX).collect(),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_) => Vec::new(),
        };
        let roles = groups.iter().filter_map(|group| settings.roles.get(*group)).flatten().cloned().collect();
        let teams = groups.iter().filter_map(|group| settings.teams.get(*group)).cloned().collect();
        let full_name = text("name").unwrap_or_default();
        Vouched { issuer: settings.issuer.clone(), subject, names, full_name, roles, teams }
    }
}

/// A name that nobody can guess.
///
/// # Errors
/// The system gives no random bytes.
pub fn random_name() -> Result<Secret, OidcError> {
    random()
}

fn random() -> Result<Secret, OidcError> {
    let bytes = sealing::random::<32>().map_err(|error| OidcError::Settings(error.to_string()))?;
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(bytes)))
}

fn unbelievable(text: impl Into<String>) -> OidcError {
    OidcError::Unbelievable(text.into())
}

/// A word of somebody else's, fit for a message.
fn shown(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(200).collect()
}
