//! A service of our own, asked through the action.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use engine::step::trial::{Trial, Tried};

use super::*;

/// Lines of requests, with a header of interest.
type Log = Arc<Mutex<Vec<String>>>;

/// Answers by the request's line; `None` hangs up.
fn serve(answer: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> (String, Log) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (log, answer) = (Log::default(), Arc::new(answer));
    let kept = Arc::clone(&log);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (answer, log) = (Arc::clone(&answer), Arc::clone(&kept));
            std::thread::spawn(move || connection(stream.unwrap(), &*answer, &log));
        }
    });
    (format!("http://{address}/shop"), log)
}

fn connection(stream: TcpStream, answer: &(impl Fn(&str) -> Option<String> + ?Sized), log: &Log) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    loop {
        let (mut line, mut header, mut length) = (String::new(), String::new(), 0);
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let mut credentials = "";
        while reader.read_line(&mut header).unwrap_or(0) > 2 {
            let lower = header.to_ascii_lowercase();
            if lower.starts_with("authorization: bearer s3cret") {
                credentials = " (known)";
            }
            length = lower.strip_prefix("content-length:").map_or(length, |text| text.trim().parse().unwrap());
            header.clear();
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        log.lock().unwrap().push(format!("{}{credentials}", line.trim_end().trim_end_matches(" HTTP/1.1")));
        let Some(text) = answer(line.trim_end().trim_end_matches(" HTTP/1.1")) else { return };
        if writer.write_all(text.as_bytes()).is_err() {
            return;
        }
    }
}

fn http(status: u16, media: &str, more: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} Said\r\nContent-Type: {media}\r\nX-Content-Type-Options: nosniff\r\n{more}Content-Length: {length}\r\n\r\n{body}"
    )
}

const API: &str = r#"{"openapi": "3.0.3", "paths": {"/items/{id}": {
    "get": {"parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "integer", "minimum": 1}}],
            "responses": {"200": {"description": "", "content": {"application/json": {"schema": {"type": "object", "required": ["name"]}}}},
                          "404": {"description": ""}, "422": {"description": ""}}},
    "delete": {"parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "integer"}}],
               "responses": {"204": {"description": ""}}}}}}"#;

