//! People, their roles and their sessions, from their beginning to their end.

use jiff::{SignedDuration, Timestamp};
use workflow::secret::Secret;

use super::*;
use crate::sealing::{MasterKey, MasterKeys, Vault};
use crate::store::Options;
use crate::store::audit::{Actor, AuditFilter};
use crate::store::tokens::{NewToken, Scope, Tokens};

struct World {
    people: People,
    sessions: Sessions,
    audit: Audit,
    folder: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("pipe.db"), Options::SERVER).unwrap();
        let vault = Vault::new(MasterKeys::of(vec![MasterKey::from_bytes([1; 32])]).unwrap());
        let audit = Audit::open(database.clone(), &vault).await.unwrap();
        let people = People::on(database.clone(), audit.clone()).with_cost(Cost::TEST);
        Self { people, sessions: Sessions::on(database, audit.clone()), audit, folder }
    }

    async fn user(&self, name: &str, roles: &[Assignment]) -> UserId {
        let password = Some(Secret::new(PASSWORD));
        let new = NewUser { name: name.into(), full_name: String::new(), password, roles: roles.to_vec() };
        self.people.create(new, root(), at(0)).await.unwrap()
    }

    async fn sign_in(&self, user: UserId, before: Option<&str>, now: Timestamp) -> String {
        let by = Actor { who: "ada".into(), origin: "192.0.2.7".into() };
        let name = self.sessions.begin((user, Way::Password), by, "a browser", before, now).await.unwrap();
        name.expose().to_owned()
    }

    async fn is_in(&self, name: &str, now: Timestamp) -> bool {
        self.sessions.find(name, now).await.unwrap().is_some()
    }

    async fn deeds(&self) -> Vec<String> {
        let filter = AuditFilter { limit: 100, ..AuditFilter::default() };
        let listed = self.audit.list(filter).await.unwrap();
        listed.iter().rev().map(|deed| format!("{} {} {}", deed.who, deed.what, deed.target)).collect()
    }
}

/// A07: a reviewer is known by name, so that no token may have that of a user.
#[tokio::test]
async fn a_token_is_not_taken_for_a_user() {
    let world = World::new().await;
    world.user("ada", &[]).await;
    let tokens = Tokens::on(world.people.database.clone(), world.audit.clone());
    let new = |name: &str| NewToken {
        name: name.into(),
        scopes: [Scope::ReviewsWrite].into_iter().collect(),
        repositories: Vec::new(),
        expires_at: at(24),
    };
    let refused = tokens.create(new("Ada"), root(), at(0)).await.unwrap_err();
    assert_eq!(refused.to_string(), "`Ada` is the name of a user; call the token otherwise");
    let (bot, _) = tokens.create(new("bot"), root(), at(0)).await.unwrap();
    let user = |name: &str| NewUser { name: name.into(), full_name: String::new(), password: None, roles: Vec::new() };
    let refused = world.people.create(user("Bot"), root(), at(1)).await.unwrap_err();
    assert!(matches!(refused, PeopleError::Conflict(_)), "{refused}");
    assert!(tokens.revoke(&bot.to_string(), root(), at(2)).await.unwrap());
    world.people.create(user("Bot"), root(), at(3)).await.unwrap();
}

const PASSWORD: &str = "correct horse battery";

fn root() -> Actor {
    Actor { who: "root".into(), origin: "command line".into() }
}

fn at(hours: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * 365 * 50 + hours)
}

fn in_repository(role: Role, repository: &str, environment: &str) -> Assignment {
    Assignment { role, repository: repository.into(), environment: environment.into() }
}

