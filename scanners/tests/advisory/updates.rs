//! Updates from a server that is made for the test: increments, downloads that are cut, and files that are no good.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{Cursor, Read, Write as _};

use jiff::{Timestamp, ToSpan as _};
use scanners::advisory::{Answer, Database, Fetch, FetchError, Plan, Progress, Request, UpdateError, Updated, update};
use scanners::package::Ecosystem;
use tempfile::TempDir;

use crate::world::{inventory, now, package};

/// A server with files, each with its version.
#[derive(Default)]
struct Server {
    files: RefCell<BTreeMap<String, Vec<u8>>>,
    /// The next answer for this address ends after so many bytes.
    cut: RefCell<Option<(String, usize)>>,
    asked: RefCell<Vec<Request>>,
}

impl Server {
    fn put(&self, url: &str, bytes: impl Into<Vec<u8>>) {
        self.files.borrow_mut().insert(url.to_owned(), bytes.into());
    }

    fn asked(&self) -> Vec<String> {
        self.asked.take().into_iter().map(|request| request.url.replace("http://osv/", "")).collect()
    }
}

impl Fetch for Server {
    fn fetch(&self, request: &Request) -> Result<Answer, FetchError> {
        self.asked.borrow_mut().push(request.clone());
        let files = self.files.borrow();
        let Some(bytes) = files.get(&request.url) else {
            return Err(FetchError { url: request.url.clone(), what: "404 Not Found".to_owned() });
        };
        let etag =
            Some(format!("\"{:x}\"", bytes.iter().fold(7_u64, |sum, byte| sum.wrapping_mul(31) + u64::from(*byte))));
        if request.etag.is_some() && request.etag == etag {
            return Ok(Answer::NotModified);
        }
        let resume = request.resume.as_ref().filter(|resume| Some(&resume.etag) == etag.as_ref());
        let from = resume.map_or(0, |resume| resume.from as usize);
        let rest = bytes[from..].to_vec();
        let length = Some(rest.len() as u64);
        let cut = self.cut.borrow_mut().take_if(|(url, _)| *url == request.url);
        let kept = cut.map_or(rest.len(), |(_, count)| count);
        let body: Box<dyn Read> = Box::new(Cursor::new(rest[..kept].to_vec()));
        Ok(if from > 0 { Answer::Rest { etag, length, body } } else { Answer::Whole { etag, length, body } })
    }
}

fn record(id: &str, name: &str, fixed: &str) -> String {
    format!(
        r#"{{"id":"{id}","modified":"2026-01-01T00:00:00Z","affected":[{{"package":{{"ecosystem":"npm","name":"{name}"}},"ranges":[{{"type":"SEMVER","events":[{{"introduced":"0"}},{{"fixed":"{fixed}"}}]}}]}}]}}"#
    )
}

