//! Requests of people who should not be here. The names of the tests begin with the rows of the table of attacks.

use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::world::{Facts, Job, World};

pub(crate) const ARTIFACTS: &str = "/twirp/github.actions.results.api.v1.ArtifactService/";
pub(crate) const CACHES: &str = "/twirp/github.actions.results.api.v1.CacheService/";

/// One request as it stands; gives the status, the head and the body. 0: nobody answered.
pub(crate) async fn ask(job: &Job, method: &str, target: &str, headers: &str, body: &[u8]) -> (u16, String, String) {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", job.port)).await else { return Default::default() };
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut answer = Vec::new();
    let _broken = stream.read_to_end(&mut answer).await;
    let text = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_default();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, head.to_owned(), body.to_owned())
}

pub(crate) async fn call(job: &Job, token: &str, target: &str, request: &Json) -> (u16, Json) {
    let headers = format!("Authorization: Bearer {token}\r\nContent-Type: application/json\r\n");
    let (status, _, body) = ask(job, "POST", target, &headers, request.to_string().as_bytes()).await;
    (status, serde_json::from_str(&body).unwrap_or_default())
}

/// The ids that a client reads out of its token.
fn ids(token: &str) -> (String, String) {
    use base64::Engine as _;
    let claims = token.split('.').nth(1).unwrap();
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap();
    let claims: Json = serde_json::from_slice(&claims).unwrap();
    let parts: Vec<_> = claims["scp"].as_str().unwrap().split(':').map(str::to_owned).collect();
    let [_, run, job] = &parts[..] else { panic!("{parts:?}") };
    (run.clone(), job.clone())
}

pub(crate) fn create(token: &str, name: &str) -> Json {
    let (run, job) = ids(token);
    json!({ "workflow_run_backend_id": run, "workflow_job_run_backend_id": job, "name": name, "version": 4 })
}

