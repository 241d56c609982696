//! `actions/cache`, `actions/cache/restore` and `actions/cache/save`, done natively.
//!
//! An entry belongs to the ref whose run made it: runs of that ref find it, those of pull requests into it, and, if it is
//! the default branch, all. So a pull request can write for nobody but itself. Inputs, outputs and words follow
//! <https://github.com/actions/cache/blob/main/README.md>, scopes
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/dependency-caching>.

use std::path::PathBuf;

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};

use super::archive::{Kind, Places, give_out, take_in};
use super::clients::{JobFolders, give_clients};
use super::patterns::{Patterns, is_below};
use super::transfer::{Find, find, pack, unpack};
use super::{failed, flag, input, lines, switch, text};
use crate::kept::{CacheEntry, CacheForm, CacheScopes, Kept, KeptError, RunOfCaches, Wanted, now};
use crate::step::{ActionCall, ActionError, BuiltInAction, InputFacts, PostWhen};

/// GitHub's bounds of a key and of how many there may be.
const KEY_CHARS_MAX: usize = 512;
const KEYS_MAX: usize = 10;

/// How well is packed: as fast as it is read.
const LEVEL: i32 = 1;

const PATH: InputFacts = input("path", "", true, "Files, folders and patterns, one a line");
const KEY: InputFacts = input("key", "", true, "The entry's key");
const RESTORE_KEYS: InputFacts = input("restore-keys", "", false, "Beginnings of keys that will do, one a line");
const FAIL: InputFacts = switch("fail-on-cache-miss", "false", "Whether it is an error that there is none");
const LOOKUP: InputFacts = switch("lookup-only", "false", "Whether the entry is only looked for");
const SEGMENTS: InputFacts = input("upload-chunk-size", "", false, "Ignored: nothing is uploaded");
const CROSS: InputFacts = input("enableCrossOsArchive", "false", false, "Ignored: there is one system");
const SAVE_ALWAYS: InputFacts = switch("save-always", "false", "Whether it is saved though the job has failed");

/// Restores, and saves at the end of the job.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cache;

/// Only restores.
#[derive(Debug, Clone, Copy, Default)]
pub struct RestoreCache;

/// Only saves.
#[derive(Debug, Clone, Copy, Default)]
pub struct SaveCache;

#[async_trait]
impl BuiltInAction for Cache {
    fn name(&self) -> &'static str {
        "actions/cache"
    }

    fn inputs(&self) -> &'static [InputFacts] {
        &[PATH, KEY, RESTORE_KEYS, FAIL, LOOKUP, SEGMENTS, CROSS, SAVE_ALWAYS]
    }

    async fn run(&self, call: &mut ActionCall<'_>) -> Result<(), ActionError> {
        let always = flag(call, "save-always")?;
        let matched = restore(call).await?;
        if !flag(call, "lookup-only")? {
            call.state.insert("matched".to_owned(), matched.unwrap_or_default());
            call.post = Some(if always { PostWhen::Always } else { PostWhen::Success });
        }
        Ok(())
    }

    async fn post(&self, call: &mut ActionCall<'_>) -> Result<(), ActionError> {
        let key = text(call, "key").to_owned();
        if call.state.get("matched") == Some(&key) {
            call.log.line(&format!("Cache hit occurred on the primary key {key}, not saving cache.")).await;
            return Ok(());
        }
        // A cache that cannot be saved fails no job.
        if let Err(error) = save(call).await {
            call.log.warning(&format!("Failed to save: {error}")).await;
        }
        Ok(())
    }
}

#[async_trait]
impl BuiltInAction for RestoreCache {
    fn name(&self) -> &'static str {
        "actions/cache/restore"
    }

    fn inputs(&self) -> &'static [InputFacts] {
        &[PATH, KEY, RESTORE_KEYS, FAIL, LOOKUP, CROSS]
    }

    async fn run(&self, call: &mut ActionCall<'_>) -> Result<(), ActionError> {
        restore(call).await.map(drop)
    }
}

