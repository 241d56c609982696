//! A rekey leaves nothing behind, and goes on where it was cut off.

use workflow::secret::Secret;

use super::*;
use crate::sealing::{KeySource, MasterKeys};
use crate::store::Options;
use crate::store::repositories::{NewRepository, Repositories};
use crate::store::secrets::{For, Kind, Scope, Settings};

fn ada() -> Actor {
    Actor { who: "ada".into(), origin: "command line".into() }
}

struct World {
    folder: tempfile::TempDir,
    source: KeySource,
    database: Database,
    vault: Arc<Vault>,
    audit: Audit,
    settings: Settings,
}

async fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let source = KeySource::choose(&|_| None, folder.path());
    let vault = Arc::new(Vault::new(source.read(true).unwrap()));
    let database = Database::open(&folder.path().join("pipe.db"), Options::SERVER).unwrap();
    let audit = Audit::open(database.clone(), &*vault).await.unwrap();
    let settings = Settings::on(database.clone(), vault.clone(), audit.clone());
    for number in 0..BATCH_ROWS + 10 {
        let value = Secret::new(format!("value {number}"));
        settings.put(Kind::Secret, &format!("S{number}"), Scope::default(), value, ada()).await.unwrap();
    }
    settings.put(Kind::Variable, "PLAIN", Scope::default(), Secret::new("plain"), ada()).await.unwrap();
    let sealed = vault.seal(&hook_context(Forge::Github, "a/b"), &Secret::new("the hook's")).unwrap();
    let created_at = jiff::Timestamp::UNIX_EPOCH;
    let new = NewRepository {
        forge: Forge::Github,
        full_name: "a/b".into(),
        url: String::new(),
        secret: sealed,
        fetch: None,
        created_at,
    };
    Repositories::on(database.clone()).put(new).await.unwrap();
    World { folder, source, database, vault, audit, settings }
}

impl World {
    async fn opens(&self) -> Result<(), String> {
        let names: Vec<_> = (0..BATCH_ROWS + 10).map(|number| format!("S{number}")).collect();
        let secrets = self.settings.secrets(&For::default(), Some(&names)).await.map_err(|error| error.to_string())?;
        assert_eq!(secrets.get("S205").unwrap().expose(), "value 205");
        let repository = Repositories::on(self.database.clone()).find(Forge::Github, "a/b").await.unwrap().unwrap();
        let opened = self.vault.open(&hook_context(Forge::Github, "a/b"), &repository.secret);
        assert_eq!(opened.map_err(|error| error.to_string())?.expose(), "the hook's");
        Audit::open(self.database.clone(), &*self.vault).await.map(drop).map_err(|error| error.to_string())
    }
}

#[tokio::test]
async fn everything_is_sealed_again() {
    let world = world().await;
    world.vault.replace(world.source.begin_rekey().unwrap());
    assert_eq!(sealed_with_others(&world.database, world.vault.current()).await.unwrap(), BATCH_ROWS + 13);
    world.opens().await.unwrap();
    let count = rekey(&world.database, &world.vault, &world.audit, ada()).await.unwrap();
    assert_eq!(count, BATCH_ROWS + 13);
    assert_eq!(sealed_with_others(&world.database, world.vault.current()).await.unwrap(), 0);
    world.source.end_rekey().unwrap();
    world.vault.replace(world.source.read(false).unwrap());
    world.opens().await.unwrap();
    assert!(world.audit.verify(None).await.is_ok());
    assert!(world.folder.path().join("key").exists());
}

#[tokio::test]
async fn one_that_was_cut_off_goes_on() {
    let world = world().await;
    world.vault.replace(world.source.begin_rekey().unwrap());
    let vault = Arc::clone(&world.vault);
    let one = move |transaction: &Transaction<'_>| batch(transaction, &PLACES[0], &vault);
    assert_eq!(world.database.write_surely(one).await.unwrap().unwrap(), BATCH_ROWS);
    // Another process begins with what is there.
    world.vault.replace(world.source.begin_rekey().unwrap());
    world.opens().await.unwrap();
    assert_eq!(rekey(&world.database, &world.vault, &world.audit, ada()).await.unwrap(), 13);
    world.source.end_rekey().unwrap();
    world.vault.replace(world.source.read(false).unwrap());
    world.opens().await.unwrap();
}

#[tokio::test]
async fn what_does_not_open_stops_it_and_the_old_key_stays() {
    let world = world().await;
    let damage = "UPDATE settings SET value = zeroblob(60) WHERE name = 'S3'";
    world.database.write_surely(move |transaction| transaction.execute_batch(damage)).await.unwrap();
    world.vault.replace(world.source.begin_rekey().unwrap());
    let error = rekey(&world.database, &world.vault, &world.audit, ada()).await.unwrap_err();
    assert!(error.to_string().contains("S3"), "{error}");
    let keys: MasterKeys = world.source.read(false).unwrap();
    assert!(keys.has_old());
}
