//! Logs of jobs, in bytes: a part of what is stored so far, or all of it as a download.
//!
//! A job's log is its set-up followed by its steps, one after the other; `step` names one of them. Offsets of a step's
//! log never change while it grows; those of a whole job's log do until it is over.

use std::io::SeekFrom;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use engine::job::log_path;
use engine::store::{RunId, RunStatus};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use workflow::run::{JobRunKey, StepIndex};

use super::answer::{Path, Query, bad};
use super::not_found;
use super::runs::visible;
use super::timed::timed;
use crate::Problem;
use crate::access::{self, Allowed};
use crate::site::Site;

/// Most bytes of one part.
const PART_BYTES_MAX: u64 = 1 << 20;
/// Bytes of a download that are in memory at once.
const CHUNK_BYTES: u64 = 64 * 1_024;
/// Longest key of a job run.
const KEY_BYTES_MAX: usize = 1_024;

/// `RUN:KEY`, and which part of its log.
pub(crate) fn job(id: &str) -> Option<(RunId, JobRunKey)> {
    let (run, key) = id.split_once(':')?;
    Some((RunId(run.parse().ok()?), key_of(key)?))
}

/// A key becomes the name of a folder, so only its own characters are taken.
pub(crate) fn key_of(text: &str) -> Option<JobRunKey> {
    let is_of_key = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'(' | b')' | b'/');
    let is_key = !text.is_empty() && text.len() <= KEY_BYTES_MAX && text.bytes().all(is_of_key);
    is_key.then(|| JobRunKey::parse(text))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Part {
    /// A step's number, or `setup`.
    step: Option<String>,
    from: Option<u64>,
    to: Option<u64>,
}

pub(crate) async fn part(
    State(shared): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Path(id): Path<String>,
    Query(query): Query<Part>,
) -> Result<Response, Problem> {
    let (log, is_over) = find(&shared, &allowed, &id, query.step.as_deref()).await?;
    let size = log.size();
    let from = query.from.unwrap_or(0).min(size);
    let to = query.to.unwrap_or(size).clamp(from, size).min(from + PART_BYTES_MAX);
    let bytes = log.read(from, to - from).await?;
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert("pipe-log-from", HeaderValue::from(from));
    headers.insert("pipe-log-to", HeaderValue::from(to));
    headers.insert("pipe-log-size", HeaderValue::from(size));
    headers.insert("pipe-log-complete", HeaderValue::from_static(if is_over { "true" } else { "false" }));
    Ok(response)
}

