//! Modules of crates that are built in layers use each other in one direction: there is no circle between their files.
//!
//! Modules are those of a crate's root, each with all that is below it. Tests may use what they like.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use walkdir::WalkDir;

/// Folders with sources.
const LAYERED: [&str; 2] = ["pipelines/proxy/src", "pipelines/rollout/src"];
/// Fewer would mean that they were not found.
const MODULES_MIN: usize = 8;

type Uses = BTreeMap<String, BTreeSet<String>>;

fn uses(folder: &Path) -> Uses {
    let mut uses = Uses::new();
    for entry in WalkDir::new(folder).into_iter().map(|entry| entry.expect("the sources can be read")) {
        let path = entry.path().strip_prefix(folder).expect("it is below the folder").with_extension("");
        let names: Vec<_> = path.iter().filter_map(|part| part.to_str()).collect();
        let is_source = entry.path().extension().is_some_and(|extension| extension == "rs");
        let Some(module) = names.first().filter(|_| is_source && !names.contains(&"tests")) else { continue };
        if matches!(*module, "lib" | "simulated") {
            continue;
        }
        let text = std::fs::read_to_string(entry.path()).expect("a source can be read");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        let named = lines.flat_map(|line| line.split("crate::").skip(1).flat_map(modules).collect::<Vec<_>>());
        uses.entry((*module).to_owned()).or_default().extend(named.filter(|name| name != module));
    }
    let all: BTreeSet<String> = uses.keys().cloned().collect();
    for named in uses.values_mut() {
        named.retain(|name| all.contains(name));
    }
    uses
}

/// What stands behind `crate::`: one name, or several in braces.
fn modules(rest: &str) -> Vec<String> {
    let name = |text: &str| {
        text.trim().split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or("").to_owned()
    };
    match rest.strip_prefix('{') {
        Some(several) => several.split(',').map(name).collect(),
        None => vec![name(rest)],
    }
}

/// What is left when all modules were taken away that use none of the rest: circles, and what uses them.
fn circles(mut uses: Uses) -> Uses {
    loop {
        let done: Vec<String> =
            uses.iter().filter(|(_, named)| named.is_empty()).map(|(name, _)| name.clone()).collect();
        if done.is_empty() {
            return uses;
        }
        for name in done {
            uses.remove(&name);
            uses.values_mut().for_each(|named| {
                named.remove(&name);
            });
        }
    }
}

#[test]
fn layers_have_no_circle() {
    for folder in LAYERED {
        let uses = uses(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder));
        assert!(uses.len() >= MODULES_MIN, "{folder}: {} modules", uses.len());
        let left = circles(uses);
        assert!(left.is_empty(), "{folder}: modules use each other in a circle: {left:#?}");
    }
}

#[test]
fn a_circle_is_found() {
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    let uses = Uses::from([
        ("a".to_owned(), set(&["b"])),
        ("b".to_owned(), set(&["c", "d"])),
        ("c".to_owned(), set(&["b"])),
        ("d".to_owned(), set(&[])),
    ]);
    assert_eq!(circles(uses).into_keys().collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(modules("{a, b::C};"), ["a", "b"]);
    assert_eq!(modules("way::Way;"), ["way"]);
}
