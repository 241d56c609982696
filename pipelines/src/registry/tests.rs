//! References and challenges by themselves; then the real `docker-registry` where that program is installed (Debian's package of that
//! name), with an image to which signed statements are attached.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use engine::outbound::Proxies;
use scanners::attest::{CYCLONEDX, Envelope, SPDX, SigningKey, Statement, attach, find};
use serde_json::json;

use super::*;

#[test]
fn references_name_a_registry() {
    let check = |text: &str, expected: Option<(&str, &str, &str)>| {
        let found = Reference::parse(text).ok();
        let found = found.as_ref().map(|one| (one.host.as_str(), one.repository.as_str(), one.reference.as_str()));
        assert_eq!(found, expected, "{text}");
    };
    let digest = format!("sha256:{}", "ab".repeat(32));
    check("ghcr.io/shop/orders:1.2", Some(("ghcr.io", "shop/orders", "1.2")));
    check("localhost/orders", Some(("localhost", "orders", "latest")));
    check("r.example:5000/a:1", Some(("r.example:5000", "a", "1")));
    check(&format!("r.example/a/b:1@{digest}"), Some(("r.example", "a/b", &digest)));
    for wrong in
        ["orders", "shop/orders:1", "r.example/", "r.example/../a", "r.example/a b", "r.example/a?x", "r.example//a"]
    {
        check(wrong, None);
    }
}

#[test]
fn challenges_are_taken_apart() {
    let challenge =
        r#"realm="https://auth.example/token?a=1,2",service="registry.example",scope="repository:a:pull,push""#;
    assert_eq!(parameter(challenge, "realm").as_deref(), Some("https://auth.example/token?a=1,2"));
    assert_eq!(parameter(challenge, "service").as_deref(), Some("registry.example"));
    assert_eq!(parameter(challenge, "scope").as_deref(), Some("repository:a:pull,push"));
    assert_eq!((parameter(challenge, "error"), parameter("", "realm")), (None, None));
    assert_eq!(escaped("repository:a/b:pull,push"), "repository%3Aa%2Fb%3Apull%2Cpush");
}

/// The real one, on a port of its own; gone with this value.
pub(crate) struct Program {
    process: Child,
    /// `127.0.0.1:PORT`.
    pub(crate) host: String,
    _folder: tempfile::TempDir,
}

impl Program {
    /// `None`: it is not installed.
    pub(crate) fn start() -> Option<Self> {
        Self::with_users("")
    }

    /// One that these may use, as `htpasswd -B` writes them; nobody: all may.
    pub(crate) fn with_users(users: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config.yml");
        let root = folder.path().join("kept");
        let known = folder.path().join("users");
        std::fs::write(&known, users).unwrap();
        let auth = match users {
            "" => String::new(),
            _ => format!("auth: {{htpasswd: {{realm: tests, path: {}}}}}\n", known.display()),
        };
        let text = format!(
            "version: 0.1\nlog: {{level: info, formatter: json}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n\
             http: {{addr: '127.0.0.1:0'}}\n{auth}",
            root.display()
        );
        std::fs::write(&config, text).unwrap();
        let unpacked = validators().join("registry/usr/bin/docker-registry");
        let program = if unpacked.exists() { unpacked } else { "docker-registry".into() };
        let mut command = Command::new(program);
        command.arg("serve").arg(&config).stdout(Stdio::null()).stderr(Stdio::piped()).stdin(Stdio::null());
        let mut process = command.spawn().ok()?;
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let host = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let (_, rest) = line.split_once("listening on ")?;
            Some(rest.split([',', '"', ' ']).next()?.to_owned())
        });
        // What it writes later is read, so that it never waits for that.
        std::thread::spawn(move || lines.for_each(drop));
        Some(Self { process, host: host.expect("it says where it listens"), _folder: folder })
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Where `scripts/validators.sh` puts programs of others.
fn validators() -> std::path::PathBuf {
    let built = || std::env::current_exe().unwrap().ancestors().nth(3).unwrap().join("validators");
    std::env::var_os("PIPE_VALIDATORS").map_or_else(built, std::path::PathBuf::from)
}

/// ECR as ministack has it: its calls, and a registry. Gone with this value.
pub(crate) struct Ministack {
    process: Child,
    /// `127.0.0.1:PORT`.
    pub(crate) host: String,
    _folder: tempfile::TempDir,
}

