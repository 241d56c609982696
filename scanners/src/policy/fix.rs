//! What to do about a finding: which version has the fix, and the one command that brings it.
//!
//! The command is for where the package came from: a line in the Dockerfile for what the distribution brings, the package
//! manager of the lock file for the rest. Names come from the image, so whatever is no plain word is quoted for a shell.

use serde::{Deserialize, Serialize};

use crate::finding::{AffectedPackage, Finding};
use crate::package::{Ecosystem, Os};
use crate::version::Scheme;

/// How to mend a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fix {
    pub installed: String,
    /// The version to go to: the nearest one with the fix.
    pub fixed: String,
    /// One command; what belongs into a Dockerfile stands there behind `RUN`.
    pub command: String,
}

/// How to mend a finding, where an update does.
#[must_use]
pub fn fix(finding: &Finding, os: Option<&Os>) -> Option<Fix> {
    let package = finding.package()?;
    let fixed = nearest(package, &finding.fixed_versions)?;
    let command = command(package, fixed, os);
    Some(Fix { installed: package.version.clone(), fixed: fixed.to_owned(), command })
}

/// The lowest version with the fix that is above the one installed; they are sorted, lowest first. Of several lines of
/// releases that is the one which is installed, or the next.
fn nearest<'a>(package: &AffectedPackage, fixed: &'a [String]) -> Option<&'a str> {
    let scheme = Scheme::of(package.ecosystem);
    let is_above = |version: &&String| scheme.compare(version, &package.version).is_gt();
    fixed.iter().find(is_above).or(fixed.last()).map(String::as_str)
}

fn command(package: &AffectedPackage, fixed: &str, os: Option<&Os>) -> String {
    let file = package.locations.first().map_or("", |location| location.path.rsplit('/').next().unwrap_or_default());
    let name = &package.name;
    let at = |separator: &str| quoted(&format!("{name}{separator}{fixed}"));
    match package.ecosystem {
        Ecosystem::Debian => format!("apt-get update && apt-get install -y --only-upgrade {}", quoted(name)),
        Ecosystem::Alpine => format!("apk add --no-cache --upgrade {}", quoted(&format!("{name}>={fixed}"))),
        Ecosystem::Rpm => format!("{} {}", rpm_upgrade(os), quoted(name)),
        Ecosystem::Npm => match file {
            "yarn.lock" => format!("yarn upgrade {}", at("@")),
            "pnpm-lock.yaml" => format!("pnpm update {}", at("@")),
            _ => format!("npm install {}", at("@")),
        },
        Ecosystem::PyPi => match file {
            "poetry.lock" => format!("poetry update {}", quoted(name)),
            "uv.lock" => format!("uv lock --upgrade-package {}", at("==")),
            "Pipfile.lock" => format!("pipenv upgrade {}", at("==")),
            "pdm.lock" => format!("pdm update {}", quoted(name)),
            _ => format!("pip install {}", at("==")),
        },
        Ecosystem::Go if name == "stdlib" => format!("go get go@{}", quoted(fixed.trim_start_matches(['v', 'g', 'o']))),
        Ecosystem::Go => {
            let version = if fixed.starts_with('v') { fixed.to_owned() } else { format!("v{fixed}") };
            format!("go get {}", quoted(&format!("{name}@{version}")))
        }
        Ecosystem::Maven => {
            let (name, fixed) = (quoted(&format!("-Dincludes={name}")), quoted(&format!("-DdepVersion={fixed}")));
            format!("mvn versions:use-dep-version {name} {fixed} -DforceVersion=true")
        }
        Ecosystem::RubyGems if file == "Gemfile.lock" => format!("bundle update --conservative {}", quoted(name)),
        Ecosystem::RubyGems => format!("gem install {} -v {}", quoted(name), quoted(fixed)),
        Ecosystem::Cargo => format!("cargo update -p {} --precise {}", quoted(name), quoted(fixed)),
        Ecosystem::Packagist => format!("composer update --with-dependencies {}", at(":>=")),
    }
}

fn rpm_upgrade(os: Option<&Os>) -> &'static str {
    let is = |names: &[&str]| {
        os.is_some_and(|os| {
            names.contains(&os.id.as_str()) || os.like.iter().any(|like| names.contains(&like.as_str()))
        })
    };
    let major = os.and_then(|os| os.version.split('.').next()?.parse::<u32>().ok());
    if is(&["suse", "opensuse", "sles", "opensuse-leap", "opensuse-tumbleweed"]) {
        "zypper --non-interactive update"
    } else if is(&["photon"]) {
        "tdnf -y update"
    } else if is(&["amzn"]) && major == Some(2) || is(&["rhel", "centos"]) && major == Some(7) {
        "yum -y update"
    } else {
        "dnf -y upgrade"
    }
}

/// A word as a shell takes it for one.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./-_".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::Location;
    use crate::policy::sample;

    fn check(ecosystem: Ecosystem, name: &str, path: &str, versions: (&str, &[&str]), expect: &str) {
        let mut finding = sample::package(ecosystem, name, versions.0);
        finding.fixed_versions = versions.1.iter().map(|version| (*version).to_owned()).collect();
        if let crate::finding::Subject::Package(package) = &mut finding.subject {
            package.locations = vec![Location { layer: None, path: path.to_owned(), line: None }];
        }
        assert_eq!(fix(&finding, None).unwrap().command, expect);
    }

    #[test]
    fn one_command_each() {
        let lodash = ("4.17.15", &["4.17.21"][..]);
        check(Ecosystem::Npm, "lodash", "package-lock.json", lodash, "npm install lodash@4.17.21");
        check(Ecosystem::Npm, "@a/b", "x/yarn.lock", lodash, "yarn upgrade @a/b@4.17.21");
        check(Ecosystem::Npm, "lodash", "pnpm-lock.yaml", lodash, "pnpm update lodash@4.17.21");
        let debian = ("1:1.2.13.dfsg-1", &["1:1.2.13.dfsg-2"][..]);
        let path = "var/lib/dpkg/status";
        check(Ecosystem::Debian, "zlib1g", path, debian, "apt-get update && apt-get install -y --only-upgrade zlib1g");
        check(
            Ecosystem::Alpine,
            "zlib",
            "lib/apk/db/installed",
            ("1", &["1.3-r2"]),
            "apk add --no-cache --upgrade 'zlib>=1.3-r2'",
        );
        check(Ecosystem::Rpm, "zlib", "rpmdb.sqlite", ("1", &["2"]), "dnf -y upgrade zlib");
        let django = ("2.2", &["2.2.28", "3.2.13", "4.0.4"][..]);
        check(Ecosystem::PyPi, "django", "requirements.txt", django, "pip install django==2.2.28");
        check(Ecosystem::PyPi, "django", "uv.lock", ("3.2.1", django.1), "uv lock --upgrade-package django==3.2.13");
        check(Ecosystem::Go, "golang.org/x/net", "go.mod", ("v0.1.0", &["0.7.0"]), "go get golang.org/x/net@v0.7.0");
        check(Ecosystem::Go, "stdlib", "app", ("1.20.1", &["1.20.5", "1.21.0"]), "go get go@1.20.5");
        check(Ecosystem::RubyGems, "rack", "Gemfile.lock", ("2", &["3"]), "bundle update --conservative rack");
        check(Ecosystem::Cargo, "time", "Cargo.lock", ("0.1.0", &["0.2.23"]), "cargo update -p time --precise 0.2.23");
        check(Ecosystem::Npm, "x;rm -rf ~'", "a", ("1", &["2"]), r"npm install 'x;rm -rf ~'\''@2'");
    }
}
