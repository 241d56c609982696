//! Keys, envelopes and what is written for a registry. That others can verify them is checked by `others.rs`.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value as Json, json};

use super::*;

fn image() -> Descriptor {
    Descriptor {
        media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
        digest: format!("sha256:{}", "ab".repeat(32)),
        size: 1234,
        artifact_type: None,
        annotations: serde_json::Map::new(),
    }
}

fn statement(kind: &str) -> Statement {
    Statement::about_image("registry.example/shop/orders", &image().digest, kind, json!({ "a": 1 }))
}

#[test]
fn keys_are_kept_and_guarded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.pem");
    let key = SigningKey::generate().unwrap();
    key.write(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(matches!(key.write(&path), Err(KeyError::File { .. })), "a key is never overwritten");
    assert_eq!(SigningKey::read(&path).unwrap().public(), key.public());
    assert_eq!(PublicKey::from_pem(&key.public().to_pem()).unwrap(), key.public());
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(SigningKey::read(&path), Err(KeyError::Readable { mode: 0o644, .. })));
    for (text, expect) in [
        ("", "it is no PEM of `PRIVATE KEY`"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "it is no ECDSA key on P-256"),
        ("-----BEGIN PRIVATE KEY-----\n*\n-----END PRIVATE KEY-----", "it is no PEM of `PRIVATE KEY`"),
        (
            "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----",
            "the key needs a password; keep one without: `openssl pkcs8 -topk8 -nocrypt`",
        ),
        (
            "-----BEGIN EC PRIVATE KEY-----",
            "the key has the old form `EC PRIVATE KEY`; bring it to PKCS#8: `openssl pkcs8 -topk8 -nocrypt`",
        ),
    ] {
        assert_eq!(SigningKey::from_pem(text).unwrap_err().to_string(), expect);
    }
}

#[test]
fn envelopes_hold_what_was_signed_and_nothing_else() {
    let (key, other) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
    let envelope = Envelope::sign(&statement(SPDX), &key).unwrap();
    let found = envelope.verify(&key.public()).unwrap();
    assert!(found.is_about(&image().digest) && !found.is_about("sha256:00"));
    assert!(matches!(envelope.verify(&other.public()), Err(EnvelopeError::Signature)));
    let mut changed = envelope.clone();
    changed.payload = Envelope::sign(&statement(CYCLONEDX), &other).unwrap().payload;
    assert!(matches!(changed.verify(&key.public()), Err(EnvelopeError::Signature)));
    let mut retyped = envelope;
    retyped.payload_type = "text/plain".to_owned();
    assert!(matches!(retyped.verify(&key.public()), Err(EnvelopeError::Type(_))));
}

#[test]
fn artifacts_refer_to_the_image() {
    let folder = tempfile::tempdir().unwrap();
    let key = SigningKey::generate().unwrap();
    let mut layout = Layout::open(folder.path()).unwrap();
    let sign = |kind: &str| Envelope::sign(&statement(kind), &key).unwrap();
    let attached = attach(&mut layout, &image(), &[sign(SPDX), sign(PROVENANCE)], &key.public()).unwrap();
    assert_eq!(attached.tag, format!("sha256-{}.att", "ab".repeat(32)));
    // Signed again, a statement takes the place of the one before; another stays.
    attach(&mut layout, &image(), &[sign(SPDX)], &key.public()).unwrap();
    let read = |layout: &mut Layout, reference: &str| -> Json {
        serde_json::from_slice(&layout.manifest(reference).unwrap().unwrap()).unwrap()
    };
    let manifest = read(&mut layout, &attached.tag);
    let kinds: Vec<_> = manifest["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| layer["annotations"]["predicateType"].clone())
        .collect();
    assert_eq!(kinds, [json!(PROVENANCE), json!(SPDX)]);
    assert_eq!(manifest["layers"][0]["annotations"]["dev.cosignproject.cosign/signature"], "");
    let index = read(&mut layout, &format!("sha256-{}", "ab".repeat(32)));
    assert_eq!(index["manifests"].as_array().unwrap().len(), 3, "each referrer is listed: {index}");
    let referrer = read(&mut layout, &attached.referrers[0]);
    assert_eq!(referrer["subject"]["digest"], image().digest);
    assert_eq!(referrer["artifactType"], "application/vnd.dev.sigstore.bundle.v0.3+json");
}
