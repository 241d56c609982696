//! Style sheets, scripts and pictures, which are part of the program. Their address holds a digest of their content, so
//! that a browser keeps them for ever and never has an old one.

use std::io::Write as _;
use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};

use crate::api::not_found;

/// One file.
struct File {
    name: &'static str,
    kind: &'static str,
    hash: String,
    bytes: &'static [u8],
    packed: Bytes,
}

macro_rules! files {
    ($($name:literal $kind:literal)*) => {
        [$(($name, $kind, include_bytes!(concat!("../../static/", $name)) as &'static [u8])),*]
    };
}

/// htmx and its extension as one script: htmx looks at a page as soon as it has run, and what it does not know by then, because
/// another script came a moment later, never begins.
const LIVE: &str =
    concat!(include_str!("../../static/vendor/htmx.min.js"), ";\n", include_str!("../../static/vendor/hx-sse.min.js"));

static FILES: LazyLock<Vec<File>> = LazyLock::new(|| {
    let all = files! {
        "app.css" "text/css; charset=utf-8"
        "theme.js" "text/javascript; charset=utf-8"
        "app.js" "text/javascript; charset=utf-8"
        "streams.js" "text/javascript; charset=utf-8"
        "log.js" "text/javascript; charset=utf-8"
        "approve.js" "text/javascript; charset=utf-8"
        "icons.svg" "image/svg+xml"
        "favicon.svg" "image/svg+xml"
    };
    let live = ("live.js", "text/javascript; charset=utf-8", LIVE.as_bytes());
    all.into_iter().chain([live]).map(|(name, kind, bytes)| File::new(name, kind, bytes)).collect()
});

impl File {
    fn new(name: &'static str, kind: &'static str, bytes: &'static [u8]) -> Self {
        let hash = Sha256::digest(bytes)[..6].iter().map(|byte| format!("{byte:02x}")).collect();
        let mut packer = GzEncoder::new(Vec::new(), Compression::best());
        packer.write_all(bytes).expect("writing to memory cannot fail");
        let packed = packer.finish().expect("writing to memory cannot fail").into();
        Self { name, kind, hash, bytes, packed }
    }
}

/// Where a file is.
pub(super) fn url(name: &str) -> Result<String, minijinja::Error> {
    let file = FILES.iter().find(|file| file.name == name);
    let none = || minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, format!("there is no file {name}"));
    file.map(|file| format!("/static/{}/{name}", file.hash)).ok_or_else(none)
}

pub(super) async fn file(Path((hash, name)): Path<(String, String)>, headers: HeaderMap) -> Response {
    let Some(file) = FILES.iter().find(|file| file.name == name && file.hash == hash) else {
        return not_found("there is no such file").into_response();
    };
    let accepted = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let takes_gzip = accepted.flat_map(|value| value.split(',')).any(|one| one.trim() == "gzip");
    let bytes = if takes_gzip { file.packed.clone() } else { Bytes::from_static(file.bytes) };
    let mut response = (StatusCode::OK, bytes).into_response();
    let answer = response.headers_mut();
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.kind));
    answer.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    answer.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if takes_gzip {
        answer.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}