#[async_trait]
impl BuiltInAction for SaveCache {
    fn name(&self) -> &'static str {
        "actions/cache/save"
    }

    fn inputs(&self) -> &'static [InputFacts] {
        &[PATH, KEY, SEGMENTS, CROSS]
    }

    async fn run(&self, call: &mut ActionCall<'_>) -> Result<(), ActionError> {
        check_keys(&[text(call, "key").to_owned()])?;
        if let Err(error) = save(call).await {
            call.log.warning(&format!("Failed to save: {error}")).await;
        }
        Ok(())
    }
}

/// Restores an entry; gives its key.
async fn restore(call: &mut ActionCall<'_>) -> Result<Option<String>, ActionError> {
    let key = text(call, "key").to_owned();
    let prefixes = lines(text(call, "restore-keys"));
    let keys: Vec<String> = std::iter::once(key.clone()).chain(prefixes.iter().cloned()).collect();
    check_keys(&keys)?;
    call.outputs.insert("cache-primary-key".to_owned(), key.clone());
    let kept = call.run.kept.clone();
    let version = version(call);
    let (repository, scopes) = (&call.run.keeper.repository, scopes(call).readable);
    let wanted = Wanted { repository, scopes: &scopes, version: &version, key: &key, prefixes: &prefixes };
    let found = kept.find_cache(wanted).map_err(failed)?;
    let found = match found {
        Some(entry) if !flag(call, "lookup-only")? => match unpacked(call, &kept, &entry).await {
            Ok(()) => Some(entry),
            Err(error) => {
                call.log.warning(&format!("Failed to restore: {error}")).await;
                if let Some(damage) = damaged(&kept, &entry).await {
                    call.log.warning(&format!("The entry is removed, since it cannot be read: {damage}")).await;
                }
                None
            }
        },
        found => found,
    };
    let Some(entry) = found else {
        if flag(call, "fail-on-cache-miss")? {
            return Err(failed(format!(
                "Failed to restore cache entry. Exiting as fail-on-cache-miss is set. Input key: {key}"
            )));
        }
        call.log.line(&format!("Cache not found for input keys: {}", keys.join(", "))).await;
        return Ok(None);
    };
    let exact = entry.key == key;
    call.outputs.insert("cache-hit".to_owned(), exact.to_string());
    call.outputs.insert("cache-matched-key".to_owned(), entry.key.clone());
    let said = if flag(call, "lookup-only")? {
        format!("Cache found and can be restored from key: {}", entry.key)
    } else {
        format!("Cache restored from key: {} (of run {})", entry.key, entry.run)
    };
    call.log.line(&said).await;
    Ok(Some(entry.key))
}

/// Whether the entry itself is at fault; it is gone then, so that the job can save a whole one.
async fn damaged(kept: &Kept, entry: &CacheEntry) -> Option<String> {
    let (kept, entry) = (kept.clone(), entry.clone());
    let look = tokio::task::spawn_blocking(move || {
        let read = kept.blobs.open(&entry.digest).and_then(|mut blob| std::io::copy(&mut blob, &mut std::io::sink()));
        let damage = read.err()?;
        // What cannot be removed is found damaged again.
        let _left = kept.drop_cache(&entry);
        Some(damage.to_string())
    });
    look.await.ok().flatten()
}

async fn unpacked(call: &ActionCall<'_>, kept: &Kept, entry: &CacheEntry) -> Result<(), ActionError> {
    let archive = kept.blobs.open(&entry.digest).map_err(failed)?;
    let places = places(call);
    let workspace = PathBuf::from(&call.workspace.inside);
    let form = entry.form;
    unpack(call, "/", move |file| match form {
        CacheForm::Ours => give_out(archive, file, &places),
        CacheForm::Client => give_clients(archive, file, &workspace),
    })
    .await
}

/// Where the job's folders are: another job's may be elsewhere.
fn places(call: &ActionCall<'_>) -> Places {
    JobFolders { workspace: call.workspace.inside.clone(), home: call.run.home.clone() }.places()
}