/// When the bytes of a step's log came: from a byte on, since when.
pub(crate) async fn times(
    State(shared): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Path(id): Path<String>,
    Query(query): Query<Whole>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let step = query.step.as_deref().ok_or_else(|| bad("query", "`step` is a number or `setup`".to_owned()))?;
    let (log, _) = find(&shared, &allowed, &id, Some(step)).await?;
    let paths: Vec<PathBuf> = log.files.into_iter().map(|(path, _)| path).collect();
    let read = tokio::task::spawn_blocking(move || match paths.as_slice() {
        [path, ..] => engine::job::log_times(path, 0, u64::MAX),
        [] => Ok(Vec::new()),
    });
    let marks = read.await.map_err(|error| super::answer::unreadable(&error))?;
    let marks = marks.map_err(|error| super::answer::unreadable(&error))?;
    let shown = marks.into_iter().filter_map(|(from, ms)| Some(json!([from, Timestamp::from_millisecond(ms).ok()?])));
    super::answer::json(&headers, &json!({ "times": shown.collect::<Vec<_>>() }))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Whole {
    step: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Raw {
    step: Option<String>,
    /// Whether each line has its time before it.
    times: bool,
}

pub(crate) async fn raw(
    State(shared): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Path(id): Path<String>,
    Query(query): Query<Raw>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if !query.times {
        return whole(&shared, &allowed, &id, query.step.as_deref(), &headers).await;
    }
    let (log, _) = find(&shared, &allowed, &id, query.step.as_deref()).await?;
    let mut response = timed(log.files).into_response();
    set(&mut response, header::CONTENT_TYPE, "text/plain; charset=utf-8");
    Ok(response)
}

/// A whole log, or the range of it that is asked for.
pub(crate) async fn whole(
    shared: &Site,
    allowed: &Allowed<access::RunsRead>,
    id: &str,
    step: Option<&str>,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let (log, _) = find(shared, allowed, id, step).await?;
    let size = log.size();
    let (status, from, to) = match range(headers, size) {
        None => (StatusCode::OK, 0, size),
        Some(Ok((from, to))) => (StatusCode::PARTIAL_CONTENT, from, to),
        Some(Err(())) => {
            let problem = Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "range", format!("the log has {size} bytes"));
            let mut response = problem.into_response();
            set(&mut response, header::CONTENT_RANGE, &format!("bytes */{size}"));
            return Ok(response);
        }
    };
    let chunks = futures_util::stream::unfold((log, from), move |(log, at)| async move {
        if at >= to {
            return None;
        }
        let length = CHUNK_BYTES.min(to - at);
        match log.read(at, length).await {
            // A file that became shorter ends the answer early, so that nobody takes it for whole.
            Ok(bytes) if bytes.len() as u64 == length => Some((Ok(bytes), (log, at + length))),
            Ok(_) | Err(_) => Some((Err(std::io::Error::other("the log became shorter")), (log, to))),
        }
    });
    let mut response = (status, Body::from_stream(chunks)).into_response();
    set(&mut response, header::CONTENT_LENGTH, &(to - from).to_string());
    set(&mut response, header::ACCEPT_RANGES, "bytes");
    set(&mut response, header::CONTENT_TYPE, "text/plain; charset=utf-8");
    let name: String = id.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
    set(&mut response, header::CONTENT_DISPOSITION, &format!("attachment; filename=\"{name}.log\""));
    if status == StatusCode::PARTIAL_CONTENT {
        set(&mut response, header::CONTENT_RANGE, &format!("bytes {from}-{}/{size}", to - 1));
    }
    Ok(response)
}

fn set(response: &mut Response, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// One range of bytes, as `from..to`; `None` where all is wanted, as with several ranges.
/// Follows <https://www.rfc-editor.org/rfc/rfc9110#name-range-requests>.
fn range(headers: &HeaderMap, size: u64) -> Option<Result<(u64, u64), ()>> {
    let text = headers.get(header::RANGE)?.to_str().ok()?.strip_prefix("bytes=")?;
    let (first, last) = text.split_once('-')?;
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let (from, to) = match (first.trim(), last.trim()) {
        ("", last) => (size.saturating_sub(number(last)?), size),
        (first, "") => (number(first)?, size),
        (first, last) => (number(first)?, number(last)?.saturating_add(1).min(size)),
    };
    Some(if from < to { Ok((from, to)) } else { Err(()) })
}

/// Files one after the other, as long as they were when they were found.
#[derive(Debug)]
struct Log {
    files: Vec<(PathBuf, u64)>,
}

impl Log {
    fn size(&self) -> u64 {
        self.files.iter().map(|(_, size)| size).sum()
    }

    /// At most as many bytes as asked for.
    async fn read(&self, from: u64, length: u64) -> Result<Bytes, Problem> {
        let (mut skip, mut left) = (from, length);
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
        for (path, size) in &self.files {
            if skip >= *size {
                skip -= size;
                continue;
            }
            let wanted = left.min(size - skip);
            let read = async {
                let mut file = tokio::fs::File::open(path).await?;
                file.seek(SeekFrom::Start(skip)).await?;
                file.take(wanted).read_to_end(&mut bytes).await
            };
            read.await.map_err(|error| super::answer::unreadable(&error))?;
            (skip, left) = (0, left - wanted);
            if left == 0 {
                break;
            }
        }
        Ok(bytes.into())
    }
}

async fn find(
    shared: &Site,
    allowed: &Allowed<access::RunsRead>,
    id: &str,
    step: Option<&str>,
) -> Result<(Log, bool), Problem> {
    let none = || not_found(format!("there is no job {id}; its id is `RUN:KEY`, as GET /runs/RUN lists it"));
    let (run, key) = job(id).ok_or_else(none)?;
    let run = visible(shared, allowed, run).await?;
    let folder = shared.api.folders.logs(run.id);
    let setup = log_path(&folder, &key, None);
    let paths = match step {
        None => all(&setup).await,
        Some("setup") => vec![setup],
        Some(step) => {
            let step = step.parse().map_err(|_| bad("query", "`step` is a number or `setup`".to_owned()))?;
            vec![log_path(&folder, &key, Some(StepIndex(step)))]
        }
    };
    let mut files = Vec::with_capacity(paths.len());
    for path in paths {
        if let Ok(facts) = tokio::fs::metadata(&path).await {
            files.push((path, facts.len()));
        }
    }
    if files.is_empty() {
        return Err(not_found(format!("there is no log of {id}; it has not begun, or its log was removed by age")));
    }
    Ok((Log { files }, run.status == RunStatus::Completed))
}

/// Set-up first, then steps in their order.
async fn all(setup: &FilePath) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    if let Some(folder) = setup.parent()
        && let Ok(mut entries) = tokio::fs::read_dir(folder).await
    {
        while let Ok(Some(entry)) = entries.next_entry().await {
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == "log") {
                paths.push(path);
            }
        }
    }
    paths.sort_by_key(|path| (path.file_name() != setup.file_name(), path.clone()));
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_keys_and_nothing_else() {
        for (id, expected) in [("7:build", Some("build")), ("7:a(0)/b(12)", Some("a(0)/b(12)"))] {
            assert_eq!(job(id).map(|(_, key)| key.to_string()).as_deref(), expected);
        }
        for id in ["", "7", "build", "x:build", "7:", "7:..", "7:a.b", "7:a\0", "7:ä", "7:a\\b", "-1:a", "7:a b"] {
            assert!(job(id).is_none(), "{id}");
        }
    }

    #[test]
    fn ranges_are_cut_to_what_is_there() {
        for (text, expected) in [
            ("bytes=0-", Some(Ok((0, 10)))),
            ("bytes=2-4", Some(Ok((2, 5)))),
            ("bytes=2-400", Some(Ok((2, 10)))),
            ("bytes=-3", Some(Ok((7, 10)))),
            ("bytes=-300", Some(Ok((0, 10)))),
            ("bytes=10-", Some(Err(()))),
            ("bytes=5-4", Some(Err(()))),
            ("bytes=-0", Some(Err(()))),
            ("bytes=0-1,3-4", None),
            ("lines=0-1", None),
            ("bytes=x-", None),
        ] {
            let headers = HeaderMap::from_iter([(header::RANGE, HeaderValue::from_static(text))]);
            assert_eq!(range(&headers, 10), expected, "{text}");
        }
        assert_eq!(range(&HeaderMap::new(), 10), None);
    }
}
