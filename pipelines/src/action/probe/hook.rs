//! The same visit as a hook of a rollout: of green, before users reach it.

use std::collections::BTreeMap;
use std::time::Instant;

use engine::placement::JobHandle;
use scanners::policy::Outcome;
use workflow::diagnostic::suggest;

use super::{Url, scan, table};
use crate::probe::{Description, NAMES, Wish, visit};

/// A policy or a description, at most.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What a visit is made with.
pub(in crate::action) struct Asked<'a> {
    /// Keys of the hook.
    pub(in crate::action) keys: &'a BTreeMap<String, String>,
    /// Where green answers, as this process reaches it.
    pub(in crate::action) url: String,
    /// A header that leads to green, where its address alone does not.
    pub(in crate::action) colour: Option<&'static str>,
    /// The job, for files of its workspace.
    pub(in crate::action) job: &'a dyn JobHandle,
    /// The workspace as the job sees it.
    pub(in crate::action) cwd: &'a str,
}

/// All that is wrong with the keys of a hook.
pub(in crate::action) fn check(keys: &BTreeMap<String, String>) -> Vec<String> {
    let known = || NAMES.iter().map(|(name, _)| *name);
    let unknown = keys.keys().filter(|key| !known().any(|name| name == *key)).map(|key| {
        let meant = suggest(key, known()).map(|near| format!(", did you mean `{near}`?")).unwrap_or_default();
        format!("a probe has no key `{key}`{meant}")
    });
    unknown.chain(read(keys, None).err().unwrap_or_default()).collect()
}

fn read(keys: &BTreeMap<String, String>, colour: Option<&str>) -> Result<Wish, Vec<String>> {
    Wish::read(&|name| {
        let text = keys.get(name).cloned().unwrap_or_default();
        match colour.filter(|_| name == "headers") {
            Some(colour) => format!("{text}\nX-Pipe-Color: {colour}"),
            None => text,
        }
    })
}

/// Visits, and gives what is to be told. What the gate stops, and what cannot be trusted, is an error: its text, and whether the
/// same may go well a little later.
pub(in crate::action) async fn visit_for_hook(asked: &Asked<'_>) -> (String, Result<(), String>) {
    let mut told = String::new();
    let done = visited(asked, &mut told).await;
    (told, done)
}

async fn visited(asked: &Asked<'_>, told: &mut String) -> Result<(), String> {
    let wish = read(asked.keys, asked.colour).map_err(|all| all.join("; "))?;
    let policy = match &wish.gate {
        Some(path) => {
            let bytes = file(asked, "gate", path).await?;
            scan::policy_of(path, String::from_utf8_lossy(&bytes).into_owned())?
        }
        None => wish.policy()?,
    };
    let description = match wish.openapi.as_deref() {
        None => Description::None,
        Some(path) if path.starts_with('/') => Description::Served(path.to_owned()),
        Some(path) => Description::Text { name: path.to_owned(), bytes: file(asked, "openapi", path).await? },
    };
    let begun = Instant::now();
    let visited = visit(&wish.order(Url::parse(&asked.url)?, description, policy)).await?;
    *told = format!("Asking {}\n{}\n{}\n", asked.url, visited.sentence(begun), table(&visited.scanned));
    let verdict = &visited.scanned.verdict;
    match verdict.outcome {
        Outcome::Pass => Ok(()),
        Outcome::Fail | Outcome::Untrusted => Err(verdict.sentence()),
    }
}

/// Of the workspace, which the job alone may reach into.
async fn file(asked: &Asked<'_>, key: &str, path: &str) -> Result<Vec<u8>, String> {
    let below = crate::action::paths::below(key, path, asked.cwd)?;
    let inside = format!("{}/{}", asked.cwd, below.display());
    let read = asked.job.read_file(&inside, FILE_BYTES_MAX).await;
    let read = read.map_err(|error| format!("`{key}: {path}` cannot be read: {error}"))?;
    read.map(|bytes| bytes.to_vec()).ok_or_else(|| format!("`{key}: {path}`: there is no such file in the workspace"))
}
