//! Which advisories are about which packages: the names of ecosystems, releases and packages on both sides, in one spelling.
//!
//! Ecosystems are named as in <https://ossf.github.io/osv-schema/#defined-ecosystems>, distributions as in os-release(5).

use crate::package::{Ecosystem, Os, Package};
use crate::version::Scheme;

/// Debian's releases by code name, for the tracker and for `trixie/sid`.
const DEBIAN_RELEASES: [(&str, &str); 14] = [
    ("buzz", "1.1"),
    ("etch", "4"),
    ("lenny", "5"),
    ("squeeze", "6"),
    ("wheezy", "7"),
    ("jessie", "8"),
    ("stretch", "9"),
    ("buster", "10"),
    ("bullseye", "11"),
    ("bookworm", "12"),
    ("trixie", "13"),
    ("forky", "14"),
    ("duke", "15"),
    ("sid", "sid"),
];

/// How a release is written in the index: `debian:12`, `alpine:3.19`, `npm`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Release {
    pub(crate) key: String,
    pub(crate) scheme: Scheme,
}

fn release(key: impl Into<String>, scheme: Scheme) -> Option<Release> {
    Some(Release { key: key.into(), scheme })
}

/// The release that an OSV record names: `Debian:12`, `Alpine:v3.19`, `Ubuntu:22.04:LTS`, `crates.io`.
///
/// None for ecosystems whose packages nothing here can find or order (Android, Linux, GIT…) and for releases for which one
/// pays (`Ubuntu:Pro`): those fixes cannot be installed everywhere.
pub(crate) fn of_osv(ecosystem: &str) -> Option<Release> {
    let (name, rest) = ecosystem.split_once(':').unwrap_or((ecosystem, ""));
    let first = rest.split(':').next().unwrap_or("");
    match name {
        "npm" => release("npm", Scheme::SemVer),
        "PyPI" => release("pypi", Scheme::PyPi),
        "Go" => release("go", Scheme::SemVer),
        "Maven" => release("maven", Scheme::Maven),
        "RubyGems" => release("rubygems", Scheme::RubyGems),
        "crates.io" => release("cargo", Scheme::SemVer),
        "Packagist" => release("packagist", Scheme::Packagist),
        // Nothing here finds packages of these five yet; their rows cost room on the disk and no time.
        "NuGet" => release("nuget", Scheme::NuGet),
        "Pub" => release("pub", Scheme::Pub),
        "CRAN" => release("cran", Scheme::Dotted),
        "Hackage" => release("hackage", Scheme::Dotted),
        "Bitnami" => release("bitnami", Scheme::SemVer),
        "Debian" => release(format!("debian:{}", non_empty(first)?), Scheme::Debian),
        "Ubuntu" if first != "Pro" => release(format!("ubuntu:{}", non_empty(first)?), Scheme::Debian),
        "Alpine" => release(format!("alpine:{}", non_empty(first.trim_start_matches('v'))?), Scheme::Alpine),
        "Wolfi" => release("wolfi", Scheme::Alpine),
        "Chainguard" => release("chainguard", Scheme::Alpine),
        "MinimOS" => release("minimos", Scheme::Alpine),
        "AlmaLinux" => release(format!("almalinux:{}", non_empty(first)?), Scheme::Rpm),
        "Rocky Linux" => release(format!("rocky:{}", non_empty(first)?), Scheme::Rpm),
        "Red Hat" => {
            release(format!("rhel:{}", rest.strip_prefix("enterprise_linux:")?.split(':').next()?), Scheme::Rpm)
        }
        "openSUSE" if first == "Tumbleweed" => release("opensuse-tumbleweed", Scheme::Rpm),
        "openSUSE" => release(format!("opensuse-leap:{}", first.strip_prefix("Leap ")?), Scheme::Rpm),
        "SUSE" => {
            let version = first.strip_prefix("Linux Enterprise Server ")?.replace(" SP", ".");
            release(format!("sles:{}", version.split(['-', ' ']).next()?), Scheme::Rpm)
        }
        "Mageia" => release(format!("mageia:{}", non_empty(first)?), Scheme::Rpm),
        "Azure Linux" => release(format!("azurelinux:{}", non_empty(first)?), Scheme::Rpm),
        "Photon OS" => release(format!("photon:{}", non_empty(first)?), Scheme::Rpm),
        "openEuler" => release(format!("openeuler:{}", non_empty(first)?), Scheme::Rpm),
        _ => None,
    }
}

