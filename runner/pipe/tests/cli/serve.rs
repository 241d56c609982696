//! A whole server as people run it: the real binary with its `pipe.toml`, a repository that is registered while it runs,
//! a hook of GitHub, and a GitHub that is told what became of it although it misbehaves and the server is killed.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hmac::{Hmac, Mac as _};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value as Json, json};
use sha2::Sha256;

use crate::forge::{Fake, Fault, State};
use crate::world::{CI, World};

/// Longest that anything here may take.
const PATIENCE: Duration = Duration::from_secs(120);
const NAME: &str = "acme/shop";

pub(crate) struct Server {
    process: Child,
    address: String,
}

impl Server {
    pub(crate) fn start(world: &World) -> Self {
        Self::run(world.command(&["serve", "--data", "data", "--listen", "127.0.0.1:0"]))
    }

    /// By this command.
    pub(crate) fn run(mut command: Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").unwrap().to_owned();
        Self { process, address }
    }

    /// Host and port.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The status of the answer to a hook.
    fn hook(&self, secret: &str, id: &str, event: &str, body: &Json) -> String {
        let body = body.to_string();
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(body.as_bytes());
        let signature: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            stream,
            "POST /webhooks/github HTTP/1.1\r\nHost: ci\r\nContent-Type: application/json\r\nX-GitHub-Event: {event}\r\n\
             X-GitHub-Delivery: {id}\r\nX-Hub-Signature-256: sha256={signature}\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().to_owned()
    }

    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub(crate) fn stop(mut self) {
        kill(Pid::from_raw(self.process.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
        assert!(self.process.wait().unwrap().success(), "it ends in order");
    }
}

/// A repository with a workflow of two jobs and a deployment, and settings that tell the forge.
fn world(forge: &Fake) -> World {
    let workflow = "on: push\njobs:\n  build:\n    runs-on: ubuntu-latest\n    steps:\n      - run: echo built\n\
                    \x20 deploy:\n    needs: build\n    runs-on: ubuntu-latest\n    environment: staging\n    steps:\n      - run: echo deployed\n";
    let world = World::repository(&[(CI, workflow)]);
    let settings = format!(
        "[server]\nurl = 'https://ci.example'\n[labels]\nubuntu-latest = 'host'\n[github]\napi-url = '{}'\ntoken-file = '{}'\n",
        forge.url(),
        world.root().join("token").display()
    );
    world.write("token", b"ghp_token");
    let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o600);
    std::fs::set_permissions(world.root().join("token"), mode).unwrap();
    world.write("data/pipe.toml", settings.as_bytes());
    world
}

pub(crate) fn pipe(world: &World, words: &[&str]) -> String {
    let output = world.command(words).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn head(world: &World) -> String {
    let head = Command::new("git").args(["rev-parse", "HEAD"]).current_dir(world.root()).output().unwrap();
    String::from_utf8(head.stdout).unwrap().trim().to_owned()
}

/// Waits until the forge knows what is waited for.
async fn until(forge: &Fake, known: impl Fn(&State) -> bool) {
    loop {
        let mut changed = std::pin::pin!(forge.changed.notified());
        changed.as_mut().enable();
        if known(&forge.state()) {
            return;
        }
        changed.await;
    }
}

/// Where the server is killed: before the forge has seen this many requests.
async fn told(faults: &[(usize, Fault)], killed_at: &[usize]) -> Json {
    let forge = Fake::start().await;
    forge.state().faults = faults.iter().cloned().collect();
    let world = world(&forge);
    let mut server = Server::start(&world);
    let url = world.root().display().to_string();
    let words = ["repo", "add", &url, "--name", NAME, "--forge", "github", "--data", "data", "--json"];
    let added: Json = serde_json::from_str(&pipe(&world, &words)).unwrap();
    let secret = added["secret"].as_str().unwrap();
    let sha = head(&world);
    let push = json!({
        "ref": "refs/heads/main", "before": "0".repeat(40), "after": sha, "created": true, "deleted": false, "forced": false,
        "commits": [], "head_commit": { "id": sha, "message": "first" }, "pusher": { "name": "ada" },
        "repository": { "full_name": NAME, "default_branch": "main", "clone_url": url }, "sender": { "login": "ada" },
    });
    assert_eq!(server.hook("another secret", "forged", "push", &push), "401");
    assert_eq!(server.hook(secret, "one", "push", &push), "202");
    for count in killed_at {
        until(&forge, |state| state.requests.len() >= *count).await;
        server.kill();
        server = Server::start(&world);
    }
    until(&forge, |state| {
        let seen = state.seen();
        let over = |word: &str| seen["statuses"].to_string().matches(word).count() >= 1;
        let is_deployed = seen["deployments"].to_string().contains("success");
        let checked = seen["checks"]
            .as_array()
            .is_some_and(|checks| checks.len() == 2 && checks.iter().all(|check| check[1] == "completed"));
        over("\"success\"") && is_deployed && checked
    })
    .await;
    let deployed: Json = serde_json::from_str(&pipe(&world, &["deployments", "--data", "data", "--json"])).unwrap();
    let deployed = &deployed["deployments"][0];
    assert_eq!(
        (&deployed["environment"], &deployed["state"], &deployed["sha"]),
        (&json!("staging"), &json!("success"), &json!(sha))
    );
    let standing = pipe(&world, &["environments", "--data", "data"]);
    assert!(standing.contains("staging") && standing.contains(&sha[..7]), "{standing}");
    server.stop();
    let seen = forge.state().seen();
    settled(&seen)
}

/// What stands in the end: a state that was overtaken before it was sent is left out, and none comes behind the last.
fn settled(seen: &Json) -> Json {
    let last = |states: &Json| {
        let states = states.as_array().unwrap();
        let (last, before) = states.split_last().unwrap();
        let is_open = |state: &Json| ["pending", "queued", "in_progress"].iter().any(|open| state == *open);
        assert!(before.iter().all(is_open) && !is_open(last), "{seen}");
        last.clone()
    };
    let statuses: Json =
        seen["statuses"].as_object().unwrap().iter().map(|(at, states)| json!([at, last(states)])).collect();
    let deployments =
        seen["deployments"].as_object().unwrap().iter().map(|(id, one)| json!([id, one[0], last(&one[1])]));
    json!({
        "statuses": statuses, "deployments": deployments.collect::<Vec<_>>(), "made": seen["deployments_made"],
        "checks": seen["checks"], "comments": seen["comments"],
    })
}

/// Statuses, checks and deployments are the same in the end, in the same order, whatever went wrong on the way.
#[test]
fn github_is_told_of_a_push_whatever_goes_wrong() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let undisturbed = tokio::time::timeout(PATIENCE, told(&[], &[])).await.unwrap();
        assert_eq!(undisturbed["made"], 1, "{undisturbed}");
        let later = vec![("retry-after", "1".to_owned())];
        let faults = [
            (1, Fault::Refuse(502, Vec::new(), "Bad Gateway")),
            (3, Fault::Refuse(429, later.clone(), "secondary rate limit")),
            (5, Fault::ResetAfter),
            (6, Fault::Refuse(403, later, "You have exceeded a secondary rate limit")),
            (8, Fault::LieAfter(500)),
            (11, Fault::ResetBefore),
        ];
        let disturbed = tokio::time::timeout(PATIENCE, told(&faults, &[])).await.unwrap();
        assert_eq!(disturbed, undisturbed);
        let hangs = [(2, Fault::HangAfter), (4, Fault::HangBefore)];
        let killed = tokio::time::timeout(PATIENCE, told(&hangs, &[3, 7])).await.unwrap();
        assert_eq!(killed, undisturbed);
    });
}
