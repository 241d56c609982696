//! Answers of the query protocol: members as elements, items of lists as `member`.

use serde_json::Value;

use crate::value::{iso, stamped};

/// The inside of an element.
pub(crate) fn write(value: &Value) -> String {
    if let Some(at) = stamped(value) {
        return iso(at);
    }
    match value {
        Value::Null => String::new(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => escape(text),
        Value::Array(items) => items.iter().map(|item| format!("<member>{}</member>", write(item))).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, value)| format!("<{name}>{}</{name}>", write(value))).collect()
        }
    }
}

/// Text that is no markup.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn members_become_elements() {
        let value =
            json!({ "Rules": [{ "Priority": "1", "IsDefault": false }], "Note": "a<b & c", "Created": { "$time": 0 } });
        let expected = "<Rules><member><Priority>1</Priority><IsDefault>false</IsDefault></member></Rules>\
            <Note>a&lt;b &amp; c</Note><Created>1970-01-01T00:00:00.000Z</Created>";
        assert_eq!(write(&value), expected);
    }
}
