//! A whole server that scanned an image of Docker's and is told of a vulnerability later: people hear of it, the page shows it, and
//! the image is refused, without anybody scanning again. This needs Docker.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value as Json, json};

use crate::world::{CI, World};

const NAME: &str = "acme/shop";
/// Longest that keeping may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// An image with lodash 4.17.15, gone with this value.
struct Image(String);

impl Image {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let package = folder.path().join("app/node_modules/lodash");
        std::fs::create_dir_all(&package).unwrap();
        std::fs::write(package.join("package.json"), r#"{"name": "lodash", "version": "4.17.15"}"#).unwrap();
        let name = format!("pipe-again-test:{}", std::process::id());
        let tar = Command::new("tar").args(["-c", "app"]).current_dir(folder.path()).stdout(Stdio::piped()).spawn();
        let import = Command::new("docker").args(["import", "-", &name]).stdin(tar.unwrap().stdout.unwrap()).output();
        checked(import.unwrap());
        Self(name)
    }

    fn id(&self) -> String {
        checked(Command::new("docker").args(["inspect", "-f", "{{.Id}}", &self.0]).output().unwrap()).trim().to_owned()
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rmi", &self.0]).output();
    }
}

fn checked(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn command(world: &World, words: &[&str]) -> Command {
    let mut command = world.command(words);
    match std::env::var_os("DOCKER_HOST") {
        Some(host) => command.env("DOCKER_HOST", host),
        None => command.env_remove("DOCKER_HOST"),
    };
    command
}

struct Server(Child);

impl Server {
    fn start(world: &World) -> Self {
        let words = ["serve", "--data", "data", "--listen", "127.0.0.1:0"];
        let mut process = command(world, &words).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("listening on"), "{line}");
        Self(process)
    }

    fn stop(mut self) {
        kill(Pid::from_raw(self.0.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
        assert!(self.0.wait().unwrap().success(), "it ends in order");
    }
}

impl Drop for Server {
    /// A test that failed leaves none behind.
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _ended = self.0.wait();
    }
}

/// The body of the next hook, which has to come in time.
fn hook(listener: TcpListener) -> Json {
    let (sender, came) = mpsc::channel();
    thread::spawn(move || sender.send(answered(&listener)));
    came.recv_timeout(PATIENCE).expect("people are told")
}

fn answered(listener: &TcpListener) -> Json {
    let (stream, _) = listener.accept().unwrap();
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line.trim().is_empty() {
            break;
        }
        if let Some(number) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = number.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    reader.into_inner().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
    serde_json::from_slice(&body).unwrap()
}

fn advisory(id: &str, name: &str) -> String {
    json!({
        "schema_version": "1.6.0", "id": id, "modified": "2026-01-01T00:00:00Z", "published": "2026-01-01T00:00:00Z",
        "summary": "it breaks", "database_specific": { "severity": "CRITICAL" },
        "affected": [{ "package": { "ecosystem": "npm", "name": name },
            "ranges": [{ "type": "SEMVER", "events": [{ "introduced": "0" }, { "fixed": "4.17.20" }] }] }]
    })
    .to_string()
}

#[test]
fn what_was_scanned_is_held_against_newer_advisories() {
    let image = Image::new();
    let workflow = format!(
        "on: workflow_dispatch\njobs:\n  scan:\n    runs-on: ubuntu-latest\n    environment: production\n    steps:\n      \
         - uses: pipe/scan@v1\n        with: {{ image-ref: '{}', scanners: vuln }}\n",
        image.0
    );
    let world = World::repository(&[(CI, &workflow)]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    world.write("hook.url", format!("http://{}/", listener.local_addr().unwrap()).as_bytes());
    let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o600);
    std::fs::set_permissions(world.root().join("hook.url"), mode).unwrap();
    let url = world.root().join("hook.url");
    let settings = format!(
        "[server]\nurl = 'https://ci.example'\n[labels]\nubuntu-latest = 'host'\n[notify.team]\nform = 'webhook'\n\
         on = ['finding']\nurl-file = '{}'\n",
        url.display()
    );
    world.write("data/pipe.toml", settings.as_bytes());
    // So that there are advisories of npm, and none of lodash.
    world.write("data/advisories/GHSA-0000-0000-0000.json", advisory("GHSA-0000-0000-0000", "left-pad").as_bytes());
    let pipe = |words: &[&str]| checked(command(&world, &[words, &["--data", "data"]].concat()).output().unwrap());
    let server = Server::start(&world);
    pipe(&["repo", "add", &world.root().display().to_string(), "--name", NAME]);
    let told = pipe(&["dispatch", "ci.yml", "--repo", NAME, "--watch"]);
    assert!(told.contains("pass: nothing was found"), "{told}");
    server.stop();
    let last = || -> (String, bool) {
        let database = rusqlite::Connection::open(world.root().join("data/pipe.db")).unwrap();
        let last = "SELECT sentence, again FROM verdicts WHERE image = ?1 ORDER BY id DESC LIMIT 1";
        database.query_row(last, [image.id()], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    };
    assert_eq!(last(), ("pass: nothing was found".into(), false));
    world.write("data/advisories/GHSA-p6mc-m468-83gw.json", advisory("GHSA-p6mc-m468-83gw", "lodash").as_bytes());
    let server = Server::start(&world);
    let news = hook(listener);
    let title = "1 new finding in pipe-again-test, which stands in production";
    assert_eq!((&news["event"], &news["title"]), (&json!("new_findings"), &json!(title)), "{news}");
    assert_eq!(news["lines"][0], "GHSA-p6mc-m468-83gw in lodash (critical)");
    // It is told before it is kept.
    let begun = Instant::now();
    while !last().1 && begun.elapsed() < PATIENCE {
        std::thread::yield_now();
    }
    server.stop();
    let since = "fail: 1 of 1 finding fails; new since the scan: GHSA-p6mc-m468-83gw in lodash (critical)";
    assert_eq!(last(), (since.into(), true));
    let database = rusqlite::Connection::open(world.root().join("data/pipe.db")).unwrap();
    let shown = database.query_row("SELECT name, fails FROM scan_matches", [], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?))
    });
    assert_eq!(shown.unwrap(), ("GHSA-p6mc-m468-83gw".into(), true));
}
