//! `/a/{id}`: where links in mails that ask for a review lead. Looking changes nothing, whoever looks and however often:
//! scanners of mail open every link, and some run scripts (row A08).
//!
//! Who is signed in is sent to the review page. A token in the link lets the one who got the mail decide, once: it comes
//! in the fragment, which no server and no log sees, and a script asks for the page with it; without scripts, in `?t=`.
//! Then the name of the environment is to be typed, and the form has to come from this page: its field equals a cookie.
//! What is decided goes the way of all reviews. Follows
//! <https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html>.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{FromRequestParts as _, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use engine::service::Reviewer;
use engine::store::approvals::{Approval, TRIES_MAX, Token, nonce};
use engine::store::audit::{Actor, Deed};
use engine::store::listing::RunListed;
use jiff::Timestamp;
use minijinja::context;
use minijinja::value::{Serde, Value};
use serde::Deserialize;
use serde_json::json;
use subtle::ConstantTimeEq as _;
use workflow::secret::Secret;

use super::filters::encoded;
use super::shown::Run;
use crate::access::{self, Allowed, Refusal, Transport, foreign, is_of_ours, one_cookie, origin_of, read_fields};
use crate::api::answer::{Path, Query, store, unreadable};
use crate::api::reviews::{COMMENT_BYTES_MAX, Pending, changes, opinions, pending_of};
use crate::api::runs::refused;
use crate::api::view::Opinion;
use crate::api::{Review, not_found};
use crate::pages::bare;
use crate::site::Site;
use crate::{ClientAddress, Problem};

/// Where the script puts the token.
const TOKEN_HEADER: &str = "x-pipe-approval";
const SECURE: &str = "__Host-pipe-approval";
const LOOPBACK: &str = "pipe-approval";
/// Longest text about a browser that is kept.
const AGENT_BYTES_MAX: usize = 200;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    t: String,
}

/// Shows what is asked for.
pub(super) async fn show(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
    request: Request,
) -> Result<Response, Refusal> {
    let (mut parts, _) = request.into_parts();
    let approval = find(&site, &id).await?;
    let given = parts.headers.get(TOKEN_HEADER).and_then(|value| value.to_str().ok()).unwrap_or(&asked.t);
    let token = Secret::new(given.to_owned());
    let shown = if token.is_empty() {
        match Allowed::<access::RunsRead>::from_request_parts(&mut parts, &site).await {
            Ok(_) => Ok(to_review(&approval)),
            // Who has no account may have a link whose token the server does not see.
            Err(refusal) => match site.approvals.has_tokens(&id).await {
                Ok(true) => landing(&approval),
                Ok(false) => return Err(refusal),
                Err(error) => Err(store(&error)),
            },
        }
    } else {
        with_token(&site, &approval, &token, &parts.headers).await
    };
    Ok(unseen(shown?))
}

fn to_review(approval: &Approval) -> Response {
    Redirect::to(&format!("/runs/{}/review/{}", approval.run, encoded(&approval.environment))).into_response()
}

fn landing(approval: &Approval) -> Result<Response, Problem> {
    bare("approval-landing.html", context! { title => "A review is wanted", id => approval.id.as_str() })
}

