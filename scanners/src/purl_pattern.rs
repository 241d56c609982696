//! Which packages a package URL describes, as exceptions and VEX statements write them.
//!
//! A part that is left out matches anything: `pkg:deb/debian/zlib1g` is every version of it. Qualifiers have to agree
//! where both sides have them. The release of a distribution may be written more or less precisely: `debian-12`,
//! `debian-12.13` and `12` are one. Follows ECMA-427 (<https://github.com/package-url/purl-spec>).

use std::collections::BTreeMap;

/// A package URL taken apart, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurlPattern {
    kind: String,
    namespace: String,
    name: String,
    version: Option<String>,
    qualifiers: BTreeMap<String, String>,
}

/// Why a text is no package URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PurlError {
    #[error("it does not begin with `pkg:`")]
    Scheme,
    #[error("its type is missing or has other characters than letters, digits, `.`, `-` and `+`")]
    Type,
    #[error("it has no name")]
    Name,
    #[error("a `%` is not followed by two hexadecimal digits, or the bytes are no UTF-8")]
    Encoding,
}

/// How a pattern and a package compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match {
    Yes,
    /// The same package; only this part differs (`version`, `arch`…), with both values.
    Nearly {
        part: String,
        wanted: String,
        found: String,
    },
    No,
}

impl PurlPattern {
    /// Takes a package URL apart.
    ///
    /// # Errors
    /// [`PurlError`]
    pub fn parse(text: &str) -> Result<Self, PurlError> {
        let rest = text.trim().strip_prefix("pkg:").ok_or(PurlError::Scheme)?.trim_start_matches('/');
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (kind, path) = path.split_once('/').ok_or(PurlError::Name)?;
        let is_type = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+');
        if kind.is_empty() || !kind.chars().all(is_type) {
            return Err(PurlError::Type);
        }
        // A scope may be written with a bare `@`, which then begins a segment and no version.
        let (path, version) = match path.rsplit_once('@') {
            Some((before, version)) if !before.is_empty() && !before.ends_with('/') => (before, Some(version)),
            Some(_) | None => (path, None),
        };
        let path = path.trim_matches('/');
        let (namespace, name) = path.rsplit_once('/').unwrap_or(("", path));
        if name.is_empty() {
            return Err(PurlError::Name);
        }
        let kind = kind.to_ascii_lowercase();
        let mut qualifiers = BTreeMap::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            if !value.is_empty() {
                qualifiers.insert(key.to_ascii_lowercase(), decode(value)?);
            }
        }
        let version = version.filter(|version| !version.is_empty()).map(decode).transpose()?;
        let (namespace, name) = normal(&kind, decode(namespace)?, decode(name)?);
        Ok(Self { kind, namespace, name, version, qualifiers })
    }

    /// The type: `deb`, `npm`, `oci`…
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The name without its namespace.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version, if there is one.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// Whether this, as a pattern, describes that package.
    #[must_use]
    pub fn describes(&self, package: &Self) -> Match {
        let is_same_place = self.namespace == package.namespace || self.namespace.is_empty() && self.kind != "npm";
        if self.kind != package.kind || self.name != package.name || !is_same_place {
            return Match::No;
        }
        let nearly = |part: &str, wanted: &str, found: &str| Match::Nearly {
            part: part.to_owned(),
            wanted: wanted.to_owned(),
            found: found.to_owned(),
        };
        if let (Some(wanted), Some(found)) = (&self.version, &package.version)
            && wanted != found
            && !is_same_version(&self.kind, self.with_epoch(wanted), package.with_epoch(found))
        {
            return nearly("version", wanted, found);
        }
        for (key, wanted) in &self.qualifiers {
            let Some(found) = package.qualifiers.get(key) else { continue };
            let is_equal = match key.as_str() {
                "distro" => is_same_release(wanted, found),
                "epoch" => true,
                "arch" => {
                    wanted == found || [wanted, found].iter().any(|arch| matches!(arch.as_str(), "all" | "noarch"))
                }
                _ => wanted == found,
            };
            if !is_equal {
                return nearly(key, wanted, found);
            }
        }
        Match::Yes
    }

    /// The version with the epoch that package URLs of rpm have beside it.
    fn with_epoch(&self, version: &str) -> String {
        match self.qualifiers.get("epoch") {
            Some(epoch) if epoch != "0" && !version.contains(':') => format!("{epoch}:{version}"),
            Some(_) | None => version.to_owned(),
        }
    }
}

fn is_same_version(kind: &str, wanted: String, found: String) -> bool {
    let bare = |version: String| match kind {
        "golang" | "composer" => version.trim_start_matches('v').to_owned(),
        "deb" | "rpm" => version.strip_prefix("0:").map(str::to_owned).unwrap_or(version),
        _ => version,
    };
    bare(wanted) == bare(found)
}

/// Whether two ways to name a distribution's release may mean the same: one is the other, shortened.
fn is_same_release(one: &str, other: &str) -> bool {
    let split = |text: &str| {
        let text = text.to_ascii_lowercase();
        match text.split_once(['-', ':']) {
            Some((name, release)) => (name.to_owned(), codename(release)),
            None if text.starts_with(|c: char| c.is_ascii_digit()) => (String::new(), text),
            None => match codename(&text) {
                release if release != text => (String::new(), release),
                _ => (text, String::new()),
            },
        }
    };
    let ((one_name, one_release), (other_name, other_release)) = (split(one), split(other));
    let is_name = one_name.is_empty() || other_name.is_empty() || one_name == other_name;
    let begins = |long: &str, short: &str| {
        short.is_empty() || long == short || long.strip_prefix(short).is_some_and(|rest| rest.starts_with('.'))
    };
    is_name && (begins(&one_release, &other_release) || begins(&other_release, &one_release))
}

