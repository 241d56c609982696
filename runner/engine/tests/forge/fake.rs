//! A forge on loopback that keeps statuses, checks, deployments and comments as GitHub does, refuses what GitHub
//! refuses, and misbehaves at the request that it is told to.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value as Json, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// What happens to one request.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// It is answered with this and changes nothing.
    Refuse(u16, Vec<(&'static str, String)>, &'static str),
    /// It is done, and answered with this.
    LieAfter(u16),
    /// The connection breaks before it is done.
    ResetBefore,
    /// It is done, and the connection breaks.
    ResetAfter,
    /// Nothing happens, for ever.
    HangBefore,
    /// It is done, and never answered.
    HangAfter,
}

/// What the forge knows.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) statuses: Vec<(String, Json)>,
    pub(crate) checks: Vec<Json>,
    pub(crate) deployments: Vec<Json>,
    pub(crate) deployment_statuses: Vec<(u64, Json)>,
    pub(crate) comments: Vec<Json>,
    /// `METHOD path`, with when it came.
    pub(crate) requests: Vec<(Instant, String)>,
    /// Paths and bodies of requests that had one.
    pub(crate) bodies: Vec<(String, Json)>,
    /// What happens to which request, by its number from 0.
    pub(crate) faults: BTreeMap<usize, Fault>,
    /// Requests whose path contains this are answered with that, always.
    pub(crate) always: Vec<(&'static str, Fault)>,
    /// The token that is good; every one where absent.
    pub(crate) token: Option<String>,
    /// Tokens that were given to an app, and for how many seconds.
    pub(crate) tokens_made: usize,
    pub(crate) token_seconds: i64,
}

/// The forge.
#[derive(Debug, Clone)]
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
    /// Told after each request that was done.
    pub(crate) changed: Arc<Notify>,
}

type Answer = (u16, Json);

impl Fake {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let fake = Self { address: listener.local_addr().unwrap(), state: Arc::default(), changed: Arc::default() };
        let serving = fake.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let fake = serving.clone();
                let service = hyper::service::service_fn(move |request| {
                    let fake = fake.clone();
                    async move { fake.serve(request).await }
                });
                let connection =
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                tokio::spawn(async move { drop(connection.await) });
            }
        });
        fake
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    async fn serve(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, std::io::Error> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let body: Json = serde_json::from_slice(&body).unwrap_or(Json::Null);
        let path = head.uri.path_and_query().map(|path| path.as_str().to_owned()).unwrap_or_default();
        let token = head.headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let method = head.method.as_str();
        let fault = {
            let mut state = self.state();
            state.requests.push((Instant::now(), format!("{method} {path}")));
            if !body.is_null() {
                state.bodies.push((path.clone(), body.clone()));
            }
            let number = state.requests.len() - 1;
            let always = state.always.iter().find(|(part, _)| path.contains(part)).map(|(_, fault)| fault.clone());
            state.faults.remove(&number).or(always)
        };
        let broken = || Err(std::io::Error::other("broken on purpose"));
        match &fault {
            Some(Fault::Refuse(status, headers, message)) => {
                let mut response = response(*status, &json!({ "message": message }));
                for (name, value) in headers {
                    response.headers_mut().insert(*name, value.parse().unwrap());
                }
                return Ok(response);
            }
            Some(Fault::ResetBefore) => return broken(),
            Some(Fault::HangBefore) => std::future::pending().await,
            Some(Fault::LieAfter(_) | Fault::ResetAfter | Fault::HangAfter) | None => {}
        }
        let (status, answer) = self.state().answer(method, &path, &body, token.trim_start_matches("Bearer "));
        self.changed.notify_waiters();
        match fault {
            Some(Fault::LieAfter(status)) => Ok(response(status, &json!({ "message": "Server Error" }))),
            Some(Fault::ResetAfter) => broken(),
            Some(Fault::HangAfter) => std::future::pending().await,
            Some(Fault::Refuse(..) | Fault::ResetBefore | Fault::HangBefore) | None => Ok(response(status, &answer)),
        }
    }
}

fn response(status: u16, body: &Json) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

fn refused(problem: &str) -> Answer {
    (422, json!({ "message": "Validation Failed", "errors": [problem] }))
}

