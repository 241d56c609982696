//! Where bytes of others come in: each reader as a function that must answer whatever it gets. `fuzz_targets` calls these without end,
//! `tests/fuzzed.rs` with files that lie in this repository.

use jiff::Timestamp;
use scanners::source::{Held, Source};
use scanners::{
    advisory, case, code, coverage, dockerfile, import, inventory, policy, probe, secret, terraform, vex, workflows,
};
use workflow::catalogue::Catalogue;
use workflow::source::SourceFile;

/// Paths by which files are recognised; the first byte of an input chooses.
pub(crate) const PATHS: [&str; 27] = [
    "etc/os-release",
    "var/lib/dpkg/status",
    "var/lib/dpkg/info/a.list",
    "var/lib/dpkg/info/a.md5sums",
    "lib/apk/db/installed",
    "var/lib/rpm/rpmdb.sqlite",
    "var/lib/rpm/Packages.db",
    "var/lib/rpm/Packages",
    "node_modules/a/package.json",
    "a.dist-info/METADATA",
    "a.egg",
    "specifications/a.gemspec",
    "vendor/composer/installed.json",
    "bin/program",
    "a.jar",
    "package-lock.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "requirements.txt",
    "poetry.lock",
    "uv.lock",
    "Pipfile.lock",
    "Gemfile.lock",
    "Cargo.lock",
    "composer.lock",
    "go.mod",
    "pdm.lock",
];

std::thread_local! {
    // Their expressions take longer to make than most inputs to read.
    static CODE: code::Scanner = code::Scanner::default();
    static SECRETS: secret::Scanner = secret::Scanner::new(secret::Rules::built_in());
}

/// Files of repositories and reports of other tools.
pub(crate) fn readers(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let _ = policy::read(&SourceFile::new("gate.yml", text.as_str()));
    let _ = vex::read("x.json", bytes);
    let _ = import::read("r.json", bytes);
    let _ = coverage::Coverage::default().read(bytes, "/w");
    let _ = dockerfile::check("Dockerfile", &text);
    let _ = workflows::check(".github/workflows/a.yml", &text, &Catalogue::default());
    let _ = terraform::check(&[terraform::File { path: "a.tf", text: &text }], jiff::civil::date(2026, 11, 22));
    let _ = CODE.with(|scanner| ["a.py", "a.ts"].map(|path| scanner.check(path, &text)));
    let _ = probe::Api::read(bytes);
    let _ = secret::Known::read("k.json", bytes);
    let _ = case::Case::unpack(bytes);
}

/// Secrets in any file, by our rules; and rules of others.
pub(crate) fn secrets(bytes: &[u8]) {
    let _ = secret::read_gitleaks(&String::from_utf8_lossy(bytes));
    let _ = SECRETS.with(|scanner| scanner.scan("a.txt", bytes, None, &mut secret::Work::default()));
}

/// Lists and databases of packages, archives and programs.
pub(crate) fn packages(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    let path = PATHS[usize::from(*first) % PATHS.len()];
    for is_repository in [false, true] {
        let _ = inventory::read_file(path, rest.to_vec(), is_repository);
    }
}

/// A folder in memory where there is one: an index is brought to the disk, which would take longer than all else.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("there is room for a folder")
}

/// Archives of images, with layers in any packing.
///
/// # Panics
/// There is no room for a temporary file.
pub(crate) fn image(bytes: &[u8]) {
    let folder = folder();
    let path = folder.path().join("image.tar");
    std::fs::write(&path, bytes).expect("there is room for the input");
    let Ok(file) = Held::at(&path) else { return };
    let _ = inventory::read(Source::Archive { file, name: None }, &inventory::Options::default());
}

/// Documents of advisories, and an index.
///
/// # Panics
/// There is no room for a temporary file.
pub(crate) fn advisories(bytes: &[u8]) {
    let folder = folder();
    std::fs::write(folder.path().join("a.json"), bytes).expect("there is room for the input");
    let _ = advisory::Database::at(folder.path()).build(Timestamp::UNIX_EPOCH);
    let index = folder.path().join("other.index");
    std::fs::write(&index, bytes).expect("there is room for the input");
    let _ = advisory::Index::open(&index);
}
