//! Advisories by way of a proxy: it is asked for a tunnel with the name and password that the environment gives, TLS is with the server
//! at its end, and what the proxy refuses is said with its name.

use std::io::{BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned, crypto};

use crate::world::World;

const KEYS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../engine/tests/forge/mail");
const ADVISORY: &str = r#"{"schema_version": "1.6.0", "id": "GHSA-p6mc-m468-83gw", "modified": "2024-01-01T00:00:00Z",
    "summary": "it breaks", "affected": [{"package": {"ecosystem": "npm", "name": "lodash"},
    "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "4.17.20"}]}]}]}"#;

/// What was seen, in order.
type Seen = Arc<Mutex<Vec<String>>>;

fn note(seen: &Seen, line: impl Into<String>) {
    seen.lock().unwrap().push(line.into());
}

/// The lines before the first empty one.
fn head(reader: &mut impl std::io::BufRead) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) < 3 {
            return lines;
        }
        lines.push(line.trim_end().to_owned());
    }
}

/// A server for `localhost` with the archive of npm; its port.
fn advisories(seen: Seen) -> u16 {
    let certificate = CertificateDer::from_pem_file(format!("{KEYS}/server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(format!("{KEYS}/server-key.pem")).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()));
    let config = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let config = Arc::new(config.with_single_cert(vec![certificate], key).unwrap());
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    archive.start_file("GHSA-p6mc-m468-83gw.json", zip::write::SimpleFileOptions::default()).unwrap();
    archive.write_all(ADVISORY.as_bytes()).unwrap();
    let archive = archive.finish().unwrap().into_inner();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let tls = StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream.unwrap());
            let mut reader = BufReader::new(tls);
            let Some(line) = head(&mut reader).into_iter().next() else { continue };
            let body = if line.contains("/npm/all.zip") {
                &archive[..]
            } else {
                b"2024-01-01T00:00:00Z,GHSA-p6mc-m468-83gw\n"
            };
            note(&seen, format!("server {line}"));
            let tls = reader.get_mut();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = tls.write_all(head.as_bytes()).and_then(|()| tls.write_all(body)).and_then(|()| tls.flush());
            tls.conn.send_close_notify();
            let _ = tls.flush();
        }
    });
    port
}

/// A proxy that lets through to `localhost` only; its port.
fn proxy(seen: Seen) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = head(&mut BufReader::new(stream.try_clone().unwrap()));
            let Some(first) = lines.first() else { continue };
            let words = lines.iter().find(|line| line.to_ascii_lowercase().starts_with("proxy-auth"));
            note(&seen, format!("proxy {first} {}", words.map_or("", String::as_str)));
            let name = first.split(' ').nth(1).unwrap_or_default().to_owned();
            if !name.starts_with("localhost:") {
                let _ = stream.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n");
                continue;
            }
            let onward = TcpStream::connect(name).unwrap();
            stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").unwrap();
            for (mut from, mut to) in [(stream.try_clone().unwrap(), onward.try_clone().unwrap()), (onward, stream)] {
                thread::spawn(move || {
                    let mut bytes = [0; 4096];
                    while let Ok(count @ 1..) = from.read(&mut bytes) {
                        if to.write_all(&bytes[..count]).is_err() {
                            break;
                        }
                    }
                    let _ = to.shutdown(std::net::Shutdown::Write);
                });
            }
        }
    });
    port
}

#[test]
fn advisories_come_by_way_of_a_proxy() {
    let seen = Seen::default();
    let (server, proxy) = (advisories(Arc::clone(&seen)), proxy(Arc::clone(&seen)));
    let world = World::new(&[]);
    let update = |variables: &[(&str, &str)]| {
        let url = format!("https://localhost:{server}");
        let words = ["scan", "db", "update", "--db", "advisories", "--ecosystem", "npm", "--osv-url", &url];
        let mut command = world.command(&words);
        command.env("SSL_CERT_FILE", format!("{KEYS}/ca.pem")).envs(variables.iter().copied());
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), said, std::mem::take(&mut *seen.lock().unwrap()))
    };
    let address = format!("http://ada:secret@127.0.0.1:{proxy}");
    // What goes to others than `localhost` is refused by this proxy, so no update is whole here.
    let (code, said, came) = update(&[("HTTPS_PROXY", &address)]);
    let tunnel = format!("proxy CONNECT localhost:{server} HTTP/1.1");
    assert!(came.iter().filter(|line| line.starts_with(&tunnel)).count() >= 1, "{came:?} {said}");
    assert!(came.iter().any(|line| line.contains("Basic YWRhOnNlY3JldA==")), "{came:?}");
    for path in ["/npm/modified_id.csv", "/npm/all.zip"] {
        assert!(came.iter().any(|line| line.starts_with(&format!("server GET {path}"))), "{path}: {came:?}");
    }
    assert!(came.iter().any(|line| line.starts_with("proxy CONNECT www.cisa.gov:443")), "{came:?}");
    let refused = format!("the proxy 127.0.0.1:{proxy} (HTTPS_PROXY) does not let it through");
    assert!(code == Some(6) && said.contains(&refused) && !said.contains("secret"), "{code:?} {said}");
    assert!(
        world.root().join("advisories/.update/osv-scanner/npm/all.zip").is_file(),
        "the next update goes on from here"
    );
    // What is on the list goes past it.
    let (_, _, came) = update(&[("https_proxy", &address), ("NO_PROXY", "localhost")]);
    assert!(!came.iter().any(|line| line.starts_with(&tunnel)), "{came:?}");
    let (code, said, came) = update(&[("HTTPS_PROXY", "socks5://ada:secret@127.0.0.1:1")]);
    assert!(
        came.is_empty() && said.contains("it must be http://HOST:PORT") && !said.contains("secret"),
        "{code:?} {said}"
    );
}
