//! W01–W09 and W12–W14: what is refused, with which status, and that nothing of it is kept.

use axum::Router;
use axum::extract::Extension;
use axum::routing::get;
use serde_json::json;
use web::{ClientAddress, FrontDoorOptions, Rate, ServerOptions};
use workflow::event::Forge;

use crate::world::{Post, REPOSITORY, Setup, World, push_payload, secret_of, signature};

const SIGNATURE: &str = "X-Hub-Signature-256";

#[tokio::test]
async fn w01_unsigned_and_wrongly_signed() {
    let world = World::start(Setup::default()).await;
    let push = Post::push("g", "main");
    let right = signature(&secret_of(REPOSITORY), &push.body);
    let mut twice = push.clone();
    twice.headers.push((SIGNATURE.into(), right.clone()));
    for (name, request) in [
        ("none", push.clone().with(SIGNATURE, "")),
        ("none, form", push.clone().with(SIGNATURE, "").with("Content-Type", "application/x-www-form-urlencoded")),
        ("zeros", push.clone().with(SIGNATURE, &format!("sha256={}", "0".repeat(64)))),
        ("empty digest", push.clone().with(SIGNATURE, "sha256=")),
        ("blank", push.clone().with(SIGNATURE, " ")),
        ("upper case", push.clone().with(SIGNATURE, &right.replace("sha256", "SHA256"))),
        ("cut", push.clone().with(SIGNATURE, &right[..70])),
        ("by the empty secret", push.clone().with(SIGNATURE, &signature("", &push.body))),
        ("of another body", Post { body: push_payload(REPOSITORY, "x").to_string().into(), ..push.clone() }),
        ("two", twice),
    ] {
        let answer = world.post(&request).await;
        assert_eq!(answer.status, 401, "{name}: {}", answer.body);
        assert!(answer.has("content-type: application/problem+json"), "{}", answer.head);
    }
    // A repository that nobody registered sounds the same.
    let unknown = Post::github("push", "g", push_payload("octo/other", "main").to_string().as_bytes());
    let unknown = unknown.with(SIGNATURE, &signature("guess", b""));
    let (one, other) = (world.post(&unknown).await, world.post(&push.clone().with(SIGNATURE, "sha256=")).await);
    assert_eq!((one.status, one.body), (401, other.body));
    for forge in ["gitea", "forgejo", "gitlab", "push"] {
        let request =
            push.clone().at(&format!("/webhooks/{forge}")).with(SIGNATURE, "").with("X-Gitlab-Token", "guess");
        assert_eq!(world.post(&request).await.status, 401, "{forge}");
    }
    assert_eq!(world.list().await, []);
    assert_eq!(world.post(&push).await.status, 202);
}

#[tokio::test]
async fn w02_sha1_is_no_signature() {
    let world = World::start(Setup::default()).await;
    let sha1 = Post::push("g", "main").with(SIGNATURE, "").with("X-Hub-Signature", &format!("sha1={}", "a".repeat(40)));
    assert_eq!(world.post(&sha1).await.status, 401);
    assert_eq!(world.list().await, []);
}

#[tokio::test]
async fn w03_a_replay_is_known_even_after_a_restart() {
    let world = World::start(Setup::default()).await;
    let push = Post::push("fix", "main");
    let first = world.post(&push).await;
    assert_eq!((first.status, first.json()["status"].as_str()), (202, Some("accepted")), "{}", first.body);
    let again = world.post(&push).await;
    assert_eq!((again.status, again.json()), (200, json!({ "status": "duplicate", "delivery": 1 })));
    let other = Post::push("fix", "other");
    assert_eq!(world.post(&other).await.status, 409);
    let world = world.restart(Setup::default()).await;
    assert_eq!(world.post(&push).await.status, 200);
    let at_once = Post::push("at once", "many");
    let all = futures_util::future::join_all((0..50).map(|_| world.post(&at_once))).await;
    let count = |status| all.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(202), count(200)), (1, 49));
    assert_eq!(world.list().await.len(), 2);
}

#[tokio::test]
async fn w04_a_replay_under_another_id_is_the_same_delivery() {
    let world = World::start(Setup::default()).await;
    assert_eq!(world.post(&Post::push("a", "main")).await.status, 202);
    let replay = world.post(&Post::push("b", "main")).await;
    assert_eq!((replay.status, replay.json()["delivery"].as_u64()), (200, Some(1)));
    assert_eq!(world.post(&Post::push("b", "other")).await.status, 202, "the id is still free");
    assert_eq!(world.list().await.len(), 2);
}

