//! ECR: what is pushed over HTTP is what its calls see, by the digest of its bytes.

use base64::Engine as _;
use fake_aws::{Fake, Options};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::stage::text;
use crate::wire::ask;

struct Registry {
    fake: Fake,
    address: String,
    authorization: String,
}

fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

impl Registry {
    fn new(mutability: &str) -> Self {
        let fake = Fake::start(Options::default()).unwrap();
        let input = json!({ "repositoryName": "shop/orders", "imageTagMutability": mutability });
        let made = fake.call("ECR", "CreateRepository", &input).unwrap();
        let token = fake.call("ECR", "GetAuthorizationToken", &json!({})).unwrap();
        let endpoint = text(&token, "/authorizationData/0/proxyEndpoint");
        let address = endpoint.trim_start_matches("http://").to_owned();
        assert_eq!(text(&made, "/repository/repositoryUri"), format!("{address}/shop/orders"));
        let authorization = format!("Basic {}", text(&token, "/authorizationData/0/authorizationToken"));
        Self { fake, address, authorization }
    }

    fn ask(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let headers = [("authorization", self.authorization.clone()), ("content-type", kind.to_owned())];
        ask(&self.address, method, path, &headers, body).unwrap()
    }

    fn blob(&self, content: &[u8]) -> Value {
        let digest = digest(content);
        let path = format!("/v2/shop/orders/blobs/uploads/?digest={digest}");
        assert_eq!(self.ask("POST", &path, "application/octet-stream", content).0, 201);
        json!({ "mediaType": "application/octet-stream", "digest": digest, "size": content.len() })
    }

    fn manifest(&self, layer: &[u8]) -> String {
        let (config, layer) = (self.blob(b"{}"), self.blob(layer));
        let kind = "application/vnd.oci.image.manifest.v1+json";
        json!({ "schemaVersion": 2, "mediaType": kind, "config": config, "layers": [layer] }).to_string()
    }

    fn put(&self, manifest: &str, reference: &str) -> (u16, String) {
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let (status, body) =
            self.ask("PUT", &format!("/v2/shop/orders/manifests/{reference}"), kind, manifest.as_bytes());
        (status, String::from_utf8(body).unwrap())
    }

    fn call(&self, operation: &str, more: Value) -> Result<Value, (String, String)> {
        let mut input = json!({ "repositoryName": "shop/orders" });
        for (key, value) in more.as_object().unwrap() {
            input[key] = value.clone();
        }
        self.fake.call("ECR", operation, &input)
    }
}