/// The number of a release that Debian and Ubuntu name.
fn codename(release: &str) -> String {
    let number = match release {
        "buster" => "10",
        "bullseye" => "11",
        "bookworm" => "12",
        "trixie" => "13",
        "forky" => "14",
        "focal" => "20.04",
        "jammy" => "22.04",
        "noble" => "24.04",
        other => other,
    };
    number.to_owned()
}

/// Letters that do not tell packages of a type apart.
fn normal(kind: &str, namespace: String, name: String) -> (String, String) {
    match kind {
        "pypi" => (namespace, name.to_lowercase().replace(['_', '.'], "-")),
        "deb" | "apk" | "composer" | "github" | "bitbucket" | "npm" => (namespace.to_lowercase(), name.to_lowercase()),
        "rpm" => (namespace.to_lowercase(), name),
        _ => (namespace, name),
    }
}

fn decode(text: &str) -> Result<String, PurlError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first != b'%' {
            bytes.push(*first);
            rest = after;
            continue;
        }
        let pair = after.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        let is_hex = |pair: &&str| pair.bytes().all(|byte| byte.is_ascii_hexdigit());
        let byte = pair.filter(is_hex).and_then(|pair| u8::from_str_radix(pair, 16).ok());
        bytes.push(byte.ok_or(PurlError::Encoding)?);
        rest = &after[2..];
    }
    String::from_utf8(bytes).map_err(|_| PurlError::Encoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, package: &str, expect: &str) {
        let parse = |text: &str| PurlPattern::parse(text).unwrap();
        let found = match parse(pattern).describes(&parse(package)) {
            Match::Yes => "yes".to_owned(),
            Match::No => "no".to_owned(),
            Match::Nearly { part, .. } => part,
        };
        assert_eq!(found, expect, "{pattern} {package}");
    }

    #[test]
    fn what_describes_what() {
        let zlib = "pkg:deb/debian/zlib1g@1:1.2.13.dfsg-1?arch=amd64&distro=debian-12.13";
        for (pattern, expect) in [
            ("pkg:deb/debian/zlib1g", "yes"),
            ("pkg:deb/debian/zlib1g@1:1.2.13.dfsg-1", "yes"),
            ("pkg:deb/debian/zlib1g@1%3A1.2.13.dfsg-1?distro=debian-12", "yes"),
            ("pkg:deb/debian/zlib1g?distro=debian-12.13", "yes"),
            ("pkg:deb/debian/zlib1g?distro=bookworm", "yes"),
            ("pkg:deb/debian/zlib1g?distro=debian-bookworm", "yes"),
            ("pkg:deb/debian/zlib1g?distro=debian-1", "distro"),
            ("pkg:deb/debian/zlib1g?distro=debian-11", "distro"),
            ("pkg:deb/debian/zlib1g?distro=ubuntu-12", "distro"),
            ("pkg:deb/debian/zlib1g?arch=arm64", "arch"),
            ("pkg:deb/debian/zlib1g?arch=amd64&repository_url=x", "yes"),
            ("pkg:deb/debian/zlib1g@1.2.14", "version"),
            ("pkg:deb/ubuntu/zlib1g", "no"),
            ("pkg:deb/debian/zlib", "no"),
            ("pkg:npm/zlib1g", "no"),
        ] {
            check(pattern, zlib, expect);
        }
        check("pkg:deb/debian/zlib1g?distro=debian-12.13", "pkg:deb/debian/zlib1g@1?distro=debian-12", "yes");
        check("pkg:npm/%40babel/core", "pkg:npm/%40babel/core@7.0.0", "yes");
        check("pkg:npm/@babel/core@7.0.0", "pkg:npm/%40babel/core@7.0.0", "yes");
        check("pkg:npm/core", "pkg:npm/%40babel/core@7.0.0", "no");
        check("pkg:pypi/Ruamel_Yaml", "pkg:pypi/ruamel-yaml@0.1", "yes");
        check("pkg:golang/golang.org/x/net@0.1.0", "pkg:golang/golang.org/x/net@v0.1.0", "yes");
        check(
            "pkg:rpm/almalinux/openssl-libs@1:3.0.7-24.el9",
            "pkg:rpm/almalinux/openssl-libs@3.0.7-24.el9?epoch=1",
            "yes",
        );
    }

    #[test]
    fn what_is_none() {
        for (text, expect) in [
            ("zlib", PurlError::Scheme),
            ("pkg:deb", PurlError::Name),
            ("pkg:deb/", PurlError::Name),
            ("pkg:d eb/x", PurlError::Type),
            ("pkg:deb/%4", PurlError::Encoding),
            ("pkg:deb/%ff", PurlError::Encoding),
            ("pkg:deb/%+1", PurlError::Encoding),
        ] {
            assert_eq!(PurlPattern::parse(text), Err(expect), "{text}");
        }
    }
}
