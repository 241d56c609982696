//! Package URLs of what was found: one writer, so that reports, SBOMs, VEX and policies name a package alike.
//!
//! Follows ECMA-427 and its list of types (<https://github.com/package-url/purl-spec>). It writes and does not read.

use crate::package::{Ecosystem, Os, Package};

impl Package {
    /// `pkg:npm/%40babel/core@7.0.0`, `pkg:deb/debian/zlib1g@1:1.2.13.dfsg-1?arch=amd64&distro=debian-12`.
    ///
    /// The operating system gives the namespace and `distro` of what came with it.
    #[must_use]
    pub fn purl(&self, os: Option<&Os>) -> String {
        let mut text = format!("pkg:{}/", self.ecosystem.purl_type());
        let (namespace, name) = names(self.ecosystem, &self.name, os);
        for part in namespace.split('/').filter(|part| !part.is_empty()) {
            encode(part, &mut text);
            text.push('/');
        }
        encode(&name, &mut text);
        let (epoch, version) = match self.ecosystem {
            Ecosystem::Rpm => self.version.split_once(':').unwrap_or(("", &self.version)),
            Ecosystem::Debian
            | Ecosystem::Alpine
            | Ecosystem::Npm
            | Ecosystem::PyPi
            | Ecosystem::Go
            | Ecosystem::Maven
            | Ecosystem::RubyGems
            | Ecosystem::Cargo
            | Ecosystem::Packagist => ("", self.version.as_str()),
        };
        if !version.is_empty() {
            text.push('@');
            encode(version, &mut text);
        }
        let mut separator = '?';
        let mut qualify = |key: &str, value: &str| {
            if !value.is_empty() {
                text.push(separator);
                separator = '&';
                text.push_str(key);
                text.push('=');
                encode(value, &mut text);
            }
        };
        qualify("arch", &self.architecture);
        if self.ecosystem.is_os()
            && let Some(os) = os
        {
            let distro = if os.version.is_empty() { os.id.clone() } else { format!("{}-{}", os.id, os.version) };
            qualify("distro", &distro);
        }
        qualify("epoch", if epoch == "0" { "" } else { epoch });
        text
    }
}

/// The namespace and the name, as the type's page asks for them.
fn names(ecosystem: Ecosystem, name: &str, os: Option<&Os>) -> (String, String) {
    let split = |separator: char| match name.rsplit_once(separator) {
        Some((namespace, name)) => (namespace.to_owned(), name.to_owned()),
        None => (String::new(), name.to_owned()),
    };
    match ecosystem {
        Ecosystem::Debian => (os.map_or_else(|| "debian".to_owned(), |os| os.id.clone()), name.to_lowercase()),
        Ecosystem::Alpine => (os.map_or_else(|| "alpine".to_owned(), |os| os.id.clone()), name.to_lowercase()),
        Ecosystem::Rpm => (os.map_or_else(String::new, |os| os.id.clone()), name.to_owned()),
        Ecosystem::Npm | Ecosystem::Go => split('/'),
        Ecosystem::Packagist => {
            let (namespace, name) = split('/');
            (namespace.to_lowercase(), name.to_lowercase())
        }
        Ecosystem::Maven => split(':'),
        Ecosystem::PyPi => (String::new(), name.to_lowercase().replace('_', "-")),
        Ecosystem::RubyGems | Ecosystem::Cargo => (String::new(), name.to_owned()),
    }
}

/// Percent-encodes what the specification does not list as standing for itself.
fn encode(part: &str, text: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'~' | b':') {
            text.push(char::from(byte));
        } else {
            text.push('%');
            text.push(char::from(HEX[usize::from(byte >> 4)]));
            text.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ecosystem: Ecosystem, name: &str, version: &str, os: Option<(&str, &str)>, expected: &str) {
        let package = Package {
            ecosystem,
            name: name.to_owned(),
            version: version.to_owned(),
            architecture: String::new(),
            source: None,
            licences: Vec::new(),
            locations: Vec::new(),
        };
        let os = os.map(|(id, version)| Os {
            id: id.to_owned(),
            like: Vec::new(),
            version: version.to_owned(),
            codename: String::new(),
        });
        assert_eq!(package.purl(os.as_ref()), expected);
    }

    #[test]
    fn each_type_has_its_namespace() {
        let debian = Some(("debian", "12"));
        check(
            Ecosystem::Debian,
            "zlib1g",
            "1:1.2.13+dfsg-1",
            debian,
            "pkg:deb/debian/zlib1g@1:1.2.13%2Bdfsg-1?distro=debian-12",
        );
        check(
            Ecosystem::Rpm,
            "openssl-libs",
            "1:3.0.7-24.el9",
            Some(("almalinux", "9.4")),
            "pkg:rpm/almalinux/openssl-libs@3.0.7-24.el9?distro=almalinux-9.4&epoch=1",
        );
        check(Ecosystem::Npm, "@babel/core", "7.0.0", debian, "pkg:npm/%40babel/core@7.0.0");
        check(Ecosystem::PyPi, "Ruamel_Yaml", "0.1", None, "pkg:pypi/ruamel-yaml@0.1");
        check(Ecosystem::Go, "golang.org/x/net", "v0.1.0", None, "pkg:golang/golang.org/x/net@v0.1.0");
        check(Ecosystem::Maven, "org.slf4j:slf4j-api", "2.0.1", None, "pkg:maven/org.slf4j/slf4j-api@2.0.1");
        check(Ecosystem::Packagist, "Symfony/Yaml", "v4.4.0", None, "pkg:composer/symfony/yaml@v4.4.0");
    }
}
