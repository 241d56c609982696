//! The pages of settings and the audit log: what they show, what their forms do, and what they never show again.

use engine::store::people::Role;

use crate::people::Browser;
use crate::world::{Answer, World};

impl World {
    async fn settle(&self, browser: &Browser, path: &str, fields: &[(&str, &str)]) -> Answer {
        let fields = [&[("csrf", browser.csrf.as_str())], fields].concat();
        self.form(path, &browser.cookie, &fields).await
    }
}

async fn root(world: &World) -> Browser {
    world.user("root", &[(Role::Admin, "")]).await;
    world.browser("root").await
}

#[tokio::test]
async fn secrets_go_in_and_never_out() {
    let world = World::new().await;
    let root = root(&world).await;
    let page = world.open(&root, "/settings/secrets").await;
    assert!(page.status == 200 && page.text().contains("No secrets"), "{}", page.text());
    let value = "first line\r\nhunter22";
    let fields = [("kind", "secret"), ("name", "key"), ("value", value), ("repository", "octo/shop")];
    let set = world.settle(&root, "/settings/secrets", &fields).await;
    assert_eq!((set.status.as_u16(), set.header("location")), (303, "/settings/secrets"), "{}", set.text());
    let fields = [("kind", "variable"), ("name", "region"), ("value", "eu-west-1")];
    assert_eq!(world.settle(&root, "/settings/secrets", &fields).await.status, 303);
    let page = world.open(&root, "/settings/secrets").await;
    assert!(page.text().contains(">KEY<") && page.text().contains("eu-west-1") && !page.text().contains("hunter22"));
    let wrong = [("kind", "secret"), ("name", "1key"), ("value", "hunter22")];
    let refused = world.settle(&root, "/settings/secrets", &wrong).await;
    assert!(refused.status == 422 && refused.text().contains("<h1>") && !refused.text().contains("hunter22"));
    let gone = [("kind", "secret"), ("name", "KEY"), ("repository", "octo/shop")];
    assert_eq!(world.settle(&root, "/settings/secrets/remove", &gone).await.status, 303);
    assert_eq!(world.settle(&root, "/settings/secrets/remove", &gone).await.status, 404);
    world.user("mia", &[(Role::Maintainer, "octo/shop")]).await;
    let mia = world.browser("mia").await;
    let for_all = [("kind", "secret"), ("name", "a"), ("value", "hunter22")];
    assert_eq!(world.settle(&mia, "/settings/secrets", &for_all).await.status, 403);
    let other = [("kind", "secret"), ("name", "a"), ("value", "hunter22"), ("repository", "octo/till")];
    assert_eq!(world.settle(&mia, "/settings/secrets", &other).await.status, 404);
}

#[tokio::test]
async fn people_are_made_and_changed() {
    let world = World::new().await;
    let root = root(&world).await;
    let new = [("name", "ada"), ("full_name", "Ada <b>"), ("password", "correct horse battery"), ("role", "viewer")];
    assert_eq!(world.settle(&root, "/settings/users", &new).await.status, 303);
    let role = [("user", "ada"), ("role", "approver"), ("environment", "production")];
    assert_eq!(world.settle(&root, "/settings/users/role", &role).await.status, 303);
    assert_eq!(world.settle(&root, "/settings/teams", &[("name", "shop")]).await.status, 303);
    assert_eq!(world.settle(&root, "/settings/teams/join", &[("team", "shop"), ("user", "ada")]).await.status, 303);
    let role = [("team", "shop"), ("role", "developer"), ("repository", "octo/shop")];
    assert_eq!(world.settle(&root, "/settings/teams/role", &role).await.status, 303);
    let page = world.open(&root, "/settings/users").await;
    let text = page.text();
    for part in ["Ada &lt;b&gt;", "approver", "production", "octo/shop", "<bdi>shop</bdi>"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("argon2") && !text.contains("<b>"));
    let users = world.entrance.people.list().await.unwrap();
    let id = users.iter().find(|user| user.name == "ada").unwrap().roles[0].id.to_string();
    assert_eq!(world.settle(&root, "/settings/roles/remove", &[("id", &id)]).await.status, 303);
    assert_eq!(world.settle(&root, "/settings/users/remove", &[("user", "root")]).await.status, 409);
    assert_eq!(world.settle(&root, "/settings/teams/leave", &[("team", "shop"), ("user", "ada")]).await.status, 303);
    assert_eq!(world.settle(&root, "/settings/teams/remove", &[("team", "shop")]).await.status, 303);
    assert_eq!(world.settle(&root, "/settings/users/remove", &[("user", "ada")]).await.status, 303);
    let page = world.open(&root, "/audit?what=user.").await;
    assert!(page.text().contains("user.remove") && !page.text().contains("team.create"), "{}", page.text());
    assert!(world.open(&root, "/audit").await.text().contains("login"));
}

