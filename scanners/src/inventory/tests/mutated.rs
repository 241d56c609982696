//! Every parser against what was good once and has been changed, cut or repeated: it answers, and within bounds.
//!
//! A failure is printed with the input that made it; `PROPTEST_CASES` makes more of them.

use std::io::Read as _;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::make::{self, Item, STATUS, file};
use super::read_archive;
use crate::inventory::{Options, read_file};

/// A change at a place between 0 and 1 of what there is.
#[derive(Debug, Clone)]
enum Change {
    Flip(f64, u8),
    Cut(f64),
    Remove(f64, usize),
    Repeat(f64, usize),
    Number(f64, u64, usize),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let place = 0.0..1.0_f64;
    let edges = prop_oneof![Just(0), Just(u64::MAX), Just(0x7fff_ffff), Just(0xffff_ffff), any::<u64>()];
    let change = prop_oneof![
        4 => (place.clone(), 1..=255_u8).prop_map(|(at, bits)| Change::Flip(at, bits)),
        1 => place.clone().prop_map(Change::Cut),
        1 => (place.clone(), 1..64_usize).prop_map(|(at, length)| Change::Remove(at, length)),
        1 => (place.clone(), 1..64_usize).prop_map(|(at, length)| Change::Repeat(at, length)),
        2 => (place, edges, prop_oneof![Just(2_usize), Just(4), Just(8)]).prop_map(|(at, n, width)| Change::Number(at, n, width)),
    ];
    proptest::collection::vec(change, 1..6)
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    let place = |at: f64| (at * bytes.len() as f64) as usize;
    match *change {
        Change::Flip(at, bits) => {
            let at = place(at);
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= bits;
            }
        }
        Change::Cut(at) => bytes.truncate(place(at)),
        Change::Remove(at, length) => {
            let at = place(at);
            bytes.drain(at..(at + length).min(bytes.len()));
        }
        Change::Repeat(at, length) => {
            let at = place(at);
            let part = bytes[at..(at + length).min(bytes.len())].to_vec();
            bytes.splice(at..at, part);
        }
        Change::Number(at, number, width) => {
            let at = place(at);
            if let Some(field) = bytes.get_mut(at..at + width) {
                field.copy_from_slice(&number.to_le_bytes()[..width]);
            }
        }
    }
}

static SEEDS: LazyLock<Vec<(&str, bool, Vec<u8>)>> = LazyLock::new(seeds);

/// A database that Berkeley DB made.
fn berkeley() -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/rpm/Packages.gz");
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_end(&mut bytes).unwrap();
    bytes
}

