//! What things of a deployment are called in the engine and on the disk.

use sha2::{Digest as _, Sha256};

/// Longest name that is used as it is.
const SLUG_BYTES_MAX: usize = 40;
/// Hexadecimal digits that tell names apart which look alike otherwise.
const MARK_DIGITS: usize = 6;

/// Lower case letters, digits and single `-`: fit for names of containers, networks and folders. Names that are not so by
/// themselves get a digest, so that no two are the same.
pub(super) fn slug(name: &str) -> String {
    let mut slug = String::new();
    for letter in name.chars().map(|letter| letter.to_ascii_lowercase()) {
        let fits = letter.is_ascii_lowercase() || letter.is_ascii_digit();
        match fits {
            true => slug.push(letter),
            false if slug.ends_with('-') || slug.is_empty() => {}
            false => slug.push('-'),
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug == name && slug.len() <= SLUG_BYTES_MAX && !slug.is_empty() {
        return slug.to_owned();
    }
    let digest = Sha256::digest(name.as_bytes());
    let mark: String =
        digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>().chars().take(MARK_DIGITS).collect();
    let start: String = slug.chars().take(SLUG_BYTES_MAX).collect();
    if start.is_empty() { mark } else { format!("{start}-{mark}") }
}

/// `<environment>-<service>-<revision>-<number>`.
pub(super) fn container(environment: &str, service: &str, revision: u64, number: u32) -> String {
    format!("{}-{}-{revision}-{number}", slug(environment), slug(service))
}

/// `pipe-<environment>`.
pub(super) fn network(environment: &str) -> String {
    format!("pipe-{}", slug(environment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, expected) in [
            ("production", "production"),
            ("shop-eu-1", "shop-eu-1"),
            ("Production", "production-"),
            ("eu/west 1", "eu-west-1-"),
            ("größe", "gr-e-"),
            ("日本", ""),
            ("-", ""),
        ] {
            let slug = slug(name);
            let is_marked = slug.len() == expected.len() + MARK_DIGITS;
            assert!(slug.starts_with(expected) && (slug == expected || is_marked), "{name}: {slug}");
        }
        assert_ne!(slug("A b"), slug("a-b"));
        assert!(slug(&"long".repeat(50)).len() <= SLUG_BYTES_MAX + MARK_DIGITS + 1);
        assert_eq!(container("production", "orders", 12, 1), "production-orders-12-1");
        assert_eq!(network("production"), "pipe-production");
    }
}
