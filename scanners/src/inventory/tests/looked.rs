//! Scanners of files on the inventory's walk: secrets in layers, and which folders of sources hold sources.

use jiff::civil::date;

use super::make::{self, Item, file};
use super::{held, lines};
use crate::files::{Ask, FileScanners, Looked};
use crate::inventory::{Options, read_with};
use crate::source::Source;

const A: &str = r#"{"name":"a","version":"1.0.0"}"#;

fn scanners() -> FileScanners {
    FileScanners::new(Ask { secrets: true, misconfigurations: true, code: true }, date(2026, 1, 1))
}

/// Put together here, so that no scanner takes this file for one with a secret.
fn key(end: &str) -> String {
    format!("AWS_ACCESS_KEY_ID={}{end}\n", ["AKIA", "Z7VRHQ2MXKW4PLN"].concat())
}

fn places(looked: &Looked) -> Vec<String> {
    let place = |finding: &crate::finding::Finding| {
        let place = finding.place().unwrap();
        let layer = place.layer.map(|layer| format!(" @{layer}")).unwrap_or_default();
        format!("{}{layer}", place.file)
    };
    looked.findings.iter().map(place).collect()
}

#[test]
fn secrets_of_all_layers_are_found_also_what_is_removed_above() {
    let (first, second) = (key("T"), key("Q"));
    let layers = [
        make::layer(&[
            file("root/.aws/credentials", &first),
            file("usr/share/doc/a/example.env", &first),
            file("app/node_modules/a/package.json", A),
            file("app/node_modules/a/test.env", &first),
            file("usr/bin/tool", "\u{7f}ELF\0\0AWS_ACCESS_KEY_ID="),
        ]),
        make::layer(&[file("root/.aws/.wh.credentials", ""), file("app/.env", &second)]),
        make::layer(&[file("app/.env", &second), file("app/more.env", &second)]),
    ];
    let saved = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(saved.path(), make::docker_archive(&layers, &[])).unwrap();
    let cache = tempfile::tempdir().unwrap();
    let options = Options { cache: Some(cache.path().to_owned()), ..Options::default() };
    let scan = |options: &Options, files| {
        read_with(Source::Archive { file: held(saved.path()), name: None }, options, files).unwrap()
    };
    let scanners = scanners();
    let expected = ["root/.aws/credentials @0", "app/.env @1", "app/more.env @2"];
    let (inventory, looked) = scan(&Options::default(), Some(&scanners));
    assert_eq!(
        (lines(&inventory), places(&looked)),
        (vec!["npm a 1.0.0 @0".to_owned()], expected.map(String::from).into())
    );
    assert!(looked.doubts.is_empty(), "{:?}", looked.doubts);
    // Kept: nothing, the inventory, both.
    assert_eq!(scan(&options, None).1, Looked::default());
    for _ in 0..2 {
        let (again, looked_again) = scan(&options, Some(&scanners));
        assert_eq!((again, looked_again), (inventory.clone(), looked.clone()));
    }
    assert!(!format!("{looked:?}").contains(first.trim()), "findings hold no secrets");
}

#[test]
fn compressed_layers_and_streams_are_looked_at_too() {
    let layer = make::layer(&[file("srv/.env", &key("T")), file("srv/node_modules/a/package.json", A)]);
    let folder = tempfile::tempdir().unwrap();
    make::oci_layout(folder.path(), std::slice::from_ref(&layer));
    let scanners = scanners();
    for (source, expected) in [
        (Source::OciLayout { folder: held(folder.path()), name: None }, "srv/.env @0"),
        (Source::Export(Box::new(std::io::Cursor::new(layer))), "srv/.env"),
    ] {
        let (inventory, looked) = read_with(source, &Options::default(), Some(&scanners)).unwrap();
        assert_eq!((inventory.packages.len(), places(&looked)), (1, vec![expected.to_owned()]));
    }
}

#[test]
fn folders_are_left_out_where_a_tool_made_them() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let put = |path: &str, text: &str| {
        std::fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
        std::fs::write(root.join(path), text).unwrap();
    };
    put("src/target/local.env", &key("T"));
    put("a/target/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n");
    for made in ["a/target/debug/b.env", "node_modules/a/b.env", ".git/c.env", ".venv/d.env"] {
        put(made, &key("Q"));
    }
    std::os::unix::fs::symlink(root.join("node_modules"), root.join("link")).unwrap();
    put("web.Dockerfile", "FROM debian:latest\n");
    put("infra/main.tf", "resource \"aws_s3_bucket\" \"a\" {\n  acl = \"public-read\"\n}\n");
    put("app/run.py", "import os\nos.system('ls ' + name)\n");
    let (_, looked) = read_with(Source::Repository(held(root)), &Options::default(), Some(&scanners())).unwrap();
    let mut places = places(&looked);
    places.dedup();
    assert_eq!(places, ["app/run.py", "infra/main.tf", "src/target/local.env", "web.Dockerfile"]);
}

#[test]
fn layers_that_are_cut_off_are_unread() {
    let mut layer = make::layer(&[file("srv/.env", &key("T")), file("srv/b.env", &key("Q").repeat(100))]);
    layer.truncate(1600);
    let items: [Item<'_>; 0] = [];
    let saved = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(saved.path(), make::docker_archive(&[layer, make::layer(&items)], &[])).unwrap();
    let cache = tempfile::tempdir().unwrap();
    let options = Options { cache: Some(cache.path().to_owned()), ..Options::default() };
    for _ in 0..2 {
        let source = Source::Archive { file: held(saved.path()), name: None };
        let (inventory, looked) = read_with(source, &options, Some(&scanners())).unwrap();
        assert_eq!((inventory.unread.len(), places(&looked)), (1, vec!["srv/.env @0".to_owned()]));
    }
}
