//! What databases that are no OSV say in `database_specific`: `patched` and `unaffected` (RustSec, ruby-advisory-db), `vulnerable`
//! and `patched` (Node.js), `ranges` (FriendsOfPHP), each a requirement or a list of them.

use serde_json::Value;

use super::model::{Affected, Interval};
use super::{range, requirement};
use crate::version::Scheme;

/// What is patched and unaffected leaves what is affected; what is vulnerable is affected unless it is patched.
pub(super) fn read(scheme: Scheme, specific: &Value, affected: &mut Affected) {
    let Affected { release, intervals, fixed, .. } = affected;
    let bare = if release == "cargo" { "^" } else { "=" };
    let texts = |key: &str| -> Option<Vec<String>> {
        match specific.get(key)? {
            Value::String(text) => Some(vec![text.clone()]),
            Value::Array(list) => Some(list.iter().map(text_of).collect()),
            Value::Null => Some(Vec::new()),
            Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
        }
    };
    let sets = |texts: &[String]| -> Vec<Interval> {
        texts.iter().filter_map(|text| requirement::parse(scheme, text, bare)).flatten().collect()
    };
    let patched = texts("patched");
    let states_fixes = patched.is_some();
    let patched = sets(&patched.unwrap_or_default());
    fixed.extend(patched.iter().filter_map(|interval| interval.from.as_ref()).map(|bound| bound.version.clone()));
    let mut spared = patched;
    spared.extend(sets(&texts("unaffected").unwrap_or_default()));
    if let Some(vulnerable) = texts("vulnerable").or_else(|| texts("ranges")) {
        let vulnerable = sets(&vulnerable);
        for interval in range::intersection(scheme, vulnerable, range::complement(scheme, spared)) {
            let ends_with_fix = !states_fixes && interval.to.as_ref().is_some_and(|to| !to.inclusive);
            intervals.push(Interval { ends_with_fix, ..interval });
        }
    } else if states_fixes {
        // An interval may end where something unaffected begins, which is no fix.
        let rest = range::complement(scheme, spared).into_iter();
        intervals.extend(rest.map(|interval| Interval { ends_with_fix: false, ..interval }));
    }
}

/// A requirement, or several that hold together.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => String::new(),
    }
}