/// Saves an entry, unless there is one or there is nothing.
async fn save(call: &mut ActionCall<'_>) -> Result<(), ActionError> {
    let key = text(call, "key").to_owned();
    let CacheScopes { own: scope, refused, .. } = scopes(call);
    if let Some(why) = refused {
        return Err(failed(why));
    }
    let kept = call.run.kept.clone();
    let (repository, version) = (call.run.keeper.repository.clone(), version(call));
    let taken = format!("Unable to reserve cache with key {key}, another job may be creating this cache.");
    if let Some(entry) = kept.cache(&repository, &scope, &version, &key).map_err(failed)? {
        // A process that was killed had saved it.
        if call.again && entry.run == call.run.id.0 {
            call.log.line(&format!("Cache saved with key: {key}")).await;
            return Ok(());
        }
        return Err(ActionError::Failed(taken));
    }
    let paths = paths(call).await?;
    if paths.is_empty() {
        return Err(failed(
            "Path Validation Error: Path(s) specified in the action for caching do(es) not exist, hence no cache is being saved.",
        ));
    }
    let mut writer = kept.blobs.writer(LEVEL).map_err(failed)?;
    let places = places(call);
    let (digest, bytes, stored) = pack(call, "/", &paths, false, move |archive| {
        take_in(archive, &mut writer, Kind::Cache, &places)?;
        writer.finish().map_err(|error| error.to_string())
    })
    .await?;
    let (created, used) = (now(), now());
    let (run, sha) = (call.run.id.0, call.run.sha.clone());
    let entry = CacheEntry {
        id: 0,
        repository,
        scope,
        key: key.clone(),
        version,
        digest,
        bytes,
        stored,
        created,
        used,
        run,
        sha,
        form: CacheForm::Ours,
    };
    match kept.add_cache(entry) {
        Ok(_) => call.log.line(&format!("Cache saved with key: {key}")).await,
        Err(KeptError::Exists) => return Err(ActionError::Failed(taken)),
        Err(error @ KeptError::Io { .. }) => return Err(failed(error)),
    }
    Ok(())
}

/// What is saved, relative to `/`: none is below another.
async fn paths(call: &ActionCall<'_>) -> Result<Vec<String>, ActionError> {
    let patterns = Patterns::read(text(call, "path"), &call.workspace.inside, &call.run.home).map_err(failed)?;
    let mut found = match patterns.plain() {
        Some(paths) => find(call, Find::Existing, &paths).await?,
        None => {
            let mut found = find(call, Find::All, &patterns.roots()).await?;
            found.retain(|path| patterns.matches(path));
            found
        }
    };
    found.sort();
    found.dedup();
    if patterns.plain().is_some() {
        let all = found.clone();
        found.retain(|path| !all.iter().any(|other| other != path && is_below(path, other)));
    }
    Ok(found.iter().map(|path| path.trim_start_matches('/').to_owned()).collect())
}

/// Entries made of other paths do not fit. As the npm package makes it where a job has zstd, so that entries are shared.
fn version(call: &ActionCall<'_>) -> String {
    let mut parts = lines(text(call, "path"));
    parts.extend(["zstd-without-long".to_owned(), "1.0".to_owned()]);
    Sha256::digest(parts.join("|").as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whose entries a run may use and write.
fn scopes(call: &ActionCall<'_>) -> CacheScopes {
    let run = &call.run;
    CacheScopes::of(RunOfCaches {
        event: &run.event,
        git_ref: &run.git_ref,
        base_ref: &run.base_ref,
        default_branch: &run.default_branch,
        trusted: run.keeper.trusted,
        fork: run.fork,
        mode: run.cache_mode,
    })
}

fn check_keys(keys: &[String]) -> Result<(), ActionError> {
    if keys.len() > KEYS_MAX {
        return Err(failed(format!("Key Validation Error: Keys are limited to a maximum of {KEYS_MAX}.")));
    }
    for key in keys {
        if key.chars().count() > KEY_CHARS_MAX {
            return Err(failed(format!(
                "Key Validation Error: {key} cannot be larger than {KEY_CHARS_MAX} characters."
            )));
        }
        if key.contains(',') {
            return Err(failed(format!("Key Validation Error: {key} cannot contain commas.")));
        }
    }
    Ok(())
}
