//! Images that are damaged, or were made to harm: said to be unread, within bounds, and never a panic.

use std::io::{Cursor, Read};

use super::make::{self, Item, STATUS, file};
use super::{held, lines, read_archive};
use crate::inventory::{Options, read};
use crate::source::{Limits, Source, SourceError};

fn unread(layers: &[Vec<u8>], options: &Options) -> Vec<String> {
    let inventory = read_archive(&make::docker_archive(layers, &[]), options).unwrap();
    inventory.unread.into_iter().map(|unread| format!("{} {}", unread.path, unread.reason)).collect()
}

fn check(layer: Vec<u8>, expected: &str) {
    let unread = unread(&[layer], &Options::default());
    assert!(unread.iter().any(|unread| unread.contains(expected)), "{expected}: {unread:?}");
}

#[test]
fn layers_that_cannot_be_read_are_named() {
    let good = make::layer(&[file("var/lib/dpkg/status", STATUS), file("x", &"y".repeat(5000))]);
    check(good[..good.len() / 2].to_vec(), "cut off");
    check(b"BZh91AY&SY".repeat(100), "bzip2");
    check(b"\xfd7zXZ\0".repeat(100), "xz");
    check(b"nothing of that kind".repeat(100), "neither a tar nor gzip nor zstd");
    check(Vec::new(), "it is empty");
    let mut damaged = good.clone();
    damaged[1024 + 600] = 0xff;
    let at = good.windows(2).position(|window| window == b"x\0").unwrap();
    damaged[at + 3] = b'z';
    check(damaged, "checksum");
    // What was read before the fault is still told.
    let inventory =
        read_archive(&make::docker_archive(&[good[..good.len() - 4000].to_vec()], &[]), &Options::default()).unwrap();
    assert_eq!(lines(&inventory).len(), 2);
}