#[tokio::test]
async fn users_are_made_found_and_removed() {
    let world = World::new().await;
    assert!(!world.people.any().await.unwrap());
    let ada = world.user("Ada", &[Assignment::of_all(Role::Admin)]).await;
    world.user("bob", &[in_repository(Role::Viewer, "octo/shop", "")]).await;
    let again = NewUser { name: "ADA".into(), full_name: String::new(), password: None, roles: Vec::new() };
    assert!(matches!(world.people.create(again, root(), at(0)).await, Err(PeopleError::Conflict(_))));
    let weak = NewUser { name: "eve".into(), full_name: String::new(), password: Some("eve".into()), roles: vec![] };
    assert!(matches!(world.people.create(weak, root(), at(0)).await, Err(PeopleError::Wish(_))));
    let check = async |name: &str, password: &str| world.people.check_password(name, &Secret::new(password)).await;
    assert_eq!(check("ada", PASSWORD).await.unwrap(), Some((ada, "Ada".to_owned())));
    for (name, password) in [("ada", "correct horse"), ("eve", PASSWORD), ("", ""), ("ada", &"x".repeat(5_000))] {
        assert_eq!(check(name, password).await.unwrap(), None, "{name}");
    }
    let listed = world.people.list().await.unwrap();
    assert_eq!(listed.iter().map(|user| user.name.as_str()).collect::<Vec<_>>(), ["Ada", "bob"]);
    assert_eq!(listed[1].roles[0].assignment().to_string(), "viewer in octo/shop");
    assert!(
        matches!(world.people.remove("ada", root()).await, Err(PeopleError::Conflict(_))),
        "the last administrator"
    );
    world.people.remove("BOB", root()).await.unwrap();
    assert!(matches!(world.people.remove("bob", root()).await, Err(PeopleError::NotFound(_))));
    let role = listed[0].roles[0].id;
    assert!(matches!(world.people.unassign(role, root(), at(0)).await, Err(PeopleError::Conflict(_))));
    assert_eq!(
        world.deeds().await,
        ["root user.create user Ada", "root user.create user bob", "root user.remove user bob"]
    );
    for file in ["pipe.db", "pipe.db-wal"] {
        let bytes = std::fs::read(world.folder.path().join(file)).unwrap();
        assert!(!bytes.windows(PASSWORD.len()).any(|part| part == PASSWORD.as_bytes()), "{file}");
    }
}

#[tokio::test]
async fn the_first_user_is_made_once() {
    let world = World::new().await;
    let first = |name: &str| NewUser {
        name: name.into(),
        full_name: String::new(),
        password: Some(Secret::new(PASSWORD)),
        roles: Vec::new(),
    };
    let (one, other) = tokio::join!(
        world.people.create_first(first("ada"), root(), at(0)),
        world.people.create_first(first("eve"), root(), at(0)),
    );
    assert_eq!(usize::from(one.is_ok()) + usize::from(other.is_ok()), 1, "{one:?} {other:?}");
    let listed = world.people.list().await.unwrap();
    assert_eq!((listed.len(), listed[0].roles[0].role), (1, Role::Admin));
}

#[tokio::test]
async fn u05_a_session_ends_with_time_and_has_a_new_name_at_each_login() {
    let world = World::new().await;
    let ada = world.user("ada", &[Assignment::of_all(Role::Viewer)]).await;
    let first = world.sign_in(ada, Some(&"A".repeat(43)), at(0)).await;
    assert!(!world.is_in(&"A".repeat(43), at(0)).await && world.is_in(&first, at(0)).await);
    let second = world.sign_in(ada, Some(&first), at(1)).await;
    assert!(first != second && !world.is_in(&first, at(1)).await && world.is_in(&second, at(12)).await);
    for name in ["", "x", &second[1..], &second.to_lowercase()] {
        assert!(!world.is_in(name, at(1)).await, "{name}");
    }
    let third = world.sign_in(ada, None, at(20)).await;
    assert!(world.is_in(&third, at(31)).await && !world.is_in(&third, at(20 + 7 * 24)).await);
    let idle = world.sign_in(ada, None, at(300)).await;
    assert!(!world.is_in(&idle, at(312)).await, "not used for half a day");
    for file in ["pipe.db", "pipe.db-wal"] {
        let bytes = std::fs::read(world.folder.path().join(file)).unwrap();
        assert!(!bytes.windows(43).any(|part| part == second.as_bytes()), "{file}");
    }
}

#[tokio::test]
async fn u05_sessions_are_listed_and_ended() {
    let world = World::new().await;
    let ada = world.user("ada", &[Assignment::of_all(Role::Viewer)]).await;
    let bob = world.user("bob", &[Assignment::of_all(Role::Admin)]).await;
    let (hers, his) = (world.sign_in(ada, None, at(0)).await, world.sign_in(bob, None, at(0)).await);
    let listed = world.sessions.list(Some(ada), at(1)).await.unwrap();
    assert_eq!((listed.len(), listed[0].address.as_str(), listed[0].agent.as_str()), (1, "192.0.2.7", "a browser"));
    assert_eq!(world.sessions.list(None, at(1)).await.unwrap().len(), 2);
    let ended = |session, of| world.sessions.end(session, of, root(), at(1));
    assert!(!ended(listed[0].id, Some(bob)).await.unwrap(), "one of somebody else");
    assert!(ended(listed[0].id, Some(ada)).await.unwrap() && !ended(listed[0].id, None).await.unwrap());
    assert!(!world.is_in(&hers, at(1)).await && world.is_in(&his, at(1)).await);
    world.people.set_password("bob", &Secret::new("another horse battery"), root(), at(1)).await.unwrap();
    assert!(!world.is_in(&his, at(1)).await, "who knew the old password is out");
    let his = world.sign_in(bob, None, at(2)).await;
    let viewer = Assignment::of_all(Role::Viewer);
    world.people.assign("bob", viewer.clone(), root(), at(2)).await.unwrap();
    assert!(!world.is_in(&his, at(2)).await, "another role is another session");
    assert!(matches!(world.people.assign("bob", viewer, root(), at(2)).await, Err(PeopleError::Conflict(_))));
    assert!(world.deeds().await.contains(&"root session.revoke user ada".to_owned()));
}

