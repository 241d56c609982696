//! ZAP's traditional JSON report. <https://www.zaproxy.org/docs/desktop/addons/report-generation/report-traditional-json/>

use serde_json::Value as Json;

use super::{Problem, imported, list, text};
use crate::finding::{Finding, Place, Severity, Subject};

pub(super) fn read(root: &Json) -> Result<Vec<Finding>, Problem> {
    let site = root.get("site").unwrap_or(&Json::Null);
    let sites = site.as_array().map_or(std::slice::from_ref(site), Vec::as_slice);
    Ok(sites.iter().flat_map(|site| list(site, "alerts")).map(finding).collect())
}

fn finding(alert: &Json) -> Finding {
    let rated = match text(alert, "riskcode") {
        Some("3") => Severity::High,
        Some("2") => Severity::Medium,
        Some("0" | "1") => Severity::Low,
        Some(_) | None => Severity::Unknown,
    };
    let id = format!("zap-{}", text(alert, "pluginid").unwrap_or("unnamed"));
    let uris: Vec<&str> = list(alert, "instances").iter().filter_map(|one| text(one, "uri")).collect();
    let subject = match uris.first() {
        Some(uri) => {
            Subject::Place(Place { file: (*uri).to_owned(), line: None, end_line: None, column: None, layer: None })
        }
        None => Subject::Whole,
    };
    let name = text(alert, "alert").or_else(|| text(alert, "name")).unwrap_or(&id);
    let summary = if uris.len() > 1 { format!("{name} (at {} addresses)", uris.len()) } else { name.to_owned() };
    Finding::of_rule(imported("zap"), &id, summary, subject, rated)
}
