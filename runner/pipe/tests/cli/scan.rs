//! `pipe scan`: sources and advisories in folders, what fails and what cannot be trusted.

use crate::world::World;

const ADVISORY: &str = r#"{"schema_version": "1.6.0", "id": "GHSA-p6mc-m468-83gw", "aliases": ["CVE-2020-8203"],
  "modified": "2024-01-01T00:00:00Z", "published": "2020-07-15T00:00:00Z", "summary": "Prototype pollution",
  "database_specific": {"severity": "CRITICAL"},
  "affected": [{"package": {"ecosystem": "npm", "name": "lodash"},
                "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "4.17.20"}]}]}]}"#;

fn lock(version: &str) -> String {
    format!(
        r#"{{"name": "shop", "version": "1.0.0", "lockfileVersion": 3,
            "packages": {{"": {{"name": "shop", "version": "1.0.0"}}, "node_modules/lodash": {{"version": "{version}"}}}}}}"#
    )
}

fn world() -> World {
    World::new(&[
        ("advisories/lodash.json", ADVISORY),
        ("old/package-lock.json", &lock("4.17.15")),
        ("new/package-lock.json", &lock("4.17.21")),
    ])
}

#[test]
fn the_gate_decides_the_exit_code() {
    let world = world();
    let run = |words: &[&str]| {
        let output = world.output(&[&["scan", "--db", "advisories"], words].concat(), "");
        let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        (output.status.code(), text)
    };
    let (code, text) = run(&["old"]);
    assert_eq!(code, Some(1), "{text}");
    for part in ["CVE-2020-8203", "4.17.15", "4.17.20", "package-lock.json", "fail: 1 of 1"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(run(&["new"]).0, Some(0));
    world.write("gate.yml", b"gate:\n  fail-on: critical\n  ignroe: []\n");
    let (code, text) = run(&["old", "--gate", "gate.yml"]);
    assert_eq!(code, Some(2));
    assert!(text.contains("gate.yml:3:3") && text.contains("did you mean `ignore`?"), "{text}");
    world.write(
        "gate.yml",
        b"gate:\n  fail-on: critical\n  ignore:\n    - {id: CVE-2020-8203, reason: never parsed, owner: ada, expires: 2999-01-01}\n",
    );
    assert_eq!(run(&["old", "--gate", "gate.yml"]).0, Some(0));
    let (code, text) = run(&["new", "--gate", "gate.yml"]);
    assert!(code == Some(0) && text.contains("gate.yml:4"), "an exception that is about nothing is said: {text}");
}

#[test]
fn what_is_not_known_is_no_pass() {
    let world = world();
    let code = |words: &[&str]| world.output(words, "").status.code();
    assert_eq!(code(&["scan", "new"]), Some(2), "no advisories");
    assert_eq!(code(&["scan", "new", "--db", "nowhere"]), Some(2));
    assert_eq!(code(&["scan", "new", "--scanners", "secrets"]), Some(0), "none are needed");
    assert_eq!(code(&["scan", "new", "--db", "advisories", "--format", "tabel"]), Some(2));
    world.write("advisories/broken.json", b"{");
    assert_eq!(code(&["scan", "new", "--db", "advisories"]), Some(2));
    let output = world.output(&["scan", "db", "status", "--db", "advisories"], "");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && told.contains("broken.json"), "{told}");
}

#[test]
fn reports_for_programs() {
    let world = world();
    let words = [
        "scan",
        "old",
        "--db",
        "advisories",
        "--json",
        "--report",
        "sarif=old.sarif",
        "--report",
        "cyclonedx=old.cdx.json",
    ];
    let output = world.output(&words, "");
    assert_eq!(output.status.code(), Some(1));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&json["outcome"], &json["exit-code"]), (&"fail".into(), &1.into()));
    let read = |name: &str| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(world.root().join(name)).unwrap()).unwrap()
    };
    assert_eq!(read("old.sarif")["version"], "2.1.0");
    assert_eq!(read("old.cdx.json")["vulnerabilities"][0]["id"], "CVE-2020-8203");
    // What stands is compared with from its report, and is no reason to stop.
    world.write("old.json", &output.stdout);
    world.write("gate.yml", b"gate:\n  fail-on: critical\n  baseline: {image: production, mode: only-new}\n");
    let scan = ["scan", "old", "--db", "advisories", "--gate", "gate.yml", "--baseline", "old.json"];
    assert_eq!(world.output(&scan, "").status.code(), Some(0));
    let status = world.output(&["scan", "db", "status", "--db", "advisories", "--json"], "");
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(status["advisories"], 1, "{status}");
}