#[tokio::test]
async fn teams_give_their_roles_to_their_members() {
    let world = World::new().await;
    let ada = world.user("ada", &[Assignment::of_all(Role::Viewer)]).await;
    let (people, shop) = (&world.people, "octo/shop");
    people.create_team("deployers", root(), at(0)).await.unwrap();
    assert!(matches!(people.create_team("Deployers", root(), at(0)).await, Err(PeopleError::Conflict(_))));
    people.assign_team("deployers", in_repository(Role::Deployer, shop, ""), root(), at(0)).await.unwrap();
    people.assign_team("deployers", in_repository(Role::Approver, shop, "staging"), root(), at(0)).await.unwrap();
    people.set_member("deployers", "ada", true, root(), at(0)).await.unwrap();
    let name = world.sign_in(ada, None, at(0)).await;
    let holder = world.sessions.find(&name, at(0)).await.unwrap().unwrap().holder;
    assert_eq!((holder.person(), holder.user, holder.teams.clone()), ("ada", Some(ada), vec!["deployers".to_owned()]));
    assert!(holder.may(Scope::Dispatch, shop) && !holder.may(Scope::Dispatch, "octo/till"));
    assert!(holder.may(Scope::RunsRead, "octo/till") && holder.csrf.is_some());
    assert!(holder.may_review(shop, "staging") && !holder.may_review(shop, "production"));
    people.set_member("deployers", "ada", false, root(), at(0)).await.unwrap();
    assert!(!world.is_in(&name, at(0)).await);
    people.assign_team("deployers", Assignment::of_all(Role::Admin), root(), at(0)).await.unwrap();
    people.set_member("deployers", "ada", true, root(), at(0)).await.unwrap();
    let refused = people.set_member("deployers", "ada", false, root(), at(0)).await;
    assert!(matches!(refused, Err(PeopleError::Conflict(_))), "{refused:?}");
    assert!(matches!(people.remove_team("deployers", root(), at(0)).await, Err(PeopleError::Conflict(_))));
    world.user("bob", &[Assignment::of_all(Role::Admin)]).await;
    people.remove_team("deployers", root(), at(0)).await.unwrap();
    assert!(people.teams().await.unwrap().is_empty());
}

#[tokio::test]
async fn who_is_vouched_for_is_never_somebody_else() {
    let world = World::new().await;
    let ada = world.user("ada", &[Assignment::of_all(Role::Admin)]).await;
    world.people.create_team("shop", root(), at(0)).await.unwrap();
    let said = |subject: &str, roles: Vec<Assignment>, teams: &[&str]| Vouched {
        issuer: "https://id.example".into(),
        subject: subject.into(),
        names: vec!["a b".into(), "ada".into(), "ada@example.com".into()],
        full_name: "Ada".into(),
        roles,
        teams: teams.iter().map(|team| (*team).to_owned()).collect(),
    };
    let viewer = vec![Assignment::of_all(Role::Viewer)];
    let vouched = async |said| world.people.vouched(said, "192.0.2.7", at(1)).await.unwrap();
    let (one, name) = vouched(said("1", viewer.clone(), &["shop", "none"])).await;
    assert!(one != ada && name == "ada@example.com", "{name}");
    let session = world.sign_in(one, None, at(1)).await;
    assert_eq!(vouched(said("1", viewer.clone(), &["shop"])).await, (one, name));
    assert!(world.is_in(&session, at(1)).await, "nothing changed");
    vouched(said("1", Vec::new(), &[])).await;
    assert!(!world.is_in(&session, at(1)).await, "what a group gave is gone with it");
    let (other, name) = vouched(said("2", viewer, &[])).await;
    assert!(other != one && name == "ada-2", "{name}");
    let listed = world.people.list().await.unwrap();
    assert!(listed.iter().find(|user| user.id == one).unwrap().roles.is_empty());
}
