//! `github.actions.results.api.v1.CacheService`, as `@actions/cache` calls it.
//! See <https://github.com/actions/toolkit/blob/main/packages/cache/src/generated/results/api/v1/cache.ts>.

use std::sync::{Arc, PoisonError};

use engine::blobs::BlobDigest;
use engine::kept::{CacheEntry, CacheForm, KeptError, Wanted, now};
use serde_json::{Value as Json, json};

use crate::job::Job;
use crate::twirp::{Fault, blocking, number, text};
use crate::uploads::What;

/// GitHub's bounds of a key and of how many there may be.
const KEY_CHARS_MAX: usize = 512;
const KEYS_MAX: usize = 10;
const VERSION_CHARS_MAX: usize = 512;

pub(crate) async fn call(job: &Arc<Job>, method: &str, request: Json) -> Result<Json, Fault> {
    let (job, method) = (Arc::clone(job), method.to_owned());
    blocking(move || match &*method {
        "CreateCacheEntry" => create(&job, &request),
        "FinalizeCacheEntryUpload" => finalize(&job, &request),
        "GetCacheEntryDownloadURL" => download(&job, &request),
        _ => Err(Fault::not_found(format!("CacheService has no method {method}"))),
    })
    .await
}

fn check_key(key: &str) -> Result<(), Fault> {
    if key.is_empty() {
        return Err(Fault::invalid("Key Validation Error: a key is empty"));
    }
    if key.chars().count() > KEY_CHARS_MAX {
        return Err(Fault::invalid(format!(
            "Key Validation Error: {key} cannot be larger than {KEY_CHARS_MAX} characters."
        )));
    }
    if key.contains(',') {
        return Err(Fault::invalid(format!("Key Validation Error: {key} cannot contain commas.")));
    }
    Ok(())
}

fn check_version(version: &str) -> Result<(), Fault> {
    if version.is_empty() || version.len() > VERSION_CHARS_MAX {
        return Err(Fault::invalid(format!("`version` must have 1 to {VERSION_CHARS_MAX} characters")));
    }
    Ok(())
}

/// What a client asks to save: a number for the upload, or why not.
pub(crate) fn reserve(job: &Job, key: &str, version: &str) -> Result<Result<u64, String>, Fault> {
    check_key(key)?;
    check_version(version)?;
    if let Some(why) = &job.facts.scopes.refused {
        return Ok(Err(why.clone()));
    }
    let scope = &job.facts.scopes.own;
    let there = job.facts.kept.cache(&job.facts.keeper.repository, scope, version, key).map_err(Fault::internal)?;
    if there.is_some() {
        return Ok(Err(format!("there is a cache entry with the key {key} for {scope}; an entry is never changed")));
    }
    let what = What::Cache { key: key.to_owned(), version: version.to_owned() };
    let begun = job.uploads.begin_alone(what).map_err(Fault::internal)?;
    Ok(begun.ok_or_else(|| format!("this job is saving a cache entry with the key {key} already")))
}

fn create(job: &Job, request: &Json) -> Result<Json, Fault> {
    match reserve(job, text(request, "key")?, text(request, "version")?)? {
        Ok(id) => Ok(json!({ "ok": true, "signed_upload_url": job.upload_url(id) })),
        Err(why) => Ok(json!({ "ok": false, "message": why })),
    }
}

fn finalize(job: &Job, request: &Json) -> Result<Json, Fault> {
    let (key, version) = (text(request, "key")?, text(request, "version")?);
    let own = What::Cache { key: key.to_owned(), version: version.to_owned() };
    let Some((id, _)) = job.uploads.whole(|what| *what == own) else {
        // An answer that was lost is asked for again.
        let scope = &job.facts.scopes.own;
        let there = job.facts.kept.cache(&job.facts.keeper.repository, scope, version, key).map_err(Fault::internal)?;
        return match there.filter(|entry| entry.run == job.facts.run.0) {
            Some(entry) => Ok(json!({ "ok": true, "entry_id": entry.id.to_string() })),
            None => Err(Fault::not_found(format!("nothing was uploaded for the cache entry {key}"))),
        };
    };
    match save(job, id, number(request, "size_bytes")?)? {
        Some(entry) => Ok(json!({ "ok": true, "entry_id": entry.id.to_string() })),
        None => {
            Ok(json!({ "ok": false, "message": format!("another job has saved a cache entry with the key {key}") }))
        }
    }
}

