//! Signing in and out, what a session may do, and that nobody else can do it in its name.

use axum::body::Body;
use axum::http::{HeaderMap, Request};
use engine::store::people::{Assignment, NewUser, Role, UserId};
use engine::store::tokens::Scope;
use jiff::Timestamp;
use serde_json::json;
use workflow::secret::Secret;

use crate::world::{Answer, World, ada};

pub(crate) const PASSWORD: &str = "correct horse battery";
pub(crate) const HOST: &str = "ci.example";
pub(crate) const ORIGIN: &str = "https://ci.example";

/// A browser that is signed in.
pub(crate) struct Browser {
    pub(crate) cookie: String,
    pub(crate) csrf: String,
}

impl World {
    pub(crate) async fn user(&self, name: &str, roles: &[(Role, &str)]) -> UserId {
        let role = |(role, repository): &(Role, &str)| Assignment {
            role: *role,
            repository: (*repository).to_owned(),
            environment: String::new(),
        };
        let new = NewUser {
            name: name.into(),
            full_name: String::new(),
            password: Some(Secret::new(PASSWORD)),
            roles: roles.iter().map(role).collect(),
        };
        self.entrance.people.create(new, ada(), Timestamp::now()).await.unwrap()
    }

    /// A form of a page of ours.
    pub(crate) async fn form(&self, path: &str, cookie: &str, fields: &[(&str, &str)]) -> Answer {
        self.form_with(path, fields, &[("host", HOST), ("origin", ORIGIN), ("cookie", cookie)]).await
    }

    pub(crate) async fn form_with(&self, path: &str, fields: &[(&str, &str)], headers: &[(&str, &str)]) -> Answer {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let mut request = Request::post(path).header("accept", "text/html");
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/x-www-form-urlencoded");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::from(body)).unwrap()).await
    }

    pub(crate) async fn login(&self, name: &str, password: &str) -> Answer {
        self.form("/login", "", &[("name", name), ("password", password)]).await
    }

    pub(crate) async fn browser(&self, name: &str) -> Browser {
        let answer = self.login(name, PASSWORD).await;
        assert_eq!(answer.status, 303, "{}", answer.text());
        let cookie = cookie(&answer.headers);
        let name = cookie.split_once('=').unwrap().1;
        let csrf = engine::store::people::csrf_of(name).expose().to_owned();
        Browser { cookie, csrf }
    }

    pub(crate) async fn open(&self, browser: &Browser, path: &str) -> Answer {
        self.look(path, &[("cookie", &browser.cookie), ("host", HOST), ("accept", "text/html")]).await
    }

    async fn look(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::get(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::empty()).unwrap()).await
    }

    async fn fetch(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("/api/v1{path}")).header("host", HOST);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }
}

/// The session cookie of an answer, as a browser sends it back.
fn cookie(headers: &HeaderMap) -> String {
    let set = headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap());
    let mut found = set.filter(|text| text.starts_with("__Host-pipe=") || text.starts_with("pipe-loopback="));
    found.next_back().unwrap().split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn u05_each_login_is_a_new_session_and_a_logout_ends_it() {
    let world = World::new().await;
    world.user("ada", &[(Role::Developer, "")]).await;
    let known = format!("__Host-pipe={}", "A".repeat(43));
    let answer = world.form("/login", &known, &[("name", "ADA"), ("password", PASSWORD), ("next", "/runs/7")]).await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, "/runs/7"));
    let set = answer.header("set-cookie");
    for part in ["__Host-pipe=", "; Secure", "; HttpOnly", "; SameSite=Strict", "; Path=/", "; Max-Age=604800"] {
        assert!(set.contains(part), "{set}");
    }
    assert!(!set.contains("Domain") && cookie(&answer.headers) != known, "{set}");
    let first = cookie(&answer.headers);
    let me = async |cookie: &str| world.fetch("GET", "/me", &[("cookie", cookie)], "").await;
    assert_eq!(me(&first).await.json()["who"], "ada");
    assert_eq!(me(&known).await.status, 401, "a name that was there before is worth nothing");
    let again = world.form("/login", &first, &[("name", "ada"), ("password", PASSWORD)]).await;
    let second = cookie(&again.headers);
    assert!(second != first && me(&first).await.status == 401 && me(&second).await.status == 200);
    let csrf = engine::store::people::csrf_of(second.split_once('=').unwrap().1).expose().to_owned();
    let out = world.form("/logout", &second, &[("csrf", &csrf)]).await;
    assert_eq!((out.status.as_u16(), out.header("location")), (303, "/login"));
    assert!(out.header("set-cookie").contains("Max-Age=0") && me(&second).await.status == 401);
    let deeds = world.deeds().await;
    let logins = deeds.iter().filter(|deed| *deed == "ada login user ada").count();
    assert!(logins == 2 && deeds.contains(&"ada logout user ada".to_owned()), "{deeds:?}");
}

