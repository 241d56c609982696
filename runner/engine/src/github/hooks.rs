//! What GitHub sent to this server, and asking it to send again.
//!
//! Follows <https://docs.github.com/en/rest/repos/webhooks>.

use async_trait::async_trait;
use hyper::{Method, header};
use serde_json::Value as Json;

use super::ApiSettings;
use super::client::{Answer, Client, NoAnswer};
use crate::outbound::OutboundError;
use crate::store::repositories::Repository;
use crate::triggering::{Page, SentHooks, Try};

/// Tries on a page, GitHub's most.
const PAGE_TRIES: usize = 100;
/// How our door ends.
const DOOR: &str = "/webhooks/github";

/// GitHub's list of deliveries.
#[derive(Debug)]
pub struct SentByGithub {
    client: Client,
    /// The server as GitHub reaches it; any server's door counts where it is not known.
    public_url: Option<String>,
}

impl SentByGithub {
    /// A list behind this API. The token needs `admin:repo_hook`, or the app the right to read and write webhooks.
    ///
    /// # Errors
    /// The address or TLS cannot be used.
    pub fn new(settings: ApiSettings, public_url: Option<String>) -> Result<Self, OutboundError> {
        Ok(Self { client: Client::new(settings)?, public_url })
    }

    async fn ask(&self, method: Method, repository: &Repository, path: &str) -> Result<Answer, String> {
        let (owner, name) = repository.full_name.split_once('/').ok_or("its name has no owner")?;
        let path = format!("/repos/{owner}/{name}/hooks{path}");
        let answer = self.client.request(method, owner, name, &path, None).await;
        let answer = answer.map_err(|problem| match problem {
            NoAnswer::Unreachable(problem) | NoAnswer::Unauthorised { problem, .. } => problem,
        })?;
        if answer.status.is_success() { Ok(answer) } else { Err(format!("{} {}", answer.status, answer.problem())) }
    }

    fn is_ours(&self, hook: &Json) -> bool {
        let url = hook["config"]["url"].as_str().unwrap_or_default();
        let known = self.public_url.as_ref().is_none_or(|known| url.starts_with(known.trim_end_matches('/')));
        hook["active"] != false && known && url.trim_end_matches('/').ends_with(DOOR)
    }
}

#[async_trait]
impl SentHooks for SentByGithub {
    async fn hooks(&self, repository: &Repository) -> Result<Vec<u64>, String> {
        let answer = self.ask(Method::GET, repository, "?per_page=100").await?;
        let hooks = answer.body.as_array().map_or(&[][..], Vec::as_slice);
        Ok(hooks.iter().filter(|hook| self.is_ours(hook)).filter_map(|hook| hook["id"].as_u64()).collect())
    }

    async fn page(&self, repository: &Repository, hook: u64, cursor: Option<&str>) -> Result<Page, String> {
        let cursor = cursor.map_or_else(String::new, |cursor| format!("&cursor={cursor}"));
        let path = format!("/{hook}/deliveries?per_page={PAGE_TRIES}{cursor}");
        let answer = self.ask(Method::GET, repository, &path).await?;
        let tries = answer.body.as_array().map_or(&[][..], Vec::as_slice).iter().filter_map(one).collect();
        let link = answer.headers.get(header::LINK).and_then(|link| link.to_str().ok());
        Ok(Page { tries, next: link.and_then(next) })
    }

    async fn again(&self, repository: &Repository, hook: u64, id: u64) -> Result<(), String> {
        self.ask(Method::POST, repository, &format!("/{hook}/deliveries/{id}/attempts")).await.map(drop)
    }
}

fn one(json: &Json) -> Option<Try> {
    Some(Try {
        id: json["id"].as_u64()?,
        guid: json["guid"].as_str()?.to_owned(),
        delivered_at: json["delivered_at"].as_str()?.parse().ok()?,
        event: json["event"].as_str().unwrap_or_default().to_owned(),
        arrived: json["status_code"].as_u64().is_some_and(|code| (200..300).contains(&code)),
    })
}

/// The cursor of `<…?per_page=100&cursor=v1_1>; rel="next"`, plain enough to be sent back.
fn next(link: &str) -> Option<String> {
    let part = link.split(',').find(|part| part.contains("rel=\"next\""))?;
    let url = part.split('<').nth(1)?.split('>').next()?;
    let cursor = url.split(['?', '&']).find_map(|pair| pair.strip_prefix("cursor="))?;
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.~%".contains(letter);
    (!cursor.is_empty() && cursor.chars().all(plain)).then(|| cursor.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pages_and_tries_are_read() {
        let link = "<https://api.github.com/x?per_page=100&cursor=v1_17>; rel=\"next\"";
        assert_eq!(next(link).as_deref(), Some("v1_17"));
        assert_eq!(next("<https://api.github.com/x?cursor=a b>; rel=\"next\""), None);
        assert_eq!(next("<https://api.github.com/x?cursor=v1>; rel=\"prev\""), None);
        let json = json!({
            "id": 12, "guid": "g", "delivered_at": "2026-05-01T12:00:00Z", "status_code": 502, "event": "push",
        });
        let found = one(&json).unwrap();
        assert_eq!((found.id, found.arrived, found.event.as_str()), (12, false, "push"));
        assert_eq!(one(&json!({ "id": 12 })), None);
    }
}
