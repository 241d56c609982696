//! Reference comparisons of versions, read from `$PIPE_CONFORMANCE/versions` (default `../shared/conformance` beside the
//! project): each line is two versions with `<`, `=` or `>` between them, made by the ecosystem's own tool.
//!
//! It prints passed and failed for each file and every failure in full. A line where we mean to differ stands in `DIFFERENT`
//! with its reason, and fails when it passes.

use std::cmp::Ordering;
use std::fmt::Write as _;
use std::path::PathBuf;

use scanners::version::Scheme;

/// The files and how their versions are ordered.
const FILES: [(&str, Scheme); 19] = [
    ("alpine-versions-generated.txt", Scheme::Alpine),
    ("alpine-versions.txt", Scheme::Alpine),
    ("cran-versions-generated.txt", Scheme::Dotted),
    ("cran-versions.txt", Scheme::Dotted),
    ("debian-versions-generated.txt", Scheme::Debian),
    ("debian-versions.txt", Scheme::Debian),
    ("hackage-versions.txt", Scheme::Dotted),
    ("maven-versions-generated.txt", Scheme::Maven),
    ("maven-versions.txt", Scheme::Maven),
    ("nuget-versions.txt", Scheme::NuGet),
    ("packagist-versions-generated.txt", Scheme::Packagist),
    ("packagist-versions.txt", Scheme::Packagist),
    ("pub-versions.txt", Scheme::Pub),
    ("pypi-versions-generated.txt", Scheme::PyPi),
    ("pypi-versions.txt", Scheme::PyPi),
    ("redhat-versions.txt", Scheme::Rpm),
    ("rubygems-versions-generated.txt", Scheme::RubyGems),
    ("rubygems-versions.txt", Scheme::RubyGems),
    ("semver-versions.txt", Scheme::SemVer),
];

/// File, line as it stands there, why our answer is another one.
const DIFFERENT: [(&str, &str, &str); 0] = [];

#[test]
fn versions_are_ordered_as_by_the_tools_of_their_ecosystems() {
    let default = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/conformance"));
    let folder = std::env::var_os("PIPE_CONFORMANCE").map_or_else(default, PathBuf::from).join("versions");
    if !folder.is_dir() && std::env::var("PIPE_CONFORMANCE_OPTIONAL").is_ok_and(|value| value == "1") {
        eprintln!("conformance versions: SKIPPED, {} is not there", folder.display());
        return;
    }
    let mut failures = String::new();
    let mut total = 0;
    for (file, scheme) in FILES {
        let path = folder.join(file);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| {
            panic!(
                "{} cannot be read: {error}. Point PIPE_CONFORMANCE at the folder that holds versions/",
                path.display()
            )
        });
        let (mut passed, mut failed, mut different) = (0, 0, 0);
        for line in text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with("//") || line.starts_with("# ") {
                continue;
            }
            let problem = check(scheme, line);
            match (problem, DIFFERENT.iter().find(|(name, listed, _)| *name == file && *listed == line)) {
                (None, None) => passed += 1,
                (Some(_), Some(_)) => different += 1,
                (None, Some(_)) => {
                    failed += 1;
                    let _ = writeln!(failures, "{file}: {line}: listed as different, but it passes");
                }
                (Some(problem), None) => {
                    failed += 1;
                    let _ = writeln!(failures, "{file}: {line}: {problem}");
                }
            }
        }
        println!("versions {file}: {passed} passed, {failed} failed, {different} listed as different");
        assert!(passed > 0, "{file} holds no comparison");
        total += passed;
    }
    println!("versions: {total} passed in {} files", FILES.len());
    for (file, line, reason) in DIFFERENT {
        println!("different: {file}: {line}: {reason}");
    }
    assert!(failures.is_empty(), "\n{failures}");
}

/// What is wrong with our answer to one line.
fn check(scheme: Scheme, line: &str) -> Option<String> {
    let words: Vec<_> = line.split_whitespace().collect();
    let [left, sign, right] = words[..] else { return Some("not two versions with a sign between them".to_owned()) };
    let expected = match sign {
        "<" => Ordering::Less,
        "=" | "==" => Ordering::Equal,
        ">" => Ordering::Greater,
        _ => return Some(format!("{sign} is no sign")),
    };
    let actual = scheme.compare(left, right);
    if actual != expected {
        return Some(format!("we say {actual:?}"));
    }
    let back = scheme.compare(right, left);
    (back != expected.reverse()).then(|| format!("the other way round we say {back:?}"))
}
