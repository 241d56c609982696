//! Links of mails that ask for a review (rows A02 and A08): looked at a hundred times, used once, by the right one, for
//! what was asked.

use axum::body::Body;
use axum::http::Request;
use engine::store::RunId;
use engine::store::approvals::NewApproval;
use engine::store::people::Role;
use jiff::{SignedDuration, Timestamp};
use workflow::run::{JobRunKey, RunEvent, Terms};

use crate::people::{HOST, ORIGIN};
use crate::world::{Answer, World, course};

const BOSS: &str = "boss@example.com";

/// A run that waits for a review of production, and the number of its last fact.
async fn waits(world: &World, reviewers: &[&str], barred: &[&str], subject: &str) -> RunId {
    let run = world.run("octo/shop", "main").await;
    let mut facts = course()[..2].to_vec();
    facts.push(RunEvent::ReviewRequested {
        key: JobRunKey::parse("build"),
        environment: "Production".into(),
        reviewers: reviewers.iter().map(|name| (*name).to_owned()).collect(),
        wait_ms: 0,
        terms: Terms {
            subject: subject.into(),
            barred: barred.iter().map(|name| (*name).to_owned()).collect(),
            ..Terms::default()
        },
    });
    world.facts(run, 1, &facts).await;
    run
}

/// The path and the token of a link.
async fn link(world: &World, run: RunId, subject: &str, hours: i64) -> (String, String) {
    let expires_at = Timestamp::now() + SignedDuration::from_hours(hours);
    let new = NewApproval { run, environment: "Production".into(), subject: subject.into(), expires_at };
    let (id, token) = world.approvals.ask(new, BOSS, Timestamp::now()).await.unwrap().unwrap();
    (format!("/a/{id}"), token.expose().to_owned())
}

async fn look(world: &World, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::builder().method(method).uri(path).header("host", HOST).header("accept", "text/html");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    world.send(request.body(Body::empty()).unwrap()).await
}

/// The cookie of the page and what its form sends back.
async fn form_of(world: &World, path: &str, token: &str) -> (String, String) {
    let page = look(world, "GET", path, &[("x-pipe-approval", token), ("sec-fetch-site", "same-origin")]).await;
    let cookie = page.header("set-cookie").split(';').next().unwrap().to_owned();
    assert!(page.header("set-cookie").ends_with("HttpOnly; SameSite=Strict"));
    let csrf = cookie.split_once('=').unwrap().1.to_owned();
    assert!(page.text().contains(&format!("name=\"csrf\" value=\"{csrf}\"")), "{}", page.text());
    (cookie, csrf)
}

async fn send(world: &World, path: &str, (cookie, csrf): &(String, String), token: &str, name: &str) -> Answer {
    let fields = [
        ("csrf", csrf.as_str()),
        ("token", token),
        ("environment", name),
        ("state", "approved"),
        ("comment", "fine <b>"),
    ];
    world
        .form_with(path, &fields, &[("host", HOST), ("origin", ORIGIN), ("cookie", cookie), ("user-agent", "test/1")])
        .await
}

#[tokio::test]
async fn a08_looking_changes_nothing() {
    let world = World::new().await;
    let run = waits(&world, &[BOSS, "ada"], &[], "s1").await;
    let (path, token) = link(&world, run, "s1", 1).await;
    for count in 0..100 {
        let (method, headers, query) = match count % 4 {
            0 => ("GET", vec![], format!("?t={token}")),
            1 => ("HEAD", vec![], format!("?t={token}")),
            2 => ("GET", vec![("x-pipe-approval", token.as_str())], String::new()),
            _ => ("GET", vec![], String::new()),
        };
        let answer = look(&world, method, &format!("{path}{query}"), &headers).await;
        assert_eq!(answer.status, 200);
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-robots-tag", "noindex, nofollow"),
            ("referrer-policy", "no-referrer"),
            ("x-frame-options", "DENY"),
        ] {
            assert_eq!(answer.header(name), value);
        }
        // Without the token nobody learns what it is about.
        let is_bare = headers.is_empty() && query.is_empty();
        assert!(!is_bare || (!answer.text().contains("octo/shop") && answer.text().contains("approve.js")));
    }
    let page = look(&world, "GET", &format!("{path}?t={token}"), &[]).await.text().to_owned();
    for text in ["octo/shop", "Type the name of the environment", "boss@example.com", "What would change"] {
        assert!(page.contains(text), "{page}");
    }
    assert!(world.asked.take().is_empty() && world.deeds().await.is_empty(), "nothing happened");
    // Who has an account reviews on the page for that.
    world.user("ada", &[(Role::Approver, "")]).await;
    let ada = world.browser("ada").await;
    let there = world.open(&ada, &path).await;
    assert_eq!((there.status.as_u16(), there.header("location")), (303, "/runs/1/review/production"));
    for wrong in ["/a/none".to_owned(), format!("/a/none?t={token}"), format!("{path}?t=none")] {
        let answer = look(&world, "GET", &wrong, &[]).await;
        assert!(matches!(answer.status.as_u16(), 403 | 404) && !answer.text().contains("octo/shop"), "{wrong}");
    }
}