fn archive(records: &[(&str, String)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (id, text) in records {
        writer.start_file(format!("{id}.json"), options).expect("a zip");
        writer.write_all(text.as_bytes()).expect("a zip");
    }
    writer.finish().expect("a zip").into_inner()
}

fn plan() -> Plan {
    Plan {
        osv_url: "http://osv".to_owned(),
        ecosystems: vec!["npm".to_owned()],
        documents: vec![("kev.json".to_owned(), "http://osv/kev".to_owned())],
    }
}

const KEV: &str = r#"{"catalogVersion": "1", "vulnerabilities": [{"cveID": "CVE-2024-1", "dateAdded": "2024-01-01"}]}"#;

fn server() -> Server {
    let server = Server::default();
    server.put("http://osv/npm/modified_id.csv", "2026-01-02T00:00:00Z,GHSA-2\n2026-01-01T00:00:00Z,GHSA-1\n");
    server.put(
        "http://osv/npm/all.zip",
        archive(&[("GHSA-1", record("GHSA-1", "a", "1.0.0")), ("GHSA-2", record("GHSA-2", "b", "1.0.0"))]),
    );
    server.put("http://osv/kev", KEV);
    server
}

fn run(folder: &TempDir, server: &Server, at: Timestamp) -> Result<Updated, UpdateError> {
    update(&Database::at(folder.path()), &plan(), server, at, &mut |_: Progress| {})
}

/// Which of three packages have findings.
fn affected(folder: &TempDir) -> String {
    let index = Database::at(folder.path()).open(now()).expect("an index");
    let packages = ["a", "b", "c"].iter().map(|name| package(Ecosystem::Npm, name, "0.5.0")).collect();
    let found = index.matching(&inventory(None, packages)).expect("a whole index");
    let names = found.findings.iter().filter_map(|finding| finding.package());
    names.map(|package| package.name.clone()).collect()
}

#[test]
fn the_first_update_takes_the_archive_and_the_next_what_changed() {
    let (folder, server) = (TempDir::new().expect("a scratch folder"), server());
    let first = run(&folder, &server, now()).expect("an update");
    assert!(first.changed);
    assert_eq!(server.asked(), ["npm/modified_id.csv", "npm/all.zip", "kev"]);
    assert_eq!(affected(&folder), "ab");
    assert!(folder.path().join("osv-scanner/npm/all.zip").is_file(), "the layout of osv-scanner");

    let second = run(&folder, &server, now()).expect("an update");
    assert!(!second.changed, "nothing is new");
    assert_eq!(server.asked(), ["npm/modified_id.csv", "kev"]);

    let list = "2026-01-04T00:00:00.5Z,GHSA-3\n2026-01-04T00:00:00Z,npm/GHSA-1\n2026-01-02T00:00:00Z,GHSA-2\n";
    server.put("http://osv/npm/modified_id.csv", list);
    server.put("http://osv/npm/GHSA-3.json", record("GHSA-3", "c", "1.0.0"));
    let withdrawn = record("GHSA-1", "a", "1.0.0").replacen('{', r#"{"withdrawn":"2026-01-04T00:00:00Z","#, 1);
    server.put("http://osv/npm/GHSA-1.json", withdrawn);
    run(&folder, &server, now()).expect("an update");
    assert_eq!(server.asked(), ["npm/modified_id.csv", "npm/GHSA-3.json", "npm/GHSA-1.json", "kev"]);
    assert_eq!(affected(&folder), "bc", "one was taken back, one is new");
    assert_eq!(run(&folder, &server, now()).map(|updated| updated.changed).ok(), Some(false));
    assert_eq!(affected(&folder), "bc");
}

#[test]
fn an_update_that_fails_leaves_everything_and_the_next_goes_on() {
    let (folder, server) = (TempDir::new().expect("a scratch folder"), server());
    run(&folder, &server, now()).expect("an update");
    server.asked();
    let digest = Database::at(folder.path()).open(now()).expect("an index").digest();

    let bigger = KEV.replace("CVE-2024-1", "CVE-2024-2");
    server.put("http://osv/kev", bigger.clone());
    *server.cut.borrow_mut() = Some(("http://osv/kev".to_owned(), 30));
    let error = run(&folder, &server, now()).expect_err("it was cut");
    assert!(matches!(&error, UpdateError::Fetch(error) if error.what.contains("30 of")), "{error}");
    assert_eq!(Database::at(folder.path()).open(now()).expect("an index").digest(), digest);
    assert_eq!(std::fs::read_to_string(folder.path().join("kev.json")).ok().as_deref(), Some(KEV));

    server.asked.take();
    run(&folder, &server, now()).expect("an update");
    let resumed = server.asked.take().into_iter().find(|request| request.url.ends_with("kev")).expect("it was asked");
    assert_eq!(resumed.resume.map(|resume| resume.from), Some(30), "it goes on where it was cut");
    assert_eq!(std::fs::read_to_string(folder.path().join("kev.json")).ok(), Some(bigger));
    assert_ne!(Database::at(folder.path()).open(now()).expect("an index").digest(), digest);
    assert!(!folder.path().join(".update").exists(), "nothing is left behind");
}

#[test]
fn a_part_of_another_version_is_not_gone_on_with() {
    let (folder, server) = (TempDir::new().expect("a scratch folder"), server());
    *server.cut.borrow_mut() = Some(("http://osv/npm/all.zip".to_owned(), 50));
    run(&folder, &server, now()).expect_err("it was cut");
    let other = archive(&[("GHSA-9", record("GHSA-9", "c", "1.0.0"))]);
    server.put("http://osv/npm/all.zip", other);
    run(&folder, &server, now()).expect("an update");
    assert_eq!(affected(&folder), "c");
}

#[test]
fn a_file_that_is_no_good_replaces_nothing() {
    let (folder, server) = (TempDir::new().expect("a scratch folder"), server());
    run(&folder, &server, now()).expect("an update");
    server.put("http://osv/kev", "<html>Service Unavailable</html>");
    let error = run(&folder, &server, now()).expect_err("it is no catalogue");
    assert!(error.to_string().contains("kev.json"), "{error}");
    assert_eq!(affected(&folder), "ab");
    server.put("http://osv/kev", KEV);
    run(&folder, &server, now()).expect("it is good again");
    server.files.borrow_mut().remove("http://osv/kev");
    let error = run(&folder, &server, now()).expect_err("it is gone");
    assert!(error.to_string().contains("404"), "{error}");
    assert_eq!(affected(&folder), "ab");
}

#[test]
fn one_update_at_a_time() {
    let (folder, server) = (TempDir::new().expect("a scratch folder"), server());
    let lock = std::fs::File::create(folder.path().join(".lock")).expect("a lock");
    lock.lock().expect("a lock");
    let error = run(&folder, &server, now()).expect_err("another one goes on");
    assert!(matches!(error, UpdateError::Busy { .. }), "{error}");
}

#[test]
fn a_server_that_says_nothing_changed_makes_the_index_young_again() {
    let (folder, server) = (TempDir::new().expect("a scratch folder"), server());
    let monday = now() - 100.hours();
    run(&folder, &server, monday).expect("an update");
    assert_eq!(Database::at(folder.path()).status(now()).map(|status| status.age_hours).ok(), Some(100));
    run(&folder, &server, now()).expect("an update");
    assert_eq!(Database::at(folder.path()).status(now()).map(|status| status.age_hours).ok(), Some(0));
}