/// No search engine and no cache keeps it.
fn unseen(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert("x-robots-tag", HeaderValue::from_static("noindex, nofollow"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn find(site: &Site, id: &str) -> Result<Approval, Problem> {
    let found = site.approvals.find(id).await.map_err(|error| store(&error))?;
    found.ok_or_else(|| not_found("there is no such request for a review, or not any more"))
}

async fn with_token(
    site: &Site,
    approval: &Approval,
    token: &Secret,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let found = site.approvals.look(&approval.id, token, Timestamp::now()).await.map_err(|error| store(&error))?;
    match found {
        Token::Good(recipient) => open(site, approval, (&recipient, token), headers, None).await,
        Token::Used(_) => decided(site, approval, None).await,
        Token::Wrong | Token::Expired | Token::Locked => Err(why_not(&found, approval)),
    }
}

fn why_not(token: &Token, approval: &Approval) -> Problem {
    let sign_in = "sign in to review it";
    match token {
        Token::Expired => {
            let detail = format!("this link was good until {}; {sign_in}", approval.expires_at);
            Problem::new(StatusCode::GONE, "expired", detail)
        }
        Token::Locked => {
            let detail = format!("{TRIES_MAX} tries were wrong, so that links decide nothing here any more; {sign_in}");
            Problem::new(StatusCode::FORBIDDEN, "locked", detail)
        }
        Token::Good(_) | Token::Used(_) | Token::Wrong => {
            let detail = format!("this is not the link that was sent, or not the name of the environment; {sign_in}");
            Problem::new(StatusCode::FORBIDDEN, "token", detail)
        }
    }
}

/// What somebody may do here who got a mail; `why_not`: nothing, and why.
struct Standing {
    run: RunListed,
    pending: Option<Pending>,
    reviewer: Reviewer,
    why_not: Option<String>,
}

/// The same rules as everywhere, as they are now.
async fn standing(site: &Site, approval: &Approval, recipient: &str) -> Result<Standing, Problem> {
    let run = site.listing.one(approval.run).await.map_err(|error| store(&error))?;
    let run = run.ok_or_else(|| not_found("the run is not there any more"))?;
    let reviewer = site.api.entrance.people.reviewer_at(recipient).await.map_err(|error| store(&error))?;
    let pending = pending_of(site, &run, &reviewer, |_| true).await?;
    let pending = pending.into_iter().find(|one| one.environment.eq_ignore_ascii_case(&approval.environment));
    let is_same = |pending: &Pending| {
        pending.subject == approval.subject && run.sha == approval.sha && run.attempt == approval.attempt
    };
    let why_not = pending.as_ref().and_then(|pending| {
        if !is_same(pending) {
            let why = "what waits is not what the mail asked about any more; look at it anew, signed in";
            return Some(why.to_owned());
        }
        // Everybody is everybody with a role, which a mail address has not.
        let own = |name: &String| name != workflow::run::EVERYBODY && reviewer.is_named(name);
        if !pending.reviewers.iter().any(own) {
            return Some(format!("{recipient} is not among the reviewers of {} any more", pending.environment));
        }
        pending.why_not.clone()
    });
    Ok(Standing { run, pending, reviewer, why_not })
}

/// The page with the form.
async fn open(
    site: &Site,
    approval: &Approval,
    (recipient, token): (&str, &Secret),
    headers: &HeaderMap,
    refused: Option<&Problem>,
) -> Result<Response, Problem> {
    let Standing { run, pending, why_not, .. } = standing(site, approval, recipient).await?;
    let Some(mut pending) = pending else { return decided(site, approval, None).await };
    pending.why_not = why_not;
    let changes = changes(site, &run, &pending.environment).await?;
    let (cookie, csrf) = own_cookie(site, headers)?;
    let shown = Run::of(run, Timestamp::now());
    let context = context! {
        title => format!("Review {}", pending.environment), id => approval.id.as_str(), recipient, token => token.expose(), proof => csrf.expose(),
        run => Serde(&shown), pending => Serde(&pending), changes => Serde(&changes), refused => refused.map(Problem::detail),
        until => approval.expires_at.to_string(),
    };
    let mut response = bare("approval.html", context)?;
    if let Some(problem) = refused {
        *response.status_mut() = problem.status();
    }
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(response)
}

/// What became of it: who said what, and when.
async fn decided(site: &Site, approval: &Approval, just: Option<bool>) -> Result<Response, Problem> {
    let opinions: Vec<Opinion> = opinions(site, approval.run, &approval.environment).await?;
    let context = context! {
        title => format!("Review {}", approval.environment), environment => approval.environment.as_str(), sha => approval.sha.as_str(),
        opinions => Value::from(Serde(&opinions)), just,
    };
    bare("approval-decided.html", context)
}

/// The cookie that the form's field has to equal, as it is or made anew.
fn own_cookie(site: &Site, headers: &HeaderMap) -> Result<(HeaderValue, Secret), Problem> {
    let transport = Transport::of(headers, site.api.entrance.url.as_deref());
    let (name, secure) = if transport == Transport::Loopback { (LOOPBACK, "") } else { (SECURE, "Secure; ") };
    let known = one_cookie(headers, name).filter(|value| value.len() >= 40 && value.is_ascii());
    let content = match known {
        Some(known) => Secret::new(known),
        None => nonce().map_err(|error| unreadable(&error))?,
    };
    let text = format!("{name}={}; {secure}Path=/; Max-Age=3600; HttpOnly; SameSite=Strict", content.expose());
    let mut value = HeaderValue::from_str(&text).map_err(|error| unreadable(&error))?;
    value.set_sensitive(true);
    Ok((value, content))
}

/// What a form says.
struct Said {
    approved: bool,
    comment: String,
    environment: String,
    token: Secret,
}

/// Decides.
pub(super) async fn decide(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let url = site.api.entrance.url.as_deref();
    if !is_of_ours(&parts.headers, url) {
        return Err(foreign());
    }
    let cookie = match Transport::of(&parts.headers, url) {
        Transport::Loopback => LOOPBACK,
        Transport::Secure => SECURE,
        Transport::Plain => {
            let detail = "reviews are taken over https, or on the machine of the server itself";
            return Err(Problem::new(StatusCode::FORBIDDEN, "transport", detail));
        }
    };
    let fields = read_fields(&parts.headers, body).await?;
    let own = one_cookie(&parts.headers, cookie).unwrap_or_default();
    if own.len() < 40 || !bool::from(own.as_bytes().ct_eq(fields.get("csrf").as_bytes())) {
        let detail = "this form is not of a page that was opened here: open the link in the mail again";
        return Err(Problem::new(StatusCode::FORBIDDEN, "csrf", detail));
    }
    let approved = match fields.get("state") {
        "approved" => true,
        "rejected" => false,
        _ => return Err(Problem::new(StatusCode::BAD_REQUEST, "state", "say whether it is approved or rejected")),
    };
    let said = Said {
        approved,
        comment: fields.get("comment").to_owned(),
        environment: fields.get("environment").to_owned(),
        token: Secret::new(fields.get("token")),
    };
    let address = parts.extensions.get::<ClientAddress>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |it| it.0);
    if let Err(wait) = site.api.entrance.limit.take(address, &id, Instant::now()) {
        let detail = format!("too many tries from this address; wait {} s", wait.time.as_secs() + 1);
        return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "tries", detail));
    }
    let approval = find(&site, &id).await?;
    take(&site, &approval, said, &parts).await.map(unseen)
}

