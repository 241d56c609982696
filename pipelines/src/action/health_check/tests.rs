//! Servers of our own, and containers of the real engine.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;

use engine::step::trial::{Trial, Tried};

use super::*;

/// Answers each request with the next text, the last one for ever.
fn server(answers: &'static [&'static str]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            let _request = stream.read(&mut [0; 4096]);
            let answer = answers[number.min(answers.len() - 1)];
            let _gone = stream.write_all(answer.as_bytes());
        }
    });
    format!("http://{address}/health")
}

fn run(inputs: &[(&str, &str)]) -> Tried {
    let scratch = tempfile::tempdir().unwrap();
    let trial = Trial::new(scratch.path().to_path_buf(), scratch.path().join("w/r/r"), scratch.path());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(trial.run(&HealthCheck::default(), inputs))
}

fn fails(inputs: &[(&str, &str)], expect: &str) -> Tried {
    let tried = run(inputs);
    let error = tried.result.as_ref().expect_err(&tried.log).to_string();
    assert!(error.contains(expect), "{error}\n{}", tried.log);
    tried
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"status\":\"up\"}";
const BUSY: &str = "HTTP/1.1 503 Busy\r\nContent-Length: 9\r\n\r\nnot ready";

#[test]
fn healthy_after_a_while() {
    let url = server(&[BUSY, OK, BUSY, OK]);
    let tried = run(&[("url", &url), ("interval", "10ms")]);
    assert!(tried.result.is_ok(), "{}", tried.log);
    assert_eq!((tried.outputs["status"].as_str(), tried.outputs["attempts"].as_str()), ("200", "5"));
    assert!(tried.log.contains("attempt 1: HTTP 503: not ready"), "{}", tried.log);
    let once = [("url", url.as_str()), ("interval", "10ms"), ("healthy-threshold", "1")];
    assert!(run(&[&once[..], &[("expected-body", "/\"status\":\"(up|ok)\"/")]].concat()).result.is_ok());
    fails(
        &[&once[..], &[("expected-body", "down"), ("timeout", "200ms")]].concat(),
        "HTTP 200, but not the expected body: {\"status\":\"up\"}",
    );
    fails(
        &[&once[..], &[("expected-status", "201-204,500"), ("timeout", "200ms")]].concat(),
        "HTTP 200: {\"status\":\"up\"}",
    );
}

#[test]
fn so_many_attempts() {
    let url = server(&[BUSY, BUSY, OK]);
    let three = [("url", url.as_str()), ("retries", "3"), ("interval", "10ms")];
    let tried = run(&three);
    assert!(tried.result.is_ok(), "{}", tried.log);
    assert_eq!(tried.outputs["attempts"], "3");
    assert!(tried.log.contains("3 times at most, 5 s each, 0.01 s apart"), "{}", tried.log);
    let busy = server(&[BUSY]);
    let tried =
        fails(&[("url", &busy), ("retries", "2"), ("interval", "10ms")], "not healthy after 2 attempts: HTTP 503");
    assert_eq!(tried.outputs["attempts"], "2");
    let dry = run(&[("url", &busy), ("retries", "2"), ("backoff", "2"), ("dry-run", "true")]);
    assert!(dry.result.is_ok() && dry.log.contains("Dry run: would ask http://"), "{}", dry.log);
    assert!(dry.log.contains("with pauses that grow by 2, healthy 1 times in a row"), "{}", dry.log);
    assert!(dry.outputs["plan-hash"].starts_with("sha256:") && !dry.outputs.contains_key("attempts"));
}

#[test]
fn never_healthy() {
    let quick = [("interval", "10ms"), ("timeout", "200ms")];
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    fails(&[&quick[..], &[("url", &format!("http://{free}/"))]].concat(), "refused");
    fails(&[&quick[..], &[("url", &server(&[""]))]].concat(), "closed without an answer");
    fails(&[&quick[..], &[("url", &server(&["nonsense\r\n\r\n"]))]].concat(), "is not healthy after 0.2 s");
    let plain = server(&["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nup"]).replace("http:", "https:");
    fails(&[&quick[..], &[("url", &plain)]].concat(), "corrupt message");
    fails(&[], "needs `url`, or `image` and `port`");
    fails(&[("url", "ftp://a/")], "must begin with http:// or https://");
    fails(&[("image", "a")], "`port` must be a number");
    fails(&[("url", "http://a/"), ("dry-run", "maybe")], "`dry-run` must be `true` or `false`, not `maybe`");
    let two =
        "`read-only` must be `true` or `false`, not `no`\n`timeout` must be seconds, or like 500ms or 2m, not `2w`";
    fails(&[("image", "a"), ("port", "1"), ("read-only", "no"), ("timeout", "2w")], two);
}

/// Containers of this test process' checks.
fn left() -> String {
    let output = Command::new("docker")
        .args(["ps", "--all", "--quiet", "--filter", "label=dev.pipe.role=health-check"])
        .output();
    String::from_utf8(output.expect("these tests need Docker and its command line").stdout).unwrap()
}

#[test]
fn images() {
    let image = "pipe-tests/health-check:local";
    let perl = "use IO::Socket::INET; print \"listening\\n\"; $s = IO::Socket::INET->new(LocalPort => 8080, Listen => 5, ReuseAddr => 1) or die; \
                while ($c = $s->accept) { <$c>; print $c \"HTTP/1.1 200 OK\\r\\nContent-Length: \".length($ENV{WORD}).\"\\r\\n\\r\\n$ENV{WORD}\"; close $c }";
    let dockerfile =
        format!("FROM buildpack-deps:bookworm\nCMD {}\n", serde_json::to_string(&["perl", "-e", perl]).unwrap());
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("Dockerfile"), dockerfile).unwrap();
    let built = Command::new("docker").args(["build", "--quiet", "--tag", image]).arg(folder.path()).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let inputs =
        [("image", image), ("port", "8080"), ("env", "WORD=well"), ("expected-body", "well"), ("interval", "100ms")];
    let tried = run(&inputs);
    assert!(tried.result.is_ok(), "{}", tried.log);
    let tried = fails(
        &[&inputs[..4], &[("expected-body", "ill"), ("interval", "100ms"), ("timeout", "3")]].concat(),
        "not the expected body: well",
    );
    assert!(tried.log.contains("lines of the container's log:"), "{}", tried.log);
    fails(
        &[("image", "buildpack-deps:bookworm"), ("port", "1"), ("interval", "100ms")],
        "the container ended by itself, with exit code",
    );
    fails(&[("image", "pipe-tests.invalid/not-here:1"), ("port", "1")], "build it first, or pull it");
    assert_eq!(left(), "", "containers are left");
}