#[tokio::test]
async fn sessions_are_listed_and_taken_back() {
    let world = World::new().await;
    world.user("ada", &[(Role::Viewer, "")]).await;
    world.user("root", &[(Role::Admin, "")]).await;
    let (one, other, root) = (world.browser("ada").await, world.browser("ada").await, world.browser("root").await);
    let as_one = [("cookie", one.cookie.as_str()), ("origin", ORIGIN), ("x-pipe-csrf", &one.csrf)];
    let listed = world.fetch("GET", "/sessions", &as_one, "").await.json();
    let sessions = listed["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 2, "{listed}");
    let elsewhere = sessions.iter().find(|session| session["id"] != listed["current"]).unwrap()["id"].clone();
    let of_root =
        world.fetch("GET", "/sessions", &[("cookie", root.cookie.as_str())], "").await.json()["current"].clone();
    let end = async |id: &serde_json::Value| world.fetch("DELETE", &format!("/sessions/{id}"), &as_one, "").await;
    assert_eq!(end(&of_root).await.status, 404, "somebody else's");
    assert_eq!(end(&elsewhere).await.status, 200);
    let status = async |browser: &Browser| world.fetch("GET", "/me", &[("cookie", &browser.cookie)], "").await.status;
    assert_eq!((status(&one).await.as_u16(), status(&other).await.as_u16()), (200, 401));
    let all = world.fetch("GET", "/sessions?all=true", &as_one, "").await.json();
    assert_eq!(all["sessions"].as_array().unwrap().len(), 1, "all are for administrators");
}

#[tokio::test]
async fn u06_nobody_learns_which_names_there_are() {
    let world = World::new().await;
    world.user("ada", &[(Role::Viewer, "")]).await;
    let (wrong, unknown) = (world.login("ada", "x").await, world.login("eve", "x").await);
    assert_eq!((wrong.status.as_u16(), unknown.status.as_u16()), (401, 401));
    assert_eq!(wrong.text().replace("ada", "NAME"), unknown.text().replace("eve", "NAME"));
    let mut statuses = Vec::new();
    for _ in 0..1_000 {
        statuses.push(world.login("ada", "x").await.status.as_u16());
    }
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 4, "the fifth try was the last one");
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 996);
    let right = world.login("ada", PASSWORD).await;
    assert!(right.status == 429 && right.header("retry-after").parse::<u64>().unwrap() > 1);
    let deeds = world.deeds().await;
    let count = |what: &str| deeds.iter().filter(|deed| deed.contains(what)).count();
    assert_eq!((count("login.fail user ada"), count("login.fail user unknown"), count("login.limit")), (5, 1, 1));
    assert!(!deeds.iter().any(|deed| deed.contains("eve")), "it may be a password in the wrong field: {deeds:?}");
}

