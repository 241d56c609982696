//! Who answers a request, and whether it may be asked.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::header::AUTHORIZATION;
use hyper::{Method, Request, StatusCode};
use serde_json::Value as Json;

use crate::answer::{Answer, json, storage, whole};
use crate::job::Job;
use crate::signed::{self, Purpose, Shut};
use crate::twirp::Fault;
use crate::{api, artifacts, cache_v1, caches, download, identity, protobuf, repository, upload};

const ARTIFACTS: &str = "/twirp/github.actions.results.api.v1.ArtifactService/";
const CACHES: &str = "/twirp/github.actions.results.api.v1.CacheService/";
const CACHES_V1: &str = "/_apis/artifactcache/";

/// Bytes of a call; blobs go another way.
const CALL_BYTES_MAX: usize = 1 << 20;

pub(crate) async fn answer(job: &Arc<Job>, request: Request<Incoming>) -> Answer {
    let path = request.uri().path().to_owned();
    if job.is_over() {
        return Fault::unauthenticated().answer();
    }
    if path.starts_with("/upload/") || path.starts_with("/download/") {
        return by_signature(job, request).await;
    }
    if *request.method() == Method::GET
        && let Some(answered) = identity::document(job, &path).await
    {
        return answered.unwrap_or_else(|fault| fault.answer());
    }
    if path == identity::TOKEN {
        let answered = identity::token(job, bearer(&request), &request).await;
        return answered.unwrap_or_else(|fault| fault.answer());
    }
    if path.starts_with(repository::PREFIX) {
        return repository::answer(job, request).await;
    }
    if path == api::GRAPHQL || path.starts_with(api::PREFIX) {
        return api::answer(job, request).await;
    }
    if !bearer(&request).is_some_and(|token| job.keys.is_token(token)) {
        return Fault::unauthenticated().answer();
    }
    let called = match (request.method(), &*path) {
        (&Method::POST, path) if path.starts_with(ARTIFACTS) => {
            let method = path[ARTIFACTS.len()..].to_owned();
            match call(request).await {
                Ok(body) => artifacts::call(job, &method, body).await,
                Err(fault) => Err(fault),
            }
        }
        (&Method::POST, path) if path.starts_with(CACHES) => {
            let method = path[CACHES.len()..].to_owned();
            return of_caches(job, &method, request).await.unwrap_or_else(|fault| fault.answer());
        }
        (_, path) if path.starts_with(CACHES_V1) => {
            let rest = path[CACHES_V1.len()..].to_owned();
            return cache_v1::answer(job, &rest, request).await.unwrap_or_else(|fault| fault.answer());
        }
        (_, _) => Err(Fault::not_found(format!("there is nothing at {path}"))),
    };
    match called {
        Ok(value) => json(StatusCode::OK, &value),
        Err(fault) => fault.answer(),
    }
}

/// A call of the cache's service, answered in the form that it came in; an error is JSON in both.
async fn of_caches(job: &Arc<Job>, method: &str, request: Request<Incoming>) -> Result<Answer, Fault> {
    let Some(form) = protobuf::form(method, &request) else {
        return Ok(json(StatusCode::OK, &caches::call(job, method, call(request).await?).await?));
    };
    let asked = form.read(&body(request).await?).ok_or_else(|| Fault::invalid("the body is no such message"))?;
    Ok(whole(StatusCode::OK, protobuf::KIND, form.write(&caches::call(job, method, asked).await?)))
}

/// The token of a request, if it has one and no more.
fn bearer(request: &Request<Incoming>) -> Option<&str> {
    let mut given = request.headers().get_all(AUTHORIZATION).iter();
    let (Some(one), None) = (given.next(), given.next()) else { return None };
    let (scheme, token) = one.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The body of a call.
pub(crate) async fn body(request: Request<Incoming>) -> Result<Bytes, Fault> {
    let collected = Limited::new(request.into_body(), CALL_BYTES_MAX).collect().await;
    collected.map(|body| body.to_bytes()).map_err(|error| Fault::invalid(format!("the body: {error}")))
}

pub(crate) async fn call(request: Request<Incoming>) -> Result<Json, Fault> {
    let bytes = body(request).await?;
    let value: Json =
        serde_json::from_slice(&bytes).map_err(|error| Fault::invalid(format!("the body is no JSON: {error}")))?;
    if value.is_object() { Ok(value) } else { Err(Fault::invalid("the body must be an object")) }
}

async fn by_signature(job: &Arc<Job>, request: Request<Incoming>) -> Answer {
    let (path, query) = (request.uri().path().to_owned(), request.uri().query().unwrap_or_default().to_owned());
    let purpose = match *request.method() {
        Method::PUT => Purpose::Write,
        Method::GET | Method::HEAD => Purpose::Read,
        _ => return storage(StatusCode::METHOD_NOT_ALLOWED, "UnsupportedHttpVerb", "this can be put or got"),
    };
    match signed::check(&job.keys, purpose, &path, &query, engine::kept::now()) {
        Err(Shut::Forged) => {
            storage(StatusCode::FORBIDDEN, "AuthenticationFailed", "the signature is not of this address")
        }
        Err(Shut::Expired) => {
            storage(StatusCode::FORBIDDEN, "AuthenticationFailed", "the address has expired; ask for a new one")
        }
        Ok(kind) => match purpose {
            Purpose::Write => upload::put(job, &path, &query, request).await,
            Purpose::Read => download::get(job, &path, &kind, &request).await,
        },
    }
}
