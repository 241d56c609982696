//! `pipe gc`: what it says that it would do is what it does, also on a disk that is full to the last byte.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use engine::blobs::BlobStore;
use engine::kept::{CacheEntry, CacheForm, Kept, KeptRules};
use engine::store::{Database, NewRun, Options, RunId, RunLog as _, SqliteStore};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value as Json;
use workflow::run::{Conclusion, EVENT_VERSION, Recorded, RunEvent};

use crate::world::World;

/// What one entry of a cache takes.
const ENTRY_BYTES: usize = 3 << 20;

/// A small file system in memory at a folder; it goes with this.
struct Small(PathBuf);

impl Small {
    fn mount(folder: PathBuf) -> Option<Self> {
        std::fs::create_dir_all(&folder).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=24m", "pipe-gc"]).arg(&folder).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(folder))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(&self.0).status());
    }
}

/// A server's folder: a run that ended long ago and one of now, and entries of caches used so many hours ago.
async fn fill(data: &Path, used: &[u64]) {
    let store = SqliteStore::on(Database::open(&data.join("pipe.db"), Options::SERVER).unwrap());
    let now = Timestamp::now();
    for days in [400, 0] {
        let new = NewRun { started_at: now.to_string(), ..NewRun::default() };
        let run = store.create_run(new).await.unwrap().id;
        let at = now - SignedDuration::from_hours(24 * days);
        let event = RunEvent::RunFinished { conclusion: Conclusion::Success };
        store.append(run, &[Recorded { v: EVENT_VERSION, seq: 1, at, event }]).await.unwrap();
        std::fs::create_dir_all(data.join(format!("runs/{run}/logs/build"))).unwrap();
    }
    store.database().close().await;
    let (kept, blobs) = (Kept::new(data, KeptRules::default()), BlobStore::new(data.join("kept/blobs")));
    for hours in used {
        let mut writer = blobs.writer(1).unwrap();
        // Nothing that can be packed.
        let mut noise = vec![0; ENTRY_BYTES];
        std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom").unwrap(), &mut noise).unwrap();
        writer.write_all(&noise).unwrap();
        let (digest, bytes, stored) = writer.finish().unwrap();
        let used = engine::kept::now() - hours * 3_600;
        let entry = CacheEntry {
            id: 0,
            repository: "o/r".into(),
            scope: "refs/heads/main".into(),
            key: format!("used {hours} hours ago"),
            version: "v".into(),
            digest,
            bytes,
            stored,
            created: used,
            used,
            run: 1,
            sha: String::new(),
            form: CacheForm::Ours,
        };
        kept.add_cache(entry).unwrap();
    }
    // Content that nobody names may be about to be named while it is young.
    let old = SystemTime::now() - Duration::from_secs(2 * 24 * 60 * 60);
    for entry in walkdir(&data.join("kept/blobs")) {
        std::fs::File::options().append(true).open(entry).unwrap().set_modified(old).unwrap();
    }
}

fn walkdir(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { walkdir(&path) } else { vec![path] }).collect()
}

/// What went, or would: `kind name`.
fn gc(world: &World, more: &[&str]) -> Vec<String> {
    let output = world.output(&[&["gc", "--data", "data", "--json", "--run-days", "100"], more].concat(), "");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    let told: Json = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["problems"], serde_json::json!([]));
    let gone = told["gone"].as_array().unwrap().iter();
    gone.map(|one| format!("{} {}", one["kind"].as_str().unwrap(), one["name"].as_str().unwrap())).collect()
}

async fn runs(data: &Path) -> Vec<bool> {
    let store = SqliteStore::on(Database::open(&data.join("pipe.db"), Options::SERVER).unwrap());
    let mut there = Vec::new();
    for run in 1..=2 {
        there.push(store.run_row(RunId(run)).await.unwrap().is_some());
    }
    store.database().close().await;
    there
}

#[tokio::test]
async fn what_it_would_do_is_what_it_does() {
    let world = World::new(&[]);
    let data = world.root().join("data");
    fill(&data, &[1, 50, 30]).await;
    let would = gc(&world, &["--dry-run", "--disk-percent", "0"]);
    let caches = ["used 50 hours ago", "used 30 hours ago", "used 1 hours ago"];
    let expected: Vec<_> =
        caches.map(|key| format!("cache {key} of o/r")).into_iter().chain(["run 1".into()]).collect();
    assert_eq!(would, expected);
    assert_eq!((runs(&data).await, data.join("runs/1").exists()), (vec![true, true], true), "it was only said");
    assert_eq!(gc(&world, &["--disk-percent", "0"]), expected);
    assert_eq!((runs(&data).await, data.join("runs/1").exists()), (vec![false, true], false));
    assert!(data.join("runs/2/logs").exists());
    assert_eq!(gc(&world, &["--disk-percent", "0"]), [""; 0]);
}

#[tokio::test]
async fn a_disk_that_is_full_to_the_last_byte_has_room_afterwards() {
    let world = World::new(&[]);
    let data = world.root().join("data");
    let Some(_small) = Small::mount(data.clone()) else {
        eprintln!("SKIPPED a_disk_that_is_full_to_the_last_byte_has_room_afterwards: nothing can be mounted here");
        return;
    };
    fill(&data, &[1, 50, 30, 40]).await;
    let mut filling = std::fs::File::create(data.join("filling")).unwrap();
    for block in [1 << 16, 1 << 12, 1] {
        while filling.write_all(&vec![0; block]).is_ok() {}
    }
    assert_eq!(engine::collect::room(&data), Some(0));
    let would = gc(&world, &["--dry-run"]);
    assert_eq!(would.first().map(String::as_str), Some("cache used 50 hours ago of o/r"));
    assert_eq!(engine::collect::room(&data), Some(0), "it was only said");
    let gone = gc(&world, &[]);
    // So much that a fifth of it is free; what was used lately is needed for nothing of it.
    assert_eq!(gone, ["cache used 50 hours ago of o/r", "cache used 40 hours ago of o/r", "run 1"]);
    let room = engine::collect::room(&data).unwrap();
    assert!(room * 5 >= 24 << 20, "{room}");
    assert_eq!(runs(&data).await, [false, true]);
}