#[tokio::test]
async fn u03_forms_of_others_do_nothing() {
    let world = World::new().await;
    world.user("ada", &[(Role::Admin, "")]).await;
    let run = world.finished().await;
    let ada = world.browser("ada").await;
    let (cookie, csrf) = (ada.cookie.as_str(), ada.csrf.as_str());
    let out = async |fields: &[(&str, &str)], headers: &[(&str, &str)]| {
        let headers = [&[("host", HOST), ("cookie", cookie)], headers].concat();
        world.form_with("/logout", fields, &headers).await.status.as_u16()
    };
    for headers in [
        &[][..],
        &[("origin", "null")],
        &[("origin", "https://evil.example")],
        &[("origin", "https://evil.ci.example")],
        &[("origin", "http://ci.example.evil.example")],
        &[("origin", ORIGIN), ("sec-fetch-site", "same-site")],
        &[("origin", ORIGIN), ("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "none")],
    ] {
        assert_eq!(out(&[("csrf", csrf)], headers).await, 403, "{headers:?}");
    }
    let ours = [("origin", ORIGIN)];
    for fields in [&[][..], &[("csrf", "")], &[("csrf", "x")], &[("csrf", &csrf[1..])]] {
        assert_eq!(out(fields, &ours).await, 403, "{fields:?}");
    }
    for kind in ["text/plain", "multipart/form-data; boundary=x", "application/json", ""] {
        assert_eq!(out(&[("csrf", csrf)], &[("origin", ORIGIN), ("content-type", kind)]).await, 403, "{kind}");
    }
    // What the API takes from a cookie needs the header; a form cannot send one.
    let path = format!("/runs/{run}/cancel");
    let post = async |headers: &[(&str, &str)], body: &str| {
        let headers = [&[("cookie", cookie)], headers].concat();
        world.fetch("POST", &path, &headers, body).await.status.as_u16()
    };
    for headers in [
        &[][..],
        &ours,
        &[("origin", ORIGIN), ("content-type", "application/x-www-form-urlencoded")],
        &[("origin", ORIGIN), ("x-pipe-csrf", "x")],
        &[("origin", "https://evil.example"), ("x-pipe-csrf", csrf)],
        &[("x-pipe-csrf", csrf)],
    ] {
        assert_eq!(post(headers, "").await, 403, "{headers:?}");
    }
    assert_eq!(post(&[("origin", ORIGIN), ("x-pipe-csrf", csrf), ("content-type", "text/plain")], "{}").await, 415);
    let get = world.fetch("GET", &format!("{path}?_method=POST"), &[("cookie", cookie)], "").await;
    assert_eq!((get.status.as_u16(), world.asked.take()), (405, vec![]));
    // It is done: the run is over.
    assert_eq!(post(&[("origin", ORIGIN), ("x-pipe-csrf", csrf)], "").await, 409);
    assert_eq!(world.asked.take().len(), 1);
    assert_eq!(out(&[("csrf", csrf)], &[("sec-fetch-site", "same-origin"), ("origin", "null")]).await, 303);
}

#[tokio::test]
async fn a_login_comes_from_our_own_page_over_https_or_from_this_machine() {
    let world = World::new().await;
    world.user("ada", &[(Role::Viewer, "")]).await;
    let fields = [("name", "ada"), ("password", PASSWORD)];
    for (headers, status) in [
        (&[("host", HOST)][..], 403),
        (&[("host", HOST), ("origin", "https://evil.example")], 403),
        (&[("host", HOST), ("origin", "http://ci.example")], 403),
        (&[("host", "127.0.0.1:80"), ("origin", "http://127.0.0.1")], 303),
        (&[("host", HOST), ("origin", "null"), ("sec-fetch-site", "same-origin")], 303),
    ] {
        assert_eq!(world.form_with("/login", &fields, headers).await.status.as_u16(), status, "{headers:?}");
    }
    for next in ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/login"] {
        let fields = [("name", "ada"), ("password", PASSWORD), ("next", next)];
        assert_eq!(world.form("/login", "", &fields).await.header("location"), "/", "{next}");
    }
}

#[tokio::test]
async fn pages_lead_to_the_login_and_back() {
    let world = World::new().await;
    let page = ("accept", "text/html,*/*");
    let answer = world.look("/login?next=/runs/7", &[page]).await;
    assert!(answer.status == 200 && answer.text().contains("value=\"&#x2f;runs&#x2f;7\""), "{}", answer.text());
    assert!(world.look("/login?next=//evil.example", &[page]).await.text().contains("name=\"next\" value=\"&#x2f;\""));
    let program = world.look("/api/v1/runs", &[page]).await;
    assert_eq!((program.status.as_u16(), program.problem().as_str()), (401, "token"), "programs are sent nowhere");
    let posted = world.form("/logout", "", &[]).await;
    assert!(posted.status == 401 && posted.text().contains("<h1>"), "{}", posted.text());
}

#[tokio::test]
async fn the_first_administrator_is_made_once_with_the_code() {
    let world = World::new().await;
    let code = world.entrance.first.offer().unwrap().expose().to_owned();
    let page = world.look(&format!("/login?code={code}"), &[("accept", "text/html")]).await;
    assert!(page.text().contains(&code) && page.text().contains("Make the first administrator"));
    assert!(world.look("/login?code=x", &[]).await.text().contains("this code was used"));
    let fields = |code: &'static str, name: &'static str, password: &'static str| {
        [("code", code), ("name", name), ("password", password), ("again", password)]
    };
    let code: &'static str = code.leak();
    let send = async |fields: &[(&str, &str)]| world.form("/login/first", "", fields).await;
    assert_eq!(send(&fields("x", "ada", PASSWORD)).await.status, 403);
    assert_eq!(send(&fields(code, "ada", "short")).await.status, 422);
    assert_eq!(send(&fields(code, "a da", PASSWORD)).await.status, 422);
    let mut differ = fields(code, "ada", PASSWORD);
    differ[3].1 = "another horse battery";
    assert_eq!(send(&differ).await.status, 422);
    let made = send(&fields(code, "ada", PASSWORD)).await;
    assert_eq!((made.status.as_u16(), made.header("location")), (303, "/"));
    assert_eq!(send(&fields(code, "eve", PASSWORD)).await.status, 403, "a code is used once");
    let me = world.fetch("GET", "/me", &[("cookie", &cookie(&made.headers))], "").await.json();
    assert_eq!((&me["who"], &me["user"]["roles"][0]["role"]), (&json!("ada"), &json!("admin")));
}

