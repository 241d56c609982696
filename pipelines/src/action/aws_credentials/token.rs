//! Tokens of OpenID: of the job, or in a file.

use engine::outbound::{Asker, Proxies};
use engine::step::{ActionCall, ActionError};
use hyper::Method;
use serde_json::Value;

use super::super::aws_step::{failed, read_file};

/// Where a job asks for its token, and with what, as on GitHub.
const URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
const BEARER: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";

/// The token in a file of the workspace.
pub(super) async fn of_file(call: &ActionCall<'_>, path: &str) -> Result<String, ActionError> {
    let token = read_file(call, "web-identity-token-file", path).await?.trim().to_owned();
    if token.is_empty() {
        return Err(failed(format!("`web-identity-token-file: {path}` is empty")));
    }
    let _too_short = call.masker.add_found(&token);
    Ok(token)
}

/// Whether the job may have one.
pub(super) fn can_be_had(call: &ActionCall<'_>) -> bool {
    [URL, BEARER].iter().all(|name| call.env.get(*name).is_some_and(|value| !value.is_empty()))
}

/// The job's own, for this audience.
pub(super) async fn of_job(call: &ActionCall<'_>, audience: &str) -> Result<String, ActionError> {
    let none = || {
        failed(
            "the job has no token of OpenID: write `permissions: { id-token: write, contents: read }` at it, and run it on a \
             server that is an issuer",
        )
    };
    let value = |name: &str| call.env.get(name).filter(|value| !value.is_empty()).ok_or_else(none);
    let (url, bearer) = (value(URL)?, value(BEARER)?);
    let mark = if url.contains('?') { '&' } else { '?' };
    let mut query = form(audience);
    query.insert_str(0, &format!("{url}{mark}audience="));
    let asker = Asker::by(Proxies::default()).map_err(failed)?;
    let headers = [("authorization", format!("Bearer {bearer}")), ("accept", "application/json".to_owned())];
    let answer = asker.ask(Method::GET, &query, &headers, Vec::new()).await;
    let answer = answer.map_err(|error| failed(format!("the job's token cannot be asked for: {error}")))?;
    let json: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let token = json.get("value").and_then(Value::as_str).filter(|_| answer.status == 200);
    let refused = || {
        let said = json.get("msg").and_then(Value::as_str).map(|said| format!(": {said}")).unwrap_or_default();
        failed(format!("the job's token was refused (status {}){said}", answer.status))
    };
    let token = token.ok_or_else(refused)?.to_owned();
    let _too_short = call.masker.add_found(&token);
    Ok(token)
}

fn form(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
