//! Every reader of files that others write, with files that are a little or wholly wrong: an answer or an error, no panic.

use proptest::prelude::*;

use crate::{code, coverage, dockerfile, import, policy, probe, secret, terraform, vex};

/// Files that are right; each reader gets all of them, changed.
const FILES: [&str; 16] = [
    "resource \"aws_iam_policy\" \"é\" {\n  policy = jsonencode({ Statement = [{ Effect = \"Allow\", Action = \"*\", Resource = \"*\" }] })\n  # tfsec:ignore:x:exp:2026-01-01\n  b = \"${var.x == \"y\" ? \"{\" : 1}\"\n  dynamic \"ingress\" { content { cidr_blocks = [\"::/0\"] } }\n  d = <<-EOF\n x\n EOF\n}\nvariable \"db_password\" { default = \"a\" }\n",
    "gate:\n  fail-on: [high, cvss>=9, kev, epss>=0.5]\n  grace: {critical: 0d}\n  baseline: {image: x, mode: only-new}\n  ignore:\n    - {id: CVE-1, purl: \"pkg:deb/debian/a%2Bb@1:1?arch=x\", reason: é, expires: 2027-01-31, owner: a@b}\n  vex: [a/*.json]\n",
    r#"{"@context":"https://openvex.dev/ns/v0.2.0","timestamp":"2026-01-01T00:00:00Z","statements":[{"vulnerability":{"name":"CVE-2023-45853"},"products":[{"@id":"pkg:deb/debian/zlib1g@1%3A1","subcomponents":[{"@id":"pkg:npm/@a/b"}]}],"status":"not_affected","justification":"x"}]}"#,
    r#"{"bomFormat":"CycloneDX","components":[{"bom-ref":"z","purl":"pkg:deb/debian/zlib1g","components":[{}]}],"vulnerabilities":[{"id":"CVE-2023-45853","analysis":{"state":"resolved"},"affects":[{"ref":"urn:cdx:a/1#z"}]}]}"#,
    r#"{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"x","rules":[{"id":"a","properties":{"security-severity":"9.3"}}]}},"results":[{"ruleIndex":0,"message":{"text":"é"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"a%20%é"},"region":{"startLine":4}}}]}]}]}"#,
    r#"{"SchemaVersion":2,"Results":[{"Target":"x","Type":"debian","Vulnerabilities":[{"VulnerabilityID":"CVE-1","PkgName":"a","FixedVersion":"2, 3","PkgIdentifier":{"PURL":"pkg:deb/debian/a@1"},"CVSS":{"nvd":{"V3Vector":"CVSS:3.1/AV:N","V3Score":5.0}}}]}]}"#,
    r#"{"descriptor":{},"matches":[{"vulnerability":{"id":"GHSA-1","epss":[{"epss":0.1,"percentile":0.2}],"knownExploited":[{"dateAdded":"2026-01-01"}]},"artifact":{"name":"a","type":"npm"}}]}"#,
    r#"[{"ok":false,"packageManager":"npm","vulnerabilities":[{"id":"S","packageName":"a","version":"1","fixedIn":["2"]}]}]"#,
    r#"{"@version":"2","site":[{"alerts":[{"pluginid":"1","riskcode":"2","instances":[{"uri":"http://x/"}]}]}]}"#,
    "TN:\nSF:/w/a.rs\nDA:1,5\nBRDA:3,0,0,-\nend_of_record\n",
    r#"<?xml version="1.0"?><coverage><sources><source>/é</source></sources><class filename="a"><line number="2" hits="1" condition-coverage="50% (1/2)"/></class></coverage>"#,
    r#"<report><package name="p"><sourcefile name="A"><line nr="3" mi="0" ci="4" mb="1" cb="1"/></sourcefile></package></report>"#,
    r#"{"files":{"a.py":{"executed_lines":[1],"missing_lines":[5],"executed_branches":[[1,2]]}}}"#,
    "# escape=`\nARG V\nFROM é:$V AS a\nENV A=1 B=$A TOKEN=x\nCOPY --from=a x y /é\nRUN --mount=type=cache cd /x && curl 'é' | sh `\n  && apt-get install a\nRUN <<-EOF\n\tpip install x\nEOF\nEXPOSE 80-90/tcp\nUSER root\n",
    r##"{"openapi":"3.1.0","paths":{"/é/{id}":{"post":{"parameters":[{"name":"id","in":"path","schema":{"$ref":"#/x"}},{"name":"q","in":"query","required":true,"schema":{"type":"string","pattern":"^[a-z]{2}$"}}],"requestBody":{"content":{"application/json":{"schema":{"$ref":"#/x"}}}},"responses":{"2XX":{"content":{"application/json":{"schema":{"$ref":"#/x"}}}}}}}},"x":{"type":"object","required":["a"],"properties":{"a":{"type":"integer","minimum":3,"multipleOf":7},"b":{"$ref":"#/x"}}}}"##,
    "[extend]\nuseDefault = true\n[[rules]]\nid = 'é'\nregex = '''(?i)shop_[a-z]{4,9}'''\nkeywords = ['shop_']\n[allowlist]\nregexes = ['''^x''']\n\"password\": \"q8Zr2Lw9Xc4Vb7Nm1\"\npostgres://é:q8Zr2Lw9Xc@db ghp_ -----BEGIN PRIVATE KEY-----\n",
];