fn seeds() -> Vec<(&'static str, bool, Vec<u8>)> {
    let text = |path, text: &str| (path, false, text.as_bytes().to_vec());
    let lock = |path, text: &str| (path, true, text.as_bytes().to_vec());
    let pom = b"groupId=a\nartifactId=b\nversion=1\n";
    let inner =
        make::zip(&[("META-INF/maven/a/b/pom.properties", pom), ("META-INF/MANIFEST.MF", b"Bundle-Version: 1\n x\n")]);
    let (database, _) = make::rpm_database(&[make::rpm_header("a", Some(1), &[("/usr/", "a")])], false);
    vec![
        text("var/lib/dpkg/status", STATUS),
        text("var/lib/dpkg/info/a.list", "/.\n/usr/bin/a\n"),
        text("var/lib/dpkg/status.d/a.md5sums", "d41d8cd98f00b204e9800998ecf8427e  usr/bin/a\n"),
        text("lib/apk/db/installed", "P:musl\nV:1\nA:x\nF:lib\nR:a\n\n"),
        text("etc/os-release", "ID=\"debian\"\nVERSION_ID='12'\n"),
        text("node_modules/a/package.json", r#"{"name":"a","version":"1","license":{"type":"MIT"},"x":[1,{}]}"#),
        text("a.dist-info/METADATA", "Name: a\nVersion: 1\nClassifier: License :: OSI :: MIT\n\nx"),
        text("specifications/a.gemspec", "# stub: a 1 ruby lib\n  s.name = \"a\".freeze\n  s.version = \"1\"\n"),
        text("vendor/composer/installed.json", r#"{"packages":[{"name":"a","version":"1","license":["MIT"]}]}"#),
        ("var/lib/rpm/rpmdb.sqlite", false, database),
        ("var/lib/rpm/Packages.db", false, make::ndb_database(&[make::rpm_header("a", None, &[])])),
        ("var/lib/rpm/Packages", false, berkeley()),
        ("bin/go", false, make::go_program()),
        ("bin/old-go", false, make::old_go_program()),
        ("bin/rust", false, make::rust_program()),
        ("a.egg", false, make::zip(&[("EGG-INFO/PKG-INFO", b"Name: a\nVersion: 1\n")])),
        ("a.war", false, make::zip(&[("WEB-INF/lib/b.jar", &inner), ("c.war", &inner)])),
        lock(
            "package-lock.json",
            r#"{"packages":{"node_modules/a":{"version":"1"}},"dependencies":{"a":{"version":"npm:b@1"}}}"#,
        ),
        lock("yarn.lock", "\"a@npm:^1\":\n  version: 1\n  resolution: \"a@npm:1\"\n\nb@^2:\n  version \"2\"\n"),
        lock(
            "pnpm-lock.yaml",
            "lockfileVersion: '9.0'\nimporters:\n  .:\n    dependencies:\n      a: {version: 1.0.0}\npackages:\n  a@1.0.0: {}\nsnapshots:\n  a@1.0.0: {}\n",
        ),
        lock("requirements.txt", "a[b]==1 ; x \\\n --hash=1\nb==2 # c\n"),
        lock("poetry.lock", "[[package]]\nname = \"a\"\nversion = \"1\"\ngroups = [\"main\"]\n"),
        lock(
            "uv.lock",
            "[[package]]\nname = \"a\"\nsource = { virtual = \".\" }\ndependencies = [{ name = \"b\" }]\n[[package]]\nname = \"b\"\nversion = \"2\"\n",
        ),
        lock("Pipfile.lock", r#"{"default":{"a":{"version":"==1"}}}"#),
        lock("Gemfile.lock", "GEM\n  specs:\n    a (1-x)\n"),
        lock("Cargo.lock", "[[package]]\nname = \"a\"\nversion = \"1\"\n"),
        lock("composer.lock", r#"{"packages":[{"name":"a/b","version":"1"}]}"#),
        lock("go.mod", "module a\nrequire (\n\tb v1 // x\n)\nreplace b v1 => c v2\n"),
    ]
}

proptest! {
    #[test]
    fn parsers_answer(number in 0..SEEDS.len(), changes in changes()) {
        let (path, is_repository, mut bytes) = SEEDS[number].clone();
        for change in &changes {
            apply(&mut bytes, change);
        }
        let said = read_file(path, bytes.clone(), is_repository).expect("its path is wanted");
        // Nothing is made up: there cannot be more packages than bytes.
        prop_assert!(said.packages.len() <= bytes.len());
    }

    #[test]
    fn archives_answer(changes in changes(), is_compressed in any::<bool>()) {
        let layers = [
            make::layer(&[file("var/lib/dpkg/status", STATUS), Item::HardLink("b/package.json", "c"), file("c", "{}")]),
            make::layer(&[Item::Program("bin/go", &make::go_program()), Item::Symlink("x", "y"), file(".wh.b", "")]),
        ];
        let layers = if is_compressed { layers.map(|layer| make::gzip(&layer)) } else { layers };
        let mut archive = make::docker_archive(&layers, &["RUN a", "COPY b c"]);
        for change in &changes {
            apply(&mut archive, change);
        }
        let _ = read_archive(&archive, &Options { dockerfile: Some("FROM a\nRUN a\n".to_owned()), ..Options::default() });
    }

    #[test]
    fn dockerfiles_answer(text in "(FROM|RUN|COPY|from|#|<<E|E|\\\\\n|\n| |a|AS|`|escape=){0,40}") {
        let instructions = crate::inventory::dockerfile::instructions(&text, None);
        prop_assert!(instructions.len() <= text.len());
    }
}
