//! Hostile values in each parameter of each route, and what is never written down.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt::MakeWriter;

use crate::people::PASSWORD;
use crate::routes::routes;
use crate::world::World;

/// Names of parameters that routes read, found in the sources, and some that they do not.
const PARAMETERS: [&str; 6] = ["q", "sort", "order", "id", "limit", "offset"];
/// As sqlmap and people try them, percent-encoded.
const HOSTILE: [&str; 14] = [
    "%27",
    "%22",
    "%27%20OR%20%271%27=%271",
    "1%20OR%201=1--",
    "%27);DROP%20TABLE%20runs;--",
    "%27%20UNION%20SELECT%20*%20FROM%20users--",
    "1;SELECT%20load_extension(%27x%27)",
    "%27||(SELECT%20digest%20FROM%20tokens)||%27",
    "%00",
    "%25",
    "_",
    "*",
    "-1",
    "99999999999999999999999",
];

/// What `get("…")`, `filled(&query, "…")` and fields of queries are called.
fn parameters() -> Vec<String> {
    let mut found: Vec<String> = PARAMETERS.iter().map(|name| (*name).to_owned()).collect();
    let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for before in ["get(\"", "filled(&query, \""] {
                found.extend(text.split(before).skip(1).filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
            }
            for body in text.split("#[derive(Debug, Default, Deserialize)]").skip(1) {
                let Some((fields, _)) = body.split_once("\n}") else { continue };
                let names = fields.lines().filter_map(|line| line.trim().split_once(": Option<"));
                found.extend(names.map(|(name, _)| name.rsplit(' ').next().unwrap_or_default().to_owned()));
            }
        }
    }
    found.retain(|name| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
    });
    found.sort();
    found.dedup();
    found
}

/// How many rows each table has.
fn rows(world: &World) -> BTreeMap<String, i64> {
    let connection = rusqlite::Connection::open(world.folders.state.join("pipe.db")).unwrap();
    let mut select = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").unwrap();
    let names: Vec<String> = select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let count = |name: &String| {
        connection.query_row(&format!("SELECT count(*) FROM \"{name}\""), [], |row| row.get(0)).unwrap()
    };
    names.iter().map(|name| (name.clone(), count(name))).collect()
}

/// U12: values are values. A filter that matches nothing lists nothing, and the tables stay as they are.
#[tokio::test]
async fn u12_parameters_are_values_in_every_query() {
    let world = World::new().await;
    world.finished().await;
    world.delivery("1", "octo/shop").await;
    world.stop.cancel();
    let names = parameters();
    assert!(
        ["status", "repository", "branch", "since", "environment", "step"]
            .iter()
            .all(|one| names.contains(&(*one).to_owned())),
        "{names:?}"
    );
    let before = rows(&world);
    assert!(before.len() > 10 && before["runs"] == 1, "{before:?}");
    for path in routes() {
        for value in HOSTILE {
            // All at once, and each alone where it is a filter of what is listed.
            let query: Vec<String> = names.iter().map(|name| format!("{name}={value}")).collect();
            let answer = world.browse(&format!("{path}?{}", query.join("&"))).await;
            assert!(answer.status.as_u16() < 500, "{path} {value}: {} {}", answer.status, answer.text());
        }
    }
    for name in ["repository", "branch", "workflow", "actor", "event", "sha"] {
        for value in HOSTILE {
            let answer = world.get(&format!("/runs?{name}={value}")).await;
            let listed = answer.json()["runs"].as_array().map_or(0, Vec::len);
            assert!(answer.status.as_u16() == 400 || listed == 0, "{name}={value}: {}", answer.text());
        }
    }
    assert_eq!(rows(&world), before);
}

/// U04: no route can be put into a frame, whatever it answers.
#[tokio::test]
async fn u04_no_route_can_be_framed() {
    let world = World::new().await;
    world.finished().await;
    world.stop.cancel();
    for path in routes() {
        for answer in [world.browse(&path).await, world.get_of("", &path, &[]).await, world.submit(&path, "x=1").await]
        {
            assert_eq!(answer.header("x-frame-options"), "DENY", "{path} {}", answer.status);
            let policy = answer.header("content-security-policy");
            assert!(policy.contains("frame-ancestors 'none'"), "{path} {}: {policy}", answer.status);
        }
    }
}

#[derive(Debug, Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Written {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// U10: what lets somebody in is in no log, at the most talkative level, however it was sent.
#[tokio::test]
async fn u10_no_log_holds_a_token_a_password_or_a_session() {
    let written = Written::default();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(written.clone()).finish();
    let _held = tracing::subscriber::set_default(subscriber);
    tracing::info!("the log is kept");
    let world = World::new().await;
    world.finished().await;
    world.user("eve", &[(engine::store::people::Role::Admin, "")]).await;
    let eve = world.browser("eve").await;
    let token = world.admin.clone();
    for path in routes().into_iter().filter(|path| !path.ends_with("/live") && !path.ends_with("/events")) {
        world.get_of(&token, &path, &[("accept", "text/html")]).await;
        world.get_of("", &format!("{path}?token={token}&access_token={token}"), &[]).await;
        world.get_of("", &path, &[("authorization", &format!("Basic {token}")), ("x-api-key", &token)]).await;
        world.open(&eve, &path).await;
        world.submit(&path, &format!("password={PASSWORD}&token={token}")).await;
    }
    world.login("eve", "a wrong password, though a long one").await;
    let log = String::from_utf8_lossy(&written.0.lock().unwrap()).into_owned();
    assert!(log.contains("the log is kept"));
    let session = eve.cookie.split_once('=').unwrap().1;
    for (name, secret) in [
        ("token", &token[..]),
        ("half of the token", &token[5..25]),
        ("password", PASSWORD),
        ("wrong password", "a wrong password, though a long one"),
        ("session", session),
        ("csrf", &eve.csrf),
    ] {
        let line = log.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{name}: {line:?}");
    }
}