/// A service that does all right, but for what is asked of it.
fn shop(line: &str) -> Option<String> {
    Some(match line {
        "GET /shop/openapi.json" => http(200, "application/json", "", API),
        "GET /shop/items/1" => http(200, "application/json", "", r#"{"name": "a"}"#),
        line if line.starts_with("GET /shop/items/") => http(422, "application/json", "", "{}"),
        line if line.starts_with("DELETE /shop/items/1") => "HTTP/1.1 204 Gone\r\n\r\n".to_owned(),
        line if line.starts_with("DELETE") => http(422, "application/json", "", "{}"),
        _ => http(404, "text/plain", "", "there is nothing here"),
    })
}

fn run(inputs: &[(&str, &str)], files: &[(&str, &str)]) -> Tried {
    let scratch = tempfile::tempdir().unwrap();
    let workspace = scratch.path().join("w/r/r");
    std::fs::create_dir_all(&workspace).unwrap();
    for (name, text) in files {
        std::fs::write(workspace.join(name), text).unwrap();
    }
    let trial = Trial::new(scratch.path().to_path_buf(), workspace, scratch.path());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(trial.run(&ProbeAction, inputs))
}

fn fails(inputs: &[(&str, &str)], files: &[(&str, &str)], expect: &str) -> Tried {
    let tried = run(inputs, files);
    let error = tried.result.as_ref().expect_err(&tried.log).to_string();
    assert!(error.contains(expect) || tried.log.contains(expect), "{error}\n{}", tried.log);
    tried
}

#[test]
fn a_good_service_passes_and_only_safe_methods_are_asked_for() {
    let (url, log) = serve(shop);
    let tried = run(&[("url", &url), ("openapi", "/openapi.json"), ("severity", "LOW")], &[]);
    assert!(tried.result.is_ok(), "{}", tried.log);
    assert_eq!((tried.outputs["outcome"].as_str(), tried.outputs["findings"].as_str()), ("pass", "0"));
    assert!(tried.log.contains("for one operation of its description too"), "{}", tried.log);
    let asked = std::mem::take(&mut *log.lock().unwrap());
    assert_eq!(asked.len(), tried.outputs["requests"].parse::<usize>().unwrap() + 1, "one for the description");
    assert!(asked.iter().all(|line| line.starts_with("GET /shop") || line == "TRACE /shop"), "{asked:?}");

    let headers = "Authorization: Bearer s3cret";
    let all = [("url", url.as_str()), ("openapi", "api.json"), ("methods", "all"), ("headers", headers)];
    let tried = run(&all, &[("api.json", API)]);
    assert!(tried.result.is_ok(), "{}", tried.log);
    let asked = log.lock().unwrap();
    assert!(asked.iter().any(|line| line == "DELETE /shop/items/1 (known)"), "{asked:?}");
    assert!(asked.iter().all(|line| line.ends_with(" (known)")) && !tried.log.contains("s3cret"), "{asked:?}");
}

#[test]
fn the_gate_decides() {
    let (url, _) = serve(|line| match line {
        "GET /shop/items/1" => Some(http(500, "text/plain", "", "Traceback (most recent call last):\n")),
        "GET /shop/items/0" => None,
        "GET /shop/.env" => Some(http(200, "text/plain", "", "DB_PASSWORD=x\n")),
        line => shop(line),
    });
    let described = [("url", url.as_str()), ("openapi", "/openapi.json")];
    let tried = fails(&described, &[], "probe-leak-secret");
    for part in ["probe-server-error", "probe-error-details", "a traceback of Python", "probe-no-answer"] {
        assert!(tried.log.contains(part), "{part}\n{}", tried.log);
    }
    assert_eq!((tried.outputs["outcome"].as_str(), tried.outputs["failed"].as_str()), ("fail", "1"));
    let gate = "gate:\n  fail-on: [critical]\n  ignore:\n    - {id: zap-40034, path: .env, reason: a stand-in, expires: 2099-01-01, owner: a@example.com}\n    - {id: CVE-2026-1, reason: elsewhere, expires: 2099-01-01, owner: a@example.com}\n";
    let tried = run(&[&described[..], &[("gate", "gate.yml")]].concat(), &[("gate.yml", gate)]);
    assert!(tried.result.is_ok(), "an exception counts, also by ZAP's name\n{}", tried.log);
    assert!(!tried.log.contains("matched nothing"), "exceptions for packages are for other scans\n{}", tried.log);
    let report = [("exit-code", "0"), ("format", "sarif"), ("output", "probe.sarif")];
    let tried = run(&[&described[..], &report].concat(), &[]);
    assert!(tried.result.is_ok(), "{}", tried.log);
    let sarif: serde_json::Value = serde_json::from_slice(tried.files.values().next().unwrap()).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    assert!(
        sarif.to_string().contains("probe-leak-secret") && sarif.to_string().contains(r#""uri":".env""#),
        "{sarif}"
    );
}

#[test]
fn what_could_not_be_asked_is_no_pass() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let tried = fails(&[("url", &format!("http://{free}/"))], &[], "does not answer");
    assert_eq!(tried.outputs["outcome"], "untrusted");
    let (url, _) = serve(shop);
    let url = url.as_str();
    fails(&[("url", url), ("openapi", "/nowhere.json")], &[], "nowhere.json cannot be read: HTTP 404");
    fails(&[("url", url), ("openapi", "/items/1")], &[], "cannot be used: it is no description of OpenAPI 3");
    fails(&[("url", url), ("openapi", "absent.json")], &[], "there is no description absent.json in the workspace");
    fails(&[("url", url), ("timeout", "0")], &[], "questions were left when 0 s were over; see `timeout`");
    let few = run(&[("url", url), ("max-requests", "3")], &[]);
    assert!(few.result.is_ok() && few.outputs["requests"] == "3", "{}", few.log);
    assert!(few.log.contains("questions were not asked: `max-requests` is 3"), "{}", few.log);
    // One that never ends its answer is cut off, one that never answers is told of.
    let (slow, _) = serve(|line| {
        match line {
        "GET /shop" => Some("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Content-Type-Options: nosniff\r\nContent-Length: 9000000\r\n\r\n".to_owned() + &"x".repeat(1_200_000)),
        "GET /shop/.env" => Some("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n".to_owned()),
        line => shop(line),
    }
    });
    let tried = run(&[("url", &slow), ("request-timeout", "300ms")], &[]);
    assert!(tried.result.is_ok() && tried.log.contains("probe-no-answer"), "{}", tried.log);
    assert!(tried.log.contains("no answer within 0.3 s"), "{}", tried.log);
}

#[test]
fn inputs_are_checked() {
    fails(&[("url", "ftp://a/")], &[], "must begin with http:// or https://");
    let many =
        [("url", "http://a/"), ("methods", "some"), ("headers", "no"), ("max-requests", "0"), ("severity", "BAD")];
    fails(&many, &[], "`max-requests: 0` is not a number from 1 to 100000");
    fails(&[("url", "http://a/"), ("gate", "none.yml")], &[], "there is no policy none.yml in the workspace");
    for (name, default) in NAMES {
        let input = INPUTS.iter().find(|input| input.name == name).expect("keys of hooks are inputs");
        assert_eq!(input.default, default, "{name}");
    }
}