pub(crate) fn target(url: &Json) -> String {
    let url = url.as_str().unwrap();
    url[url.find("/upload").or_else(|| url.find("/download")).unwrap()..].to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn f10_t01_without_the_jobs_own_token_nothing_is_answered() {
    let world = World::new();
    let (job, other) = (world.job(Facts::default()).await, world.job(Facts { job: "b", ..Facts::default() }).await);
    let request = create(job.token(), "a");
    let mut cut = job.token().to_owned();
    cut.pop();
    // Whoever makes the head of a token say that it needs no signature is no further.
    let none = format!("eyJhbGciOiJub25lIn0.{}.", job.token().split('.').nth(1).unwrap());
    for token in ["", "x", other.token(), &cut, &none] {
        let (status, body) = call(&job, token, &format!("{ARTIFACTS}CreateArtifact"), &request).await;
        assert_eq!((status, &body["code"]), (401, &json!("unauthenticated")), "{token}");
    }
    let (status, ..) = ask(&job, "GET", "/_apis/artifactcache/cache?keys=x&version=y", "", b"").await;
    assert_eq!(status, 401);
    let twice = format!("Authorization: Bearer {0}\r\nAuthorization: Bearer {0}\r\n", job.token());
    assert_eq!(ask(&job, "GET", "/_apis/artifactcache/cache?keys=x&version=y", &twice, b"").await.0, 401);
    // With the token, but for another job or run.
    let (run, id) = ids(other.token());
    for (run, id) in [(run, id), ("x".to_owned(), ids(job.token()).1)] {
        let mut request = request.clone();
        request["workflow_run_backend_id"] = json!(run);
        request["workflow_job_run_backend_id"] = json!(id);
        let (status, _) = call(&job, job.token(), &format!("{ARTIFACTS}CreateArtifact"), &request).await;
        assert_eq!(status, 403);
    }
    assert_eq!(call(&job, job.token(), &format!("{ARTIFACTS}CreateArtifact"), &request).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn f09_after_the_end_of_the_job_nothing_opens_anything() {
    let world = World::new();
    let job = world.job(Facts::default()).await;
    let (token, request) = (job.token().to_owned(), create(job.token(), "a"));
    let (_, created) = call(&job, &token, &format!("{ARTIFACTS}CreateArtifact"), &request).await;
    let upload = target(&created["signed_upload_url"]);
    // A connection that was open before.
    let mut open = TcpStream::connect(("127.0.0.1", job.port)).await.unwrap();
    open.write_all(b"GET /_apis/artifactcache/cache HTTP/1.1\r\nHost: x\r\n").await.unwrap();
    job.served.lease.over();
    let _broken = open.write_all(format!("Authorization: Bearer {token}\r\n\r\n").as_bytes()).await;
    let mut answer = String::new();
    let _broken = open.read_to_string(&mut answer).await;
    assert!(answer.is_empty() || answer.contains(" 401 "), "{answer}");
    let (status, _) = call(&job, &token, &format!("{ARTIFACTS}CreateArtifact"), &request).await;
    assert!(matches!(status, 0 | 401), "{status}");
    assert!(matches!(ask(&job, "PUT", &upload, "x-ms-blob-type: BlockBlob\r\n", b"late").await.0, 0 | 401 | 403));
    // What it had begun is gone, and the token is no other job's.
    assert_eq!(std::fs::read_dir(world.kept.uploads()).unwrap().count(), 0);
    let next = world.job(Facts { run: 2, ..Facts::default() }).await;
    assert_eq!(call(&next, &token, &format!("{ARTIFACTS}ListArtifacts"), &request).await.0, 401);
    assert_eq!(ask(&next, "PUT", &upload, "x-ms-blob-type: BlockBlob\r\n", b"late").await.0, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn p01_p09_names_and_addresses_lead_nowhere_else() {
    let world = World::new();
    let job = world.job(Facts::default()).await;
    for name in ["", ".", "..", "a\0", "../x", "a/b", "a\\b", "a:b", "a\r\nX: y", "a\"b", "<b>", "a|b", "a*", "a?"] {
        let (status, body) =
            call(&job, job.token(), &format!("{ARTIFACTS}CreateArtifact"), &create(job.token(), name)).await;
        assert_eq!((status, &body["code"]), (400, &json!("invalid_argument")), "{name:?}");
    }
    let (_, created) = call(&job, job.token(), &format!("{ARTIFACTS}CreateArtifact"), &create(job.token(), "a")).await;
    let upload = target(&created["signed_upload_url"]);
    let (path, query) = upload.split_once('?').unwrap();
    let id = path.trim_start_matches("/upload/");
    for other in [
        format!("/upload/../{id}?{query}"),
        format!("/upload/..%2f..%2fetc%2fpasswd?{query}"),
        format!("/upload/0{id}?{query}"),
        format!("{path}x?{query}"),
        format!("{path}?{}", query.replace("sp=w", "sp=r").replace("se=", "se=9")),
        path.to_owned(),
        format!("/download/{}/..%2f..%2fetc%2fpasswd?{query}", "0".repeat(64)),
        format!("/download/..%2f..%2f/x?{query}"),
    ] {
        let method = if other.starts_with("/upload") { "PUT" } else { "GET" };
        let status = ask(&job, method, &other, "x-ms-blob-type: BlockBlob\r\n", b"x").await.0;
        assert!(matches!(status, 400 | 403 | 404), "{other}: {status}");
    }
    for other in [
        "/twirp/../../etc/passwd",
        "/_apis/artifactcache/caches/..%2f1",
        "//etc/passwd",
        "/artifact/..%2f..%2fetc/passwd",
    ] {
        let headers = format!("Authorization: Bearer {}\r\n", job.token());
        let status = ask(&job, "POST", other, &headers, b"{}").await.0;
        assert!(matches!(status, 400 | 404), "{other}: {status}");
    }
    assert_eq!(ask(&job, "PUT", &upload, "x-ms-blob-type: BlockBlob\r\n", b"x").await.0, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn p07_p08_what_is_downloaded_is_no_page_and_cannot_write_headers() {
    let world = World::new();
    let job = world.job(Facts::default()).await;
    let mut request = create(job.token(), "ä x.html");
    request["version"] = json!(7);
    request["mime_type"] = json!("text/html");
    let (_, created) = call(&job, job.token(), &format!("{ARTIFACTS}CreateArtifact"), &request).await;
    let upload = target(&created["signed_upload_url"]);
    let kind = "x-ms-blob-type: BlockBlob\r\nx-ms-blob-content-type: text/html\r\n";
    assert_eq!(ask(&job, "PUT", &upload, kind, b"<script>").await.0, 201);
    // Until it is finished there is none; what it is said to be is compared.
    let named = create(job.token(), "ä x.html");
    assert_eq!(call(&job, job.token(), &format!("{ARTIFACTS}GetSignedArtifactURL"), &named).await.0, 404);
    for (size, hash) in [("9", ""), ("8", "sha256:00")] {
        let mut wrong = named.clone();
        (wrong["size"], wrong["hash"]) = (json!(size), json!(hash));
        assert_eq!(call(&job, job.token(), &format!("{ARTIFACTS}FinalizeArtifact"), &wrong).await.0, 400);
    }
    let (status, first) = call(&job, job.token(), &format!("{ARTIFACTS}FinalizeArtifact"), &named).await;
    assert_eq!(status, 200, "{first}");
    // The address of the upload is used up.
    assert_eq!(ask(&job, "PUT", &upload, kind, b"other").await.0, 404);
    let (_, signed) = call(&job, job.token(), &format!("{ARTIFACTS}GetSignedArtifactURL"), &named).await;
    let (status, head, body) = ask(&job, "GET", &target(&signed["signed_url"]), "", b"").await;
    let head = head.to_lowercase();
    assert_eq!((status, body.as_str()), (200, "<script>"));
    for header in [
        "content-disposition: attachment; filename*=utf-8''%c3%a4%20x.html",
        "x-content-type-options: nosniff",
        "content-security-policy: sandbox",
        "content-type: text/html",
    ] {
        assert!(head.contains(header), "{header}: {head}");
    }
    let (status, head, body) = ask(&job, "GET", &target(&signed["signed_url"]), "Range: bytes=1-3\r\n", b"").await;
    assert_eq!((status, body.as_str()), (206, "scr"), "{head}");
}

#[tokio::test(flavor = "multi_thread")]
async fn f11_keys_that_are_too_long_or_too_many_are_refused_with_a_reason() {
    let world = World::new();
    let job = world.job(Facts::default()).await;
    let long = "k".repeat(513);
    let many: Vec<_> = (0..10).map(|number| number.to_string()).collect();
    for (request, why) in [
        (json!({ "key": long, "version": "v" }), "cannot be larger than 512"),
        (json!({ "key": "a,b", "version": "v" }), "cannot contain commas"),
        (json!({ "key": "", "version": "v" }), "empty"),
        (json!({ "key": "k", "version": "" }), "version"),
        (json!({ "key": 5, "version": "v" }), "must be a text"),
        (json!({ "key": "k", "restore_keys": many, "version": "v" }), "maximum of 10"),
        (json!({ "key": "k", "restore_keys": "k", "version": "v" }), "must be a list"),
    ] {
        let (status, body) = call(&job, job.token(), &format!("{CACHES}GetCacheEntryDownloadURL"), &request).await;
        assert_eq!(status, 400, "{body}");
        assert!(body["msg"].as_str().unwrap().contains(why), "{why}: {body}");
    }
    for body in ["", "[]", "{", "\"x\"", "{\"key\":\"\\ud800\"}"] {
        let headers = format!("Authorization: Bearer {}\r\n", job.token());
        let (status, _, answer) =
            ask(&job, "POST", &format!("{CACHES}CreateCacheEntry"), &headers, body.as_bytes()).await;
        assert!(status == 400 && serde_json::from_str::<Json>(&answer).is_ok(), "{body}: {status} {answer}");
    }
    let big = vec![b' '; 2 << 20];
    let headers = format!("Authorization: Bearer {}\r\n", job.token());
    assert!(matches!(ask(&job, "POST", &format!("{CACHES}CreateCacheEntry"), &headers, &big).await.0, 0 | 400));
    assert_eq!(call(&job, job.token(), &format!("{CACHES}Nothing"), &json!({})).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_form_of_the_caches_api_works_beside_the_second() {
    let world = World::new();
    let job = world.job(Facts::default()).await;
    let token = job.token().to_owned();
    let base = "/_apis/artifactcache/";
    let begin = json!({ "key": "k", "version": "v" });
    let (status, begun) = call(&job, &token, &format!("{base}caches"), &begin).await;
    assert_eq!(status, 201);
    let id = begun["cacheId"].as_u64().unwrap();
    let bearer = format!("Authorization: Bearer {token}\r\n");
    // In any order; a gap is found.
    for (range, part, done) in [("3-4/*", "lo", false), ("0-2/*", "hel", true)] {
        let headers = format!("{bearer}Content-Range: bytes {range}\r\n");
        assert_eq!(ask(&job, "PATCH", &format!("{base}caches/{id}"), &headers, part.as_bytes()).await.0, 204);
        if !done {
            assert_eq!(call(&job, &token, &format!("{base}caches/{id}"), &json!({ "size": 5 })).await.0, 400);
        }
    }
    assert_eq!(call(&job, &token, &format!("{base}caches/{id}"), &json!({ "size": 5 })).await.0, 204);
    assert_eq!(call(&job, &token, &format!("{base}caches"), &begin).await.0, 409);
    let (status, _, body) = ask(&job, "GET", &format!("{base}cache?keys=x,k&version=v"), &bearer, b"").await;
    let found: Json = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &found["cacheKey"]), (200, &json!("k")));
    let (status, _, body) = ask(&job, "GET", &target(&found["archiveLocation"]), "", b"").await;
    assert_eq!((status, body.as_str()), (200, "hello"));
    assert_eq!(ask(&job, "GET", &format!("{base}cache?keys=none&version=v"), &bearer, b"").await.0, 204);
    let (status, found) = call(&job, &token, &format!("{CACHES}GetCacheEntryDownloadURL"), &begin).await;
    assert_eq!((status, &found["matched_key"]), (200, &json!("k")));
}
