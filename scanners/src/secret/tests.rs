//! Files with secrets and with what looks like some. The tokens are put together here, so that no scanner finds them in
//! this repository.

use super::*;

fn found(scanner: &Scanner, path: &str, text: &[u8]) -> Vec<String> {
    let findings = scanner.scan(path, text, None, &mut Work::default()).unwrap();
    let at = |finding: &crate::finding::Finding| {
        let place = finding.place().unwrap();
        format!("{} {}:{}", finding.id, place.line.unwrap_or(0), place.column.unwrap_or(0))
    };
    findings.iter().map(at).collect()
}

fn check(path: &str, text: &str, expect: &[&str]) {
    let scanner = Scanner::new(Rules::built_in());
    assert_eq!(found(&scanner, path, text.as_bytes()), expect, "{text}");
}

/// `ghp_` and 36 letters of some entropy.
fn token(prefix: &str, length: usize) -> String {
    let letters = "q8Zr2Lw9Xc4Vb7Nm1Ks6Jh3Gf5Dt0PyUaEoIiTzRwQp";
    format!("{prefix}{}", letters.chars().cycle().take(length).collect::<String>())
}

#[test]
fn formats_are_found_where_they_are() {
    let github = token("ghp_", 36);
    check("a.py", &format!("x = 1\ny = \"{github}\"\n"), &["github-token 2:6"]);
    check("a.py", &format!("x{github}"), &[]);
    check("a.py", &format!("{github}x"), &["github-token 1:1"]);
    check("a.py", &token("ghp_", 35), &[]);
    let aws = format!("AKIA{}", "Q3EGZ7XK2LMNBVCR");
    check("c", &format!("[default]\naws_access_key_id = {aws}\n"), &["aws-access-key-id 2:21"]);
    check("c", &format!("id = {}", "AKIAIOSFODNN7EXAMPLE"), &[]);
    let secret = token("", 40);
    check("c", &format!("aws_secret_access_key = {secret}\n"), &["aws-secret-access-key 1:25"]);
    check("c", &format!("SecretAccessKey: \"{secret}\"\n"), &["aws-secret-access-key 1:19"]);
    check("c", &token("xoxb-1234567890-", 24), &["slack-token 1:1"]);
    check(
        "c",
        &format!("https://hooks.slack.com/services/T{0}/B{0}/{1}", "0Q8W7E6R5", token("", 24)),
        &["slack-webhook 1:9"],
    );
    let key = format!("-----BEGIN {0}-----\n{1}\n{1}\n-----END {0}-----\n", "RSA PRIVATE KEY", token("MII", 61));
    check("id_rsa", &key, &["private-key 1:1"]);
    check("id_rsa", &format!("key: \"{}\"", key.replace('\n', "\\n")), &["private-key 1:7"]);
    check("id_rsa.pub", &key.replace("PRIVATE", "PUBLIC"), &[]);
    check("a", &format!("//registry/:_authToken={}", token("npm_", 36)), &["npm-token 1:24"]);
    check("a.txt", &format!("é {}", token("glpat-", 20)), &["gitlab-token 1:3"]);
}

#[test]
fn assignments_and_addresses() {
    let value = token("", 24);
    for (text, column) in [
        (format!("password = \"{value}\""), 13),
        (format!("\"db_password\": \"{value}\","), 17),
        (format!("API_KEY={value}\n"), 9),
        (format!("config['secret'] = '{value}'"), 21),
        (format!("client_secret_value := `{value}`"), 25),
        (format!("<secret => '{value}'"), 13),
    ] {
        check("a.rb", &text, &[&format!("generic-secret 1:{column}")]);
    }
    for text in [
        "password = \"changeme123456\"".to_owned(),
        "password = os.environ[\"X1\"]".to_owned(),
        format!("if password == \"{value}\""),
        "password: ${DB_PASSWORD1}".to_owned(),
        "secret = \"onlywordshere\"".to_owned(),
        "secret = get_secret(\"abc123def456\")".to_owned(),
        "secretKeyRef: \"aaaaaaaaaaaaaaaa1\"".to_owned(),
        format!("password = \"{value}\" # pipe:allow-secret"),
    ] {
        check("a.py", &text, &[]);
    }
    check("a", &format!("url: postgres://shop:{}@db.internal:5432/x", token("", 12)), &["password-in-address 1:22"]);
    for text in
        ["postgres://shop:${PASSWORD}@db", "http://host:8080/@x", "http://user:password@localhost/test", "x://:@h"]
    {
        check("a", text, if text.contains("localhost") { &["password-in-address 1:13"] } else { &[] });
    }
}

#[test]
fn files_are_let_pass_and_long_ones_are_read_in_blocks() {
    let github = token("ghp_", 36);
    check("web/package-lock.json", &github, &[]);
    let scanner = Scanner::new(Rules::built_in());
    assert!(found(&scanner, "a.bin", format!("\0{github}").as_bytes()).is_empty());
    // One in each of three blocks, and one across the border of two.
    let mut long = Vec::new();
    for _ in 0..3 {
        long.extend(format!("{github}\n").bytes());
        long.extend(vec![b'x'; 3_999_958]);
        long.push(b'\n');
    }
    let at = 4 * 1024 * 1024 - 10;
    long[at..at + 42].copy_from_slice(format!("\n{github}\n").as_bytes());
    assert_eq!(
        found(&scanner, "long.txt", &long),
        ["github-token 1:1", "github-token 3:1", "github-token 5:1", "github-token 7:1"]
    );
}

