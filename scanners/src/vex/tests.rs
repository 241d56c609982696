//! Statements of both formats against findings: which count, which nearly do, which files are refused.

use super::*;
use crate::policy::sample;

fn openvex(product: &str, status: &str) -> String {
    format!(
        r#"{{"@context":"https://openvex.dev/ns/v0.2.0","@id":"x","author":"a","timestamp":"2026-01-01T00:00:00Z","version":1,
        "statements":[{{"vulnerability":{{"name":"CVE-2023-45853"}},"products":[{product}],"status":"{status}",
        "justification":"vulnerable_code_not_present"}}]}}"#
    )
}

fn cyclonedx(reference: &str) -> String {
    format!(
        r#"{{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{{"type":"library","name":"zlib1g","bom-ref":"z",
        "purl":"pkg:deb/debian/zlib1g"}}],"vulnerabilities":[{{"id":"CVE-2023-45853","analysis":{{"state":"not_affected",
        "justification":"code_not_present"}},"affects":[{{"ref":"{reference}"}}]}}]}}"#
    )
}

fn check(text: &str, expect: &str) {
    let finding = sample::zlib();
    let digests = ["shop/orders@sha256:aa".to_owned()];
    let image = Image { target: "shop/orders:1.2", repository_digests: &digests, image_id: Some("sha256:bb") };
    let found = match read("vex.json", text.as_bytes()) {
        Ok(statements) => match statements[0].relevance(&finding, &image) {
            Relevance::Yes => statements[0].status.as_str().to_owned(),
            Relevance::Nearly(words) => words,
            Relevance::No => "no".to_owned(),
        },
        Err(error) => error.to_string(),
    };
    assert_eq!(found, expect, "{text}");
}

#[test]
fn which_statement_is_about_what() {
    let status = "not_affected";
    check(&openvex(r#"{"@id":"pkg:deb/debian/zlib1g"}"#, status), "not_affected");
    check(&openvex(r#""pkg:deb/debian/zlib1g?distro=debian-12.13""#, "fixed"), "fixed");
    check(&openvex(r#"{"@id":"x","identifiers":{"purl":"pkg:deb/debian/zlib1g"}}"#, "affected"), "affected");
    check(&openvex(r#"{"@id":"pkg:oci/orders"}"#, status), "not_affected");
    check(&openvex(r#"{"@id":"pkg:oci/orders@sha256%3Aaa?repository_url=x"}"#, status), "not_affected");
    check(&openvex(r#"{"@id":"pkg:oci/orders@sha256%3Acc"}"#, status), "no");
    check(&openvex(r#"{"@id":"shop/orders:1.2"}"#, status), "not_affected");
    check(&openvex(r#"{"@id":"pkg:oci/orders","subcomponents":[{"@id":"pkg:deb/debian/openssl"}]}"#, status), "no");
    check(
        &openvex(r#"{"@id":"pkg:oci/orders","subcomponents":[{"@id":"pkg:deb/debian/zlib1g"}]}"#, status),
        "not_affected",
    );
    check(
        &openvex(r#"{"@id":"pkg:deb/debian/zlib1g?distro=debian-11"}"#, status),
        "it names distro `debian-11`, and zlib1g has `debian-12`",
    );
    check(&openvex(r#"{"@id":"pkg:npm/zlib1g"}"#, status), "no");
    check(&cyclonedx("z"), "not_affected");
    check(&cyclonedx("pkg:deb/debian/zlib1g@1:1.2.13.dfsg-1"), "not_affected");
    check(&cyclonedx("urn:cdx:3e671687-395b-41f5-a30f-a58921a69b79/1#pkg:deb/debian/zlib1g"), "not_affected");
    check(&cyclonedx("other"), "no");
}

#[test]
fn which_files_are_refused() {
    check("{}", "vex.json: it is neither OpenVEX nor CycloneDX; `@context` or `bomFormat` tells them");
    check("{\n  x", "vex.json:2:3: it is no JSON: key must be a string at line 2 column 3");
    check(
        &openvex("", "not_affected").replace("justification", "other"),
        "vex.json: statement 1: not_affected needs a justification or an impact_statement",
    );
    check(&openvex("", "harmless"), "vex.json: statement 1: its status `harmless` is none of OpenVEX");
    check(
        &cyclonedx("z").replace("not_affected", "fine"),
        "vex.json: statement 1: its state `fine` is none of CycloneDX",
    );
}