#[tokio::test]
async fn people_are_made_over_the_api() {
    let world = World::new().await;
    let viewer = json!([{ "role": "viewer" }]);
    let new = json!({ "name": "ada", "password": PASSWORD, "roles": viewer });
    assert_eq!(world.post("/users", &new).await.status, 201);
    assert_eq!(world.post("/users", &new).await.status, 409);
    assert_eq!(world.post("/users", &json!({ "name": "bob", "password": "x" })).await.status, 422);
    assert_eq!(world.post("/users/ada/roles", &json!({ "role": "king" })).await.status, 422);
    let approver = json!({ "role": "approver", "repository": "octo/shop", "environment": "staging" });
    let role = world.post("/users/ada/roles", &approver).await.json()["id"].clone();
    assert_eq!(world.post("/teams", &json!({ "name": "shop" })).await.status, 201);
    assert_eq!(world.send_json("PUT", "/teams/shop/members/ada", &json!({}), &[]).await.status, 200);
    assert_eq!(world.send_json("PUT", "/teams/shop/members/eve", &json!({}), &[]).await.status, 404);
    assert_eq!(
        world.post("/teams/shop/roles", &json!({ "role": "developer", "repository": "octo/shop" })).await.status,
        201
    );
    let users = world.get("/users").await.json();
    assert!(users["users"][0]["roles"].as_array().unwrap().len() == 2 && users["users"][0]["teams"] == json!(["shop"]));
    assert!(!users.to_string().contains("argon2"));
    let run = world.finished().await;
    let ada = world.browser("ada").await;
    let headers = [
        ("cookie", ada.cookie.as_str()),
        ("origin", ORIGIN),
        ("x-pipe-csrf", &ada.csrf),
        ("content-type", "application/json"),
    ];
    let review = |environment: &str| json!({ "state": "approved", "environment": environment }).to_string();
    let path = format!("/runs/{run}/reviews");
    for (environment, status) in [("staging", 201), ("production", 403)] {
        assert_eq!(world.fetch("POST", &path, &headers, &review(environment)).await.status.as_u16(), status);
    }
    assert_eq!(world.fetch("POST", &path, &headers, "{\"state\":\"approved\"}").await.status, 403, "all that wait");
    assert_eq!(world.fetch("POST", &format!("/runs/{run}/cancel"), &headers, "{}").await.status, 409, "it is over");
    assert_eq!(world.fetch("GET", "/users", &headers, "").await.status, 403);
    let other = world.run("octo/till", "main").await;
    assert_eq!(world.fetch("GET", &format!("/runs/{other}"), &headers, "").await.status, 200);
    assert_eq!(world.fetch("POST", &format!("/runs/{other}/cancel"), &headers, "{}").await.status, 404);
    assert_eq!(world.send_json("DELETE", &format!("/roles/{role}"), &json!({}), &[]).await.status, 200);
    assert_eq!(world.fetch("GET", "/me", &headers, "").await.status, 401, "other roles, another session");
    assert_eq!(world.send_json("DELETE", "/users/ada", &json!({}), &[]).await.status, 200);
    assert_eq!(world.login("ada", PASSWORD).await.status, 401);
    let token = world.token("viewer", &[Scope::RunsRead], &[]).await;
    assert_eq!(world.get_as(&token, "/sessions").await.status, 403, "a token is nobody");
}
