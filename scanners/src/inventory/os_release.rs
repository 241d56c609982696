//! The distribution: os-release (<https://www.freedesktop.org/software/systemd/man/latest/os-release.html>).

use super::facts::Said;
use crate::package::Os;

pub(crate) fn parse(text: &[u8]) -> Said {
    let text = String::from_utf8_lossy(text);
    let mut os = Os { id: String::new(), like: Vec::new(), version: String::new(), codename: String::new() };
    for line in text.lines() {
        let Some((key, value)) = line.trim().split_once('=') else { continue };
        let value = unquote(value);
        match key {
            "ID" => os.id = value.to_lowercase(),
            "ID_LIKE" => os.like = value.split_whitespace().map(str::to_owned).collect(),
            "VERSION_ID" => os.version = value,
            "VERSION_CODENAME" => os.codename = value,
            _ => {}
        }
    }
    let os = (!os.id.is_empty()).then_some(os);
    Said { os, ..Said::default() }
}

/// As a shell would read it.
fn unquote(value: &str) -> String {
    let value = value.trim();
    let quoted = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
    let Some(inner) = quoted else { return value.to_owned() };
    let mut text = String::with_capacity(inner.len());
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        text.extend(if letter == '\\' { letters.next() } else { Some(letter) });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distributions_are_read() {
        for (text, expected) in [
            ("ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n", Some(("debian", "12", "bookworm"))),
            ("ID='alpine'\nVERSION_ID=3.19.1\n", Some(("alpine", "3.19.1", ""))),
            ("NAME=x\n", None),
            ("\u{0}\u{1}=", None),
        ] {
            let os = parse(text.as_bytes()).os;
            let found = os.as_ref().map(|os| (os.id.as_str(), os.version.as_str(), os.codename.as_str()));
            assert_eq!(found, expected, "{text}");
        }
        let os = parse(b"ID=\"almalinux\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"9.4\"").os.unwrap();
        assert_eq!(os.like, ["rhel", "centos", "fedora"]);
    }
}