fn non_empty(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// The release in which a package's advisories are looked up. None when nothing says which distribution it is.
pub(crate) fn of_package(ecosystem: Ecosystem, os: Option<&Os>) -> Option<String> {
    let language = match ecosystem {
        Ecosystem::Npm => "npm",
        Ecosystem::PyPi => "pypi",
        Ecosystem::Go => "go",
        Ecosystem::Maven => "maven",
        Ecosystem::RubyGems => "rubygems",
        Ecosystem::Cargo => "cargo",
        Ecosystem::Packagist => "packagist",
        Ecosystem::Debian | Ecosystem::Alpine | Ecosystem::Rpm => return of_os(os?),
    };
    Some(language.to_owned())
}

fn of_os(os: &Os) -> Option<String> {
    let numbers: Vec<_> = os.version.split('.').collect();
    let major = numbers.first().copied().unwrap_or("");
    let id = os.id.to_lowercase();
    Some(match id.as_str() {
        "debian" | "raspbian" if major.is_empty() => {
            let name = os.codename.split('/').next().unwrap_or("");
            format!("debian:{}", debian_release(name).unwrap_or("sid"))
        }
        "debian" | "raspbian" => format!("debian:{major}"),
        "alpine" if os.version.contains('_') || os.version == "edge" => "alpine:edge".to_owned(),
        "alpine" => format!("alpine:{}", numbers.get(..2).unwrap_or(&numbers).join(".")),
        "wolfi" | "chainguard" | "minimos" | "opensuse-tumbleweed" => id,
        "almalinux" | "rocky" | "rhel" | "mageia" => format!("{id}:{major}"),
        // Up to 8 it was built from what Red Hat had released.
        "centos" => format!("rhel:{major}"),
        "ubuntu" | "opensuse-leap" | "photon" | "openeuler" => format!("{id}:{}", os.version),
        "sles" | "sled" => format!("sles:{}", os.version),
        "azurelinux" | "mariner" => format!("azurelinux:{major}"),
        _ if os.version.is_empty() => id,
        _ => format!("{id}:{}", os.version),
    })
}

/// The number of a Debian release.
pub(crate) fn debian_release(codename: &str) -> Option<&'static str> {
    DEBIAN_RELEASES.iter().find(|(name, _)| *name == codename).map(|(_, number)| *number)
}

/// The name and the version by which a package's advisories are looked up.
///
/// Distributions with one security team for sources (Debian, Ubuntu, Alpine, Rocky, SUSE) name sources; AlmaLinux and Red Hat
/// name what is installed.
pub(crate) fn looked_up<'a>(package: &'a Package, release: &str) -> (String, &'a str) {
    let by_source = match package.ecosystem {
        Ecosystem::Debian | Ecosystem::Alpine => true,
        Ecosystem::Rpm => !release.starts_with("almalinux:") && !release.starts_with("rhel:"),
        Ecosystem::Npm
        | Ecosystem::PyPi
        | Ecosystem::Go
        | Ecosystem::Maven
        | Ecosystem::RubyGems
        | Ecosystem::Cargo
        | Ecosystem::Packagist => false,
    };
    match &package.source {
        Some(source) if by_source => {
            let version = if source.version.is_empty() { &package.version } else { &source.version };
            (source.name.clone(), version)
        }
        _ => (normal_name(release, &package.name), &package.version),
    }
}

/// The spelling in which two names of a package are compared.
pub(crate) fn normal_name(release: &str, name: &str) -> String {
    match release {
        "pypi" => python_name(name),
        "packagist" | "nuget" => name.to_lowercase(),
        _ => name.to_owned(),
    }
}

/// <https://packaging.python.org/en/latest/specifications/name-normalization/>
fn python_name(name: &str) -> String {
    let mut normal = String::with_capacity(name.len());
    for c in name.trim().chars() {
        if !matches!(c, '-' | '_' | '.') {
            normal.extend(c.to_lowercase());
        } else if !normal.ends_with('-') {
            normal.push('-');
        }
    }
    normal
}

/// The version of a package in the words of the advisories of its ecosystem. None when it is no version (`(devel)`).
pub(crate) fn normal_version(ecosystem: Ecosystem, name: &str, version: &str) -> Option<String> {
    let scheme = Scheme::of(ecosystem);
    let version = version.trim();
    let normal = match ecosystem {
        Ecosystem::Go if matches!(name, "stdlib" | "toolchain") => go_release(version),
        Ecosystem::Go => version.strip_prefix('v').unwrap_or(version).to_owned(),
        // Advisories are about what was released, not about who built it.
        Ecosystem::PyPi => version.split_once('+').map_or(version, |(public, _)| public).to_owned(),
        Ecosystem::RubyGems => without_platform(version).to_owned(),
        Ecosystem::Debian
        | Ecosystem::Alpine
        | Ecosystem::Rpm
        | Ecosystem::Npm
        | Ecosystem::Maven
        | Ecosystem::Cargo
        | Ecosystem::Packagist => version.to_owned(),
    };
    scheme.is_version(&normal).then_some(normal)
}

