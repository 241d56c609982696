//! The registry that `docker push` and `docker pull` speak to, over the state that ECR's calls see.
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md>

use base64::Engine as _;
use serde_json::json;

use crate::error::AwsError;
use crate::ids::sha256;
use crate::server::Whole;
use crate::wire::Written;
use crate::world::World;

fn plain(status: u16, headers: Vec<(&'static str, String)>) -> Written {
    let mut headers = headers;
    headers.push(("docker-distribution-api-version", "registry/2.0".to_owned()));
    Written { status, headers, body: Vec::new() }
}

fn error(status: u16, code: &str, message: &str) -> Written {
    let body = json!({ "errors": [{ "code": code, "message": message }] }).to_string().into_bytes();
    Written { body, ..plain(status, vec![("content-type", "application/json".to_owned())]) }
}

/// In the registry's words.
fn refused(refusal: &AwsError) -> Written {
    match refusal.code.as_str() {
        "RepositoryNotFoundException" => error(404, "NAME_UNKNOWN", &refusal.message),
        "ImageTagAlreadyExistsException" => error(400, "TAG_INVALID", &refusal.message),
        "LayersNotFoundException" => error(400, "BLOB_UNKNOWN", &refusal.message),
        "ReferencedImagesNotFoundException" => error(400, "MANIFEST_BLOB_UNKNOWN", &refusal.message),
        _ => error(400, "MANIFEST_INVALID", &refusal.message),
    }
}

/// What a path names.
enum Named<'p> {
    Blob(&'p str, &'p str),
    Upload(&'p str, &'p str),
    Manifest(&'p str, &'p str),
    Tags(&'p str),
}

fn named(path: &str) -> Option<Named<'_>> {
    let path = path.strip_prefix("/v2/")?;
    if let Some(name) = path.strip_suffix("/tags/list") {
        return Some(Named::Tags(name));
    }
    if let Some((name, id)) = path.split_once("/blobs/uploads/") {
        return Some(Named::Upload(name, id));
    }
    if let Some(name) = path.strip_suffix("/blobs/uploads") {
        return Some(Named::Upload(name, ""));
    }
    if let Some((name, digest)) = path.split_once("/blobs/") {
        return Some(Named::Blob(name, digest));
    }
    path.split_once("/manifests/").map(|(name, reference)| Named::Manifest(name, reference))
}

impl World {
    /// Answers the registry.
    pub(crate) fn registry(&mut self, asked: &Whole) -> Written {
        let basic = asked.header("authorization").strip_prefix("Basic ");
        let decoded = basic.and_then(|text| base64::engine::general_purpose::STANDARD.decode(text.trim()).ok());
        let pair = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
        let password = pair.as_deref().and_then(|pair| pair.strip_prefix("AWS:"));
        if !password.is_some_and(|password| self.is_registry_password(password)) {
            let realm = format!("Basic realm=\"{}/\",service=\"ecr.amazonaws.com\"", self.settings.endpoint);
            let body = error(401, "UNAUTHORIZED", "authentication required: use the token of GetAuthorizationToken");
            let mut headers = body.headers;
            headers.push(("www-authenticate", realm));
            return Written { headers, ..body };
        }
        let path = asked.path().to_owned();
        if path.trim_end_matches('/') == "/v2" {
            return plain(200, Vec::new());
        }
        let region = self.settings.region.clone();
        match named(&path) {
            None => error(404, "NAME_UNKNOWN", "the path names nothing"),
            Some(Named::Tags(name)) => match self.repository(name, &region) {
                Ok(known) => {
                    let body =
                        json!({ "name": name, "tags": known.tags.keys().collect::<Vec<_>>() }).to_string().into_bytes();
                    Written { body, ..plain(200, vec![("content-type", "application/json".to_owned())]) }
                }
                Err(refusal) => refused(&refusal),
            },
            Some(Named::Blob(name, digest)) => self.blob(name, digest, &region),
            Some(Named::Upload(name, id)) => self.registry_upload(name, id, asked, &region),
            Some(Named::Manifest(name, reference)) => self.manifest(name, reference, asked, &region),
        }
    }

    fn blob(&self, name: &str, digest: &str, region: &str) -> Written {
        if let Err(refusal) = self.repository(name, region) {
            return refused(&refusal);
        }
        let Some(blob) = self.ecr.blobs.get(digest) else { return error(404, "BLOB_UNKNOWN", "the blob is not here") };
        let headers =
            vec![("docker-content-digest", digest.to_owned()), ("content-type", "application/octet-stream".to_owned())];
        // The server leaves bodies of HEAD out, and counts them.
        Written { body: blob.to_vec(), ..plain(200, headers) }
    }