/// That the comparison takes the same time is the library's (`verify_slice`, `ct_eq`); that it is used, and that all
/// wrong digests are alike from outside, is shown here.
#[tokio::test]
async fn w05_wrong_in_the_first_or_the_last_digit_is_the_same() {
    let world = World::start(Setup::default()).await;
    let push = Post::push("g", "main");
    let right = signature(&secret_of(REPOSITORY), &push.body);
    let flip = |place: usize| {
        let mut text = right.clone().into_bytes();
        text[place] = if text[place] == b'0' { b'1' } else { b'0' };
        String::from_utf8(text).unwrap()
    };
    let mut bodies = Vec::new();
    for place in [7, 70] {
        let answer = world.post(&push.clone().with(SIGNATURE, &flip(place))).await;
        assert_eq!(answer.status, 401);
        bodies.push(answer.body);
    }
    assert_eq!(bodies[0], bodies[1]);
    let source = include_str!("../../src/webhook/signature.rs");
    assert!(source.contains("verify_slice(signature)") && source.contains("ct_eq(token)"));
}

#[tokio::test]
async fn w06_large_bodies_are_refused_before_they_are_kept() {
    let world = World::start(Setup::default()).await;
    for request in [Post::push("g", "main"), Post::push("g", "main").with(SIGNATURE, "")] {
        // Announced: refused although nothing of the body was sent.
        let announced = format!("{}Content-Length: {}\r\n\r\n", request.head(), 2_u64 << 30);
        assert_eq!(world.send(announced.as_bytes()).await.status, 413);
        // Not announced: refused as soon as it is too large.
        let mut bytes = format!("{}Transfer-Encoding: chunked\r\n\r\n", request.head()).into_bytes();
        let chunk = [b"100000\r\n".as_slice(), &vec![b' '; 0x10_0000], b"\r\n"].concat();
        (0..26).for_each(|_| bytes.extend_from_slice(&chunk));
        let answer = world.send(&bytes).await;
        assert_eq!(answer.status, 413, "{}", answer.body);
    }
    let mut largest = push_payload(REPOSITORY, "main").to_string().into_bytes();
    largest.resize(25 << 20, b' ');
    assert_eq!(world.post(&Post::github("push", "large", &largest)).await.status, 202);
    assert_eq!(world.list().await.len(), 1);
}

