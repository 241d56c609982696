//! An index or a source that is missing, stale, damaged or of another format: each is told from the others.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use jiff::ToSpan as _;
use scanners::advisory::{BuildError, Database, Index, IndexError};
use scanners::package::Ecosystem;
use tempfile::TempDir;

use crate::world::{folder, index, inventory, now, package};

fn index_file(folder: &TempDir) -> std::path::PathBuf {
    index(folder);
    Database::at(folder.path()).index_path().to_owned()
}

fn open_error(path: &Path) -> IndexError {
    Index::open(path).expect_err("it is damaged")
}

#[test]
fn a_missing_index_is_missing() {
    let empty = TempDir::new().expect("a scratch folder");
    let error = open_error(&empty.path().join("advisories.index"));
    assert!(matches!(error, IndexError::Missing { .. }), "{error}");
    assert!(error.to_string().contains("pipe scan db update"), "{error}");
    let error = Database::at(empty.path()).open(now()).expect_err("there is nothing in it");
    assert!(matches!(error, BuildError::Empty { .. }), "{error}");
    let error = Database::at(&empty.path().join("nowhere")).open(now()).expect_err("it is not there");
    assert!(matches!(error, BuildError::Index(IndexError::Missing { .. })), "{error}");
}

#[test]
fn an_old_index_is_stale_and_says_which_source() {
    let folder = folder();
    let index = index(&folder);
    let later = now() + 72.hours();
    assert!(index.check_age(later, Duration::from_secs(100 * 3600)).is_ok());
    let error = index.check_age(later, Duration::from_secs(48 * 3600)).expect_err("it is too old");
    assert!(matches!(error, IndexError::Stale { max_hours: 48, .. }), "{error}");
    let status = Database::at(folder.path()).status(later).expect("a whole index");
    assert!((71..=72).contains(&status.age_hours), "{}", status.age_hours);
    let text = status.to_string();
    assert!(
        text.contains("sha256:") && text.contains("debian-tracker.json") && text.contains("records.jsonl"),
        "{text}"
    );
}

