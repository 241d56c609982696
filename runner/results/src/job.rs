//! A job that is served: what it is, its keys, and what it offered or began.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use engine::blobs::BlobDigest;
use engine::kept::{CacheEntry, now};
use engine::serving::ServedJob;

use crate::api::Writes;
use crate::identity::Identity;
use crate::signed::{self, DOWNLOAD_SECONDS, Purpose, UPLOAD_SECONDS};
use crate::token::{Ids, Keys};
use crate::uploads::Uploads;

/// One.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) facts: ServedJob,
    pub(crate) ids: Ids,
    pub(crate) keys: Keys,
    pub(crate) uploads: Uploads,
    /// Entries of caches that it may download, by their content: one that turns out to be damaged is removed.
    pub(crate) offered: Mutex<HashMap<BlobDigest, CacheEntry>>,
    /// Blobs that were read whole and found to be what they should.
    pub(crate) verified: Mutex<HashSet<BlobDigest>>,
    pub(crate) identity: Option<Identity>,
    pub(crate) writes: Writes,
    over: AtomicBool,
}

impl Job {
    pub(crate) fn new(facts: ServedJob, identity: Option<Identity>, writes: Writes) -> Result<Self, String> {
        let ids = Ids::of(&facts);
        let keys = Keys::of(&facts, &ids)?;
        let uploads = Uploads::new(facts.kept.uploads(), ids.job.clone()).flushed(facts.kept.blobs.flush());
        let (offered, verified) = (Mutex::default(), Mutex::default());
        Ok(Self { facts, ids, keys, uploads, offered, verified, identity, writes, over: AtomicBool::new(false) })
    }

    /// Nothing is answered any more.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Release);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    pub(crate) fn upload_url(&self, id: u64) -> String {
        self.url(Purpose::Write, &format!("/upload/{id}"), "", UPLOAD_SECONDS)
    }

    /// The address of a blob under a name, which is the end of its path; `kind` is what it is said to be.
    pub(crate) fn download_url(&self, digest: &BlobDigest, name: &str, kind: &str) -> String {
        let name: String = form_urlencoded::byte_serialize(name.as_bytes()).collect();
        // A path knows no `+`.
        let path = format!("/download/{}/{}", digest.hex(), name.replace('+', "%20"));
        self.url(Purpose::Read, &path, kind, DOWNLOAD_SECONDS)
    }

    fn url(&self, purpose: Purpose, path: &str, about: &str, seconds: u64) -> String {
        let query = signed::query(&self.keys, purpose, path, about, now() + seconds);
        format!("{}{path}?{query}", self.facts.origin)
    }
}