async fn take(site: &Site, approval: &Approval, said: Said, parts: &Parts) -> Result<Response, Problem> {
    if said.comment.len() > COMMENT_BYTES_MAX {
        let detail = format!("a comment has at most {COMMENT_BYTES_MAX} bytes");
        return Err(Problem::new(StatusCode::BAD_REQUEST, "comment", detail));
    }
    let now = Timestamp::now();
    let taken = site.approvals.take(&approval.id, &said.token, &said.environment, now).await;
    let taken = taken.map_err(|error| store(&error))?;
    let recipient = match &taken {
        Token::Good(recipient) => recipient,
        Token::Used(_) => return decided(site, approval, None).await,
        Token::Wrong | Token::Expired | Token::Locked => {
            let problem = why_not(&taken, approval);
            note(
                site,
                approval,
                ("approval.refused", "somebody with a link"),
                parts,
                json!({ "why": problem.detail() }),
            )
            .await?;
            // Who mistyped the name is shown the page again.
            let known = site.approvals.look(&approval.id, &said.token, now).await.map_err(|error| store(&error))?;
            let Token::Good(recipient) = known else { return Err(problem) };
            return open(site, approval, (&recipient, &said.token), &parts.headers, Some(&problem)).await;
        }
    };
    match steer(site, approval, recipient, &said).await {
        Ok((who, detail)) => {
            let what = if said.approved { "run.approve" } else { "run.reject" };
            note(site, approval, (what, &who), parts, detail).await?;
            decided(site, approval, Some(said.approved)).await
        }
        Err(problem) => {
            // Nothing was decided by it.
            site.approvals.give_back(&said.token).await.map_err(|error| store(&error))?;
            let who = format!("mail {recipient}");
            note(site, approval, ("approval.refused", &who), parts, json!({ "why": problem.detail() })).await?;
            match open(site, approval, (recipient, &said.token), &parts.headers, Some(&problem)).await {
                Ok(response) => Ok(response),
                Err(_) => Err(problem),
            }
        }
    }
}

/// The way of all reviews. Who did it, and what the audit log says of it.
async fn steer(
    site: &Site,
    approval: &Approval,
    recipient: &str,
    said: &Said,
) -> Result<(String, serde_json::Value), Problem> {
    let Standing { run, pending, reviewer, why_not } = standing(site, approval, recipient).await?;
    let Some(pending) = pending else {
        let detail = format!("nothing of run {} waits for a review of {} any more", run.id, approval.environment);
        return Err(Problem::new(StatusCode::CONFLICT, "conflict", detail));
    };
    if let Some(why) = why_not {
        return Err(Problem::new(StatusCode::CONFLICT, "reviewer", why));
    }
    let review = Review {
        environment: Some(pending.environment.clone()),
        approved: said.approved,
        comment: said.comment.clone(),
        subject: Some(approval.subject.clone()),
    };
    site.api.steering.review(run.id, review, &reviewer).await.map_err(refused)?;
    let detail = json!({
        "environment": pending.environment, "comment": said.comment, "sha": run.sha, "subject": approval.subject,
        "attempt": run.attempt, "reviewer": reviewer.name, "by": "mail link", "before": "waiting",
        "after": if said.approved { "approved" } else { "rejected" },
    });
    Ok((format!("mail {recipient}"), detail))
}

async fn note(
    site: &Site,
    approval: &Approval,
    (what, who): (&'static str, &str),
    parts: &Parts,
    mut detail: serde_json::Value,
) -> Result<(), Problem> {
    let agent = parts.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    detail["agent"] = agent[..agent.floor_char_boundary(AGENT_BYTES_MAX.min(agent.len()))].into();
    detail["approval"] = approval.id.as_str().into();
    let actor = Actor { who: who.to_owned(), origin: origin_of(parts) };
    let target = format!("{} run {}", approval.repository, approval.run);
    site.api.audit.record(Deed { actor, what, target, detail }).await.map(drop).map_err(|error| store(&error))
}