impl State {
    fn answer(&mut self, method: &str, path: &str, body: &Json, token: &str) -> Answer {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let query: BTreeMap<&str, String> = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name, decoded(value)))
            .collect();
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        if let Some(answer) = self.app(method, &parts, token) {
            return answer;
        }
        if self.token.as_ref().is_some_and(|good| good != token) {
            return (401, json!({ "message": "Bad credentials" }));
        }
        match (method, parts.as_slice()) {
            ("POST", ["repos", owner, name, "statuses", sha]) => {
                self.add_status(&format!("{owner}/{name} {sha}"), body)
            }
            ("POST", ["v1", "traces"]) => (200, json!({})),
            ("POST", ["projects", project, "statuses", sha]) => {
                self.statuses.push((format!("{} {sha}", decoded(project)), body.clone()));
                (201, json!({ "id": 1 }))
            }
            ("GET", ["repos", owner, name, "commits", sha, "statuses"]) => {
                let place = format!("{owner}/{name} {sha}");
                let all = self.statuses.iter().rev().filter(|(at, _)| *at == place).map(|(_, status)| status.clone());
                (200, all.collect())
            }
            ("POST", ["repos", _, _, "check-runs"]) => self.add_check(body),
            ("PATCH", ["repos", _, _, "check-runs", id]) => self.change_check(id.parse().unwrap(), body),
            ("GET", ["repos", _, _, "check-runs", id]) => self
                .checks
                .get(id.parse::<usize>().unwrap() - 1)
                .map_or((404, Json::Null), |check| (200, check.clone())),
            ("GET", ["repos", _, _, "commits", sha, "check-runs"]) => {
                let same = |check: &&Json| check["head_sha"] == *sha && check["name"] == query["check_name"];
                let found: Vec<_> = self.checks.iter().filter(same).cloned().collect();
                (200, json!({ "total_count": found.len(), "check_runs": found }))
            }
            ("POST", ["repos", _, _, "deployments"]) => self.add_deployment(body),
            ("GET", ["repos", _, _, "deployments"]) => {
                let same = |one: &&Json| one["sha"] == query["sha"] && one["environment"] == query["environment"];
                (200, self.deployments.iter().rev().filter(same).cloned().collect())
            }
            ("POST", ["repos", _, _, "deployments", id, "statuses"]) => {
                self.deployment_statuses.push((id.parse().unwrap(), body.clone()));
                (201, json!({ "id": self.deployment_statuses.len() }))
            }
            ("GET", ["repos", _, _, "deployments", id, "statuses"]) => {
                let all = self.deployment_statuses.iter().rev().filter(|(of, _)| of.to_string() == **id);
                (200, all.map(|(_, status)| status.clone()).collect())
            }
            (_, ["repos", _, _, "issues", rest @ ..]) => self.comment(method, rest, &query, body),
            _ => (404, json!({ "message": "Not Found" })),
        }
    }

    fn comment(&mut self, method: &str, parts: &[&str], query: &BTreeMap<&str, String>, body: &Json) -> Answer {
        match (method, parts) {
            ("POST", [number, "comments"]) => {
                let id = self.comments.len() + 1;
                self.comments.push(json!({ "id": id, "issue": number, "body": body["body"] }));
                (201, json!({ "id": id }))
            }
            ("GET", [number, "comments"]) => {
                let page: usize = query["page"].parse().unwrap();
                let all = self.comments.iter().filter(|comment| comment["issue"] == *number);
                (200, all.skip((page - 1) * 100).take(100).cloned().collect())
            }
            ("PATCH", ["comments", id]) => {
                let comment = self.comments.iter_mut().find(|comment| comment["id"].as_u64() == id.parse().ok());
                let Some(comment) = comment else { return (404, json!({ "message": "Not Found" })) };
                comment["body"] = body["body"].clone();
                (200, comment.clone())
            }
            _ => (404, json!({ "message": "Not Found" })),
        }
    }

    fn app(&mut self, method: &str, parts: &[&str], token: &str) -> Option<Answer> {
        let is_jwt = token.split('.').count() == 3;
        match (method, parts) {
            ("GET", ["repos", _, _, "installation"]) if is_jwt => Some((200, json!({ "id": 9 }))),
            ("POST", ["app", "installations", "9", "access_tokens"]) if is_jwt => {
                self.tokens_made += 1;
                let token = format!("ghs_{}", self.tokens_made);
                self.token = Some(token.clone());
                let end = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(self.token_seconds);
                Some((201, json!({ "token": token, "expires_at": end.to_string() })))
            }
            _ => None,
        }
    }

    fn add_status(&mut self, place: &str, body: &Json) -> Answer {
        if !matches!(body["state"].as_str(), Some("pending" | "success" | "failure" | "error")) {
            return refused("state");
        }
        if body["description"].as_str().is_none_or(|text| text.chars().count() > 140) {
            return refused("description is too long (maximum is 140 characters)");
        }
        self.statuses.push((place.to_owned(), body.clone()));
        (201, json!({ "id": self.statuses.len() }))
    }

    fn add_check(&mut self, body: &Json) -> Answer {
        if body["name"].as_str().is_none() || body["head_sha"].as_str().is_none() {
            return refused("name and head_sha are needed");
        }
        let id = self.checks.len() + 1;
        self.checks.push(json!({ "id": id, "output": { "annotations_count": 0 } }));
        let (status, answer) = self.change_check(id, body);
        if status != 200 {
            self.checks.pop();
            return (status, answer);
        }
        (201, answer)
    }

    fn change_check(&mut self, id: usize, body: &Json) -> Answer {
        if body["status"] == "completed" && body["conclusion"].as_str().is_none() {
            return refused("conclusion is needed");
        }
        let annotations = body["output"]["annotations"].as_array().map(Vec::as_slice).unwrap_or_default();
        if annotations.len() > 50 || body.get("output").is_some_and(|output| output["summary"].as_str().is_none()) {
            return refused("no more than 50 annotations; title and summary are needed");
        }
        let Some(check) = self.checks.get_mut(id - 1) else { return (404, json!({ "message": "Not Found" })) };
        for (name, value) in body.as_object().unwrap().iter().filter(|(name, _)| *name != "output") {
            check[name] = value.clone();
        }
        let there = check["output"]["annotations_count"].as_u64().unwrap();
        check["output"]["annotations_count"] = (there + annotations.len() as u64).into();
        if let Some(summary) = body["output"].get("summary") {
            check["output"]["summary"] = summary.clone();
        }
        (200, check.clone())
    }

    fn add_deployment(&mut self, body: &Json) -> Answer {
        if body["auto_merge"] != false || body["required_contexts"] != json!([]) {
            return (409, json!({ "message": "Conflict: Commit status checks failed for the ref." }));
        }
        let id = self.deployments.len() + 1;
        let (sha, environment, payload) = (&body["ref"], &body["environment"], &body["payload"]);
        self.deployments.push(json!({ "id": id, "sha": sha, "environment": environment, "payload": payload }));
        (201, json!({ "id": id }))
    }

    /// All that is seen from outside, with the history of each status.
    pub(crate) fn seen(&self) -> Json {
        let mut statuses: BTreeMap<String, Vec<Json>> = BTreeMap::new();
        for (place, status) in &self.statuses {
            let context = status["context"].as_str().or(status["name"].as_str()).unwrap();
            statuses.entry(format!("{place} {context}")).or_default().push(status["state"].clone());
        }
        let mut deployments = BTreeMap::new();
        for deployment in &self.deployments {
            let of = |id: u64| deployment["id"] == id;
            let states: Vec<_> =
                self.deployment_statuses.iter().filter(|(id, _)| of(*id)).map(|(_, status)| &status["state"]).collect();
            deployments.insert(deployment["payload"]["pipe"].to_string(), json!([deployment["environment"], states]));
        }
        let checks = self.checks.iter().map(|check| {
            json!([check["external_id"], check["status"], check["conclusion"], check["output"]["annotations_count"]])
        });
        let comments: Vec<_> = self.comments.iter().map(|comment| &comment["body"]).collect();
        json!({
            "statuses": statuses, "checks": checks.collect::<Vec<_>>(), "deployments": deployments,
            "deployments_made": self.deployments.len(), "comments": comments,
        })
    }
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits: String = rest.by_ref().take(2).map(char::from).collect();
            bytes.push(u8::from_str_radix(&digits, 16).unwrap());
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).unwrap()
}
