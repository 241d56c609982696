//! Sizes as people write them: `512`, `64MiB`, `2g`.

/// Bytes of a size. `k`, `m`, `g`, `t`, alone or followed by `b` or `ib`, are powers of 1024, as Docker reads them.
pub fn parse(text: &str) -> Option<u64> {
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.find(|c: char| !c.is_ascii_digit()).unwrap_or(lower.len());
    let number: u64 = lower[..digits].parse().ok()?;
    let power = match lower[digits..].trim() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 1,
        "m" | "mb" | "mib" => 2,
        "g" | "gb" | "gib" => 3,
        "t" | "tb" | "tib" => 4,
        _ => return None,
    };
    number.checked_mul(1024_u64.pow(power))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn sizes_have_units() {
        for (text, expected) in [
            ("512", Some(512)),
            ("64 MiB", Some(64 << 20)),
            ("2g", Some(2 << 30)),
            ("1KB", Some(1024)),
            ("", None),
            ("x", None),
            ("1.5g", None),
            ("99999999999999999t", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