#[test]
fn two_targets_are_compared() {
    let world = world();
    let output = world.output(&["scan", "diff", "old", "new", "--db", "advisories"], "");
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.starts_with("~ npm lodash 4.17.15 → 4.17.21\ngone: critical CVE-2020-8203"), "{text}");
    let output = world.output(&["scan", "diff", "new", "old", "--db", "advisories", "--json"], "");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((json["new"].as_array().unwrap().len(), json["gone"].as_array().unwrap().len()), (1, 0), "{json}");
}

/// Rules that somebody has tuned for gitleaks take the place of ours, and add ours where they say so.
#[test]
fn rules_of_gitleaks_are_read() {
    let world = World::new(&[("src/app.env", "TICKET=shop-0123456789abcdef\n")]);
    // Put together here, so that no scanner takes this file for one with a secret.
    let key = ["AKIA", "Z7VRHQ2MXKW4PLNT"].concat();
    world.write("src/aws.env", format!("AWS_ACCESS_KEY_ID={key}\n").as_bytes());
    let rule = "[[rules]]\nid = 'shop-ticket'\ndescription = 'A ticket of the shop'\nregex = 'shop-[0-9a-f]{16}'\nkeywords = ['shop-']\n";
    world.write("own.toml", rule.as_bytes());
    world.write("both.toml", format!("[extend]\nuseDefault = true\n{rule}").as_bytes());
    world.write("wrong.toml", b"[[rules]]\nid = 'a'\nregex = '('\n");
    let found = |more: &[&str]| {
        let words = [&["scan", "src", "--scanners", "secrets", "--json"], more].concat();
        let output = world.output(&words, "");
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let ids = json["findings"].as_array().into_iter().flatten().map(|one| one["id"].as_str().unwrap().to_owned());
        let mut ids: Vec<_> = ids.collect();
        ids.sort();
        (ids, String::from_utf8(output.stderr).unwrap())
    };
    let built_in = found(&[]).0;
    assert!(built_in.len() == 1 && built_in[0].contains("aws"), "{built_in:?}");
    assert_eq!(found(&["--secret-rules", "own.toml"]).0, ["shop-ticket"]);
    assert_eq!(found(&["--secret-rules", "both.toml"]).0, [&built_in[0], "shop-ticket"]);
    let (_, said) = found(&["--secret-rules", "wrong.toml"]);
    assert!(said.contains("cannot use the rules in `wrong.toml`: the rule `a`"), "{said}");
}

/// What was there before anybody looked is told and fails nothing; what is new fails, and what is gone is a warning.
#[test]
fn known_secrets_are_kept_without_themselves() {
    let token = |letter: char| ["ghp_", &format!("q8Zr2Lw9Xc4Vb7Nm1Ks6Jh3Gf5Dt0PyUaEo{letter}")].concat();
    let (old, new) = (token('I'), token('T'));
    let world = World::new(&[]);
    world.write("src/old.env", format!("A={old}\n").as_bytes());
    let run = |more: &[&str]| {
        let output = world.output(&[&["scan", "--scanners", "secrets"], more].concat(), "");
        let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        (output.status.code(), text)
    };
    assert_eq!(run(&[]).0, Some(1));
    let (code, text) = run(&["--write-secret-baseline", ".pipe/secrets.json"]);
    assert!(code == Some(0) && text.contains("one secret is known now"), "{text}");
    let kept = std::fs::read_to_string(world.root().join(".pipe/secrets.json")).unwrap();
    assert!(!kept.contains(&old[..8]) && kept.contains("src/old.env") && kept.contains("github-token"), "{kept}");
    let (code, text) = run(&[]);
    assert!(code == Some(0) && text.contains("it was known before (.pipe/secrets.json)"), "{text}");
    world.write("src/new.env", format!("A={new}\n").as_bytes());
    let (code, text) = run(&[]);
    assert!(code == Some(1) && text.contains("fail: 1 of 2 findings fails"), "{text}");
    // As gitleaks has it, with its own names of rules.
    let report = serde_json::json!([{ "RuleID": "github-pat", "File": "src/new.env", "StartLine": 1, "Secret": new }]);
    world.write("../gitleaks.json", report.to_string().as_bytes());
    let (code, text) = run(&["--secret-baseline", "../gitleaks.json"]);
    assert!(code == Some(1) && text.contains("it was known before (../gitleaks.json)"), "{text}");
    std::fs::remove_file(world.root().join("src/old.env")).unwrap();
    std::fs::remove_file(world.root().join("src/new.env")).unwrap();
    let (code, text) = run(&[]);
    assert!(code == Some(0) && text.contains("a known secret is gone (github-token in src/old.env)"), "{text}");
    world.write(".pipe/secrets.json", b"{}");
    let (code, text) = run(&[]);
    assert!(code == Some(2) && text.contains(".pipe/secrets.json is no file of known secrets"), "{text}");
}
