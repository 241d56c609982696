//! `pipe scan key`, `attest` and `verify` against a registry of the test: one that lists referrers, one that does not, and both behind
//! a server of tokens.

use std::collections::BTreeMap;
use std::io::{BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};

use crate::world::World;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A repository `shop/orders` (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md>).
#[derive(Default)]
struct Kept {
    /// By tag and by digest: the type and the bytes.
    manifests: BTreeMap<String, (String, Vec<u8>)>,
    blobs: BTreeMap<String, Vec<u8>>,
    /// Requests as they came: method, path, and who asked.
    asked: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Form {
    lists_referrers: bool,
    asks_for_token: bool,
}

struct Registry {
    host: String,
    kept: Arc<Mutex<Kept>>,
}

struct Request {
    method: String,
    path: String,
    authorization: String,
    media: String,
    body: Vec<u8>,
}

fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

impl Registry {
    fn start(form: Form) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let kept = Arc::new(Mutex::new(Kept::default()));
        let shared = (Arc::clone(&kept), host.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (kept, host) = (Arc::clone(&shared.0), shared.1.clone());
                std::thread::spawn(move || converse(&stream.unwrap(), form, &host, &kept));
            }
        });
        Self { host, kept }
    }

    /// An image as `docker push` would make it.
    fn push(&self) -> String {
        let config =
            json!({ "mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(b"{}"), "size": 2 });
        let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [] });
        let bytes = manifest.to_string().into_bytes();
        let name = digest(&bytes);
        let mut kept = self.kept.lock().unwrap();
        for reference in [name.clone(), "1".to_owned()] {
            kept.manifests.insert(reference, (MANIFEST.to_owned(), bytes.clone()));
        }
        name
    }
}

fn converse(stream: &TcpStream, form: Form, host: &str, kept: &Mutex<Kept>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    while let Some(request) = read(&mut reader) {
        let (status, headers, body) = answer(&request, form, host, kept);
        let head = format!("HTTP/1.1 {status} Said\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
        let body = if request.method == "HEAD" { Vec::new() } else { body };
        if writer.write_all(&[head.into_bytes(), body].concat()).is_err() {
            return;
        }
    }
}

fn read(reader: &mut impl std::io::BufRead) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
    let mut words = line.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let (mut authorization, mut media, mut length) = (String::new(), String::new(), 0);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok().filter(|length| *length > 2)?;
        let (name, value) = header.split_once(':').unwrap();
        match name.to_ascii_lowercase().as_str() {
            "authorization" => authorization = value.trim().to_owned(),
            "content-type" => media = value.trim().to_owned(),
            "content-length" => length = value.trim().parse().unwrap(),
            _ => {}
        }
        if reader.fill_buf().ok()?.starts_with(b"\r\n") {
            reader.consume(2);
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { method, path, authorization, media, body })
}

type Said = (u16, String, Vec<u8>);

