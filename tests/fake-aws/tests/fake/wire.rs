//! Calls over the wire: protocols, signatures, faults and the journal.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use fake_aws::{ACCESS_KEY, Fake, Fault, Options, SECRET_KEY};
use hmac::{Hmac, Mac as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Status and body; `None` if the connection ended without an answer.
pub(crate) fn ask(
    address: &str,
    method: &str,
    path: &str,
    headers: &[(&str, String)],
    body: &[u8],
) -> Option<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect(address).unwrap();
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: {}\r\nconnection: close\r\n",
        body.len()
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    // In one piece: small ones would wait for each other's acknowledgement.
    stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
    let mut answer = Vec::new();
    // A dropped answer may be a reset.
    let _read = stream.read_to_end(&mut answer);
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let status = std::str::from_utf8(&answer[9..12]).unwrap().parse().unwrap();
    Some((status, answer[end + 4..].to_vec()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// A request with a signature of these keys: key, secret, token.
pub(crate) fn signed(
    fake: &Fake,
    service: &str,
    method: &str,
    path: &str,
    keys: (&str, &str, &str),
    headers: &[(&str, String)],
    body: &[u8],
) -> Option<(u16, Vec<u8>)> {
    let address = fake.endpoint().trim_start_matches("http://").to_owned();
    let date = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let scope = format!("{}/eu-central-1/{service}/aws4_request", &date[..8]);
    let canonical = format!(
        "{method}\n{path}\n\nhost:{address}\nx-amz-date:{date}\n\nhost;x-amz-date\n{}",
        hex(&Sha256::digest(body))
    );
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
    let key = scope.split('/').fold(format!("AWS4{}", keys.1).into_bytes(), |key, part| hmac(&key, part));
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders=host;x-amz-date, Signature={}",
        keys.0,
        hex(&hmac(&key, &text))
    );
    let mut all = headers.to_vec();
    all.extend([("x-amz-date", date), ("authorization", authorization)]);
    if !keys.2.is_empty() {
        all.push(("x-amz-security-token", keys.2.to_owned()));
    }
    ask(&address, method, path, &all, body)
}

const KEYS: (&str, &str, &str) = (ACCESS_KEY, SECRET_KEY, "");

fn json_call(fake: &Fake, keys: (&str, &str, &str), target: &str, input: &Value) -> Option<(u16, Value)> {
    let headers = [("x-amz-target", target.to_owned()), ("content-type", "application/x-amz-json-1.1".to_owned())];
    let (status, body) = signed(fake, "ecs", "POST", "/", keys, &headers, input.to_string().as_bytes())?;
    Some((status, serde_json::from_slice(&body).unwrap()))
}

const CREATE: &str = "AmazonEC2ContainerServiceV20141113.CreateCluster";

#[test]
fn wrong_keys_and_clocks_are_refused_as_aws_does() {
    let fake = Fake::start(Options::default()).unwrap();
    let input = json!({ "clusterName": "shop" });
    let refused = |keys| {
        let (status, body) = json_call(&fake, keys, CREATE, &input).unwrap();
        (status, body["__type"].as_str().unwrap().to_owned(), body["message"].as_str().unwrap().to_owned())
    };
    let wrong = refused((ACCESS_KEY, "another", ""));
    assert_eq!((wrong.0, wrong.1.as_str()), (403, "InvalidSignatureException"));
    let unknown = refused(("AKIANOBODY", SECRET_KEY, ""));
    assert_eq!((unknown.0, unknown.1.as_str()), (403, "UnrecognizedClientException"));
    fake.set_skew(10 * 60 * 1_000);
    let late = refused(KEYS);
    assert_eq!(late.1, "InvalidSignatureException");
    assert!(late.2.starts_with("Signature expired: "), "{}", late.2);
    fake.set_skew(0);
    assert_eq!(json_call(&fake, KEYS, CREATE, &input).unwrap().0, 200);
    assert_eq!(fake.effects("ECS.CreateCluster"), 1);
}

#[test]
fn what_neither_it_nor_aws_has_is_refused_and_fails_the_test() {
    let explode = |models: Option<std::path::PathBuf>| {
        let fake = Fake::start(Options { models, ..Options::default() }).unwrap();
        let target = "AmazonEC2ContainerServiceV20141113.Explode";
        let (status, body) = json_call(&fake, KEYS, target, &json!({ "clusterName": "shop" })).unwrap();
        (status, body["__type"].as_str().unwrap().to_owned())
    };
    assert_eq!(explode(None), (400, "UnknownOperationException".to_owned()));
    let Some(models) = fake_aws::botocore() else { return };
    let failed = std::panic::catch_unwind(|| explode(Some(models))).unwrap_err();
    let words = failed.downcast_ref::<String>().unwrap();
    assert!(words.contains("ECS.Explode: there is no such operation"), "{words}");
}

#[test]
fn faults_meet_their_calls_and_the_journal_tells_all() {
    let fake = Fake::start(Options::default()).unwrap();
    let input = json!({ "clusterName": "shop" });
    for (fault, status, code, done) in [
        (Fault::DropResponse, None, "", 1),
        (Fault::DropRequest, None, "", 0),
        (Fault::Http500, Some(500), "InternalFailure", 0),
        (Fault::Throttle, Some(400), "ThrottlingException", 0),
        (Fault::ExpiredToken, Some(400), "ExpiredTokenException", 0),
        (Fault::AccessDenied, Some(400), "AccessDeniedException", 0),
        (Fault::Delay(Duration::from_millis(1)), Some(200), "", 1),
    ] {
        let before = fake.effects("ECS.CreateCluster");
        fake.add_fault("ECS.CreateCluster", 1, fault.clone());
        let answer = json_call(&fake, KEYS, CREATE, &input);
        assert_eq!(answer.as_ref().map(|(status, _)| *status), status, "{fault:?}");
        let told = answer.and_then(|(_, body)| body["__type"].as_str().map(str::to_owned)).unwrap_or_default();
        assert_eq!(told, code, "{fault:?}");
        assert_eq!(fake.effects("ECS.CreateCluster") - before, done, "{fault:?}");
        fake.clear_faults();
    }
    let journal = fake.journal();
    assert_eq!(journal.len(), 7);
    assert_eq!((journal[0].status, journal[0].is_done, journal[0].fault.as_deref()), (0, true, Some("drop-response")));
    assert_eq!(journal[5].error.as_deref(), Some("AccessDeniedException"));
    assert_eq!(journal[6].input, input);
    assert_eq!(journal[6].number, 7);
}

#[test]
fn tests_steer_it_over_http_as_well() {
    let fake = Fake::start(Options::default()).unwrap();
    let address = fake.endpoint().trim_start_matches("http://").to_owned();
    let ask = |method: &str, path: &str, body: Value| {
        let (status, body) = ask(&address, method, path, &[], body.to_string().as_bytes()).unwrap();
        (status, serde_json::from_slice::<Value>(&body).unwrap())
    };
    let before = fake.now();
    assert_eq!(ask("POST", "/_fake/clock", json!({ "advance": "5m" })).1["now"], before + 300_000);
    assert_eq!(ask("POST", "/_fake/clock", json!({ "advance": "soon" })).0, 400);
    let faults = json!([{ "match": "ECS.*", "nth": 1, "do": "throttle" }]);
    assert_eq!(ask("POST", "/_fake/faults", faults).1["added"], 1);
    assert_eq!(json_call(&fake, KEYS, CREATE, &json!({})).unwrap().0, 400);
    assert_eq!(ask("GET", "/_fake/journal", json!({})).1["calls"][0]["fault"], "throttle");
    assert_eq!(ask("POST", "/_fake/functions", json!({ "name": "f", "answer": "perhaps" })).0, 400);
    assert_eq!(ask("GET", "/_fake/nothing", json!({})).0, 404);
}
