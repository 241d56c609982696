//! Blocks in every order, twice, missing, and too many.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

fn id(index: u64) -> String {
    STANDARD.encode(format!("ba3fe009-91b4-43d6-94cf-358e22879cf9{index:012}"))
}

fn send(upload: &Upload, id: &str, bytes: &[u8]) -> Extent {
    let extent = upload.place(id, bytes.len() as u64).unwrap();
    upload.write(extent, 0, &[bytes]).unwrap();
    upload.wrote(id, extent).unwrap();
    upload.hash_on().unwrap();
    upload.flush_on().unwrap();
    extent
}

fn read(upload: &Upload) -> (Vec<u8>, String) {
    let committed = upload.committed().unwrap();
    let (path, digest) = upload.digest(&committed).unwrap();
    let bytes = std::fs::read(path).unwrap();
    let own: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!((own.as_str(), bytes.len() as u64), (digest.hex(), committed.bytes));
    (bytes, own)
}

fn what() -> What {
    What::Cache { key: "k".into(), version: "v".into() }
}

#[test]
fn blocks_come_in_any_order_and_survive_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let uploads = Uploads::new(folder.path().join("u"), "job".into());
    for order in [[0, 1, 2], [2, 0, 1], [1, 2, 0], [2, 1, 0]] {
        let number = uploads.begin(what()).unwrap();
        for index in order {
            // The last one is shorter.
            let bytes = vec![b'a' + u8::try_from(index).unwrap(); if index == 2 { 5 } else { 10 }];
            // Each by a process of its own.
            let uploads = Uploads::new(folder.path().join("u"), "job".into());
            send(&uploads.get(number).unwrap(), &id(index), &bytes);
        }
        let upload = Uploads::new(folder.path().join("u"), "job".into()).get(number).unwrap();
        upload.commit(&[id(0), id(1), id(2)], "zip").unwrap();
        assert_eq!(read(&upload).0, b"aaaaaaaaaabbbbbbbbbbccccc", "{order:?}");
    }
    let one = uploads.begin(what()).unwrap();
    assert!(Uploads::new(folder.path().join("u"), "other".into()).get(one).is_none());
    Uploads::new(folder.path().join("u"), "other".into()).discard_all();
    assert!(uploads.get(one).is_some());
    uploads.discard_all();
    assert!(uploads.get(one).is_none() && uploads.ids().is_empty());
}

#[test]
fn a_list_may_leave_out_repeat_and_name_strangers() {
    let folder = tempfile::tempdir().unwrap();
    let uploads = Uploads::new(folder.path().to_owned(), "job".into());
    let upload = uploads.get(uploads.begin(what()).unwrap()).unwrap();
    assert!(!send(&upload, &id(0), b"0000").spilled);
    assert!(!send(&upload, &id(1), b"1111").spilled);
    // Again, as after an answer that was lost; and one whose name tells nothing.
    assert!(send(&upload, &id(1), b"1111").spilled);
    assert!(send(&upload, "AAAA", b"xx").spilled);
    // Longer than all before: it cannot lie where its number says.
    assert!(send(&upload, &id(2), b"22222").spilled);
    for (list, expect) in [
        (vec![id(0), id(1), id(2)], &b"0000111122222"[..]),
        (vec![id(1), id(0)], b"11110000"),
        (vec!["AAAA".to_owned(), id(0), "AAAA".to_owned()], b"xx0000xx"),
        (vec![id(0)], b"0000"),
    ] {
        upload.commit(&list, "").unwrap();
        assert_eq!(read(&upload).0, expect);
    }
    assert!(upload.commit(&[id(9)], "").unwrap_err().contains("never came"));
}

#[test]
fn p05_what_is_too_large_is_refused_before_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let uploads = Uploads::new(folder.path().to_owned(), "job".into());
    let upload = uploads.get(uploads.begin(what()).unwrap()).unwrap();
    assert!(upload.place(&id(0), UPLOAD_BYTES_MAX + 1).is_err());
    upload.place(&id(0), UPLOAD_BYTES_MAX / 2).unwrap();
    upload.place(&id(1), UPLOAD_BYTES_MAX / 2).unwrap();
    assert!(upload.place(&id(2), 1).is_err());
    assert!(upload.place_at(u64::MAX, 1).is_err());
    assert!(upload.place(&id(u64::MAX / 2 % 1_000_000_000_000), 0).is_ok());
}