impl Ministack {
    /// `None`: it is not installed (`scripts/validators.sh`).
    pub(crate) fn start() -> Option<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(validators().join("ministack/bin/ministack"));
        let variables = [("BIND_HOST", "127.0.0.1"), ("MINISTACK_HOST", "127.0.0.1"), ("PYTHONUNBUFFERED", "1")];
        command
            .envs(variables)
            .env("GATEWAY_PORT", port.to_string())
            .env("HOME", folder.path())
            .env("TMPDIR", folder.path());
        // Both of its streams are one, since either may say it.
        let (reader, writer) = std::io::pipe().unwrap();
        command.stdin(Stdio::null()).stdout(writer.try_clone().unwrap()).stderr(writer).current_dir(folder.path());
        let process = command.spawn().ok()?;
        drop(command);
        let mut lines = BufReader::new(reader).lines();
        let is_there = lines.by_ref().map_while(Result::ok).any(|line| line.contains("Running on http"));
        std::thread::spawn(move || lines.for_each(drop));
        assert!(is_there, "it says where it listens");
        Some(Self { process, host: format!("127.0.0.1:{port}"), _folder: folder })
    }
}

impl Drop for Ministack {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn blob(bytes: &[u8]) -> Blob {
    Blob { digest: digest(bytes), bytes: bytes.to_vec() }
}

#[test]
fn statements_are_attached_to_an_image_of_a_real_registry_and_found_again() {
    let Some(program) = Program::start() else {
        eprintln!("SKIPPED: docker-registry is not installed (Debian's package docker-registry)");
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let name = Reference::parse(&format!("{}/shop/orders:1", program.host)).unwrap();
    let remote = || Remote::new(Asker::by(Proxies::default()).unwrap(), runtime.handle().clone(), &name, None);
    let mut registry = remote();
    let missing = registry.descriptor("1").unwrap_err().to_string();
    assert!(missing.contains("says 404 to the manifest"), "{missing}");
    // An image as `docker push` would make it.
    let (config, layer) = (blob(b"{}"), blob(b"no tar, and nobody looks"));
    [&config, &layer].into_iter().for_each(|blob| registry.put_blob(blob).unwrap());
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let bytes = serde_json::to_vec(&json!({
        "schemaVersion": 2, "mediaType": kind,
        "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": config.digest, "size": 2 },
        "layers": [{ "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer.digest, "size": layer.bytes.len() }],
    }))
    .unwrap();
    let manifest = Manifest { media_type: kind.into(), digest: digest(&bytes), bytes };
    registry.put_manifest("1", &manifest).unwrap();
    let image = remote().descriptor("1").unwrap();
    assert_eq!((image.digest.as_str(), image.media_type.as_str()), (manifest.digest.as_str(), kind));
    let (key, other) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
    let signed = |kind: &str, body: &str| {
        let statement = Statement::about_image(&name.name(), &image.digest, kind, json!({ "body": body }));
        Envelope::sign(&statement, &key).unwrap()
    };
    let envelopes = [signed(CYCLONEDX, "bom"), signed(SPDX, "spdx")];
    let attached = attach(&mut registry, &image, &envelopes, &key.public()).unwrap();
    assert_eq!(attached.referrers.len(), 2);
    // Somebody else attaches later, and what was there stays.
    attach(&mut remote(), &image, &[signed("https://example/other", "more")], &key.public()).unwrap();
    let listed = Source::referrers(&mut remote(), &image.digest).unwrap();
    assert_eq!(listed.len(), 3, "{listed:?}");
    let found = find(&mut remote(), &image.digest, &key.public()).unwrap();
    let mut kinds: Vec<_> = found.statements.iter().map(|one| one.predicate_type.as_str()).collect();
    kinds.sort_unstable();
    assert_eq!(
        (kinds, found.others),
        (vec!["https://cyclonedx.org/bom", "https://example/other", "https://spdx.dev/Document"], 0)
    );
    let found = find(&mut remote(), &image.digest, &other.public()).unwrap();
    assert_eq!((found.statements.len(), found.others), (0, 3), "of another key nothing counts");
    let none = find(&mut remote(), &digest(b"another"), &key.public()).unwrap();
    assert_eq!((none.statements.len(), none.others), (0, 0));
}
