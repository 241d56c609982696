//! Findings and inventories for tests: small, plain, and changed by each test as it needs.

use jiff::Timestamp;

use crate::finding::{
    AffectedPackage, Cvss, Epss, Finding, Kev, Kind, Place, Severity, SeveritySource, Status, Subject,
};
use crate::package::{Ecosystem, Inventory, Layer, Location, Os, Package};

pub(crate) const NOW: &str = "2026-11-22T12:00:00Z";

pub(crate) fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A critical finding in a package, with a fix that came two days ago.
pub(crate) fn package(ecosystem: Ecosystem, name: &str, version: &str) -> Finding {
    Finding {
        kind: Kind::Vulnerability,
        id: "CVE-2023-45853".to_owned(),
        aliases: Vec::new(),
        summary: "an overflow in <MiniZip>\nthat nobody | expects".to_owned(),
        subject: Subject::Package(AffectedPackage {
            ecosystem,
            name: name.to_owned(),
            version: version.to_owned(),
            architecture: String::new(),
            source: None,
            purl: format!("pkg:{}/{name}@{version}", ecosystem.purl_type()),
            locations: vec![Location { layer: None, path: "package-lock.json".to_owned(), line: Some(7) }],
            layer: None,
        }),
        severity: Severity::Critical,
        severity_source: Some(SeveritySource::Vendor),
        ratings: Vec::new(),
        cvss: Some(Cvss { vector: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H".to_owned(), score: 9.8 }),
        kev: None,
        epss: Some(Epss { score: 0.02, percentile: 0.9 }),
        status: Status::Affected,
        fixed_versions: vec!["9.9".to_owned()],
        published: Some(time("2023-10-14T00:00:00Z")),
        modified: None,
        fix_available: Some(time("2026-11-20T12:00:00Z")),
        references: vec!["https://nvd.nist.gov/vuln/detail/CVE-2023-45853".to_owned()],
    }
}

/// In the second layer of [`inventory`], which is line 3 of the Dockerfile.
pub(crate) fn zlib() -> Finding {
    let mut finding = package(Ecosystem::Debian, "zlib1g", "1:1.2.13.dfsg-1");
    if let Subject::Package(package) = &mut finding.subject {
        package.purl = "pkg:deb/debian/zlib1g@1:1.2.13.dfsg-1?arch=amd64&distro=debian-12".to_owned();
        package.locations = vec![Location { layer: Some(1), path: "var/lib/dpkg/status".to_owned(), line: None }];
        package.layer = Some(1);
    }
    finding.fixed_versions = vec!["1:1.2.13.dfsg-2".to_owned()];
    finding
}

/// The same as [`zlib`], in the base image.
pub(crate) fn of_base() -> Finding {
    let mut finding = zlib();
    if let Subject::Package(package) = &mut finding.subject {
        package.locations[0].layer = Some(0);
        package.layer = Some(0);
    }
    finding
}

pub(crate) fn exploited(mut finding: Finding) -> Finding {
    finding.kev = Some(Kev { added: None, due: None, ransomware: true });
    finding
}

pub(crate) fn secret() -> Finding {
    let mut finding = package(Ecosystem::Npm, "x", "1");
    finding.kind = Kind::Secret;
    finding.id = "aws-access-key".to_owned();
    finding.summary = "an access key of AWS".to_owned();
    finding.subject = Subject::Place(Place {
        file: "src/config, with space.py".to_owned(),
        line: Some(3),
        end_line: None,
        column: Some(8),
        layer: None,
    });
    finding.severity_source = Some(SeveritySource::Rule);
    (finding.cvss, finding.epss, finding.fixed_versions) = (None, None, Vec::new());
    (finding.published, finding.fix_available, finding.references) = (None, None, Vec::new());
    finding
}

pub(crate) fn inventory() -> Inventory {
    let layer = |number: u8, created_by: &str, line, base| Layer {
        diff_id: format!("sha256:{}", format!("{number:02x}").repeat(32)),
        created_by: created_by.to_owned(),
        dockerfile_line: Some(line),
        base,
    };
    Inventory {
        target: "shop/orders:1.2".to_owned(),
        image_id: Some(format!("sha256:{}", "ab".repeat(32))),
        repository_digests: vec![format!("registry.example/shop/orders@sha256:{}", "cd".repeat(32))],
        os: Some(Os {
            id: "debian".to_owned(),
            like: Vec::new(),
            version: "12".to_owned(),
            codename: "bookworm".to_owned(),
        }),
        layers: vec![
            layer(1, "/bin/sh -c #(nop) ADD file:x in / ", 1, true),
            layer(2, "RUN /bin/sh -c apt-get install -y zlib1g # buildkit", 3, false),
        ],
        packages: vec![
            Package {
                ecosystem: Ecosystem::Debian,
                name: "zlib1g".to_owned(),
                version: "1:1.2.13.dfsg-1".to_owned(),
                architecture: "amd64".to_owned(),
                source: None,
                licences: vec!["Zlib".to_owned()],
                locations: vec![Location { layer: Some(1), path: "var/lib/dpkg/status".to_owned(), line: None }],
            },
            Package {
                ecosystem: Ecosystem::Npm,
                name: "@shop/orders".to_owned(),
                version: "1.0.0".to_owned(),
                architecture: String::new(),
                source: None,
                licences: vec!["a licence of our own <x>".to_owned()],
                locations: vec![Location { layer: Some(1), path: "app/package.json".to_owned(), line: Some(2) }],
            },
        ],
        unread: Vec::new(),
    }
}
