//! Tables: names, forges, secrets and tokens that are kept, made and refused.

use serde_json::Value as Json;

use super::*;
use crate::mirror::{GitCredential, GitCredentials as _};
use crate::sealing::{KeySource, Vault};
use crate::store::audit::AuditFilter;
use crate::store::{Database, Options};

struct World {
    registrar: Registrar,
    _folder: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sealer = Arc::new(Vault::new(KeySource::choose(&|_| None, folder.path()).read(true).unwrap()));
        let database = Database::open(&folder.path().join("pipe.db"), Options::LOCAL).unwrap();
        let audit = Audit::open(database.clone(), &*sealer).await.unwrap();
        Self { registrar: Registrar { repositories: Repositories::on(database), sealer, audit }, _folder: folder }
    }

    async fn add(
        &self,
        name: &str,
        url: &str,
        secret: Option<&str>,
        token: Option<&str>,
    ) -> Result<Registered, String> {
        let by = Actor { who: "ada".into(), origin: "test".into() };
        let new = Registration {
            forge: Forge::Github,
            full_name: name.into(),
            url: RemoteUrl::parse(url).unwrap(),
            secret: secret.map(Secret::from),
            fetch: token.map(|token| ("x".to_owned(), Secret::from(token))),
            by,
        };
        self.registrar.add(new, Timestamp::UNIX_EPOCH).await.map_err(|error| error.to_string())
    }

    async fn secret(&self, name: &str) -> String {
        let found = self.registrar.repositories.find(Forge::Github, name).await.unwrap().unwrap();
        let opened = self.registrar.sealer.open(&hook_context(Forge::Github, name), &found.secret).unwrap();
        opened.expose().to_owned()
    }

    async fn token(&self, id: u64) -> String {
        let Registrar { repositories, sealer, .. } = self.registrar.clone();
        match (StoredCredentials { repositories, sealer }).credential(id).await.unwrap() {
            GitCredential::Token { user, token } => format!("{user}:{}", token.expose()),
            GitCredential::None | GitCredential::SshKey(_) => "-".to_owned(),
        }
    }
}

#[tokio::test]
async fn secrets_are_made_once_and_tokens_stay_with_their_host() {
    let world = World::new().await;
    let added = world.add("o/r", "https://github.com/o/r", None, Some("token-1")).await.unwrap();
    let made = added.made.unwrap();
    assert_eq!((made.expose().len(), added.known), (64, false));
    assert_eq!((world.secret("o/r").await, world.token(added.id).await), (made.expose().into(), "x:token-1".into()));
    let again = world.add("O/R", "https://github.com/o/renamed", None, None).await.unwrap();
    assert!(again.known && again.made.is_none() && again.id == added.id);
    assert_eq!((world.secret("o/r").await, world.token(added.id).await), (made.expose().into(), "x:token-1".into()));
    world.add("o/r", "https://evil.test/o/r", Some("another secret that is long"), None).await.unwrap();
    assert_eq!(
        (world.secret("o/r").await.as_str(), world.token(added.id).await.as_str()),
        ("another secret that is long", "-")
    );
    for (name, url, secret, token, expected) in [
        ("o", "https://h/o/r", None, None, "`o` is no name"),
        ("o/../r", "https://h/o/r", None, None, "`o/../r` is no name"),
        ("o/r", "https://h/o/r", Some("short"), None, "the secret has 5 characters"),
        ("o/r", "https://h/o/r", Some(""), None, "the secret has 0 characters"),
        ("o/r", "http://h/o/r", None, Some("t"), "a token is sent over https only"),
        ("o/r", "/srv/o/r", None, Some("t"), "a token is sent over https only"),
    ] {
        let error = world.add(name, url, secret, token).await.unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
    let deeds = world.registrar.audit.list(AuditFilter { limit: 10, ..AuditFilter::default() }).await.unwrap();
    let text = serde_json::to_string(&deeds).unwrap();
    assert!(text.contains("repository.add") && !text.contains("token-1") && !text.contains(made.expose()), "{text}");
    assert!(serde_json::from_str::<Json>(&text).is_ok());
}

#[test]
fn forges_are_guessed_by_their_host() {
    for (url, expected) in [
        ("https://github.com/o/r", Some(Forge::Github)),
        ("git@github.com:o/r.git", Some(Forge::Github)),
        ("https://gitlab.example.org/a/b/c", Some(Forge::Gitlab)),
        ("https://codeberg.org/o/r", Some(Forge::Forgejo)),
        ("ssh://git@gitea.test:22/o/r", Some(Forge::Gitea)),
        ("/srv/git/shop.git", Some(Forge::Push)),
        ("https://git.example.org/o/r", None),
    ] {
        assert_eq!(guess_forge(&RemoteUrl::parse(url).unwrap()), expected, "{url}");
        assert!(!forge_fields(expected.unwrap_or(Forge::Gitea)).is_empty());
    }
}
