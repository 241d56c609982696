//! Every route that there is, read from the sources, so that a new one is looked at too: nobody without a session, with
//! another role or of another repository gets anything, whatever they do to the path.

use std::collections::BTreeSet;
use std::path::Path;

use axum::body::Body;
use axum::http::Request;
use engine::store::people::Role;

use crate::world::{Answer, World};

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "DELETE", "PATCH"];
/// What everybody may see.
const OPEN: [&str; 5] = ["/login", "/login/first", "/login/oidc", "/login/oidc/callback", "/api/v1/openapi.json"];

/// All routes of the API and the pages, with something in place of their parameters.
pub(crate) fn routes() -> BTreeSet<String> {
    let mut routes = BTreeSet::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut routes);
    assert!(routes.len() > 70 && routes.contains("/audit") && routes.contains("/api/v1/users"), "{routes:?}");
    assert!(routes.contains("/api/v1/runs/1/coverage") && routes.contains("/tests"), "{routes:?}");
    routes.into_iter().filter(|path| !OPEN.contains(&path.as_str()) && !path.starts_with("/static/")).collect()
}

fn read(folder: &Path, routes: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.to_string_lossy().into_owned();
        if path.is_dir() {
            read(&path, routes);
            continue;
        }
        // Doors of their own: hooks have signatures; health, metrics and public keys tell nothing of anybody.
        if ["/webhook/", "/health.rs", "/issuer.rs", "/metrics.rs"].iter().any(|own| name.contains(own)) {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let prefix = if name.contains("/src/api/") { "/api/v1" } else { "" };
        for rest in text.split(".route(\"").skip(1) {
            let path = rest.split('"').next().unwrap();
            routes.insert(format!("{prefix}{}", filled(path)));
        }
    }
}

fn filled(path: &str) -> String {
    let parts = path.split('/').map(|part| match part {
        "{*file}" => "x",
        "{environment}" => "production",
        part if part.starts_with('{') => "1",
        part => part,
    });
    parts.collect::<Vec<_>>().join("/").replace("/jobs/1/", "/jobs/1:build/")
}

/// 60 and more ways to write a path so that two readers of it may not agree.
fn mutations(path: &str) -> Vec<String> {
    let mut all = Vec::new();
    let first = path.split('/').nth(1).unwrap_or_default();
    for before in ["/", "/./", "/../", "/x/../", "/login/../", "/static/../", "/%2e/", "/%2e%2e/", "/login/%2e%2e/"] {
        all.push(format!("{before}{}", &path[1..]));
    }
    for before in ["/login;/..", "/login/..;", "//login/..", "/openapi.json/..", "/api/v1/openapi.json/../../..", "/;"]
    {
        all.push(format!("{before}{path}"));
    }
    for after in [
        "/",
        "//",
        "/.",
        "/..",
        "/./",
        "/../",
        "/login",
        "/../login",
        ";",
        ";jsp",
        ";.css",
        ".json",
        ".html",
        ".css",
        ".",
        "..",
        "%20",
        "%00",
        "%09",
        "%0a",
        "%23",
        "%3f",
        "%2f",
        "%5c",
        "%2e",
        "%3b",
        "%252f",
        "%2e%2e",
        "~",
        "*",
        "/*",
        "/static/x.css",
    ] {
        all.push(format!("{path}{after}"));
    }
    for query in [
        "?token=x",
        "?_method=GET",
        "?access_token=x",
        "?login",
        "?code=x",
        "?next=/login",
        "?csrf=",
        "?/login",
        "?debug=1",
    ] {
        all.push(format!("{path}{query}"));
    }
    all.push(path.to_uppercase());
    all.push(path.replacen(first, &first.to_uppercase(), 1));
    all.push(path.replace('/', "//"));
    all.push(format!("/{}", path.trim_start_matches('/').replace('/', "%2f")));
    all.push(format!("/{}", path.trim_start_matches('/').replace('/', "%5c")));
    if let Some(byte) = first.bytes().next() {
        all.push(path.replacen(first, &format!("%{byte:02x}{}", &first[1..]), 1));
        all.push(path.replacen(first, &format!("%25{byte:02x}{}", &first[1..]), 1));
    }
    all
}