std::thread_local! {
    static CODE: code::Scanner = code::Scanner::default();
}

#[derive(Debug, Clone)]
enum Change {
    Cut(usize),
    Put(usize, u8),
    Insert(usize, String),
    Remove(usize, usize),
    Twice(usize, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let at = 0..600_usize;
    prop_oneof![
        at.clone().prop_map(Change::Cut),
        (at.clone(), any::<u8>()).prop_map(|(at, byte)| Change::Put(at, byte)),
        (at.clone(), "[\\PC\\x00\\n:\"'{}\\[\\]@%&#é-]{0,6}").prop_map(|(at, text)| Change::Insert(at, text)),
        (at.clone(), 1..40_usize).prop_map(|(at, length)| Change::Remove(at, length)),
        (at, 1..40_usize).prop_map(|(at, length)| Change::Twice(at, length)),
    ]
}

fn changed(file: &str, changes: &[Change]) -> Vec<u8> {
    let mut bytes = file.as_bytes().to_vec();
    for change in changes {
        let inside = |at: usize| at.min(bytes.len());
        match change {
            Change::Cut(at) => bytes.truncate(*at),
            Change::Put(at, byte) => {
                if let Some(place) = bytes.get_mut(*at) {
                    *place = *byte;
                }
            }
            Change::Insert(at, text) => {
                let at = inside(*at);
                bytes.splice(at..at, text.bytes());
            }
            Change::Remove(at, length) => {
                let range = inside(*at)..inside(at + length);
                bytes.drain(range);
            }
            Change::Twice(at, length) => {
                let (from, to) = (inside(*at), inside(at + length));
                let piece = bytes[from..to].to_vec();
                bytes.splice(from..from, piece);
            }
        }
    }
    bytes
}

/// A service that answers everything with the same.
fn visit(api: probe::Api, body: &[u8]) -> usize {
    let service = probe::Service { is_free: true, ..probe::Service::default() };
    let mut probe = probe::Probe::new(service, Some(api));
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    let answer = probe::Answer { status: 200, headers, body: body.to_vec(), is_cut: false };
    while let Some(question) = probe.ask() {
        probe.answered(&question, &answer);
    }
    probe.end().len()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn readers_answer(file in 0..FILES.len(), changes in proptest::collection::vec(change(), 0..6)) {
        let bytes = changed(FILES[file], &changes);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let inventory = policy::sample::inventory();
        let findings = [policy::sample::zlib(), policy::sample::secret()];
        let statements = vex::read("x.json", &bytes).unwrap_or_default();
        let known = secret::Known::read("k.json", &bytes).ok();
        let source = workflow::source::SourceFile::new("gate.yml", text.as_str());
        let policy = policy::read(&source).unwrap_or_else(|_| policy::Policy::built_in());
        let verdict = policy::decide(&policy::Input {
            policy: &policy,
            inventory: &inventory,
            findings: &findings,
            baseline: policy::BaselineState::NotAsked,
            statements: &statements,
            known: known.as_ref(),
            database: policy::Database::NotNeeded,
            doubts: &[],
            dockerfile: None,
            now: policy::sample::time(policy::sample::NOW),
        });
        prop_assert_eq!(verdict.judged.len(), findings.len());
        let _ = import::read("r.json", &bytes);
        let _ = coverage::Coverage::default().read(&bytes, "/w");
        let _ = probe::Api::read(&bytes).map(|api| visit(api, &bytes));
        let _ = dockerfile::check("Dockerfile", &text);
        let _ = CODE.with(|scanner| [scanner.check("a.py", &text), scanner.check("a.ts", &text)]);
        let _ = terraform::check(&[terraform::File { path: "a.tf", text: &text }], jiff::civil::date(2026, 11, 22));
    }
}

proptest! {
    // Rules are compiled for each case, which takes a while.
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn scanners_answer(file in 0..FILES.len(), changes in proptest::collection::vec(change(), 0..6)) {
        let bytes = changed(FILES[file], &changes);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let rules = secret::read_gitleaks(&text).unwrap_or_else(|_| secret::Rules::built_in());
        let scanner = secret::Scanner::new(rules);
        for file in FILES {
            let _ = scanner.scan("a.txt", changed(file, &changes).as_slice(), None, &mut secret::Work::default());
        }
    }
}