#[test]
fn a_push_is_seen_by_digest_and_a_tag_does_not_move() {
    let registry = Registry::new("IMMUTABLE");
    let (first, second) = (registry.manifest(b"one"), registry.manifest(b"two"));
    assert_eq!(registry.put(&first, "v1").0, 201);
    assert_eq!(registry.put(&first, "v1").0, 201, "the same again is no fault");
    let (status, body) = registry.put(&second, "v1");
    assert_eq!(status, 400);
    assert!(body.contains("cannot be overwritten because the tag is immutable"), "{body}");
    let (status, body) = registry.put(&second, &digest(b"other"));
    assert!(status == 400 && body.contains("DIGEST_INVALID"), "{body}");
    let found =
        registry.call("BatchGetImage", json!({ "imageIds": [{ "imageTag": "v1" }, { "imageTag": "v2" }] })).unwrap();
    assert_eq!(text(&found, "/images/0/imageId/imageDigest"), digest(first.as_bytes()));
    assert_eq!(text(&found, "/images/0/imageManifest"), first);
    assert_eq!(text(&found, "/failures/0/failureCode"), "ImageNotFound");
    let put = |manifest: &str| {
        registry.call("PutImage", json!({ "imageManifest": manifest, "imageTag": "v1" })).unwrap_err().0
    };
    assert_eq!(put(&first), "ImageAlreadyExistsException");
    assert_eq!(put(&second), "ImageTagAlreadyExistsException");
    let (status, body) = registry.ask("GET", "/v2/shop/orders/manifests/v1", "", b"");
    assert_eq!((status, body), (200, first.into_bytes()));
    let head = registry.ask("HEAD", "/v2/shop/orders/manifests/v9", "", b"");
    assert_eq!(head.0, 404);
    let unauthorized = ask(&registry.address, "GET", "/v2/", &[], b"").unwrap();
    assert_eq!(unauthorized.0, 401);
    let missing = registry.put(r#"{"schemaVersion":2,"layers":[{"digest":"sha256:0","size":1}]}"#, "v3");
    assert!(missing.0 == 400 && missing.1.contains("BLOB_UNKNOWN"), "{missing:?}");
}

#[test]
fn layers_go_by_calls_too() {
    let registry = Registry::new("MUTABLE");
    let upload = text(&registry.call("InitiateLayerUpload", json!({})).unwrap(), "/uploadId");
    let part = base64::engine::general_purpose::STANDARD.encode("layer");
    let input = json!({ "uploadId": upload, "partFirstByte": 0, "partLastByte": 4, "layerPartBlob": part });
    registry.call("UploadLayerPart", input.clone()).unwrap();
    assert_eq!(registry.call("UploadLayerPart", input).unwrap_err().0, "InvalidLayerPartException");
    let wrong = json!({ "uploadId": upload, "layerDigests": [digest(b"other")] });
    assert_eq!(registry.call("CompleteLayerUpload", wrong).unwrap_err().0, "InvalidLayerException");
    registry.call("CompleteLayerUpload", json!({ "uploadId": upload, "layerDigests": [digest(b"layer")] })).unwrap();
    let known = registry
        .call("BatchCheckLayerAvailability", json!({ "layerDigests": [digest(b"layer"), digest(b"none")] }))
        .unwrap();
    assert_eq!(
        (text(&known, "/layers/0/layerAvailability"), text(&known, "/layers/1/layerAvailability")),
        ("AVAILABLE".to_owned(), "UNAVAILABLE".to_owned())
    );
}

#[test]
fn copies_to_another_region_take_their_time_or_never_come() {
    let registry = Registry::new("MUTABLE");
    let rules = json!([{ "destinations": [{ "region": "us-west-2", "registryId": "123456789012" }] }]);
    registry
        .fake
        .call("ECR", "PutReplicationConfiguration", &json!({ "replicationConfiguration": { "rules": rules } }))
        .unwrap();
    let status = |tag: &str| {
        let answer =
            registry.call("DescribeImageReplicationStatus", json!({ "imageId": { "imageTag": tag } })).unwrap();
        text(&answer, "/replicationStatuses/0/status")
    };
    assert_eq!(registry.put(&registry.manifest(b"one"), "v1").0, 201);
    assert_eq!(status("v1"), "IN_PROGRESS");
    registry.fake.advance(std::time::Duration::from_secs(31));
    assert_eq!(status("v1"), "COMPLETE");
    registry.fake.hang_replication(true);
    assert_eq!(registry.put(&registry.manifest(b"two"), "v2").0, 201);
    registry.fake.advance(std::time::Duration::from_secs(3_600));
    assert_eq!(status("v2"), "IN_PROGRESS");
    assert_eq!(
        registry.call("DescribeImageReplicationStatus", json!({ "imageId": { "imageTag": "v3" } })).unwrap_err().0,
        "ImageNotFoundException"
    );
}

#[test]
fn a_policy_takes_away_what_it_says_and_previews_it() {
    let registry = Registry::new("MUTABLE");
    for number in 0..5 {
        assert_eq!(registry.put(&registry.manifest(format!("{number}").as_bytes()), &format!("v{number}")).0, 201);
        registry.fake.advance(std::time::Duration::from_secs(60));
    }
    let rule = |count: i64| {
        json!({ "rules": [{
        "rulePriority": 1, "selection": { "tagStatus": "tagged", "tagPrefixList": ["v"], "countType": "imageCountMoreThan", "countNumber": count },
        "action": { "type": "expire" },
    }]}).to_string()
    };
    assert_eq!(
        registry.call("PutLifecyclePolicy", json!({ "lifecyclePolicyText": rule(0) })).unwrap_err().0,
        "InvalidParameterException"
    );
    registry.call("PutLifecyclePolicy", json!({ "lifecyclePolicyText": rule(3) })).unwrap();
    registry.call("StartLifecyclePolicyPreview", json!({})).unwrap();
    let preview = registry.call("GetLifecyclePolicyPreview", json!({})).unwrap();
    assert_eq!(preview["summary"]["expiringImageTotalCount"], 2);
    assert_eq!(preview["previewResults"][0]["imageTags"], json!(["v1"]), "the newest of those that go comes first");
    registry.fake.advance(std::time::Duration::from_secs(24 * 3_600));
    let left = registry.call("DescribeImages", json!({})).unwrap();
    assert_eq!(left["imageDetails"].as_array().unwrap().len(), 3);
}
