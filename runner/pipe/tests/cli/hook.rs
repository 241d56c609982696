//! `pipe repo` and `pipe hook` with real git: what is registered, and what a server hears of a push.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value as Json;

use crate::world::World;

const SECRET: &str = "a secret of enough characters";

fn git(folder: &Path, words: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "init.defaultBranch=main"])
        .args(words)
        .current_dir(folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{words:?}: {said}");
    said
}

fn pipe(world: &World, words: &[&str]) -> (Option<i32>, String, String) {
    let output = world.command(words).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Takes one request and answers it; head and body.
fn hear(listener: &TcpListener) -> (String, Json) {
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut bytes = Vec::new();
    let mut part = [0; 4_096];
    loop {
        let read = stream.read(&mut part).unwrap();
        bytes.extend_from_slice(&part[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if Some(body.len()) == length {
            stream.write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
            return (head.to_owned(), serde_json::from_str(body).unwrap());
        }
    }
}

fn bare(world: &World) {
    git(&world.root(), &["init", "-q", "--bare", "shop.git"]);
    git(&world.root(), &["init", "-q", "work"]);
    git(&world.root().join("work"), &["commit", "-q", "--allow-empty", "-m", "one"]);
}

fn install(world: &World, address: SocketAddr) {
    world.write("secret", SECRET.as_bytes());
    let server = format!("http://{address}");
    let words =
        ["hook", "install", "shop.git", "--server", &server, "--repository", "local/shop", "--secret-file", "secret"];
    let (code, _, said) = pipe(world, &words);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn a_push_is_told_signed() {
    let world = World::new(&[]);
    bare(&world);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    install(&world, listener.local_addr().unwrap());
    let hearing = std::thread::spawn(move || hear(&listener));
    let said = git(&world.root().join("work"), &["push", "../shop.git", "HEAD:refs/heads/main"]);
    assert!(said.contains("pipe: refs/heads/main told to http://127.0.0.1"), "{said}");
    let (head, body) = hearing.join().unwrap();
    assert!(
        head.starts_with("POST /webhooks/push HTTP/1.1") && head.contains("x-pipe-signature-256: sha256="),
        "{head}"
    );
    assert!(!head.contains(SECRET) && !body.to_string().contains(SECRET));
    assert_eq!((&body["ref"], &body["repository"]["full_name"]), (&"refs/heads/main".into(), &"local/shop".into()));
    assert_eq!(body["commits"][0]["message"], "one");
}

#[test]
fn who_pushed_is_said_or_is_the_account() {
    let world = World::new(&[]);
    bare(&world);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    install(&world, listener.local_addr().unwrap());
    let account = nix::unistd::User::from_uid(nix::unistd::getuid()).unwrap().map(|user| user.name);
    for (branch, says, expected) in
        [("one", Some("kim"), "kim".to_owned()), ("two", None, account.unwrap_or_else(|| "a push".to_owned()))]
    {
        let listener = listener.try_clone().unwrap();
        let hearing = std::thread::spawn(move || hear(&listener));
        let mut push = Command::new("git");
        push.args(["push", "../shop.git", &format!("HEAD:refs/heads/{branch}")]).current_dir(world.root().join("work"));
        for name in ["PIPE_PUSHER", "GL_USER", "REMOTE_USER", "USER", "LOGNAME"] {
            push.env_remove(name);
        }
        let output = push.envs(says.map(|name| ("PIPE_PUSHER", name))).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let (_, body) = hearing.join().unwrap();
        assert_eq!((&body["pusher"]["name"], &body["sender"]["login"]), (&expected.clone().into(), &expected.into()));
    }
}

#[test]
fn a_push_does_not_wait_for_a_server_that_is_down_and_is_told_later() {
    let world = World::new(&[]);
    bare(&world);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    install(&world, address);
    let said = git(&world.root().join("work"), &["push", "../shop.git", "HEAD:refs/heads/main"]);
    assert!(said.contains("cannot be told to") && said.contains("[new branch]"), "{said}");
    let listener = TcpListener::bind(address).unwrap();
    let (_, body) = hear(&listener);
    assert_eq!(body["ref"], "refs/heads/main");
}

#[test]
fn repositories_are_registered_listed_shown_and_removed() {
    let world = World::new(&[]);
    bare(&world);
    let (code, out, said) = pipe(&world, &["repo", "add", "shop.git", "--data", "data", "--json"]);
    let added: Json = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &added["full_name"], &added["forge"]), (Some(0), &"local/shop".into(), &"push".into()));
    assert!(
        added["secret"].as_str().is_some_and(|secret| secret.len() == 64) && said.contains("no commit yet"),
        "{said}"
    );
    let add = |words: &[&str]| pipe(&world, &[&["repo", "add", "--offline", "--data", "data"], words].concat());
    assert_eq!(add(&["https://github.com/acme/shop"]).0, Some(0));
    for (words, expected) in [
        (&["https://me:word@github.com/acme/shop"][..], "it holds a password"),
        (&["ext::sh -c true"], "cannot be used"),
        (&["https://git.example.org/acme/shop"], "nobody can tell what kind of forge"),
        (&["https://github.com/shop"], "does not tell the name"),
        (&["https://github.com/acme/shop", "--secret-file", "none"], "cannot read the secret"),
    ] {
        let (code, out, said) = add(words);
        assert!(code == Some(2) && out.is_empty() && said.contains(expected), "{words:?}: {said}");
        assert!(!said.contains("word@"), "{said}");
    }
    let (_, out, _) = pipe(&world, &["repo", "ls", "--data", "data", "--json"]);
    let names: Vec<Json> = serde_json::from_str::<Json>(&out).unwrap().as_array().unwrap().clone();
    assert_eq!(names.iter().map(|one| one["full_name"].clone()).collect::<Vec<_>>(), ["local/shop", "acme/shop"]);
    assert!(!out.contains("secret\":"), "{out}");
    let (code, out, _) =
        pipe(&world, &["repo", "show", "ACME/shop", "--data", "data", "--public-url", "https://ci.test/"]);
    assert!(
        code == Some(0) && out.contains("https://ci.test/webhooks/github") && out.contains("not shown again"),
        "{out}"
    );
    assert_eq!(pipe(&world, &["repo", "rm", "acme/shop", "--data", "data"]).0, Some(0));
    assert_eq!(pipe(&world, &["repo", "rm", "acme/shop", "--data", "data"]).0, Some(4));
    let (code, _, said) = pipe(&world, &["repo", "show", "local/sohp", "--data", "data"]);
    assert!(code == Some(4) && said.contains("did you mean `local/shop`?"), "{said}");
}
