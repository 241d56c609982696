//! Tests with tools of others: reports against the schemas of their standards, attestations against Python's cryptography.
//!
//! `scripts/validators.sh` installs the tools below the target folder, or where `PIPE_VALIDATORS` says; without them these
//! tests say that they are skipped.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::attest::{
    CYCLONEDX, Dependency, Descriptor, Envelope, Layout, PROVENANCE, Provenance, SPDX, SigningKey, Statement, attach,
};
use crate::report::{Format, Report, Terminal};

fn validators() -> PathBuf {
    let named = std::env::var_os("PIPE_VALIDATORS").map(PathBuf::from);
    // The tests' program is <target>/debug/deps/scanners-….
    let target = || std::env::current_exe().unwrap().ancestors().nth(3).unwrap().join("validators");
    named.unwrap_or_else(target)
}

/// Runs the script; what it says is what is wrong.
fn check(test: &str, mode: &str, folder: &Path) {
    let tools = validators();
    let python = tools.join("python/bin/python3");
    if !python.exists() {
        eprintln!("SKIPPED {test}: there are no validators; run scripts/validators.sh {}", tools.display());
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/others.py");
    let output = Command::new(python).arg(script).arg(mode).arg(folder).arg(&tools).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn reports_are_what_their_standards_say() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, report: &Report<'_>| {
        let forms = [
            (Format::Sarif, "sarif.json"),
            (Format::CycloneDx, "cyclonedx.json"),
            (Format::Spdx, "spdx.json"),
            (Format::JUnit, "xml"),
        ];
        for (format, end) in forms {
            std::fs::write(folder.path().join(format!("{name}.{end}")), report.write(format, Terminal::PLAIN)).unwrap();
        }
    };
    crate::report::tests::with(&[], |report| {
        write("gated", report);
        write("plain", &Report { verdict: None, ..*report });
        write(
            "empty",
            &Report {
                verdict: None,
                findings: &[],
                inventory: &crate::package::Inventory { target: "a folder".to_owned(), ..Default::default() },
                ..*report
            },
        );
    });
    crate::report::tests::with(&["no advisories \u{1} of Debian 99".to_owned()], |report| write("doubted", report));
    crate::report::tests::with_odd(|report| write("odd", report));
    check("reports_are_what_their_standards_say", "reports", folder.path());
}

#[test]
fn attestations_verify_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let digest = format!("sha256:{}", "ab".repeat(32));
    let key = SigningKey::generate().unwrap();
    key.write(&folder.path().join("key.pem")).unwrap();
    std::fs::write(folder.path().join("key.pub"), key.public().to_pem()).unwrap();
    std::fs::write(folder.path().join("digest"), &digest).unwrap();
    let provenance = Provenance {
        build_type: "https://pipe.example/workflow/v1".to_owned(),
        external: serde_json::Map::from_iter([("workflow".to_owned(), json!({ "path": "pipelines/shop.yml" }))]),
        internal: serde_json::Map::new(),
        dependencies: vec![Dependency {
            uri: "git+https://git.example/shop@refs/heads/main".to_owned(),
            digest: ("gitCommit".to_owned(), "0".repeat(40)),
        }],
        builder: "https://pipe.example".to_owned(),
        builder_version: "0.1.0".to_owned(),
        invocation: "https://pipe.example/runs/1/attempts/1".to_owned(),
        started: Some(crate::policy::sample::time(crate::policy::sample::NOW)),
        finished: None,
    };
    let boms = crate::report::tests::with(&[], |report| {
        [(CYCLONEDX, Format::CycloneDx), (SPDX, Format::Spdx)]
            .map(|(kind, format)| (kind, serde_json::from_str(&report.write(format, Terminal::PLAIN)).unwrap()))
    });
    let all = boms.into_iter().chain([(PROVENANCE, provenance.to_json())]);
    let sign = |(kind, predicate)| {
        Envelope::sign(&Statement::about_image("registry.example/shop/orders", &digest, kind, predicate), &key).unwrap()
    };
    let envelopes: Vec<Envelope> = all.map(sign).collect();
    let image = Descriptor {
        media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
        digest: digest.clone(),
        size: 1234,
        artifact_type: None,
        annotations: serde_json::Map::new(),
    };
    let mut layout = Layout::open(&folder.path().join("layout")).unwrap();
    attach(&mut layout, &image, &envelopes, &key.public()).unwrap();
    check("attestations_verify_elsewhere", "attestations", folder.path());
}
