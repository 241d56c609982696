//! Repositories that are not for everybody, served by git's own `http-backend` behind a name and a token.

use std::process::Stdio;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// `x-access-token:t0ken`.
const OPENS: &str = "Basic eC1hY2Nlc3MtdG9rZW46dDBrZW4=";

/// A server of git repositories below a folder; those whose owner is `closed` want the token. Gives its address.
async fn serve(root: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, root.clone()));
        }
    });
    address
}

/// One request, answered by git as CGI has it (<https://git-scm.com/docs/git-http-backend>).
async fn answer(mut stream: TcpStream, root: PathBuf) {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break String::from_utf8(bytes[..end].to_vec()).unwrap();
        }
        assert!(stream.read_buf(&mut bytes).await.unwrap() > 0, "a request has an end");
    };
    let header = |wanted: &str| {
        let mut pairs = head.lines().filter_map(|line| line.split_once(": "));
        pairs.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.to_owned())
    };
    let length: usize = header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = bytes.split_off(head.len() + 4);
    while body.len() < length {
        assert!(stream.read_buf(&mut body).await.unwrap() > 0, "a request is whole");
    }
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if path.starts_with("/closed/") && header("authorization").as_deref() != Some(OPENS) {
        let refused = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"git\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        stream.write_all(refused.as_bytes()).await.unwrap();
        return;
    }
    let mut backend = tokio::process::Command::new("git");
    backend
        .args(["-c", "safe.directory=*", "http-backend"])
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1");
    backend.env("REQUEST_METHOD", method).env("PATH_INFO", path).env("QUERY_STRING", query);
    for (name, of) in [
        ("CONTENT_TYPE", "content-type"),
        ("HTTP_CONTENT_ENCODING", "content-encoding"),
        ("GIT_PROTOCOL", "git-protocol"),
    ] {
        backend.env(name, header(of).unwrap_or_default());
    }
    backend.env("CONTENT_LENGTH", length.to_string());
    let mut backend = backend.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("git has http-backend");
    backend.stdin.take().unwrap().write_all(&body).await.unwrap();
    let said = backend.wait_with_output().await.unwrap().stdout;
    let status = said.strip_prefix(b"Status: ").map_or("200 OK", |rest| {
        let end = rest.iter().position(|byte| *byte == b'\r').unwrap();
        std::str::from_utf8(&rest[..end]).unwrap()
    });
    stream.write_all(format!("HTTP/1.1 {status}\r\nConnection: close\r\n").as_bytes()).await.unwrap();
    stream.write_all(&said).await.unwrap();
}

#[tokio::test]
async fn a_token_opens_private_repositories_of_its_server_and_not_for_forks() {
    let world = World::new();
    for owner in ["open", "closed"] {
        std::fs::create_dir_all(world.server.path().join(owner)).unwrap();
        let bare = world.server.path().join(owner).join("say");
        git(&world.say.root(), &["clone", "--quiet", "--bare", ".", &bare.display().to_string()]);
    }
    let server = serve(world.server.path().to_path_buf()).await;
    let store = |folder: &str, server: &str, token: Option<&str>| {
        let options =
            FetchOptions { server: server.to_owned(), token: token.map(Secret::from), ..FetchOptions::default() };
        Arc::new(ActionStore::new(world.store.path().join(folder), options))
    };
    let without = store("without", &server, None);
    let wants = "repository not found (or it is private): ";
    let hint = "a private one needs a token that may read it: `PIPE_ACTIONS_TOKEN`";
    world.check(&without, "open/say@v1", Ok("one")).await;
    world.check(&without, "closed/say@v1", Err(wants)).await;
    world.check(&without, "closed/say@v1", Err(hint)).await;
    let wrong = store("wrong", &server, Some("another"));
    world.check(&wrong, "open/say@v1", Ok("one")).await;
    world.check(&wrong, "closed/say@v1", Err("the token that is given for actions does not open it")).await;
    let right = store("right", &server, Some("t0ken"));
    world.check(&right, "closed/say@v1", Ok("one")).await;
    world.check(&right, &format!("closed/say@{}", world.first), Ok("one")).await;
    // What it opened for others is kept apart from what forks may have.
    world.check(&right.for_forks(), "closed/say@v1", Err(hint)).await;
    world.check(&right.for_forks(), &format!("closed/say@{}", world.first), Err(hint)).await;
    world.check(&right.for_forks(), "open/say@v1", Ok("one")).await;
    assert!(Arc::ptr_eq(&without.for_forks(), &without), "where there is no token, nothing is fetched twice");
    let kept = walkdir::WalkDir::new(world.store.path()).into_iter().flatten().filter(|entry| entry.path().is_file());
    for entry in kept {
        let bytes = std::fs::read(entry.path()).unwrap();
        assert!(!bytes.windows(5).any(|five| five == b"t0ken"), "{} holds the token", entry.path().display());
    }
}
