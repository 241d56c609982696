//! Images: layers over each other, in all forms they come in.

use std::path::Path;

use super::make::{self, Item, STATUS, file};
use super::{held, lines, read_archive};
use crate::inventory::{Options, read};
use crate::package::Layer;
use crate::source::{OverlayImage, Source, SourceError};

const A1: &str = r#"{"name":"a","version":"1.0.0"}"#;
const A2: &str = r#"{"name":"a","version":"2.0.0"}"#;
const A: &str = "app/node_modules/a/package.json";

fn check(layers: &[&[Item<'_>]], expected: &[&str]) {
    let layers: Vec<_> = layers.iter().map(|items| make::layer(items)).collect();
    let inventory = read_archive(&make::docker_archive(&layers, &[]), &Options::default()).unwrap();
    assert_eq!(lines(&inventory), expected);
    assert!(inventory.unread.is_empty(), "{:?}", inventory.unread);
    // Compressed layers, and folders.
    let folder = tempfile::tempdir().unwrap();
    make::oci_layout(folder.path(), &layers);
    let source = Source::OciLayout { folder: held(folder.path()), name: Some("shop:1".to_owned()) };
    let inventory = read(source, &Options::default()).unwrap();
    assert_eq!(lines(&inventory), expected, "as a layout");
    assert!(inventory.unread.is_empty(), "{:?}", inventory.unread);
    let mut packed = tar::Builder::new(Vec::new());
    packed.append_dir_all(".", folder.path()).unwrap();
    let inventory = read_archive(&packed.into_inner().unwrap(), &Options::default()).unwrap();
    assert_eq!(lines(&inventory), expected, "as a layout in an archive");
}

#[test]
fn upper_layers_hide_what_is_below() {
    check(&[&[file(A, A1)], &[file(A, A2)]], &["npm a 2.0.0 @1"]);
    check(&[&[file(A, A1)], &[file("app/node_modules/a/.wh.package.json", "")]], &[]);
    check(&[&[file(A, A1)], &[file("app/.wh.node_modules", "")]], &[]);
    check(
        &[&[file(A, A1)], &[file("app/.wh..wh..opq", ""), file("app/node_modules/b/package.json", A2)]],
        &["npm a 2.0.0 @1"],
    );
    check(&[&[file(A, A1)], &[file(".wh..wh..opq", "")]], &[]);
    check(&[&[file(A, A1)], &[file(".wh..wh.aufs", ""), file("app/x", "")]], &["npm a 1.0.0 @0"]);
    // A folder becomes a file, a link, and a file a folder.
    check(&[&[file(A, A1)], &[file("app/node_modules", "")]], &[]);
    check(&[&[file(A, A1)], &[Item::Symlink("app/node_modules/a", "../../elsewhere")]], &[]);
    check(&[&[file(A, A1)], &[Item::Folder(A)]], &[]);
    check(
        &[&[Item::Folder("app"), file(A, A1)], &[Item::Folder("app"), Item::Folder("app/node_modules")]],
        &["npm a 1.0.0 @0"],
    );
    // Removed and put there again.
    check(&[&[file(A, A1)], &[file("app/.wh.node_modules", "")], &[file(A, A1)]], &["npm a 1.0.0 @0"]);
    // A whiteout speaks of what is below its layer, not of its layer.
    check(&[&[], &[file(A, A2), file("app/.wh.node_modules", "")]], &["npm a 2.0.0 @1"]);
    let go = make::go_program();
    check(&[&[Item::Program("srv", &go)], &[file("srv", "#!/bin/sh\n")]], &[]);
}

#[test]
fn the_layer_that_brought_a_package_is_told() {
    let more = format!("{STATUS}\nPackage: curl\nStatus: install ok installed\nVersion: 7\n");
    let upgraded = more.replace("2.36-9", "2.36-10");
    check(
        &[
            &[file("var/lib/dpkg/status", STATUS)],
            &[file("var/lib/dpkg/status", &more)],
            &[file("tmp/x", "")],
            &[file("var/lib/dpkg/status", &upgraded)],
        ],
        &["deb curl 7 @1", "deb libc6 2.36-10 @3", "deb zlib1g 1:1.2.13.dfsg-1+b1 @0"],
    );
}

#[test]
fn what_the_operating_system_owns_is_told_once() {
    let six = "Name: six\nVersion: 1.16.0\n";
    let pip = "Name: pip\nVersion: 23\n";
    check(
        &[&[
            file("var/lib/dpkg/status", STATUS),
            file(
                "var/lib/dpkg/info/python3-six.list",
                "/.\n/usr\n/usr/lib/python3/dist-packages/six-1.16.0.egg-info\n/lib/x/package.json\n",
            ),
            file("usr/lib/python3/dist-packages/six-1.16.0.egg-info", six),
            file("usr/lib/x/package.json", A1),
            file("usr/lib/python3/dist-packages/pip.egg-info/PKG-INFO", pip),
        ]],
        &["deb libc6 2.36-9 @0", "deb zlib1g 1:1.2.13.dfsg-1+b1 @0", "pypi pip 23 @0"],
    );
    let go = make::go_program();
    check(
        &[&[file("lib/apk/db/installed", "P:app\nV:1\nF:usr/bin\nR:app\n\n"), Item::Program("usr/bin/app", &go)]],
        &["apk app 1 @0"],
    );
    let header = make::rpm_header("dig", None, &[("/opt/bind/", "package.json")]);
    for with_log in [false, true] {
        let (database, log) = make::rpm_database(std::slice::from_ref(&header), with_log);
        assert_eq!(log.is_some(), with_log);
        check(
            &[&[
                Item::File("var/lib/rpm/rpmdb.sqlite-wal", &log.unwrap_or_default()),
                Item::File("var/lib/rpm/rpmdb.sqlite", &database),
                file("opt/bind/package.json", A1),
            ]],
            &["rpm dig 1.2-3.el9 @0"],
        );
    }
    // What others package is not in the distribution's advisories, so what is in it counts by itself.
    let header = make::rpm_header_by("Somebody", "dig", None, &[("/opt/bind/", "package.json")]);
    let (database, _) = make::rpm_database(&[header], false);
    check(
        &[&[Item::File("var/lib/rpm/rpmdb.sqlite", &database), file("opt/bind/package.json", A1)]],
        &["rpm dig 1.2-3.el9 @0", "npm a 1.0.0 @0"],
    );
}

#[test]
fn hard_links_are_read_wherever_their_target_is() {
    let other = "app/other/node_modules/a/package.json";
    check(&[&[file(A, A1), Item::HardLink(other, A)]], &["npm a 1.0.0 @0"]);
    // The store of pnpm holds files under the names of their digests.
    check(&[&[file("store/ab/cdef", A1), Item::HardLink(A, "store/ab/cdef")]], &["npm a 1.0.0 @0"]);
    check(&[&[file("store/ab/cdef", A1), Item::HardLink(A, "/store/ab/cdef")], &[file("x", "")]], &["npm a 1.0.0 @0"]);
}

#[test]
fn a_path_that_comes_twice_is_what_it_was_last() {
    check(&[&[file(A, A1), file(A, A2)]], &["npm a 2.0.0 @0"]);
    check(&[&[file(A, A1), Item::Symlink(A, "x")]], &[]);
    let long = format!("{}/node_modules/a/package.json", "very-long-name/".repeat(12).trim_end_matches('/'));
    check(&[&[file(&long, A1)]], &["npm a 1.0.0 @0"]);
}

#[test]
fn places_and_layers_are_named() {
    let layers =
        [make::layer(&[file("etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n")]), make::layer(&[file(A, A1)])];
    let archive = make::docker_archive(&layers, &["/bin/sh -c #(nop) ADD file:0 in /", "COPY . /app # buildkit"]);
    let options = Options { dockerfile: Some("FROM debian\nCOPY . /app\n".to_owned()), ..Options::default() };
    for bytes in [archive.clone(), make::gzip(&archive), make::zstd(&archive)] {
        let inventory = read_archive(&bytes, &options).unwrap();
        assert_eq!(inventory.packages[0].locations[0].path, A);
        assert_eq!(inventory.os.as_ref().map(|os| os.id.as_str()), Some("debian"));
        let layers: Vec<_> = inventory.layers.iter().map(|layer| (layer.base, layer.dockerfile_line)).collect();
        assert_eq!(layers, [(true, None), (false, Some(2))]);
        assert!(inventory.image_id.is_some_and(|id| id.starts_with("sha256:")));
    }
}

#[test]
fn the_right_one_of_several_images_is_read() {
    let one = make::layer(&[file(A, A1)]);
    let archive = make::docker_archive(std::slice::from_ref(&one), &[]);
    let saved = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(saved.path(), archive).unwrap();
    let open = |name: Option<&str>| {
        read(Source::Archive { file: held(saved.path()), name: name.map(str::to_owned) }, &Options::default())
    };
    assert_eq!(open(Some("docker.io/shop/test:1")).unwrap().packages.len(), 1);
    let error = open(Some("shop/other")).unwrap_err();
    assert!(matches!(error, SourceError::NoSuchImage { .. }));
    assert!(error.to_string().ends_with("has no image shop/other; it holds shop/test:1"), "{error}");
    let missing = Source::at(Path::new("/does/not/exist.tar"), None);
    assert!(matches!(missing, Err(SourceError::NotFound { .. })));
}

#[test]
fn layers_are_kept_by_their_digest() {
    let cache = tempfile::tempdir().unwrap();
    let options = Options { cache: Some(cache.path().join("layers")), ..Options::default() };
    let layers = [
        make::layer(&[
            file("var/lib/dpkg/status", STATUS),
            file("var/lib/dpkg/info/a.list", "/app/node_modules/b/package.json\n"),
        ]),
        make::layer(&[file(A, A1), file("app/node_modules/b/package.json", A2)]),
        make::layer(&[file("app/node_modules/.wh.a", "")]),
    ];
    let archive = make::docker_archive(&layers, &[]);
    let first = read_archive(&archive, &options).unwrap();
    assert_eq!(std::fs::read_dir(cache.path().join("layers")).unwrap().count(), 3);
    assert_eq!(lines(&first), ["deb libc6 2.36-9 @0", "deb zlib1g 1:1.2.13.dfsg-1+b1 @0"]);
    assert_eq!(read_archive(&archive, &options).unwrap(), first);
    // That it is the cache that answers: an archive whose layers are gone.
    let emptied = make::docker_archive(&layers, &[]);
    let at = emptied.windows(8).position(|window| window == b"Package:").unwrap();
    let mut changed = emptied;
    changed[at] = b'X';
    assert_eq!(read_archive(&changed, &options).unwrap(), first);
    // A damaged file of the cache is as good as none.
    for kept in std::fs::read_dir(cache.path().join("layers")).unwrap() {
        std::fs::write(kept.unwrap().path(), b"pipe inventory 1 and then nonsense").unwrap();
    }
    assert_eq!(read_archive(&archive, &options).unwrap(), first);
}

#[test]
fn a_stream_without_layers_is_read_once() {
    let go = make::go_program();
    let tar = make::layer(&[
        file("etc/os-release", "ID=alpine\n"),
        file(A, A1),
        Item::HardLink("b/node_modules/a/package.json", A),
        Item::Program("usr/bin/server", &go),
    ]);
    let inventory = read(Source::Export(Box::new(std::io::Cursor::new(tar.clone()))), &Options::default()).unwrap();
    assert_eq!(inventory.packages.len(), 5);
    assert_eq!(inventory.packages[0].locations.len(), 2);
    assert!(inventory.layers.is_empty() && inventory.unread.is_empty());
    // The daemon goes midway.
    let cut = read(Source::Export(Box::new(std::io::Cursor::new(tar[..1500].to_vec()))), &Options::default()).unwrap();
    assert!(cut.unread[0].reason.contains("cut off"), "{:?}", cut.unread);
    let nothing = read(Source::Export(Box::new(std::io::empty())), &Options::default());
    assert!(matches!(nothing, Err(SourceError::NotAnImage { .. })));
    let other = make::layer(&[file("store/1", A1), Item::HardLink(A, "store/1")]);
    let inventory = read(Source::Export(Box::new(std::io::Cursor::new(other))), &Options::default()).unwrap();
    assert_eq!(inventory.unread[0].path, A);
}

#[test]
fn folders_of_overlay2_are_layers() {
    let folder = tempfile::tempdir().unwrap();
    let put = |path: &str, text: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    put("1/app/node_modules/a/package.json", A1);
    put("1/app/node_modules/b/package.json", r#"{"name":"b","version":"1"}"#);
    put("2/app/node_modules/a/package.json", A2);
    std::os::unix::fs::symlink("/etc/passwd", folder.path().join("2/app/link")).unwrap();
    std::os::unix::fs::symlink("..", folder.path().join("2/app/loop")).unwrap();
    let layer = |number: usize| Layer {
        diff_id: format!("sha256:{number}"),
        created_by: String::new(),
        dockerfile_line: None,
        base: false,
    };
    let mut image = OverlayImage {
        layers: vec![layer(0), layer(1)],
        folders: vec![folder.path().join("1"), folder.path().join("2")],
        ..OverlayImage::default()
    };
    let inventory = read(Source::Overlay(image.clone()), &Options::default()).unwrap();
    assert_eq!(lines(&inventory), ["npm a 2.0.0 @1", "npm b 1 @0"]);
    // Opaque as a rootless engine writes it, where the file system of this machine takes it.
    let app = folder.path().join("2/app");
    if rustix::fs::setxattr(&app, "user.overlay.opaque", b"y", rustix::fs::XattrFlags::empty()).is_ok() {
        let inventory = read(Source::Overlay(image.clone()), &Options::default()).unwrap();
        assert_eq!(lines(&inventory), ["npm a 2.0.0 @1"]);
    }
    image.folders[1] = folder.path().join("gone");
    assert!(matches!(read(Source::Overlay(image), &Options::default()), Err(SourceError::NotFound { .. })));
}