fn answer(request: &Request, form: Form, host: &str, kept: &Mutex<Kept>) -> Said {
    let none = |status| (status, String::new(), Vec::new());
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let mut kept = kept.lock().unwrap();
    let who = request.authorization.split(' ').next().unwrap_or_default();
    kept.asked.push(format!("{} {path} {who}", request.method));
    if path == "/token" {
        let is_known = request.authorization == format!("Basic {}", STANDARD.encode("ada:s3cret"));
        let is_asked = query == "scope=repository%3Ashop%2Forders%3Apull%2Cpush&service=registry.example%2Ctest";
        let token = json!({ "token": "ticket" }).to_string().into_bytes();
        let refused = json!({ "details": "incorrect username or password" }).to_string().into_bytes();
        return if is_known && is_asked { (200, String::new(), token) } else { (401, String::new(), refused) };
    }
    if form.asks_for_token && request.authorization != "Bearer ticket" {
        let challenge = format!(
            "Bearer realm=\"http://{host}/token\",service=\"registry.example,test\",scope=\"repository:shop/orders:pull\""
        );
        return (401, format!("WWW-Authenticate: {challenge}\r\n"), Vec::new());
    }
    let Some((kind, name)) = path.strip_prefix("/v2/shop/orders/").and_then(|rest| rest.split_once('/')) else {
        return none(404);
    };
    match (request.method.as_str(), kind) {
        ("GET", "manifests") => match kept.manifests.get(name) {
            Some((media, bytes)) => (200, format!("Content-Type: {media}\r\n"), bytes.clone()),
            None => none(404),
        },
        ("PUT", "manifests") => {
            let one = (request.media.clone(), request.body.clone());
            let manifest: Json = serde_json::from_slice(&request.body).unwrap();
            for reference in [digest(&request.body), name.to_owned()] {
                kept.manifests.insert(reference, one.clone());
            }
            let subject = manifest["subject"]["digest"].as_str().filter(|_| form.lists_referrers);
            (201, subject.map(|subject| format!("OCI-Subject: {subject}\r\n")).unwrap_or_default(), Vec::new())
        }
        ("HEAD" | "GET", "blobs") => {
            kept.blobs.get(name).map_or_else(|| none(404), |bytes| (200, String::new(), bytes.clone()))
        }
        ("POST", "blobs") => (202, "Location: /v2/shop/orders/blobs/uploads/1?state=a\r\n".to_owned(), Vec::new()),
        ("PUT", "blobs") => {
            let name = digest(&request.body);
            assert!(query.ends_with(&format!("digest={}", name.replace(':', "%3A"))), "{query}");
            kept.blobs.insert(name, request.body.clone());
            none(201)
        }
        ("GET", "referrers") if form.lists_referrers => {
            (200, format!("Content-Type: {INDEX}\r\n"), referrers(&kept, name))
        }
        _ => none(404),
    }
}

fn referrers(kept: &Kept, image: &str) -> Vec<u8> {
    let by_digest = kept.manifests.iter().filter(|(name, _)| name.starts_with("sha256:"));
    let about = by_digest.filter_map(|(name, (media, bytes))| {
        let manifest: Json = serde_json::from_slice(bytes).unwrap();
        let is_about = manifest["subject"]["digest"] == image;
        is_about.then(|| json!({ "mediaType": media, "digest": name, "size": bytes.len(), "artifactType": manifest["artifactType"] }))
    });
    let manifests: Vec<Json> = about.collect();
    json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests }).to_string().into_bytes()
}

