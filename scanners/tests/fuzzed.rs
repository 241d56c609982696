//! What cargo-fuzz calls without end (`fuzz/`), over files that lie in this repository: whole, cut at some places, with some bytes changed.

#![expect(clippy::unwrap_used, reason = "a test stops where its own files are not as they should be")]

#[path = "../fuzz/entries.rs"]
mod entries;

use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Files that readers of all kinds are for.
fn seeds() -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut paths: Vec<PathBuf> =
        ["pipelines/shop.yml", "pipelines/gate.yml", "Cargo.lock", "services/orders/Dockerfile", "clippy.toml"]
            .map(|name| root.join(name))
            .to_vec();
    for folder in
        ["services/advisories/npm", "services/advisories", "services/frontend", "services/orders", "pipelines/aws"]
    {
        let entries = std::fs::read_dir(root.join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
        paths.extend(entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()));
    }
    paths.sort();
    let mut seeds: Vec<_> = paths.iter().map(|path| std::fs::read(path).unwrap()).collect();
    let packed = std::fs::File::open(root.join("scanners/tests/cases/rpm/Packages.gz")).unwrap();
    let mut database = Vec::new();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut database).unwrap();
    seeds.push(database);
    seeds.push(Vec::new());
    seeds
}

/// A seed, and what it becomes: always the same, so that a failure comes again.
fn changed(seed: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let cut = [0, 1, 2, 3].map(|part| seed[..seed.len() * part / 4].to_vec());
    let put = [3_usize, 7, 13].map(|step| {
        let mut bytes = seed.to_vec();
        let step = (bytes.len() / step).max(1);
        bytes.iter_mut().step_by(step).for_each(|byte| *byte ^= 0x5b);
        bytes
    });
    cut.into_iter().chain(put).chain([seed.to_vec()])
}

#[test]
fn readers_answer_whatever_they_get() {
    let seeds = seeds();
    assert!(seeds.len() > 15, "the files are where they were");
    for bytes in seeds.iter().flat_map(|seed| changed(seed)) {
        entries::readers(&bytes);
        entries::image(&bytes);
        entries::advisories(&bytes);
    }
}

#[test]
fn secrets_are_looked_for_in_whatever_comes() {
    for seed in seeds() {
        entries::secrets(&seed);
    }
}

#[test]
fn lists_of_packages_are_read_whatever_is_in_them() {
    for bytes in seeds().iter().flat_map(|seed| changed(seed)) {
        for first in 0..entries::PATHS.len() {
            let input = [&[u8::try_from(first).expect("there are few paths")], &bytes[..]].concat();
            entries::packages(&input);
        }
    }
}
