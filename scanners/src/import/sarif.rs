//! SARIF 2.1.0 of any tool: <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>.
//!
//! The severity is GitHub's `security-severity` where the rule has one, and else the level, as code scanning has it. A
//! result that its tool marks as suppressed and accepted is left out, as there.

use serde_json::Value as Json;

use super::{Problem, imported, line, list, place, severity, text};
use crate::finding::{Finding, Severity, Subject};

pub(super) fn read(root: &Json) -> Result<Vec<Finding>, Problem> {
    let version = text(root, "version").unwrap_or_default();
    if version != "2.1.0" {
        return Err(Problem::Form(format!("its version is `{version}`, and 2.1.0 is read")));
    }
    let mut findings = Vec::new();
    for run in list(root, "runs") {
        let driver = run.pointer("/tool/driver").unwrap_or(&Json::Null);
        let tool = text(driver, "name").unwrap_or("SARIF");
        let failed =
            list(run, "invocations").iter().find(|one| one.get("executionSuccessful") == Some(&Json::Bool(false)));
        if let Some(failed) = failed {
            let said = list(failed, "toolExecutionNotifications")
                .iter()
                .find_map(|one| one.pointer("/message/text")?.as_str());
            return Err(Problem::Failed(said.unwrap_or("executionSuccessful is false").to_owned()));
        }
        let is_open = |result: &&Json| {
            let is_accepted = |one: &Json| matches!(text(one, "status"), None | Some("accepted"));
            let kind = text(result, "kind").unwrap_or("fail");
            !list(result, "suppressions").iter().any(is_accepted) && matches!(kind, "fail" | "open" | "review")
        };
        let results = list(run, "results").iter().filter(is_open);
        findings.extend(results.map(|result| finding(run, driver, tool, result)));
    }
    Ok(findings)
}

fn finding(run: &Json, driver: &Json, tool: &str, result: &Json) -> Finding {
    let rule = rule(run, driver, result);
    let id = text(result, "ruleId").or_else(|| text(result.get("rule")?, "id")).or_else(|| text(rule, "id"));
    let said = result
        .pointer("/message/text")
        .and_then(Json::as_str)
        .or_else(|| rule.pointer("/shortDescription/text").and_then(Json::as_str));
    let id = id.unwrap_or("unnamed");
    let subject = subject(result);
    let mut finding = Finding::of_rule(imported(tool), id, said.unwrap_or(id).to_owned(), subject, rated(rule, result));
    finding.references.extend(text(rule, "helpUri").map(str::to_owned));
    finding
}

/// The rule of a result, by its index or id, in the driver or an extension.
fn rule<'a>(run: &'a Json, driver: &'a Json, result: &Json) -> &'a Json {
    let reference = result.get("rule").unwrap_or(&Json::Null);
    let component = match reference.pointer("/toolComponent/index").and_then(Json::as_u64) {
        Some(index) => run.pointer(&format!("/tool/extensions/{index}")).unwrap_or(driver),
        None => driver,
    };
    let index = result.get("ruleIndex").or_else(|| reference.get("index")).and_then(Json::as_u64);
    let by_index = index.and_then(|index| list(component, "rules").get(usize::try_from(index).ok()?));
    let id = text(result, "ruleId").or_else(|| text(reference, "id"));
    let extensions = run.pointer("/tool/extensions").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
    let all = || std::iter::once(driver).chain(extensions).flat_map(|component| list(component, "rules"));
    by_index.or_else(|| all().find(|rule| id.is_some() && text(rule, "id") == id)).unwrap_or(&Json::Null)
}

fn rated(rule: &Json, result: &Json) -> Severity {
    let score = |node: &Json| {
        let value = node.pointer("/properties/security-severity")?;
        value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())
    };
    if let Some(score) = score(result).or_else(|| score(rule)) {
        return if score > 0.0 { Severity::of_score(score) } else { Severity::Low };
    }
    let level = text(result, "level").or_else(|| rule.pointer("/defaultConfiguration/level")?.as_str());
    severity(level.unwrap_or("warning"))
}

fn subject(result: &Json) -> Subject {
    let Some(physical) = result.pointer("/locations/0/physicalLocation") else { return Subject::Whole };
    let Some(file) = physical.pointer("/artifactLocation/uri").and_then(Json::as_str) else { return Subject::Whole };
    let region = physical.get("region");
    let number = |key: &str| line(region.and_then(|region| region.get(key)));
    place(&decoded(file), number("startLine"), number("endLine"), number("startColumn"))
}

/// A path out of a URI.
fn decoded(uri: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = uri.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        match hex.filter(|_| *first == b'%').and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
