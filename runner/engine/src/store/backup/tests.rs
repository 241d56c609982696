//! A backup made beside a server is whole; what is done to it is noticed; what was restored works, but no token does.

use std::sync::Arc;

use workflow::run::{EVENT_VERSION, Recorded, RunEvent};
use workflow::secret::Secret;

use super::*;
use crate::sealing::{KEY_FILE, KeySource, Vault};
use crate::store::audit::{Actor, Audit};
use crate::store::secrets::{For, Kind, Scope, Settings};
use crate::store::tokens::{self, NewToken, Tokens};
use crate::store::{NewRun, Options, RunLog as _, SqliteStore};

fn ada() -> Actor {
    Actor { who: "ada".into(), origin: "command line".into() }
}

struct World {
    root: tempfile::TempDir,
    token: Secret,
    /// It goes on while backups are made.
    _database: Database,
}

impl World {
    async fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let data = root.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let vault = Arc::new(Vault::new(KeySource::choose(&|_| None, &data).read(true).unwrap()));
        let database = Database::open(&data.join(DATABASE), Options::SERVER).unwrap();
        let audit = Audit::open(database.clone(), &*vault).await.unwrap();
        let settings = Settings::on(database.clone(), vault, audit.clone());
        settings.put(Kind::Secret, "KEY", Scope::default(), Secret::new("hunter22"), ada()).await.unwrap();
        let scopes = [tokens::Scope::Admin].into_iter().collect();
        let expires_at = Timestamp::now() + jiff::SignedDuration::from_hours(1);
        let new = NewToken { name: "bot".into(), scopes, repositories: Vec::new(), expires_at };
        let (_, token) = Tokens::on(database.clone(), audit).create(new, ada(), Timestamp::now()).await.unwrap();
        let store = SqliteStore::on(database.clone());
        let run = store.create_run(NewRun { repository: "a/b".into(), ..NewRun::default() }).await.unwrap().id;
        let fact = |seq| Recorded { v: EVENT_VERSION, seq, at: Timestamp::UNIX_EPOCH, event: RunEvent::RunStarted };
        store.append(run, &[fact(1), fact(2)]).await.unwrap();
        let logs = data.join("runs/1/logs/build");
        std::fs::create_dir_all(&logs).unwrap();
        std::fs::write(logs.join("0000.log"), "one\n").unwrap();
        Self { root, token, _database: database }
    }

    fn make(&self, name: &str, with_key: bool) -> (PathBuf, Backup) {
        let (data, target) = (self.root.path().join("data"), self.root.path().join(name));
        let key = data.join(KEY_FILE);
        let made = make(&data, &target, with_key.then_some(key.as_path()), Timestamp::UNIX_EPOCH).unwrap();
        (target, made)
    }

    async fn problems(&self, folder: &Path) -> Vec<String> {
        let keys = KeySource::choose(&|_| None, &self.root.path().join("data"));
        check(folder, &keys).await.unwrap().problems
    }
}

#[tokio::test]
async fn t07_a_backup_is_whole_and_can_be_restored() {
    let world = World::new().await;
    let (folder, made) = world.make("backup", true);
    let names: Vec<_> = made.files.iter().map(|kept| kept.path.as_str()).collect();
    assert_eq!(names, ["key", "pipe.db", "runs/1/logs/build/0000.log"]);
    let checked = check(&folder, &KeySource::choose(&|_| None, &folder)).await.unwrap();
    assert_eq!((checked.runs, checked.facts, checked.audited), (1, 2, Some(2)));
    assert_eq!(checked.problems, [""; 0]);
    let restored = world.root.path().join("restored");
    restore(&folder, &checked.backup, &restored, Timestamp::now()).unwrap();
    assert_eq!(std::fs::read_to_string(restored.join("runs/1/logs/build/0000.log")).unwrap(), "one\n");
    let keys = KeySource::choose(&|_| None, &restored).read(false).unwrap();
    let (database, vault) =
        (Database::open(&restored.join(DATABASE), Options::SERVER).unwrap(), Arc::new(Vault::new(keys)));
    let audit = Audit::open(database.clone(), &*vault).await.unwrap();
    let settings = Settings::on(database.clone(), vault, audit.clone());
    let secrets = settings.secrets(&For::default(), None).await.unwrap();
    assert_eq!(secrets.get("KEY").unwrap().expose(), "hunter22");
    let tokens = Tokens::on(database.clone(), audit);
    assert!(tokens.check(world.token.expose(), Timestamp::now()).await.unwrap().is_none());
    // T07: nothing goes on by itself.
    let store = crate::store::SqliteStore::on(database.clone());
    assert_eq!(store.unfinished().await.unwrap(), []);
    let facts = store.read(crate::store::RunId(1)).await.unwrap();
    let kinds: Vec<_> = facts.iter().map(|fact| fact.event.kind()).collect();
    assert_eq!(kinds[kinds.len() - 2..], ["run_refused", "run_finished"], "{kinds:?}");
    assert_eq!(world.problems(&folder).await, [""; 0], "the backup is as it was");
    let again = restore(&folder, &checked.backup, &restored, Timestamp::now()).unwrap_err();
    assert!(again.to_string().contains("empty folder"), "{again}");
    let twice = make(&world.root.path().join("data"), &folder, None, Timestamp::now()).unwrap_err();
    assert!(twice.to_string().contains("exists"), "{twice}");
}

#[tokio::test]
async fn without_the_key_there_is_none_in_it() {
    let world = World::new().await;
    let (folder, made) = world.make("backup", false);
    assert!(!made.has_key && !folder.join(KEY_FILE).exists());
    let elsewhere = KeySource::choose(&|_| None, &folder);
    let checked = check(&folder, &elsewhere).await.unwrap();
    assert_eq!((checked.audited, checked.problems.len()), (None, 0));
    assert_eq!(world.problems(&folder).await, [""; 0]);
}

#[tokio::test]
async fn what_is_done_to_a_backup_is_noticed() {
    let world = World::new().await;
    let statement = |folder: &Path, text: &str| {
        Connection::open(folder.join(DATABASE)).unwrap().execute_batch(text).unwrap();
    };
    for (number, (what, expected)) in [
        ("DELETE FROM events WHERE seq = 1", "fact 1 is missing"),
        ("UPDATE events SET body = '{}' WHERE seq = 2", "fact 2 cannot be read"),
        ("UPDATE runs SET status = 'completed'", "listed as completed"),
        ("UPDATE audit SET who = 'nobody'", "the audit log was changed: row 1"),
    ]
    .into_iter()
    .enumerate()
    {
        let (folder, _) = world.make(&format!("changed-{number}"), false);
        statement(&folder, what);
        let problems = world.problems(&folder).await;
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{what}: {problems:?}");
        assert!(problems.contains(&"pipe.db was changed".to_owned()));
    }
    let (folder, _) = world.make("cut", false);
    std::fs::write(folder.join("runs/1/logs/build/0000.log"), "on").unwrap();
    assert_eq!(world.problems(&folder).await, ["runs/1/logs/build/0000.log was changed"]);
    std::fs::remove_file(folder.join("runs/1/logs/build/0000.log")).unwrap();
    assert_eq!(world.problems(&folder).await, ["runs/1/logs/build/0000.log is missing"]);
    std::fs::remove_file(folder.join(LIST)).unwrap();
    assert!(check(&folder, &KeySource::choose(&|_| None, &folder)).await.is_err());
}