/// Keeps what was uploaded; `None` where another one was first.
pub(crate) fn save(job: &Job, id: u64, bytes: Option<u64>) -> Result<Option<CacheEntry>, Fault> {
    let gone = || Fault::not_found("this upload is finished, or was never begun");
    let upload = job.uploads.get(id).ok_or_else(gone)?;
    let (What::Cache { key, version }, Some(committed)) = (upload.what.clone(), upload.committed()) else {
        return Err(gone());
    };
    if let Some(bytes) = bytes.filter(|bytes| *bytes != committed.bytes) {
        return Err(Fault::invalid(format!("the size is said to be {bytes} bytes, but {} came", committed.bytes)));
    }
    let (path, digest) = upload.digest(&committed).map_err(Fault::internal)?;
    let facts = &job.facts;
    let entry = CacheEntry {
        id: 0,
        repository: facts.keeper.repository.clone(),
        scope: facts.scopes.own.clone(),
        key,
        version,
        digest: digest.clone(),
        bytes: committed.bytes,
        stored: committed.bytes,
        created: now(),
        used: now(),
        run: facts.run.0,
        sha: facts.github["sha"].as_str().unwrap_or_default().to_owned(),
        form: CacheForm::Client,
    };
    facts.kept.blobs.adopt(&path, &digest).map_err(Fault::internal)?;
    let added = facts.kept.add_cache(entry);
    job.uploads.discard(id);
    match added {
        Ok(entry) => Ok(Some(entry)),
        Err(KeptError::Exists) => Ok(None),
        Err(error @ KeptError::Io { .. }) => Err(Fault::internal(error)),
    }
}

/// What fits a request: the entry, and the address and the bytes of what a client can unpack.
pub(crate) fn find(job: &Job, keys: &[String], version: &str) -> Result<Option<(CacheEntry, String)>, Fault> {
    let Some((key, prefixes)) = keys.split_first() else { return Err(Fault::invalid("there is no key")) };
    if keys.len() > KEYS_MAX {
        return Err(Fault::invalid(format!("Key Validation Error: Keys are limited to a maximum of {KEYS_MAX}.")));
    }
    keys.iter().try_for_each(|key| check_key(key))?;
    check_version(version)?;
    let facts = &job.facts;
    let (repository, scopes) = (&facts.keeper.repository, &facts.scopes.readable);
    loop {
        let wanted = Wanted { repository, scopes, version, key, prefixes };
        let Some(entry) = facts.kept.find_cache(wanted).map_err(Fault::internal)? else { return Ok(None) };
        match content(job, &entry) {
            Ok(digest) => {
                let url = job.download_url(&digest, "cache", "");
                job.offered.lock().unwrap_or_else(PoisonError::into_inner).insert(digest, entry.clone());
                return Ok(Some((entry, url)));
            }
            // One that is damaged is none: the next best one is looked for.
            Err(error) => {
                tracing::warn!(key = entry.key, %error, "an entry of a cache is damaged and goes");
                facts.kept.drop_cache(&entry).map_err(Fault::internal)?;
            }
        }
    }
}

/// The blob that a client can unpack.
fn content(job: &Job, entry: &CacheEntry) -> std::io::Result<BlobDigest> {
    match entry.form {
        CacheForm::Client => {
            let bytes = job.facts.kept.blobs.open_plain(&entry.digest)?.metadata()?.len();
            if bytes != entry.bytes {
                return Err(std::io::Error::other(format!("it has {bytes} bytes instead of {}", entry.bytes)));
            }
            Ok(entry.digest.clone())
        }
        CacheForm::Ours => engine::step::cache_for_clients(&job.facts.kept, entry, &job.facts.places),
    }
}

fn download(job: &Job, request: &Json) -> Result<Json, Fault> {
    let mut keys = vec![text(request, "key")?.to_owned()];
    match request.get("restore_keys") {
        None | Some(Json::Null) => {}
        Some(Json::Array(more)) => {
            for key in more {
                let key = key.as_str().ok_or_else(|| Fault::invalid("`restore_keys` must be texts"))?;
                keys.push(key.to_owned());
            }
        }
        Some(_) => return Err(Fault::invalid("`restore_keys` must be a list")),
    }
    match find(job, &keys, text(request, "version")?)? {
        Some((entry, url)) => Ok(json!({ "ok": true, "signed_download_url": url, "matched_key": entry.key })),
        None => Ok(json!({ "ok": false })),
    }
}
