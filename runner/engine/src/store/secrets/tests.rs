//! Which value a job gets, and that nothing else opens.

use super::*;
use crate::sealing::{MasterKey, MasterKeys, Vault};
use crate::store::Options;
use crate::store::audit::AuditFilter;

struct World {
    _folder: tempfile::TempDir,
    path: std::path::PathBuf,
    settings: Settings,
}

async fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe.db");
    let database = Database::open(&path, Options::SERVER).unwrap();
    let vault = Vault::new(MasterKeys::of(vec![MasterKey::from_bytes([1; 32])]).unwrap());
    let audit = Audit::open(database.clone(), &vault).await.unwrap();
    World { _folder: folder, path, settings: Settings::on(database, Arc::new(vault), audit) }
}

fn ada() -> Actor {
    Actor { who: "ada".into(), origin: "command line".into() }
}

fn scope(repository: &str, environment: &str, branch: &str) -> Scope {
    Scope { repository: repository.into(), environment: environment.into(), branch: branch.into() }
}

impl World {
    async fn put(&self, kind: Kind, name: &str, at: Scope, value: &str) -> Result<bool, SettingError> {
        self.settings.put(kind, name, at, Secret::new(value), ada()).await
    }

    async fn get(&self, job: &For<'_>, name: &str) -> Option<String> {
        let store = self.settings.secrets(job, Some(&[name.to_owned()])).await.unwrap();
        store.get(name).map(|secret| secret.expose().to_owned())
    }
}

#[tokio::test]
async fn the_most_specific_one_wins() {
    let world = world().await;
    let places = [
        scope("", "", ""),
        scope("", "", "main"),
        scope("a/b", "", ""),
        scope("a/b", "", "*"),
        scope("a/b", "", "releases/**"),
        scope("a/b", "", "releases/1"),
        scope("", "production", ""),
        scope("a/b", "production", ""),
        scope("a/b", "production", "main"),
        scope("other/repository", "production", "main"),
        scope("tags/only", "", "refs/tags/v*"),
    ];
    for place in places {
        assert!(world.put(Kind::Secret, "token", place.clone(), &format!("<{place}>")).await.unwrap());
    }
    for (repository, environment, git_ref, expected) in [
        ("x/y", None, "refs/heads/dev", "<all>"),
        ("x/y", None, "refs/heads/main", "<branch main>"),
        ("A/B", None, "refs/heads/releases/2", "<repository a/b, branch releases/**>"),
        ("a/b", None, "refs/heads/releases/1", "<repository a/b, branch releases/1>"),
        ("a/b", None, "refs/heads/main", "<repository a/b, branch *>"),
        ("a/b", None, "refs/tags/main", "<repository a/b>"),
        ("a/b", None, "refs/pull/1/merge", "<repository a/b>"),
        ("a/b", Some("staging"), "refs/tags/x", "<repository a/b>"),
        ("x/y", Some("Production"), "refs/heads/main", "<environment production>"),
        ("a/b", Some("production"), "refs/heads/dev", "<repository a/b, environment production>"),
        ("a/b", Some("production"), "refs/heads/main", "<repository a/b, environment production, branch main>"),
        ("tags/only", None, "refs/tags/v1", "<repository tags/only, branch refs/tags/v*>"),
        ("tags/only", None, "refs/heads/v1", "<all>"),
    ] {
        let job = For { repository, environment, git_ref };
        assert_eq!(world.get(&job, "Token").await.as_deref(), Some(expected), "{job:?}");
    }
    assert_eq!(world.get(&For::default(), "OTHER").await, None);
}

