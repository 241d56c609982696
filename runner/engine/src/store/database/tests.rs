//! Group commit, savepoints, migrations, the lock, and every way to lose facts behind the database's back.

use super::*;

async fn put(database: &Database, text: &str) -> Result<i64, Refusal> {
    let text = text.to_owned();
    database
        .write(move |transaction| {
            transaction.execute("CREATE TABLE IF NOT EXISTS t (x TEXT NOT NULL UNIQUE) STRICT", [])?;
            transaction.execute("INSERT INTO t VALUES (?1)", [text])?;
            Ok(transaction.last_insert_rowid())
        })
        .await
}

async fn count(database: &Database) -> i64 {
    database.read(|connection| connection.query_row("SELECT count(*) FROM t", [], |row| row.get(0))).await.unwrap()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

#[tokio::test]
async fn one_that_fails_does_not_spoil_the_batch() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&folder.path().join("x.db"), Options::SERVER).unwrap();
    put(&database, "a").await.unwrap();
    let panics = database.write(|_| -> rusqlite::Result<()> { panic!("a bug in one request") });
    let (same, b, broken, c) = tokio::join!(put(&database, "a"), put(&database, "b"), panics, put(&database, "c"));
    assert!(matches!(same, Err(Refusal::Statement(_))), "{same:?}");
    assert!(matches!(broken, Err(Refusal::Database(_))), "{broken:?}");
    assert!(b.is_ok() && c.is_ok());
    assert_eq!(count(&database).await, 3);
    assert!(database.is_healthy());
    database.probe().await.unwrap();
    database.close().await;
    assert!(put(&database, "d").await.is_err());
}

#[tokio::test]
async fn t08_a_server_is_alone_and_local_runs_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let server = Database::open(&path, Options::SERVER).unwrap();
    for options in [Options::SERVER, Options::LOCAL] {
        let refused = Database::open(&path, options).unwrap_err();
        let owner = format!("process {}", std::process::id());
        assert!(matches!(&refused, StoreError::InUse { by, .. } if *by == owner), "{refused}");
    }
    server.close().await;
    let first = Database::open(&path, Options::LOCAL).unwrap();
    let second = Database::open(&path, Options::LOCAL).unwrap();
    put(&first, "a").await.unwrap();
    put(&second, "b").await.unwrap();
    assert_eq!(count(&first).await, 2);
    assert!(Database::open(&path, Options::SERVER).is_err());
}

#[tokio::test]
async fn a_short_wal_of_a_shared_file_is_left_to_the_next_and_a_long_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let wal = || std::fs::metadata(folder.path().join("x.db-wal")).map_or(0, |facts| facts.len());
    let mut rows = 0;
    let mut before = 0;
    loop {
        let database = Database::open(&path, Options::LOCAL).unwrap();
        if rows > 0 {
            assert_eq!(count(&database).await, rows);
        }
        put(&database, &format!("{rows} {}", "x".repeat(100_000))).await.unwrap();
        rows += 1;
        database.close().await;
        if wal() < before {
            break;
        }
        before = wal();
        assert!(rows < 100, "the WAL has {before} bytes and is left again and again");
    }
    assert!(rows > 2 && before > 100_000, "{rows} rows, {before} bytes");
    let server = Database::open(&path, Options::SERVER).unwrap();
    assert_eq!(count(&server).await, rows);
    put(&server, "last").await.unwrap();
    server.close().await;
    assert_eq!(wal(), 0);
}

#[tokio::test]
async fn older_tables_are_changed_after_a_copy_and_newer_ones_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let old = Connection::open(&path).unwrap();
    old.execute_batch(include_str!("../migrations/001-runs.sql")).unwrap();
    old.execute("INSERT INTO runs VALUES (7, 'a/b', 'ci.yml', 1, 'push', 'refs/heads/main', '0', '')", []).unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    drop(old);
    let database = Database::open(&path, Options::SERVER).unwrap();
    let id = |connection: &Connection| connection.query_row("SELECT id FROM runs", [], |row| row.get::<_, i64>(0));
    assert_eq!(database.read(move |connection| id(connection)).await.unwrap(), 7);
    database.close().await;
    let copy = Connection::open(folder.path().join("x.db.before-form-2")).unwrap();
    assert_eq!(id(&copy).unwrap(), 7);
    assert_eq!(copy.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0)).unwrap(), 1);
    let newer = Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    drop(newer);
    let refused = Database::open(&path, Options::SERVER).unwrap_err().to_string();
    assert!(refused.contains("newer version of pipe (form 99"), "{refused}");
}