#[tokio::test]
async fn tokens_are_shown_once() {
    let world = World::new().await;
    let root = root(&world).await;
    let fields =
        [("name", "bot"), ("scope", "runs:read"), ("scope", "dispatch"), ("days", "30"), ("repositories", "a/b, c/d")];
    let made = world.settle(&root, "/settings/tokens", &fields).await;
    assert!(made.status == 200 && made.text().contains("pipe_"), "{}", made.text());
    let page = world.open(&root, "/settings/tokens").await;
    assert!(page.text().contains(">bot<") && page.text().contains("dispatch") && !page.text().contains("pipe_"));
    let tokens = world.tokens.list().await.unwrap();
    let bot = tokens.iter().find(|token| token.name == "bot").unwrap();
    assert_eq!(bot.repositories, ["a/b", "c/d"]);
    assert_eq!(world.settle(&root, "/settings/tokens/revoke", &[("token", &bot.id.to_string())]).await.status, 303);
    assert!(!world.open(&root, "/settings/tokens").await.text().contains(">bot<"));
    let none = [("name", "x"), ("days", "30")];
    assert_eq!(world.settle(&root, "/settings/tokens", &none).await.status, 422);
}

#[tokio::test]
async fn sessions_end_and_passwords_change() {
    let world = World::new().await;
    world.user("ada", &[(Role::Viewer, "")]).await;
    let (ada, other) = (world.browser("ada").await, world.browser("ada").await);
    let page = world.open(&ada, "/settings/sessions").await;
    assert!(page.text().contains("this one") && !page.text().contains("/settings/users\""), "{}", page.text());
    let wrong = [("old", "wrong"), ("new", "another horse battery"), ("again", "another horse battery")];
    assert_eq!(world.settle(&ada, "/settings/sessions/password", &wrong).await.status, 422);
    let right =
        [("old", crate::people::PASSWORD), ("new", "another horse battery"), ("again", "another horse battery")];
    let changed = world.settle(&ada, "/settings/sessions/password", &right).await;
    assert!(changed.status == 303 && changed.header("set-cookie").starts_with("__Host-pipe="), "{}", changed.text());
    for browser in [&ada, &other] {
        let answer = world.open(browser, "/settings/sessions").await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (303, "/login?next=%2Fsettings%2Fsessions"));
    }
}

#[tokio::test]
async fn the_audit_log_is_exported_with_its_hashes_and_a_signature() {
    let world = World::new().await;
    let root = root(&world).await;
    let export = world.open(&root, "/audit/export").await;
    assert_eq!(export.header("content-type"), "application/x-ndjson");
    let kept = engine::store::audit::SignedCheckpoint::read_all(export.text());
    assert_eq!(kept.len(), 1);
    assert!(world.audit.verify_signed(&kept).await.is_ok());
    let lines: Vec<_> = export.text().lines().collect();
    assert!(lines.len() as u64 == kept[0].count + 1 && lines[0].contains("\"hash\""), "{lines:?}");
}