#[tokio::test]
async fn w07_what_is_signed_is_what_is_read() {
    let world = World::start(Setup::default()).await;
    let text = push_payload(REPOSITORY, "main").to_string();
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let repeated = text.replacen('{', "{\"ref\": \"refs/heads/evil\",", 1);
    for (name, body) in [
        ("names twice, no repository", br#"{"ref":"refs/heads/main","ref":"refs/heads/x"}"#.to_vec()),
        ("names twice", repeated.into_bytes()),
        ("a BOM", format!("\u{feff}{text}").into_bytes()),
        ("UTF-16", utf16),
        ("no UTF-8", text.replace("ada", "\u{fffe}").into_bytes().into_iter().filter(|byte| *byte != 0xbf).collect()),
        ("no JSON", b"ref=main".to_vec()),
        ("two documents", format!("{text}{text}").into_bytes()),
    ] {
        let answer = world.post(&Post::github("push", "g", &body)).await;
        assert_eq!(answer.status, 400, "{name}: {}", answer.body);
        let unsigned = Post::github("push", "g", &body).with(SIGNATURE, &signature("guess", &body));
        assert_eq!(world.post(&unsigned).await.status, 401, "{name}: only who signed it hears why");
    }
    for media in ["text/plain", "application/json; charset=utf-16", "application/xml", ""] {
        let answer = world.post(&Post::push("g", "main").with("Content-Type", media)).await;
        assert_eq!(answer.status, 415, "{media}");
    }
    assert_eq!(world.list().await, []);
    let form = |form: &str| {
        Post::github("push", "form", form.as_bytes()).with("Content-Type", "application/x-www-form-urlencoded")
    };
    let good = format!("payload={}", text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>());
    assert_eq!(world.post(&form(&format!("{good}&payload=1"))).await.status, 400);
    assert_eq!(world.post(&form("other=1")).await.status, 400);
    assert_eq!(world.post(&form(&good)).await.status, 202);
    let kept = world.deliveries.show(1).await.unwrap().unwrap();
    assert_eq!(String::from_utf8(kept.body).unwrap(), text);
}

#[tokio::test]
async fn w08_a_secret_is_for_its_repository_and_a_payload_of_its_event() {
    let known = Setup::default().known.add(Forge::Github, "octo/other");
    let world = World::start(Setup { known, ..Setup::default() }).await;
    for other in ["octo/other", "octo/unregistered"] {
        let body = push_payload(other, "main").to_string();
        let answer = world.post(&Post::github("push", "g", body.as_bytes())).await;
        assert_eq!(answer.status, 403, "{other}: {}", answer.body);
    }
    let pull = json!({
        "action": "opened", "number": 1, "repository": { "full_name": REPOSITORY }, "sender": { "login": "ada" },
        "pull_request": { "number": 1, "base": { "ref": "main" }, "head": { "ref": "topic" } },
    });
    let (pull, push) = (pull.to_string(), push_payload(REPOSITORY, "main").to_string());
    for (event, body, expected) in [
        ("push", &pull, 400),
        ("pull_request", &push, 400),
        ("", &push, 400),
        ("pull_request", &pull, 202),
        ("star", &push, 202),
    ] {
        let answer = world.post(&Post::github("push", event, body.as_bytes()).with("X-GitHub-Event", event)).await;
        assert_eq!(answer.status, expected, "{event}: {}", answer.body);
    }
    let no_id = Post::push("g", "main").with("X-GitHub-Delivery", "");
    assert_eq!(world.post(&no_id).await.status, 400);
    assert_eq!(world.list().await.len(), 2);
}

#[tokio::test]
async fn w09_a_repository_that_sends_too_much_waits_and_others_do_not() {
    let rate = Rate { per_minute: 1, burst: 3 };
    let known = Setup::default().known.add(Forge::Github, "octo/other");
    let door = FrontDoorOptions { rate, ..FrontDoorOptions::default() };
    let world = World::start(Setup { known, door, ..Setup::default() }).await;
    for number in 0..3 {
        assert_eq!(world.post(&Post::push(&format!("g{number}"), &format!("b{number}"))).await.status, 202);
    }
    // What nobody signed takes nothing from anybody.
    assert_eq!(world.post(&Post::push("g", "b").with(SIGNATURE, "")).await.status, 401);
    let answer = world.post(&Post::push("g4", "b4")).await;
    assert_eq!(answer.status, 429);
    assert!(answer.has("retry-after: 60") || answer.has("retry-after: 59"), "{}", answer.head);
    let body = push_payload("octo/other", "main").to_string();
    let other = Post::github("push", "g5", body.as_bytes());
    let other = other.with(SIGNATURE, &signature(&secret_of("octo/other"), body.as_bytes()));
    assert_eq!(world.post(&other).await.status, 202);
    assert_eq!(world.list().await.len(), 4);
}

#[tokio::test]
async fn w12_requests_that_can_be_read_in_two_ways_end_the_connection() {
    let world = World::start(Setup::default()).await;
    for framing in [
        "Content-Length: 6\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 6",
        "Content-Length: 6\r\nContent-Length: 6",
        "Content-Length: 6\r\nContent-Length: 7",
        "Content-Length: +6",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding:\tchunked\r\nTransfer-Encoding: identity",
    ] {
        let request = format!(
            "POST /webhooks/github HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
        );
        let answer = world.send(request.as_bytes()).await;
        assert_eq!(answer.status, 400, "{framing}: {}", answer.head);
        assert!(!answer.body.contains("HTTP/1.1"), "{framing}: what was smuggled got an answer");
    }
    for hosts in ["", "Host: a\r\nHost: b\r\n"] {
        assert_eq!(world.send(format!("GET /healthz HTTP/1.1\r\n{hosts}\r\n").as_bytes()).await.status, 400);
    }
    // A body without a length is fine, and the last one on its connection.
    let two = "POST /webhooks/github HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
    let answer = world.send(two.as_bytes()).await;
    assert!(answer.status == 415 && answer.has("connection: close") && !answer.body.contains("HTTP/1.1"));
}

#[tokio::test]
async fn w13_packed_bodies_are_not_unpacked() {
    let world = World::start(Setup::default()).await;
    for encoding in ["gzip", "br", "identity, gzip", "zstd"] {
        let answer = world.post(&Post::push("g", "main").with("Content-Encoding", encoding)).await;
        assert_eq!(answer.status, 415, "{encoding}");
    }
    assert_eq!(world.post(&Post::push("g", "main").with("Content-Encoding", "identity")).await.status, 202);
}

#[tokio::test]
async fn w14_nothing_is_made_of_host_or_forwarded_headers() {
    let echo = || get(|Extension(ClientAddress(client)): Extension<ClientAddress>| async move { client.to_string() });
    let ask = "GET /client HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\nX-Forwarded-Host: evil.test\r\n\
               X-Forwarded-For: 6.6.6.6, 9.9.9.9, 10.0.0.7\r\n\r\n";
    let more = || Router::new().route("/client", echo());
    let world = World::start(Setup { more: more(), ..Setup::default() }).await;
    let answer = world.send(ask.as_bytes()).await;
    assert_eq!(answer.body, "127.0.0.1", "nobody is trusted");
    assert!(!answer.head.contains("evil"));
    let trusted_proxies = vec!["127.0.0.0/8".parse().unwrap(), "10.0.0.0/8".parse().unwrap()];
    let server = ServerOptions { trusted_proxies, ..ServerOptions::default() };
    let world = World::start(Setup { more: more(), server, ..Setup::default() }).await;
    assert_eq!(world.send(ask.as_bytes()).await.body, "9.9.9.9", "the last address that is no proxy of ours");
    let refused = world.post(&Post::push("g", "main").with(SIGNATURE, "").with("X-Forwarded-Host", "evil.test")).await;
    assert!(!refused.body.contains("evil") && !refused.head.contains("evil"));
}
