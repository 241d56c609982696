//! The comment on a pull request: made once, found again by its marker, changed by later runs.
//!
//! Follows <https://docs.github.com/en/rest/issues/comments>, which Gitea and Forgejo have too. Anybody may write a comment that
//! begins with our marker, and a token that may change everybody's comments would change that one, after which its author could
//! write whatever they like in our name. So only comments of whoever the token belongs to are ours.

use engine::outbound::{Answered, Asker, Proxies};
use engine::step::ActionCall;
use hyper::Method;
use serde_json::{Value as Json, json};
use workflow::secret::Secret;

use super::inputs::Telling;
use super::words;

/// Comments of one page.
const PAGE: usize = 100;
/// Pages that are looked through.
const PAGES_MAX: usize = 20;

/// Who the token belongs to.
#[derive(Debug, PartialEq, Eq)]
enum Who {
    /// A person or their stand-in.
    Login(String),
    /// An app; tokens of runs are such, and may not ask who they are.
    App,
}

struct Forge<'a> {
    asker: Asker,
    base: String,
    repository: &'a str,
    token: &'a Secret,
}

/// Writes it. `Ok(None)`: there is no pull request. Otherwise where the comment is.
///
/// # Errors
/// A sentence.
pub(super) async fn tell(call: &ActionCall<'_>, telling: &Telling, markdown: &str) -> Result<Option<String>, String> {
    let (Some(number), Some(token)) = (telling.number, &telling.token) else { return Ok(None) };
    let base = call.env.get("GITHUB_API_URL").map(|url| url.trim_end_matches('/').to_owned());
    let base =
        base.filter(|base| !base.is_empty()).ok_or("GITHUB_API_URL is not set, so nobody knows where to write")?;
    let asker = Asker::by(Proxies::default()).map_err(|error| format!("cannot {error}"))?;
    let forge = Forge { asker, base, repository: &call.repository.name, token };
    let marker = marker(&telling.id);
    let body = json!({ "body": words::cut(&format!("{marker}\n{}", call.masker.mask(markdown))) });
    for id in forge.find(number, &marker).await? {
        let changed = forge.ask(Method::PATCH, &format!("/issues/comments/{id}"), Some(&body)).await?;
        // Somebody removed it in between, or it is not ours after all.
        if !matches!(changed.status, 403 | 404) {
            return Ok(Some(url(&understood(&changed)?)));
        }
    }
    let made = forge.ask(Method::POST, &format!("/issues/{number}/comments"), Some(&body)).await?;
    Ok(Some(url(&understood(&made)?)))
}

/// The first line of our comments, which nobody sees.
fn marker(id: &str) -> String {
    let plain: String =
        id.chars().map(|c| if c.is_ascii_alphanumeric() || "._/- ".contains(c) { c } else { '_' }).collect();
    format!("<!-- pipe/terraform: {} -->", plain.replace("--", "__"))
}

fn url(comment: &Json) -> String {
    comment["html_url"].as_str().unwrap_or_default().to_owned()
}

impl Forge<'_> {
    /// Ours, the oldest first.
    async fn find(&self, number: u64, marker: &str) -> Result<Vec<u64>, String> {
        let (mut found, mut who) = (Vec::new(), None);
        for page in 1..=PAGES_MAX {
            let path = format!("/issues/{number}/comments?per_page={PAGE}&page={page}");
            let comments = understood(&self.ask(Method::GET, &path, None).await?)?;
            let comments = comments.as_array().map(Vec::as_slice).unwrap_or_default();
            for comment in comments {
                let is_marked = comment["body"].as_str().is_some_and(|body| body.starts_with(marker));
                let Some(id) = comment["id"].as_u64().filter(|_| is_marked) else { continue };
                let who = match &who {
                    Some(who) => who,
                    None => who.insert(self.who().await?),
                };
                if who.wrote(comment) {
                    found.push(id);
                }
            }
            if comments.len() < PAGE {
                break;
            }
        }
        Ok(found)
    }

    async fn who(&self) -> Result<Who, String> {
        let answer = self.ask_at("/user", Method::GET, None).await?;
        let said: Json = serde_json::from_slice(&answer.body).unwrap_or_default();
        let login = said["login"].as_str().filter(|_| answer.status == 200);
        Ok(login.map_or(Who::App, |login| Who::Login(login.to_owned())))
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Json>) -> Result<Answered, String> {
        self.ask_at(&format!("/repos/{}{path}", self.repository), method, body).await
    }

    async fn ask_at(&self, path: &str, method: Method, body: Option<&Json>) -> Result<Answered, String> {
        let headers = [
            ("authorization", format!("Bearer {}", self.token.expose())),
            ("accept", "application/json".to_owned()),
            ("content-type", "application/json".to_owned()),
        ];
        let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        self.asker.ask(method, &format!("{}{path}", self.base), &headers, body).await
    }
}

impl Who {
    fn wrote(&self, comment: &Json) -> bool {
        let user = &comment["user"];
        match self {
            Self::Login(login) => user["login"].as_str().is_some_and(|other| other.eq_ignore_ascii_case(login)),
            // An app cannot be made to write what a person likes, except by those who may run it here.
            Self::App => user["type"] == "Bot",
        }
    }
}

/// What is in an answer, or why there is nothing.
fn understood(answer: &Answered) -> Result<Json, String> {
    let body: Json = serde_json::from_slice(&answer.body).unwrap_or_default();
    let message = body["message"].as_str().unwrap_or_default();
    let why = match answer.status {
        200..=299 => return Ok(body),
        401 => "the token is not known, or its time is up",
        403 if answer.header("x-ratelimit-remaining") == Some("0") => "too much was asked: try again in an hour",
        403 => {
            "the token may not write comments: give the job `permissions: pull-requests: write` (a fork's run never may)"
        }
        404 => "there is no such pull request, or the token does not see it",
        500..=599 => "the forge has trouble; a retry makes sense",
        _ => "the forge refused it",
    };
    Err(format!("{why} ({} {message})", answer.status).replace(" )", ")"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_end_where_they_end() {
        assert_eq!(marker("infra/a default"), "<!-- pipe/terraform: infra/a default -->");
        assert_eq!(marker("x --> <b>"), "<!-- pipe/terraform: x ___ _b_ -->");
    }

    #[test]
    fn comments_of_others_are_not_ours() {
        let of = |login: &str, kind: &str| json!({"user": {"login": login, "type": kind}});
        assert!(Who::App.wrote(&of("github-actions[bot]", "Bot")) && !Who::App.wrote(&of("mallory", "User")));
        let ann = Who::Login("Ann".into());
        assert!(ann.wrote(&of("ann", "User")) && !ann.wrote(&of("mallory", "User")) && !ann.wrote(&json!({})));
    }
}
