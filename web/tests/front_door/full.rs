//! X05: the disk is full. Hooks are refused with 503, readiness says so, and everything goes on when there is room.

use std::path::Path;

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::world::{Post, REPOSITORY, Setup, World, push_payload, secret_of, signature};

/// A small file system, gone when dropped.
struct Mounted<'path>(&'path Path);

impl<'path> Mounted<'path> {
    /// `None` without the right to mount.
    fn new(path: &'path Path, size: &str) -> Option<Self> {
        mount(Some("tmpfs"), path, Some("tmpfs"), MsFlags::empty(), Some(size)).ok().map(|()| Self(path))
    }

    fn resize(&self, size: &str) {
        mount(None::<&str>, self.0, None::<&str>, MsFlags::MS_REMOUNT, Some(size)).unwrap();
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        umount2(self.0, MntFlags::MNT_DETACH).unwrap_or_default();
    }
}

fn large(number: usize) -> Post {
    let mut payload = push_payload(REPOSITORY, &format!("b{number}"));
    // Hardly packs, so that the disk is soon full.
    payload["text"] =
        (0..1_000_u64).map(|each| format!("{:016x}", (each + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    let body = payload.to_string();
    Post::github("push", &format!("g{number}"), body.as_bytes())
        .with("X-Hub-Signature-256", &signature(&secret_of(REPOSITORY), body.as_bytes()))
}

#[tokio::test]
async fn a_full_disk_is_said_and_got_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_path_buf();
    let Some(disk) = Mounted::new(&path, "size=2m") else {
        eprintln!("SKIPPED a_full_disk_is_said_and_got_over: no right to mount a file system");
        return;
    };
    let world = World::start_in(folder, Setup::default()).await;
    let ready = b"GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let mut taken = 0;
    let refused = loop {
        let answer = world.post(&large(taken)).await;
        if answer.status != 202 {
            break answer;
        }
        taken += 1;
    };
    assert!(refused.status == 503 && refused.has("retry-after: 30"), "{}", refused.head);
    assert!(taken > 10, "{taken}");
    disk.resize("size=16m");
    assert_eq!(world.send(ready).await.status, 200, "there is room again");
    assert_eq!(world.post(&large(taken)).await.status, 202, "what was refused comes again");
    assert_eq!(world.list().await.len(), taken + 1);
    world.stop.cancel();
    world.serving.await.unwrap();
    world.deliveries.database().close().await;
    drop(disk);
}