/// `go1.22rc1 X:boringcrypto` is 1.22.0-rc.1 to the Go vulnerability database.
fn go_release(version: &str) -> String {
    let version = version.split_whitespace().next().unwrap_or("");
    let version = version.strip_prefix("go").or_else(|| version.strip_prefix('v')).unwrap_or(version);
    for word in ["rc", "beta"] {
        if let Some((release, number)) = version.split_once(word)
            && !release.ends_with('-')
        {
            let zeros = if release.matches('.').count() < 2 { ".0" } else { "" };
            return format!("{release}{zeros}-{word}.{number}");
        }
    }
    version.to_owned()
}

/// `1.15.4-x86_64-linux` is 1.15.4, built for one machine.
fn without_platform(version: &str) -> &str {
    const PLATFORMS: [&str; 12] =
        ["x86", "x64", "amd64", "arm", "aarch64", "java", "jruby", "universal", "mswin", "mingw", "ppc64", "s390x"];
    match version.split_once('-') {
        Some((release, platform)) if PLATFORMS.iter().any(|known| platform.starts_with(known)) => release,
        _ => version,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn os(id: &str, version: &str, codename: &str) -> Os {
        Os { id: id.to_owned(), like: Vec::new(), version: version.to_owned(), codename: codename.to_owned() }
    }

    fn check(osv: &str, ecosystem: Ecosystem, os: Option<&Os>) {
        assert_eq!(of_osv(osv).map(|release| release.key), of_package(ecosystem, os), "{osv} and {os:?}");
    }

    #[test]
    fn both_sides_name_a_release_alike() {
        check("Debian:12", Ecosystem::Debian, Some(&os("debian", "12", "bookworm")));
        check("Debian:12", Ecosystem::Debian, Some(&os("debian", "12.5", "")));
        check("Debian:13", Ecosystem::Debian, Some(&os("debian", "", "trixie/sid")));
        check("Alpine:v3.19", Ecosystem::Alpine, Some(&os("alpine", "3.19.1", "")));
        check("AlmaLinux:9", Ecosystem::Rpm, Some(&os("almalinux", "9.4", "")));
        check("Rocky Linux:9", Ecosystem::Rpm, Some(&os("rocky", "9.3", "")));
        check("Ubuntu:22.04:LTS", Ecosystem::Debian, Some(&os("ubuntu", "22.04", "jammy")));
        check("Ubuntu:23.10", Ecosystem::Debian, Some(&os("ubuntu", "23.10", "mantic")));
        check("Red Hat:enterprise_linux:9::baseos", Ecosystem::Rpm, Some(&os("rhel", "9.2", "")));
        check("openSUSE:Leap 15.5", Ecosystem::Rpm, Some(&os("opensuse-leap", "15.5", "")));
        check("SUSE:Linux Enterprise Server 15 SP5", Ecosystem::Rpm, Some(&os("sles", "15.5", "")));
        check("Wolfi", Ecosystem::Alpine, Some(&os("wolfi", "20230201", "")));
        check("crates.io", Ecosystem::Cargo, None);
        check("Maven:https://maven.google.com", Ecosystem::Maven, None);
        check("Ubuntu:Pro:22.04:LTS", Ecosystem::Debian, None);
    }

    #[test]
    fn versions_are_put_into_the_words_of_the_advisories() {
        let normal = |ecosystem, name, version| normal_version(ecosystem, name, version);
        assert_eq!(normal(Ecosystem::Go, "stdlib", "go1.22rc1").as_deref(), Some("1.22.0-rc.1"));
        assert_eq!(normal(Ecosystem::Go, "stdlib", "go1.21.3 X:boringcrypto").as_deref(), Some("1.21.3"));
        assert_eq!(normal(Ecosystem::Go, "stdlib", "1.22.0-rc.1").as_deref(), Some("1.22.0-rc.1"));
        assert_eq!(
            normal(Ecosystem::Go, "example.org/a", "v0.0.0-20210101000000-abcdefabcdef").as_deref(),
            Some("0.0.0-20210101000000-abcdefabcdef")
        );
        assert_eq!(normal(Ecosystem::Go, "example.org/a", "(devel)"), None);
        assert_eq!(normal(Ecosystem::PyPi, "torch", "2.0.1+cu118").as_deref(), Some("2.0.1"));
        assert_eq!(normal(Ecosystem::RubyGems, "nokogiri", "1.15.4-x86_64-linux").as_deref(), Some("1.15.4"));
        assert_eq!(normal(Ecosystem::RubyGems, "rails", "7.0.0-rc1").as_deref(), Some("7.0.0-rc1"));
        assert_eq!(normal(Ecosystem::Npm, "mine", "file:../mine"), None);
        assert_eq!(python_name("Ruamel._-Yaml"), "ruamel-yaml");
    }
}
