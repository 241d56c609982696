//! `pipe scan diff`: which packages came, went and changed between two targets, and which findings.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;

use scanners::finding::Finding;
use scanners::package::{Ecosystem, Inventory};
use scanners::policy::Baseline;
use serde::Serialize;

use super::perform;
use crate::args::{Global, ScanDiffArgs};
use crate::exit::{Exit, Failure};
use crate::terminal::{self, Terminal};

/// What two targets differ in.
#[derive(Debug, Serialize)]
struct Difference<'a> {
    packages: Vec<Changed>,
    new: Vec<&'a Finding>,
    gone: Vec<&'a Finding>,
}

/// A package, with its versions here and there; it may be installed in several.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Changed {
    ecosystem: Ecosystem,
    name: String,
    old: Vec<String>,
    new: Vec<String>,
}

pub(super) fn run(args: &ScanDiffArgs, global: &Global) -> Result<Exit, Failure> {
    let old = perform(&args.old, &args.how, global)?;
    let new = perform(&args.new, &args.how, global)?;
    let (before, after) = (Baseline::of("", &old.findings), Baseline::of("", &new.findings));
    let difference = Difference {
        packages: changed(&old.case.inventory, &new.case.inventory),
        new: new.findings.iter().filter(|finding| !before.has(finding)).collect(),
        gone: old.findings.iter().filter(|finding| !after.has(finding)).collect(),
    };
    let mut output = terminal::results();
    if args.json {
        writeln!(output, "{:#}", serde_json::json!(difference))?;
    } else {
        output.write_all(text(&difference).as_bytes())?;
    }
    output.flush()?;
    let stderr = Terminal::stderr(global.color);
    let doubts = old.verdict.doubts.iter().chain(&new.verdict.doubts).collect::<BTreeSet<_>>();
    for doubt in &doubts {
        terminal::warning(stderr, doubt);
    }
    Ok(if doubts.is_empty() { Exit::Success } else { Exit::Usage })
}

fn changed(old: &Inventory, new: &Inventory) -> Vec<Changed> {
    let versions = |inventory: &Inventory| {
        let mut all: BTreeMap<(Ecosystem, String), BTreeSet<String>> = BTreeMap::new();
        for package in &inventory.packages {
            all.entry((package.ecosystem, package.name.clone())).or_default().insert(package.version.clone());
        }
        all
    };
    let (old, new) = (versions(old), versions(new));
    let names: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let of = |all: &BTreeMap<_, BTreeSet<String>>, key| -> Vec<String> {
        all.get(key).into_iter().flatten().cloned().collect()
    };
    names
        .into_iter()
        .filter(|key| old.get(key) != new.get(key))
        .map(|key| Changed { ecosystem: key.0, name: key.1.clone(), old: of(&old, key), new: of(&new, key) })
        .collect()
}

fn text(difference: &Difference<'_>) -> String {
    let Difference { packages, new, gone } = difference;
    if packages.is_empty() && new.is_empty() && gone.is_empty() {
        return "no difference\n".to_owned();
    }
    let mut text = String::new();
    for package in packages {
        let Changed { ecosystem, name, old, new } = package;
        let line = match (old.is_empty(), new.is_empty()) {
            (true, _) => format!("+ {ecosystem} {name} {}", new.join(", ")),
            (_, true) => format!("- {ecosystem} {name} {}", old.join(", ")),
            (false, false) => format!("~ {ecosystem} {name} {} → {}", old.join(", "), new.join(", ")),
        };
        text.push_str(&line);
        text.push('\n');
    }
    for (word, findings) in [("new", new), ("gone", gone)] {
        for finding in findings {
            let subject = match (finding.package(), finding.place()) {
                (Some(package), _) => format!("{} {}", package.name, package.version),
                (None, Some(place)) => place.file.clone(),
                (None, None) => String::new(),
            };
            text.push_str(&format!(
                "{word}: {} {} {subject}: {}\n",
                finding.severity.as_str(),
                finding.id,
                finding.summary
            ));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use scanners::package::Package;

    use super::*;

    fn inventory(packages: &[(&str, &str)]) -> Inventory {
        let package = |(name, version): &(&str, &str)| Package {
            ecosystem: Ecosystem::Npm,
            name: (*name).to_owned(),
            version: (*version).to_owned(),
            architecture: String::new(),
            source: None,
            licences: Vec::new(),
            locations: Vec::new(),
        };
        Inventory { packages: packages.iter().map(package).collect(), ..Inventory::default() }
    }

    #[test]
    fn packages_come_go_and_change() {
        let old = inventory(&[("a", "1"), ("b", "1"), ("c", "1"), ("d", "1"), ("d", "2")]);
        let new = inventory(&[("b", "1"), ("c", "2"), ("d", "2"), ("e", "3")]);
        let difference = Difference { packages: changed(&old, &new), new: Vec::new(), gone: Vec::new() };
        assert_eq!(text(&difference), "- npm a 1\n~ npm c 1 → 2\n~ npm d 1, 2 → 2\n+ npm e 3\n");
        let same = Difference { packages: changed(&old, &old), new: Vec::new(), gone: Vec::new() };
        assert_eq!(text(&same), "no difference\n");
    }
}