#[test]
fn secrets_are_hidden_and_told_apart() {
    let scanner = Scanner::new(Rules::built_in());
    let (one, other) = (token("ghp_", 36), token("ghp_A", 35));
    let text = format!("{one}\n{other}\n");
    let findings = scanner.scan("a", text.as_bytes(), None, &mut Work::default()).unwrap();
    let shown = serde_json::to_string(&findings).unwrap();
    assert!(!shown.contains(&one[4..12]) && shown.contains("ghp_…"), "{shown}");
    assert_ne!(findings[0].summary, findings[1].summary);
    let baseline = crate::policy::Baseline::of("x", &findings[..1]);
    assert!(baseline.has(&findings[0]) && !baseline.has(&findings[1]), "a second secret in a known file is new");
}

#[test]
fn rules_of_gitleaks() {
    let config = r#"
        title = "ours"
        [extend]
        useDefault = true
        disabledRules = ["jwt"]
        [[rules]]
        id = "shop-token"
        description = "a token of the shop"
        regex = '''\b(shop_[a-z0-9]{16})\b'''
        keywords = ["shop_"]
        entropy = 2.0
        [[rules.allowlists]]
        paths = ['''^docs/''']
        stopwords = ["demo"]
        condition = "OR"
        [[rules]]
        id = "keystore"
        path = '''\.jks$'''
        [[rules]]
        id = "far"
        regex = '''password.*?([a-z0-9]{12})'''
        secretGroup = 1
        keywords = ["nearby"]
        [allowlist]
        regexes = ['''^shop_allowed''']
    "#;
    let scanner = Scanner::new(read_gitleaks(config).unwrap());
    let token = "shop_a1b2c3d4e5f6g7h8";
    assert_eq!(found(&scanner, "a", format!("x {token} y {token}").as_bytes()), ["shop-token 1:3", "shop-token 1:27"]);
    assert!(found(&scanner, "docs/a", token.as_bytes()).is_empty());
    assert!(found(&scanner, "a", b"shop_demo0123456789a").is_empty());
    assert!(found(&scanner, "a", b"shop_allowed12345678").is_empty());
    assert_eq!(found(&scanner, "x/a.jks", b"\0"), ["keystore 0:0"]);
    assert_eq!(found(&scanner, "a", b"nearby\npassword is a1b2c3d4e5f6"), ["far 2:13"]);
    let refused = |text: &str| read_gitleaks(text).unwrap_err().to_string();
    assert_eq!(refused("[[rules]]\nid = 'x'"), "the rule `x`: it has neither `regex` nor `path`");
    assert!(refused("[[rules]]\nid = 'x'\nregex = '('").contains("unclosed group"));
    assert_eq!(
        refused("[[rules]]\nid = 'x'\nregex = 'a'\nsecretGroup = 1"),
        "the rule `x`: its expression has no group 1"
    );
    assert!(refused("rules = 1").contains("line 1"));
}

#[test]
fn known_secrets_are_told_and_fail_nothing() {
    use crate::policy::sample;
    let scanner = Scanner::new(Rules::built_in());
    let scan = |path: &str, text: String| scanner.scan(path, text.as_bytes(), None, &mut Work::default()).unwrap();
    let (old, new) = (token("ghp_", 36), token("xoxb-1234567890-", 24));
    let findings = scan("a.env", format!("A={old}\nB={new}\n"));
    assert_eq!(findings.len(), 2);
    let written = Known::write(&findings[..1]);
    assert!(!written.contains(&old[..8]) && written.contains("\"a.env\""), "{written}");
    let mut known = Known::read("known.json", written.as_bytes()).unwrap();
    known.is_whole = true;
    // Another line and the same secret in the same file is the same; another file, or another secret, is not.
    assert!(known.has(&scan("a.env", format!("\n\nC={old}\n"))[0]) && !known.has(&findings[1]));
    assert!(!known.has(&scan("b.env", format!("A={old}\n"))[0]));
    assert_eq!(known.gone(&findings), []);
    let gone = known.gone(&findings[1..]);
    assert!(gone.len() == 1 && gone[0].message.contains("github-token in a.env"), "{gone:?}");
    let policy = crate::policy::Policy::built_in();
    let inventory = sample::inventory();
    let verdict = crate::policy::decide(&crate::policy::Input {
        policy: &policy,
        inventory: &inventory,
        findings: &findings,
        baseline: crate::policy::BaselineState::NotAsked,
        statements: &[],
        known: Some(&known),
        database: crate::policy::Database::NotNeeded,
        doubts: &[],
        dockerfile: None,
        now: sample::time(sample::NOW),
    });
    let words: Vec<String> = verdict.judged.iter().map(|one| one.judgement.words()).collect();
    assert_eq!(words, ["it was known before (known.json)", "severity critical (fail-on: critical)"]);
    // gitleaks' report, with and without the secret in it.
    for secret in [old.as_str(), "REDACTED"] {
        let report =
            serde_json::json!([{ "RuleID": "github-pat", "File": "./a.env", "StartLine": 1, "Secret": secret }]);
        let known = Known::read("gitleaks.json", report.to_string().as_bytes()).unwrap();
        assert!(known.has(&findings[0]) && !known.has(&findings[1]), "{secret}");
        assert!(!serde_json::to_string(&known).unwrap().contains(&old[..8]));
    }
    for (text, expected) in [
        ("{", "EOF while parsing"),
        ("{}", "it has no `version: 1`"),
        ("3", "it is no list"),
        (r#"{"version": 1}"#, "`secrets` is no list"),
        (r#"{"version": 1, "secrets": [{"rule": "a", "file": "b"}]}"#, "entry 1 lacks what would name a secret"),
        (r#"[{"RuleID": "a"}]"#, "entry 1 lacks what would name a secret"),
    ] {
        let error = Known::read("k.json", text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(expected) && error.starts_with("k.json is no file of known secrets"), "{error}");
    }
}
