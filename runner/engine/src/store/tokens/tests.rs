//! Which tokens are taken, and for what.

use super::*;
use crate::sealing::{MasterKey, MasterKeys, Vault};
use crate::store::Options;

async fn tokens() -> (tempfile::TempDir, Tokens) {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&folder.path().join("pipe.db"), Options::SERVER).unwrap();
    let vault = Vault::new(MasterKeys::of(vec![MasterKey::from_bytes([1; 32])]).unwrap());
    let audit = Audit::open(database.clone(), &vault).await.unwrap();
    (folder, Tokens::on(database, audit))
}

fn ada() -> Actor {
    Actor { who: "ada".into(), origin: "command line".into() }
}

fn at(hours: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours)
}

fn new(name: &str, hours: i64) -> NewToken {
    let scopes = [Scope::RunsRead, Scope::Dispatch].into_iter().collect();
    NewToken { name: name.into(), scopes, repositories: vec!["a/b".into()], expires_at: at(hours) }
}

#[tokio::test]
async fn a_token_holds_until_it_ends_or_is_taken_back() {
    let (folder, tokens) = tokens().await;
    let (id, token) = tokens.create(new("bot", 48), ada(), at(0)).await.unwrap();
    let holder = tokens.check(token.expose(), at(1)).await.unwrap().unwrap();
    assert_eq!(holder.who, "token bot");
    assert!(holder.scopes.allow(Scope::RunsRead) && !holder.scopes.allow(Scope::RunsWrite));
    assert!(holder.may_see("A/b") && !holder.may_see("a/c"));
    assert!(tokens.check(token.expose(), at(48)).await.unwrap().is_none());
    assert!(tokens.check("pipe_x", at(1)).await.unwrap().is_none());
    assert!(tokens.check(form::make().unwrap().expose(), at(1)).await.unwrap().is_none());
    assert!(!tokens.revoke("nobody", ada(), at(2)).await.unwrap());
    assert!(tokens.revoke(&id.to_string(), ada(), at(2)).await.unwrap());
    assert!(!tokens.revoke("bot", ada(), at(3)).await.unwrap());
    assert!(tokens.check(token.expose(), at(3)).await.unwrap().is_none());
    let bytes = std::fs::read(folder.path().join("pipe.db-wal")).unwrap();
    assert!(!bytes.windows(20).any(|part| part == &token.expose().as_bytes()[..20]));
}

/// A07: whatever somebody makes tokens of is one person.
#[tokio::test]
async fn a_token_is_of_whoever_made_the_first() {
    let (_folder, tokens) = tokens().await;
    let people = crate::store::people::People::on(tokens.database.clone(), tokens.audit.clone());
    let user = crate::store::people::NewUser {
        name: "ada".into(),
        full_name: String::new(),
        password: None,
        roles: Vec::new(),
    };
    people.create(user, ada(), at(0)).await.unwrap();
    let token = |name: &'static str| Actor { who: format!("{TOKEN}{name}"), origin: String::new() };
    let (_, first) = tokens.create(new("one", 48), ada(), at(0)).await.unwrap();
    let (_, second) = tokens.create(new("two", 48), token("one"), at(0)).await.unwrap();
    let local = Actor { who: "local".into(), origin: "command line".into() };
    let (_, other) = tokens.create(new("three", 48), local, at(0)).await.unwrap();
    for (made, expected) in [(first, Some("ada")), (second, Some("ada")), (other, None)] {
        let holder = tokens.check(made.expose(), at(1)).await.unwrap().unwrap();
        assert_eq!(holder.reviewer().person.as_deref(), expected, "{}", holder.who);
    }
}

#[tokio::test]
async fn a_name_that_several_have_is_not_enough() {
    let (_folder, tokens) = tokens().await;
    let (first, _) = tokens.create(new("bot", 48), ada(), at(0)).await.unwrap();
    let (second, kept) = tokens.create(new("bot", 48), ada(), at(0)).await.unwrap();
    assert!(tokens.revoke("bot", ada(), at(1)).await.unwrap_err().to_string().contains("several"));
    assert!(tokens.revoke(&first.to_string(), ada(), at(1)).await.unwrap());
    assert!(tokens.check(kept.expose(), at(1)).await.unwrap().is_some());
    assert!(tokens.revoke("bot", ada(), at(1)).await.unwrap());
    let listed = tokens.list().await.unwrap();
    assert_eq!(listed.iter().map(|token| token.id).collect::<Vec<_>>(), [second, first]);
    assert!(listed.iter().all(|token| token.revoked_at == Some(at(1))));
}

#[tokio::test]
async fn wishes_have_limits() {
    let (_folder, tokens) = tokens().await;
    for wish in [
        new("", 1),
        new(" ", 1),
        new("a\nb", 1),
        new(&"x".repeat(101), 1),
        new("late", 0),
        new("long", 24 * DAYS_MAX + 1),
        NewToken { scopes: Scopes::default(), ..new("none", 1) },
    ] {
        assert!(matches!(tokens.create(wish.clone(), ada(), at(0)).await, Err(TokenError::Wish(_))), "{wish:?}");
    }
}

#[tokio::test]
async fn a_passing_token_is_kept_nowhere() {
    let (_folder, tokens) = tokens().await;
    let scopes: Scopes = [Scope::Admin].into_iter().collect();
    let token = tokens.pass(Holder::of("root".into(), scopes, Vec::new())).unwrap();
    let holder = tokens.check(token.expose(), at(1_000_000)).await.unwrap().unwrap();
    assert!(Scope::ALL.into_iter().all(|scope| holder.scopes.allow(scope)) && holder.may_see("any/thing"));
    assert_eq!(tokens.list().await.unwrap(), []);
    let elsewhere = Tokens::on(tokens.database.clone(), tokens.audit.clone());
    assert!(elsewhere.check(token.expose(), at(1)).await.unwrap().is_none());
}

#[test]
fn scopes_are_words() {
    for scope in Scope::ALL {
        assert_eq!(Scope::parse(scope.as_str()), Some(scope));
    }
    let scopes: Scopes = [Scope::Dispatch, Scope::RunsRead].into_iter().collect();
    assert_eq!(Scopes::stored(&scopes.to_string()), scopes);
    assert!(Scopes::stored("newer:scope ").is_empty());
}