#[tokio::test]
async fn values_are_replaced_listed_and_removed() {
    let world = world().await;
    let at = || scope("a/b", "", "");
    assert!(world.put(Kind::Secret, "KEY", at(), "hunter22").await.unwrap());
    assert!(!world.put(Kind::Secret, "key", scope("A/B", "", ""), "hunter23").await.unwrap());
    assert!(world.put(Kind::Variable, "REGION", at(), "eu-west-1").await.unwrap());
    let job = For { repository: "a/b", ..For::default() };
    assert_eq!(world.get(&job, "KEY").await.as_deref(), Some("hunter23"));
    assert_eq!(world.settings.variables(&job).await.unwrap()["REGION"], "eu-west-1");
    assert_eq!(world.settings.secret_names(&job).await.unwrap(), ["KEY"]);
    let listed = world.settings.list(Kind::Secret, None).await.unwrap();
    assert_eq!((listed[0].version, listed[0].value.as_deref(), listed[0].updated_by.as_str()), (2, None, "ada"));
    assert!(!serde_json::to_string(&listed).unwrap().contains("hunter"));
    assert_eq!(world.settings.list(Kind::Variable, Some("x/y".into())).await.unwrap(), []);
    assert!(world.settings.remove(Kind::Secret, "key", at(), ada()).await.unwrap());
    assert!(!world.settings.remove(Kind::Secret, "key", at(), ada()).await.unwrap());
    assert_eq!(world.get(&job, "KEY").await, None);
    let deeds = world.settings.audit.list(AuditFilter { limit: 10, ..AuditFilter::default() }).await.unwrap();
    let what: Vec<_> = deeds.iter().map(|deed| deed.what.as_str()).collect();
    assert_eq!(what, ["secret.remove", "variable.set", "secret.set", "secret.set"]);
    assert!(!format!("{deeds:?}").contains("hunter"));
}

#[tokio::test]
async fn what_is_no_value_is_refused() {
    let world = world().await;
    let long = "x".repeat(VALUE_BYTES_MAX + 1);
    for (kind, name, value) in [
        (Kind::Secret, "A", "abc"),
        (Kind::Secret, "A", ""),
        (Kind::Secret, "A", "  a   "),
        (Kind::Secret, "A", long.as_str()),
        (Kind::Variable, "A", long.as_str()),
        (Kind::Variable, "A", "a\0b"),
        (Kind::Variable, "GITHUB_A", "value"),
    ] {
        let error = world.put(kind, name, Scope::default(), value).await.unwrap_err();
        assert!(matches!(error, SettingError::Value(_) | SettingError::Name(_)), "{error}");
    }
    assert!(world.put(Kind::Variable, "A", Scope::default(), "").await.unwrap());
}

#[tokio::test]
async fn t04_rows_copied_over_others_or_put_back_do_not_open() {
    let world = world().await;
    world.put(Kind::Secret, "ONE", Scope::default(), "the value of one").await.unwrap();
    world.put(Kind::Secret, "TWO", Scope::default(), "the value of two").await.unwrap();
    let swap = "UPDATE settings SET value = (SELECT value FROM settings AS other WHERE other.name <> settings.name)
                WHERE name = 'ONE'";
    let write = move |transaction: &Transaction<'_>| transaction.execute_batch(swap);
    world.settings.database.write_surely(write).await.unwrap();
    let job = For::default();
    let error = world.settings.secrets(&job, Some(&["ONE".to_owned(), "TWO".to_owned()])).await.unwrap_err();
    assert!(error.to_string().contains("ONE") && !error.to_string().contains("the value"), "{error}");
    assert_eq!(world.get(&job, "TWO").await.as_deref(), Some("the value of two"), "only what is named is opened");
    let put_back = "UPDATE settings SET version = 7 WHERE name = 'TWO'";
    world.settings.database.write_surely(move |transaction| transaction.execute_batch(put_back)).await.unwrap();
    assert!(world.settings.secrets(&job, Some(&["TWO".to_owned()])).await.is_err());
}

#[tokio::test]
async fn t04_no_file_holds_a_secret() {
    let world = world().await;
    world.put(Kind::Secret, "ONE", Scope::default(), "a value to look for").await.unwrap();
    for ending in ["", "-wal"] {
        let path = format!("{}{ending}", world.path.display());
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(19).any(|part| part == b"a value to look for"), "{path}");
    }
}