#[tokio::test]
async fn a_link_decides_once() {
    let world = World::new().await;
    let run = waits(&world, &[BOSS], &[], "s1").await;
    let (path, token) = link(&world, run, "s1", 1).await;
    let form = form_of(&world, &path, &token).await;
    let foreign = ("__Host-pipe-approval=x".to_owned(), "x".to_owned());
    let other = (form.0.clone(), "y".repeat(43));
    for wrong in [&foreign, &other] {
        assert_eq!(send(&world, &path, wrong, &token, "production").await.status, 403);
    }
    let evil = [("host", HOST), ("origin", "https://evil.example"), ("cookie", form.0.as_str())];
    assert_eq!(world.form_with(&path, &[("csrf", &form.1), ("state", "approved")], &evil).await.status, 403);
    let mistyped = send(&world, &path, &form, &token, "staging").await;
    assert!(mistyped.status == 403 && mistyped.text().contains("Type the name"), "{}", mistyped.text());
    assert!(world.asked.take().is_empty());
    let (one, two) = tokio::join!(
        send(&world, &path, &form, &token, "Production "),
        send(&world, &path, &form, &token, "production")
    );
    assert_eq!((one.status.as_u16(), two.status.as_u16()), (200, 200));
    assert_eq!(world.asked.take(), ["Approve 1 Some(\"Production\") by boss@example.com: fine <b> as s1"]);
    // What was decided is said to who comes again.
    let reviewed = RunEvent::Reviewed {
        key: JobRunKey::parse("build"),
        approved: true,
        by: BOSS.into(),
        comment: "fine <b>".into(),
        passed: true,
    };
    world.facts(run, 4, &[reviewed]).await;
    let again = send(&world, &path, &form, &token, "production").await;
    assert!(
        again.status == 200 && again.text().contains("Already approved by") && again.text().contains("fine &lt;b&gt;")
    );
    assert!(look(&world, "GET", &format!("{path}?t={token}"), &[]).await.text().contains("Already approved by"));
    assert!(world.asked.take().is_empty());
    let deeds: Vec<_> = world.deeds().await;
    assert_eq!(
        deeds,
        ["somebody with a link approval.refused octo/shop run 1", "mail boss@example.com run.approve octo/shop run 1",]
    );
    let kept = world.get("/audit?what=run.approve").await.text().to_owned();
    assert!(kept.contains("test/1") && kept.contains("boss@example.com") && !kept.contains(&token), "{kept}");
}

#[tokio::test]
async fn a02_a_link_is_of_one_thing_and_of_one_reader() {
    let world = World::new().await;
    let first = waits(&world, &[BOSS], &[], "s1").await;
    let second = waits(&world, &[BOSS], &[], "s2").await;
    let (one, token) = link(&world, first, "s1", 1).await;
    let (two, own) = link(&world, second, "s2", 1).await;
    let form = form_of(&world, &one, &token).await;
    assert_eq!(send(&world, &two, &form, &token, "production").await.status, 403, "the token of another run");
    // The same run asks for something else now.
    let (old, stale) = link(&world, second, "before", 1).await;
    let refused = send(&world, &old, &form, &stale, "production").await;
    assert!(refused.status == 409 && refused.text().contains("not what the mail asked about"), "{}", refused.text());
    let (late, expired) = link(&world, second, "late", -1).await;
    assert_eq!(send(&world, &late, &form, &expired, "production").await.status, 410);
    // Who is asked no more, or began it under another name, decides nothing.
    let stranger = waits(&world, &["*"], &[], "s3").await;
    let (path, token) = link(&world, stranger, "s3", 1).await;
    assert_eq!(send(&world, &path, &form, &token, "production").await.status, 409);
    world.user("mona", &[(Role::Approver, "")]).await;
    for alias in ["mail:boss@example.com", "github:octocat"] {
        let path = format!("/users/mona/aliases/{alias}");
        assert_eq!(world.send_json("PUT", &path, &serde_json::json!({}), &[]).await.status, 201);
    }
    let barred = waits(&world, &[BOSS], &["octocat"], "s4").await;
    let (path, token) = link(&world, barred, "s4", 1).await;
    let refused = send(&world, &path, &form, &token, "production").await;
    assert!(refused.status == 409 && refused.text().contains("octocat began run"), "{}", refused.text());
    assert!(world.asked.take().is_empty());
    // By the name that they have here they are one person.
    assert_eq!(send(&world, &two, &form, &own, "production").await.status, 200);
    assert_eq!(world.asked.take(), ["Approve 2 Some(\"Production\") by mona: fine <b> as s2"]);
}