#[test]
fn a_cut_or_changed_index_is_an_error_wherever_that_is() {
    let folder = folder();
    let path = index_file(&folder);
    let whole = fs::read(&path).expect("an index");
    let everything = inventory(
        None,
        ["lodash", "minimist", "qs", "semver", "axios"]
            .iter()
            .map(|name| package(Ecosystem::Npm, name, "1.0.0"))
            .collect(),
    );
    for length in [0, 3, 20, 60, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..length]).expect("it can be written");
        let error = open_error(&path);
        assert!(matches!(error, IndexError::Corrupt { .. }), "{length} bytes: {error}");
    }
    let mut noticed = 0;
    for at in (0..whole.len()).step_by(97) {
        let mut changed = whole.clone();
        changed[at] ^= 0x20;
        fs::write(&path, &changed).expect("it can be written");
        // Opening notices what it reads, a match what it reads, and comparing everything notices everything.
        match Index::open(&path) {
            Ok(index) => {
                noticed += usize::from(index.matching(&everything).is_err());
                assert!(index.verify().is_err(), "a change of byte {at} was not noticed");
            }
            Err(IndexError::Corrupt { .. } | IndexError::Format { .. }) => noticed += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(noticed > 0);
    fs::write(&path, &whole).expect("it can be written");
    assert!(Index::open(&path).is_ok_and(|index| index.verify().is_ok()));
}

#[test]
fn a_file_that_is_cut_while_it_is_open_is_an_error() {
    let folder = folder();
    let path = index_file(&folder);
    let index = Index::open(&path).expect("an index");
    fs::OpenOptions::new().write(true).open(&path).and_then(|file| file.set_len(100)).expect("it can be cut");
    let error =
        index.matching(&inventory(None, vec![package(Ecosystem::Npm, "lodash", "1.0.0")])).expect_err("it is cut");
    assert!(matches!(error, IndexError::Corrupt { .. }), "{error}");
}

#[test]
fn another_format_is_made_anew_from_the_sources_and_else_told() {
    let folder = folder();
    let path = index_file(&folder);
    let mut bytes = fs::read(&path).expect("an index");
    bytes[8] = 99;
    fs::write(&path, &bytes).expect("it can be written");
    assert!(matches!(open_error(&path), IndexError::Format { found: 99, .. }));
    Database::at(folder.path()).open(now()).expect("it is made anew");
    fs::write(&path, &bytes).expect("it can be written");
    let alone = TempDir::new().expect("a scratch folder");
    fs::copy(&path, alone.path().join("advisories.index")).expect("it can be copied");
    let error = Database::at(alone.path()).open(now()).expect_err("there are no sources");
    assert!(matches!(error, BuildError::Index(IndexError::Format { .. })), "{error}");
}

#[test]
fn a_damaged_source_leaves_the_index_from_before() {
    let folder = folder();
    let path = index_file(&folder);
    let before = fs::read(&path).expect("an index");
    for (name, text) in [
        ("records.jsonl", "{\"id\": \"GHSA-1\", \"affected\": [".as_bytes()),
        ("debian-tracker.json", b"{\"zlib\": {\"CVE-1\": {\"releases\": {"),
        ("kev.json", b"{\"catalogVersion\": \"1\", \"vulnerabilities\": [{\"cveID\""),
        ("epss.csv", b"CVE-2024-1,0.5"),
        ("all.zip", b"PK\x03\x04 and nothing more"),
    ] {
        let source = folder.path().join(name);
        let good = fs::read(&source).ok();
        fs::write(&source, text).expect("it can be written");
        let error = Database::at(folder.path()).open(now()).expect_err(name);
        assert!(matches!(error, BuildError::Source { .. }), "{name}: {error}");
        assert!(error.to_string().contains(name), "{error}");
        assert!(fs::read(&path).is_ok_and(|now| now == before), "{name}: the index has changed");
        match good {
            Some(good) => fs::write(&source, good).expect("it can be written"),
            None => fs::remove_file(&source).expect("it can be removed"),
        }
    }
    let left: Vec<_> =
        fs::read_dir(folder.path()).expect("a folder").flatten().map(|entry| entry.file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("unfinished")), "{left:?}");
}

#[test]
fn equal_data_has_equal_digests_and_changed_files_are_read_again() {
    let (first, second) = (folder(), folder());
    assert_eq!(index(&first).digest(), index(&second).digest());
    let before = index(&first).digest();
    assert_eq!(index(&first).digest(), before, "nothing has changed");
    let mut records = fs::OpenOptions::new().append(true).open(first.path().join("records.jsonl")).expect("records");
    let line = r#"{"id":"GHSA-new","affected":[{"package":{"ecosystem":"npm","name":"new"},"versions":["1.0.0"]}]}"#;
    writeln!(records, "{line}").expect("it can be written");
    let after = index(&first);
    assert_ne!(after.digest(), before);
    let found = after.matching(&inventory(None, vec![package(Ecosystem::Npm, "new", "1.0.0")])).expect("a whole index");
    assert_eq!(found.findings.len(), 1);
}

#[test]
fn records_of_another_form_are_counted_and_shown() {
    let folder = TempDir::new().expect("a scratch folder");
    let lines = "{\"id\":\"A-1\",\"affected\":[{\"package\":{\"ecosystem\":\"npm\",\"name\":\"a\"},\"versions\":[\"1.0.0\"]}]}\n{\"id\":7}\n\n{\"id\":\"A-3\",\"affected\":\"all\"}\n";
    fs::write(folder.path().join("records.jsonl"), lines).expect("it can be written");
    let index = index(&folder);
    let source = &index.header().sources[0];
    assert_eq!((source.records, source.unreadable), (1, 2));
    assert!(source.first_unreadable.as_deref().is_some_and(|text| text.starts_with("line 2")), "{source:?}");
}
