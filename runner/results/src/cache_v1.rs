//! The first form of the cache's API, below `_apis/artifactcache/`: what older clients and buildx speak.
//! See <https://github.com/actions/toolkit/blob/main/packages/cache/src/internal/cacheHttpClient.ts>.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::CONTENT_RANGE;
use hyper::{Method, Request, StatusCode};
use serde_json::json;

use crate::answer::{Answer, empty, json as answer_json};
use crate::caches::{find, reserve, save};
use crate::job::Job;
use crate::route::call;
use crate::twirp::{Fault, blocking, number, text};
use crate::upload::{receive, wrote};

pub(crate) async fn answer(job: &Arc<Job>, rest: &str, request: Request<Incoming>) -> Result<Answer, Fault> {
    let id = |text: &str| text.parse::<u64>().map_err(|_| Fault::invalid("the number of a cache is a number"));
    match (request.method().clone(), rest.split_once('/')) {
        (Method::GET, None) if rest == "cache" => look(job, request).await,
        (Method::POST, None) if rest == "caches" => begin(job, request).await,
        (Method::PATCH, Some(("caches", number))) => part(job, id(number)?, request).await,
        (Method::POST, Some(("caches", number))) => commit(job, id(number)?, request).await,
        (_, _) => Err(Fault::not_found(format!("there is nothing at _apis/artifactcache/{rest}"))),
    }
}

async fn look(job: &Arc<Job>, request: Request<Incoming>) -> Result<Answer, Fault> {
    let (mut keys, mut version) = (Vec::new(), String::new());
    for (name, value) in form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes()) {
        match &*name {
            "keys" => keys = value.split(',').map(str::to_owned).collect(),
            "version" => version = value.into_owned(),
            _ => {}
        }
    }
    let job = Arc::clone(job);
    let found = blocking(move || find(&job, &keys, &version)).await?;
    Ok(match found {
        None => empty(StatusCode::NO_CONTENT),
        Some((entry, url)) => {
            let value = json!({ "archiveLocation": url, "cacheKey": entry.key, "scope": entry.scope });
            answer_json(StatusCode::OK, &value)
        }
    })
}

async fn begin(job: &Arc<Job>, request: Request<Incoming>) -> Result<Answer, Fault> {
    let request = call(request).await?;
    let job = Arc::clone(job);
    let id = blocking(move || reserve(&job, text(&request, "key")?, text(&request, "version")?)).await?;
    match id {
        Ok(id) => Ok(answer_json(StatusCode::CREATED, &json!({ "cacheId": id }))),
        Err(why) => Err(Fault::exists(why)),
    }
}

async fn part(job: &Arc<Job>, id: u64, request: Request<Incoming>) -> Result<Answer, Fault> {
    let range = request.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok()).and_then(part_of);
    let (first, bytes) = range.ok_or_else(|| Fault::invalid("`Content-Range: bytes FIRST-LAST/*` is missing"))?;
    let upload = job.uploads.get(id).ok_or_else(|| Fault::not_found("there is no such upload"))?;
    // The client sends a stream, which has no `Content-Length`.
    let received = receive(&upload, request, Some(bytes), |bytes| upload.place_at(first, bytes)).await;
    let done = match received {
        Ok(extent) => wrote(&upload, format!("at {first}"), extent).await,
        Err(refused) => Err(refused),
    };
    done.map_err(|(_, _, message)| Fault::invalid(message))?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// Where a part begins, and its length.
fn part_of(range: &str) -> Option<(u64, u64)> {
    let (first, rest) = range.strip_prefix("bytes ")?.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, rest.split('/').next()?.parse().ok()?);
    Some((first, last.checked_sub(first)?.checked_add(1)?))
}

async fn commit(job: &Arc<Job>, id: u64, request: Request<Incoming>) -> Result<Answer, Fault> {
    let request = call(request).await?;
    let bytes = number(&request, "size")?.ok_or_else(|| Fault::invalid("`size` is missing"))?;
    let job = Arc::clone(job);
    let saved = blocking(move || {
        let upload = job.uploads.get(id).ok_or_else(|| Fault::not_found("there is no such upload"))?;
        upload.commit_as_is(bytes, "").map_err(Fault::invalid)?;
        save(&job, id, Some(bytes))
    });
    match saved.await? {
        Some(_) => Ok(empty(StatusCode::NO_CONTENT)),
        None => Err(Fault::exists("another job has saved a cache entry with this key")),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn parts_say_where_they_begin_and_how_long_they_are() {
        for (text, expected) in [
            ("bytes 0-33554431/*", Some((0, 33_554_432))),
            ("bytes 5-5/6", Some((5, 1))),
            ("bytes 5-4/*", None),
            ("bytes 0-18446744073709551615/*", None),
            ("bytes 0-/*", None),
            ("0-1/*", None),
        ] {
            assert_eq!(super::part_of(text), expected, "{text}");
        }
    }
}