#[test]
fn compressed_layers_are_held_against_their_digest() {
    let folder = tempfile::tempdir().unwrap();
    let good = make::layer(&[file("a/package.json", r#"{"name":"a","version":"1"}"#)]);
    make::oci_layout(folder.path(), std::slice::from_ref(&good));
    let packed = make::gzip(&good);
    let blob = folder.path().join("blobs/sha256").join(&make::digest(&packed)[7..]);
    let open = || read(Source::OciLayout { folder: held(folder.path()), name: None }, &Options::default()).unwrap();
    for (content, expected) in [
        (make::gzip(&make::layer(&[file("b", "")])), "but the image names it sha256:"),
        (packed[..packed.len() - 10].to_vec(), "cut off"),
        ([&packed[..40], &[0xff; 40], &packed[80..]].concat(), ""),
    ] {
        std::fs::write(&blob, content).unwrap();
        let unread = open().unread;
        assert!(unread.iter().any(|unread| unread.reason.contains(expected)), "{expected}: {unread:?}");
    }
    std::fs::remove_file(&blob).unwrap();
    let error = read(Source::OciLayout { folder: held(folder.path()), name: None }, &Options::default()).unwrap_err();
    assert!(error.to_string().contains("is missing"), "{error}");
}

#[test]
fn archives_that_are_no_images_say_why() {
    let layer = make::layer(&[file("x", "")]);
    let whole = make::docker_archive(std::slice::from_ref(&layer), &[]);
    for (bytes, expected) in [
        (b"#!/bin/sh\n".to_vec(), "it is not a tar"),
        (layer.clone(), "neither manifest.json (docker save) nor index.json"),
        (whole[..700].to_vec(), "cut off"),
        (make::layer(&[file("manifest.json", "{}")]), "manifest.json is not what it should be"),
        (make::layer(&[file("manifest.json", "[]")]), "it holds no image"),
        (make::layer(&[file("manifest.json", r#"[{"Config":"c","Layers":["../../x"]}]"#)]), "leads out of it"),
        (make::layer(&[file("manifest.json", r#"[{"Config":"c","Layers":["x"]}]"#)]), "its layer x is missing"),
        (make::layer(&[file("manifest.json", r#"[{"Config":"c","Layers":[]}]"#)]), "it has no c"),
    ] {
        let error = read_archive(&bytes, &Options::default()).unwrap_err();
        assert!(matches!(error, SourceError::NotAnImage { .. }), "{error:?}");
        assert!(error.to_string().contains(expected), "{expected}: {error}");
    }
    let two = make::layer(&[file(
        "manifest.json",
        r#"[{"Config":"c","RepoTags":["a:1"],"Layers":[]},{"Config":"c","RepoTags":["b:1"],"Layers":[]}]"#,
    )]);
    assert!(matches!(read_archive(&two, &Options::default()), Err(SourceError::WhichImage { .. })));
}

/// A header by hand, for what no honest writer makes.
fn header(path: &str, flag: u8, bytes: u64) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..path.len()].copy_from_slice(path.as_bytes());
    block[100..107].copy_from_slice(b"0000755");
    block[124..136].copy_from_slice(format!("{bytes:012o}").as_bytes());
    block[156] = flag;
    block[257..263].copy_from_slice(b"ustar\0");
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum::<u64>() + 8 * 32;
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    block
}

#[test]
fn paths_that_lead_out_and_entries_of_no_kind_are_told() {
    check([header("../../etc/cron.d/x", b'0', 0), vec![0; 1024]].concat(), "leads out of the image");
    let mut link = header("a/package.json", b'1', 0);
    link[157..165].copy_from_slice(b"../../ab");
    let sum: u64 =
        link.iter().enumerate().filter(|(at, _)| !(148..156).contains(at)).map(|(_, b)| u64::from(*b)).sum::<u64>()
            + 256;
    link[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    check([link, vec![0; 1024]].concat(), "hard link out of the image");
    check([header("a", b'?', 0), vec![0; 1024]].concat(), "unknown kind");
    check([header("a", b'x', 1 << 30), vec![0; 1024]].concat(), "longer than any path");
    check([header("a", b'0', 1 << 32), vec![0; 1024]].concat(), "cut off");
    check(make::layer(&[Item::HardLink("a/package.json", "b")]), "not in its layer");
    check(make::layer(&[Item::HardLink("a/package.json", "a/package.json")]), "not in its layer");
    // Sparse files are passed over, and told when they matter.
    let mut sparse = header("var/lib/dpkg/status", b'S', 0);
    sparse[482] = 0;
    check([sparse, vec![0; 1024]].concat(), "sparse");
}

#[test]
fn files_beyond_their_bounds_are_told() {
    let limits = Limits { file_bytes: 100, entries: 3, layer_bytes: 1 << 20, ..Limits::default() };
    let options = Options { limits, ..Options::default() };
    let unread = unread(&[make::layer(&[file("var/lib/dpkg/status", STATUS)])], &options);
    assert!(unread[0].contains("more than 100"), "{unread:?}");
    let many = make::layer(&[file("1", ""), file("2", ""), file("3", ""), file("4", "")]);
    assert!(self::unread(&[many], &options)[0].contains("more than 3 entries"));
    // Ten gigabytes that are nothing, out of a few kilobytes.
    let endless = header("big", b'0', 10 << 30).into_iter().chain(std::iter::repeat_n(0, 4 << 20));
    let bomb = make::gzip(&endless.collect::<Vec<u8>>());
    assert!(self::unread(&[bomb], &options)[0].contains("more than is allowed"));
    let stream = Cursor::new(header("big", b'0', 10 << 30)).chain(std::io::repeat(0));
    let inventory = read(Source::Export(Box::new(stream)), &options).unwrap();
    assert!(inventory.unread[0].reason.contains("more than is allowed"), "{:?}", inventory.unread);
}

#[test]
fn bombs_in_archives_of_java_do_not_go_off() {
    let options = Options { limits: Limits { jar_bytes: 1 << 20, ..Limits::default() }, ..Options::default() };
    let zeros = vec![0; 3 << 20];
    for (jar, expected) in [
        // The header says little, the content is much.
        (make::zip(&[("lib/a.war", &zeros)]), "zip bomb"),
        (make::zip(&[("META-INF/MANIFEST.MF", &zeros)]), "zip bomb"),
        ((0..8).fold(make::zip(&[]), |inner, _| make::zip(&[("a.jar", &inner)])), "deeper than 6 archives"),
        (make::zip(&[("a.jar", b"no archive")]), "cut off"),
        (b"PK\x05\x06".to_vec(), "cut off"),
        (b"never a zip".repeat(10), "no directory"),
    ] {
        let unread = unread(&[make::layer(&[Item::File("app/x.jar", &jar)])], &options);
        assert!(unread.iter().any(|unread| unread.contains(expected)), "{expected}: {unread:?}");
    }
}