    fn registry_upload(&mut self, name: &str, id: &str, asked: &Whole, region: &str) -> Written {
        if let Err(refusal) = self.repository(name, region) {
            return refused(&refusal);
        }
        let query: Vec<(String, String)> =
            form_urlencoded::parse(asked.parts.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
        let of = |key: &str| query.iter().find(|(known, _)| known == key).map(|(_, value)| value.clone());
        match asked.parts.method.as_str() {
            "POST" => {
                if let Some(digest) = of("mount").filter(|digest| self.ecr.blobs.contains_key(digest)) {
                    return created(name, "blobs", &digest);
                }
                let new = self.ids.uuid();
                self.ecr.uploads.insert(new.clone(), asked.body.to_vec());
                match of("digest") {
                    Some(digest) => self.end_upload(name, &new, &digest),
                    None => accepted(name, &new, 0),
                }
            }
            "PATCH" => match self.ecr.uploads.get_mut(id) {
                Some(upload) => {
                    upload.extend_from_slice(&asked.body);
                    accepted(name, id, upload.len())
                }
                None => error(404, "BLOB_UPLOAD_UNKNOWN", "the upload is not known"),
            },
            "PUT" => {
                let Some(upload) = self.ecr.uploads.get_mut(id) else {
                    return error(404, "BLOB_UPLOAD_UNKNOWN", "the upload is not known");
                };
                upload.extend_from_slice(&asked.body);
                self.end_upload(name, id, &of("digest").unwrap_or_default())
            }
            "GET" => match self.ecr.uploads.get(id) {
                Some(upload) => Written { status: 204, ..accepted(name, id, upload.len()) },
                None => error(404, "BLOB_UPLOAD_UNKNOWN", "the upload is not known"),
            },
            _ => error(405, "UNSUPPORTED", "the method is not known here"),
        }
    }

    fn end_upload(&mut self, name: &str, id: &str, digest: &str) -> Written {
        let content = self.ecr.uploads.remove(id).unwrap_or_default();
        let actual = format!("sha256:{}", sha256(&content));
        if actual != digest {
            return error(400, "DIGEST_INVALID", &format!("the content is {actual}, not {digest}"));
        }
        self.ecr.blobs.insert(actual, content.into());
        created(name, "blobs", digest)
    }

    fn manifest(&mut self, name: &str, reference: &str, asked: &Whole, region: &str) -> Written {
        let is_digest = reference.starts_with("sha256:");
        if asked.parts.method == "PUT" {
            let Ok(text) = std::str::from_utf8(&asked.body) else {
                return error(400, "MANIFEST_INVALID", "the manifest is not UTF-8");
            };
            let actual = format!("sha256:{}", sha256(text.as_bytes()));
            if is_digest && reference != actual {
                return error(400, "DIGEST_INVALID", &format!("the content is {actual}, not {reference}"));
            }
            let kind = Some(asked.header("content-type")).filter(|kind| !kind.is_empty());
            let tag = Some(reference).filter(|_| !is_digest);
            return match self.put_image((name, region), text, kind, tag) {
                Ok(_) => created(name, "manifests", &actual),
                // The same image under the same tag is no fault for those who push.
                Err(refusal) if refusal.code == "ImageAlreadyExistsException" => created(name, "manifests", &actual),
                Err(refusal) => refused(&refusal),
            };
        }
        let known = match self.repository(name, region) {
            Ok(known) => known,
            Err(refusal) => return refused(&refusal),
        };
        let Some(digest) = known.resolve(reference) else {
            return error(404, "MANIFEST_UNKNOWN", &format!("{name} has no {reference}"));
        };
        let image = &known.images[digest];
        let headers = vec![("docker-content-digest", digest.clone()), ("content-type", image.media_type.clone())];
        Written { body: image.manifest.clone().into_bytes(), ..plain(200, headers) }
    }
}

fn accepted(name: &str, id: &str, has: usize) -> Written {
    let headers = vec![
        ("location", format!("/v2/{name}/blobs/uploads/{id}")),
        ("docker-upload-uuid", id.to_owned()),
        ("range", format!("0-{}", has.saturating_sub(1))),
    ];
    plain(202, headers)
}

fn created(name: &str, kind: &str, digest: &str) -> Written {
    plain(201, vec![("location", format!("/v2/{name}/{kind}/{digest}")), ("docker-content-digest", digest.to_owned())])
}