fn world() -> World {
    let world = World::new(&[
        ("bom.json", r#"{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": []}"#),
        ("sbom.spdx.json", r#"{"spdxVersion": "SPDX-2.3", "packages": []}"#),
        ("other.json", r#"{"what": "nothing that is known"}"#),
    ]);
    let key = world.output(&["scan", "key", "pipe.key"], "");
    assert!(key.status.success());
    world.write("pipe.pub", &key.stdout);
    world
}

fn run(world: &World, words: &[&str]) -> (Option<i32>, String) {
    let output = world.output(words, "");
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.code(), text)
}

#[test]
fn statements_are_attached_and_verified() {
    for lists_referrers in [true, false] {
        let (world, registry) = (world(), Registry::start(Form { lists_referrers, asks_for_token: false }));
        let digest = registry.push();
        let image = format!("{}/shop/orders:1", registry.host);
        let verify =
            |key: &str, more: &[&str]| run(&world, &[&["scan", "verify", &image, "--key", key], more].concat());
        let (code, text) = verify("pipe.pub", &[]);
        assert!(code == Some(1) && text.contains("is signed by this key"), "{text}");
        let (code, text) = run(&world, &["scan", "attest", &image, "bom.json", "sbom.spdx.json", "--key", "pipe.key"]);
        assert_eq!(code, Some(0), "{text}");
        assert!(
            text.contains(&format!("https://cyclonedx.org/bom is attached to {}/shop/orders@{digest}", registry.host)),
            "{text}"
        );
        let (code, text) = verify("pipe.pub", &[]);
        assert_eq!((code, text.lines().count()), (Some(0), 2), "{text}");
        assert_eq!(verify("pipe.pub", &["--type", "spdx"]).1, "https://spdx.dev/Document is signed by this key\n");
        assert_eq!(verify("pipe.pub", &["--type", "provenance"]).0, Some(1), "nobody said where it is from");
        // Attached once more, both are there and those of the first time too.
        assert_eq!(run(&world, &["scan", "attest", &image, "bom.json", "--key", "pipe.key"]).0, Some(0));
        assert_eq!(verify("pipe.pub", &[]).0, Some(0));
        let kept = registry.kept.lock().unwrap();
        let tag = digest.replace(':', "-");
        assert_eq!(
            kept.manifests.contains_key(&tag),
            !lists_referrers,
            "the index under a tag is for those that list none"
        );
        assert!(kept.manifests.contains_key(&format!("{tag}.att")), "what cosign looks for");
        drop(kept);
        // Of another key nothing counts, and what was changed afterwards does not either.
        let key = world.output(&["scan", "key", "other.key"], "");
        world.write("other.pub", &key.stdout);
        let (code, text) = verify("other.pub", &[]);
        assert!(code == Some(1) && text.contains("are not: of other keys"), "{text}");
        for bytes in registry.kept.lock().unwrap().blobs.values_mut() {
            bytes.reverse();
        }
        let (code, text) = verify("pipe.pub", &[]);
        assert!(code != Some(0) && text.contains("is something else"), "{text}");
    }
}

#[test]
fn registries_that_ask_who_comes() {
    let (world, registry) = (world(), Registry::start(Form { lists_referrers: true, asks_for_token: true }));
    registry.push();
    let image = format!("{}/shop/orders:1", registry.host);
    let attest = ["scan", "attest", image.as_str(), "bom.json", "--key", "pipe.key"];
    let (code, text) = run(&world, &attest);
    assert!(code != Some(0) && text.contains("lets nobody in: incorrect username or password"), "{text}");
    assert!(text.contains(&format!("`docker login {}`", registry.host)), "{text}");
    let login = |password: &str| {
        let auth = STANDARD.encode(format!("ada:{password}"));
        let config = json!({ "auths": { (registry.host.as_str()): { "auth": auth } } });
        world.write("../home/.docker/config.json", config.to_string().as_bytes());
    };
    login("wrong");
    let (code, text) = run(&world, &attest);
    assert!(code != Some(0) && text.contains("incorrect username or password") && !text.contains("wrong"), "{text}");
    login("s3cret");
    registry.kept.lock().unwrap().asked.clear();
    let (code, text) = run(&world, &attest);
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = run(&world, &["scan", "verify", &image, "--key", "pipe.pub", "--type", "cyclonedx"]);
    assert_eq!((code, text.as_str()), (Some(0), "https://cyclonedx.org/bom is signed by this key\n"));
    let asked = &registry.kept.lock().unwrap().asked;
    assert_eq!(asked.iter().filter(|one| *one == "GET /token Basic").count(), 2, "once for each command: {asked:?}");
    let others = asked.iter().filter(|one| !one.starts_with("GET /token"));
    assert!(
        others.clone().all(|one| !one.ends_with(" Basic")),
        "the password goes to the server of tokens alone: {asked:?}"
    );
    assert!(others.filter(|one| !one.ends_with(" Bearer")).count() <= 2, "{asked:?}");
}

#[test]
fn what_cannot_be_attached_is_said() {
    let world = world();
    let check = |words: &[&str], expected: &str| {
        let (code, text) = run(&world, &[&["scan"], words].concat());
        assert!(!matches!(code, Some(0 | 1)) && text.contains(expected), "{code:?} {text}");
    };
    check(&["key", "pipe.key"], "cannot make a key");
    check(&["attest", "orders", "bom.json", "--key", "pipe.key"], "names no image in a registry");
    check(&["attest", "127.0.0.1:1/a:1", "other.json", "--key", "pipe.key"], "neither CycloneDX nor SPDX nor SLSA");
    check(&["attest", "127.0.0.1:1/a:1", "bom.json", "--key", "bom.json"], "cannot use the key");
    check(&["verify", "127.0.0.1:1/a:1", "--key", "pipe.key"], "cannot use the key");
    check(&["attest", "127.0.0.1:1/a:1", "bom.json", "--key", "pipe.key"], "the registry 127.0.0.1:1 cannot be asked");
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(world.root().join("pipe.key")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600, "nobody else reads a key");
}
