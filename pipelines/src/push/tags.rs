//! Tags as people write them.

/// Reads `v1.4.2, sha-0123` or lines of such.
///
/// # Errors
/// There is none, or one is none; see <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests>.
pub fn tags(text: &str) -> Result<Vec<String>, String> {
    let mut all: Vec<String> = Vec::new();
    for tag in text.split([',', '\n']).map(str::trim).filter(|tag| !tag.is_empty()) {
        let is_first = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let fits = tag.len() <= 128
            && tag.bytes().next().is_some_and(is_first)
            && tag.bytes().all(|byte| is_first(byte) || byte == b'.' || byte == b'-');
        if !fits {
            let hint = if tag.contains([':', '/']) { "; write the tag alone, without the repository" } else { "" };
            return Err(format!("`{tag}` is no tag: letters, digits, `_`, `.` and `-`, 128 at most{hint}"));
        }
        if !all.iter().any(|known| known == tag) {
            all.push(tag.to_owned());
        }
    }
    if all.is_empty() { Err("at least one tag is needed, such as `sha-${{ github.sha }}`".to_owned()) } else { Ok(all) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_checked() {
        assert_eq!(tags("v1, sha-00\nv1,,").unwrap(), ["v1", "sha-00"]);
        assert!(tags(" ,").unwrap_err().starts_with("at least one"));
        assert!(tags("shop/orders:v1").unwrap_err().ends_with("without the repository"));
        assert!(tags("-x").is_err() && tags(&"x".repeat(129)).is_err() && tags("ü").is_err());
    }
}