/// A WAL that is cut anywhere: what was acknowledged is there, or opening is refused by number.
#[tokio::test]
async fn x08_a_wal_that_was_cut_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let live = folder.path().join("live");
    let database = Database::open(&live.join("x.db"), Options::SERVER).unwrap();
    for number in 0..40 {
        put(&database, &number.to_string()).await.unwrap();
    }
    let killed = folder.path().join("killed");
    copy(&live, &killed);
    let whole = std::fs::metadata(killed.join("x.db-wal")).unwrap().len();
    let mut refused = 0;
    for cut in 0..=20 {
        let case = folder.path().join(format!("cut-{cut}"));
        copy(&killed, &case);
        let wal = std::fs::File::options().write(true).open(case.join("x.db-wal")).unwrap();
        wal.set_len(whole * cut / 20).unwrap();
        // What another process knew of the WAL is gone with it.
        drop(std::fs::remove_file(case.join("x.db-shm")));
        match Database::open(&case.join("x.db"), Options::SERVER) {
            Ok(opened) => assert_eq!(count(&opened).await, 40, "cut {cut}"),
            Err(StoreError::Lost { acknowledged, found, .. }) => {
                assert!(found < acknowledged, "cut {cut}");
                assert_eq!(std::fs::metadata(case.join("x.db-wal")).unwrap().len(), whole * cut / 20, "kept as it is");
                let accepted = Options { accept_loss: true, ..Options::SERVER };
                let opened = Database::open(&case.join("x.db"), accepted).unwrap();
                put(&opened, "next").await.unwrap();
                opened.close().await;
                Database::open(&case.join("x.db"), Options::SERVER).unwrap();
                refused += 1;
            }
            Err(error) => panic!("cut {cut}: {error}"),
        }
    }
    assert_eq!(refused, 20, "only the whole one is taken");
}

#[tokio::test]
async fn an_old_copy_put_back_is_noticed_even_when_it_has_gone_on() {
    let folder = tempfile::tempdir().unwrap();
    let (live, old) = (folder.path().join("live"), folder.path().join("old"));
    let path = live.join("x.db");
    let database = Database::open(&path, Options::SERVER).unwrap();
    put(&database, "a").await.unwrap();
    database.close().await;
    copy(&live, &old);
    let database = Database::open(&path, Options::SERVER).unwrap();
    put(&database, "b").await.unwrap();
    database.close().await;
    // The old copy goes as far as the live one, by another way.
    let copied = Database::open(&old.join("x.db"), Options::SERVER).unwrap();
    put(&copied, "c").await.unwrap();
    copied.close().await;
    std::fs::remove_file(old.join("x.db.head")).unwrap();
    copy(&old, &live);
    assert!(matches!(Database::open(&path, Options::SERVER), Err(StoreError::Lost { .. })));
}

/// Needs a small file system; without the right to mount one it says that it was skipped.
#[tokio::test]
async fn a_full_disk_refuses_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let flags = nix::mount::MsFlags::empty();
    if nix::mount::mount(Some("tmpfs"), folder.path(), Some("tmpfs"), flags, Some("size=2m")).is_err() {
        eprintln!("SKIPPED a_full_disk_refuses_and_comes_back: no right to mount a file system");
        return;
    }
    let database = Database::open(&folder.path().join("x.db"), Options::SERVER).unwrap();
    let mut taken = 0;
    let refused = loop {
        let text = format!("{taken}{}", "x".repeat(50_000));
        match put(&database, &text).await {
            Ok(_) => taken += 1,
            Err(Refusal::Database(error)) => break error,
            Err(Refusal::Statement(error)) => panic!("{error}"),
        }
    };
    assert!(matches!(refused, StoreError::Full { .. }), "{refused}");
    assert!(!database.is_healthy());
    assert_eq!(count(&database).await, taken);
    nix::mount::mount(None::<&str>, folder.path(), None::<&str>, nix::mount::MsFlags::MS_REMOUNT, Some("size=8m"))
        .unwrap();
    database.probe().await.unwrap();
    assert!(database.is_healthy());
    put(&database, "again").await.unwrap();
    database.close().await;
    let database = Database::open(&folder.path().join("x.db"), Options::SERVER).unwrap();
    assert_eq!(count(&database).await, taken + 1);
    database.close().await;
    drop(database);
    nix::mount::umount(folder.path()).unwrap();
}