async fn ask(world: &World, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Option<Answer> {
    let mut request = Request::builder().method(method).uri(path).header("host", "ci.example");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    // What is no address at all is refused before any route.
    Some(world.send(request.body(Body::from(body.to_owned())).ok()?).await)
}

#[tokio::test]
async fn u07_every_route_asks_who_it_is() {
    let world = World::new().await;
    world.finished().await;
    world.stop.cancel();
    let page = [("accept", "text/html")];
    for path in routes() {
        for method in METHODS {
            for headers in [&[][..], &page] {
                let answer = ask(&world, method, &path, headers, "").await.unwrap();
                let status = answer.status.as_u16();
                assert!(matches!(status, 303 | 401 | 403..=405), "{method} {path}: {status}");
                if status == 303 {
                    let to = answer.header("location");
                    assert!(method == "GET" && (to == "/login" || to.starts_with("/login?next=%2F")), "{path}: {to}");
                }
                assert!(!answer.text().contains("octo/shop"), "{method} {path}");
            }
        }
    }
    assert_eq!((world.asked.take(), world.deeds().await), (vec![], vec![]));
}

#[tokio::test]
async fn u07_no_way_to_write_a_path_lets_anybody_in() {
    let world = World::new().await;
    world.finished().await;
    world.stop.cancel();
    assert!(mutations("/runs/1").len() >= 60, "{}", mutations("/runs/1").len());
    let tricks = [("x-original-url", "/login"), ("x-rewrite-url", "/login"), ("x-http-method-override", "GET")];
    let mut asked = 0;
    for path in routes() {
        for mutated in mutations(&path) {
            let Some(answer) = ask(&world, "GET", &mutated, &tricks, "").await else { continue };
            asked += 1;
            let status = answer.status.as_u16();
            assert!(matches!(status, 303 | 400 | 401 | 403..=405), "{mutated}: {status}");
            assert!(!answer.text().contains("octo/shop"), "{mutated}");
        }
    }
    assert!(asked > 3_000, "{asked}");
}

#[tokio::test]
async fn u08_who_is_of_another_repository_sees_and_does_nothing() {
    let world = World::new().await;
    world.finished().await;
    world.delivery("1", "octo/shop").await;
    world
        .user("eve", &[(Role::Viewer, "other/repo"), (Role::Approver, "other/repo"), (Role::Maintainer, "other/repo")])
        .await;
    let eve = world.browser("eve").await;
    world.stop.cancel();
    let deeds = world.deeds().await;
    let known = [("cookie", eve.cookie.as_str()), ("origin", "https://ci.example"), ("x-pipe-csrf", &eve.csrf)];
    for path in routes() {
        for method in METHODS {
            for kind in ["application/json", "application/x-www-form-urlencoded"] {
                if path == "/logout" || (method != "GET" && path.starts_with("/api/v1/sessions")) {
                    continue;
                }
                let headers = [&known[..], &[("content-type", kind), ("accept", "text/html")]].concat();
                let body =
                    if kind == "application/json" { "{}" } else { "repository=octo%2Fshop&name=A&value=hunter22" };
                let answer =
                    ask(&world, method, &path, &headers, if method == "GET" { "" } else { body }).await.unwrap();
                let status = answer.status.as_u16();
                assert!(
                    !String::from_utf8_lossy(&answer.body).contains("octo/shop") || status >= 400,
                    "{method} {path}"
                );
                assert!(method == "GET" || status >= 300, "{method} {path}: {status}");
            }
        }
    }
    assert_eq!((world.asked.take(), world.deeds().await), (vec![], deeds));
}

#[tokio::test]
async fn what_a_role_has_not_is_refused_on_every_page() {
    let world = World::new().await;
    world.finished().await;
    world.user("vera", &[(Role::Viewer, "")]).await;
    let vera = world.browser("vera").await;
    world.stop.cancel();
    let known = [("cookie", vera.cookie.as_str()), ("origin", "https://ci.example"), ("accept", "text/html")];
    for path in routes().into_iter().filter(|path| path != "/logout") {
        let may = [
            "/audit",
            "/settings/users",
            "/settings/tokens",
            "/settings/secrets",
            "/settings/repositories",
            "/api/v1/users",
        ];
        let may_not = may.iter().any(|page| path.starts_with(page)) && !path.contains("/key");
        let answer = ask(&world, "GET", &path, &known, "").await.unwrap();
        let status = answer.status.as_u16();
        assert!(!may_not || matches!(status, 403 | 405), "{path}: {status}");
        let form = [&known[..], &[("content-type", "application/x-www-form-urlencoded")]].concat();
        let body = format!("csrf={}", vera.csrf);
        let posted = ask(&world, "POST", &path, &form, &body).await.unwrap();
        let is_own = path.starts_with("/settings/sessions");
        assert!(is_own || matches!(posted.status.as_u16(), 403..=405), "{path}: {}", posted.status);
    }
    assert_eq!(world.asked.take(), [""; 0]);
}
