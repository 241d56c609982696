//! Alpine's security database: for each package of a branch the versions that mend something
//! (<https://secdb.alpinelinux.org>).

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::io::Read;

use serde::Deserialize;
use serde_json::Value;

use super::json::ReadError;
use super::model::{Advisory, Affected, Interval};
use crate::version::Scheme;

#[derive(Deserialize)]
struct Document {
    /// `v3.19`
    distroversion: String,
    packages: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    pkg: Package,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    /// Some packages of old branches have a list or nothing there.
    #[serde(default)]
    secfixes: Value,
}

/// Hands over one advisory for each package and vulnerability.
///
/// # Errors
/// When it is not such a document or ends early.
pub(crate) fn read(reader: impl Read, mut take: impl FnMut(Advisory) -> std::io::Result<()>) -> Result<(), ReadError> {
    let document: Document = serde_json::from_reader(std::io::BufReader::new(reader))?;
    let release = format!("alpine:{}", document.distroversion.trim_start_matches('v'));
    for Entry { pkg } in document.packages {
        // A vulnerability that stands at several versions was not mended by the first of them.
        let mut last: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        let mut never: Vec<String> = Vec::new();
        for (version, names) in pkg.secfixes.as_object().into_iter().flatten() {
            let lines = names.as_array().into_iter().flatten().filter_map(Value::as_str);
            for names in lines.map(names_of).filter(|names| !names.is_empty()) {
                // Version 0 is how they say that the package never was affected.
                if version == "0" {
                    never.extend(names);
                    continue;
                }
                for name in names {
                    last.entry(name).or_default().push(version);
                }
            }
        }
        for (id, versions) in last {
            let fixed = versions.into_iter().reduce(|best, version| {
                if Scheme::Alpine.compare(best, version) == Ordering::Less { version } else { best }
            });
            let Some(fixed) = fixed.filter(|_| !never.contains(&id)) else { continue };
            take(Advisory {
                references: vec![format!("https://security.alpinelinux.org/vuln/{id}")],
                id,
                affected: vec![Affected {
                    release: release.clone(),
                    name: pkg.name.clone(),
                    intervals: vec![Interval::before_fix(fixed)],
                    ..Affected::default()
                }],
                ..Advisory::default()
            })?;
        }
    }
    Ok(())
}

/// A line names one vulnerability, sometimes by several names and with remarks: `CVE-2019-1 GHSA-x`, `CVE-2017-2 (+ fix)`.
fn names_of(line: &str) -> Vec<String> {
    line.split([' ', ',', '(', ')'])
        .filter(|word| word.contains('-') && word.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic()))
        .filter(|word| word.bytes().any(|byte| byte.is_ascii_digit()))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_fix_counts_and_zero_is_never() {
        let text = r#"{"distroversion": "v3.19", "reponame": "main", "packages": [
            {"pkg": {"name": "curl", "secfixes": {
                "7.0-r0": ["CVE-2020-1 GHSA-abcd-efgh-1jkm", "CVE-2020-2"],
                "7.0-r2": ["CVE-2020-2 (+ regression fix)"],
                "0": ["CVE-2020-3"]
            }}},
            {"pkg": {"name": "odd", "secfixes": []}}
        ]}"#;
        let mut found = Vec::new();
        read(text.as_bytes(), |advisory| {
            let to = advisory.affected[0].intervals[0].to.clone();
            found.push((advisory.id, to.map(|bound| bound.version).unwrap_or_default()));
            Ok(())
        })
        .expect("it is a document");
        let expected = [("CVE-2020-1", "7.0-r0"), ("CVE-2020-2", "7.0-r2"), ("GHSA-abcd-efgh-1jkm", "7.0-r0")];
        assert_eq!(found, expected.map(|(id, version)| (id.to_owned(), version.to_owned())));
    }
}
