//! Values of inputs, out of their text.

use std::collections::BTreeMap;

use proxy::table::Affinity;

/// `NAME=value`, one a line; empty lines and those that begin with `#` are left out.
pub(in crate::action) fn variables(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut all = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_end_matches('\r');
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        let name = line.split_once('=').map(|(name, value)| (name.trim(), value)).filter(|(name, _)| !name.is_empty());
        // The line itself may be a part of a secret.
        let (name, value) = name.ok_or_else(|| format!("line {} is not NAME=value", index + 1))?;
        all.insert(name.to_owned(), value.to_owned());
    }
    Ok(all)
}

/// `none`, `cookie:NAME` or `header:NAME`.
pub(in crate::action) fn affinity(text: &str) -> Option<Affinity> {
    match text.split_once(':') {
        None if matches!(text, "none" | "") => Some(Affinity::None),
        Some(("cookie", name)) if !name.is_empty() => Some(Affinity::Cookie(name.to_owned())),
        Some(("header", name)) if !name.is_empty() => Some(Affinity::Header(name.to_owned())),
        Some(_) | None => None,
    }
}

/// `256m`, `1g`.
pub(in crate::action) fn bytes(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let digits = lower.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(lower.len());
    let shift = match &lower[digits..] {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        _ => return None,
    };
    lower[..digits].parse::<u64>().ok()?.checked_mul(1 << shift).filter(|bytes| *bytes > 0)
}

/// Of `1.5`: 1500.
pub(in crate::action) fn thousandths(text: &str) -> Option<u64> {
    let share: f64 = text.parse().ok().filter(|share| (0.001..=1_000.0).contains(share))?;
    format!("{:.0}", share * 1_000.0).parse().ok()
}
