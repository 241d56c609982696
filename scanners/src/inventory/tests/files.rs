//! What single files say.

use super::make::{self, STATUS};
use super::stated;
use crate::inventory::{Said, read_file};

const REPOSITORY: bool = true;
const INSTALLED: bool = false;

fn said(path: &str, content: &[u8], is_repository: bool) -> Said {
    read_file(path, content.to_vec(), is_repository).unwrap_or_else(|| panic!("{path} is not read"))
}

fn check(path: &str, content: &[u8], is_repository: bool, expected: &[&str]) {
    let said = said(path, content, is_repository);
    let found: Vec<_> = said.packages.iter().map(stated).collect();
    assert_eq!(found, expected, "{path}: {:?}", said.unread);
    assert!(said.unread.is_empty(), "{path}: {:?}", said.unread);
}

#[test]
fn databases_of_operating_systems() {
    check("var/lib/dpkg/status", STATUS.as_bytes(), INSTALLED, &["deb libc6 2.36-9", "deb zlib1g 1:1.2.13.dfsg-1+b1"]);
    let sources: Vec<_> = said("var/lib/dpkg/status", STATUS.as_bytes(), INSTALLED)
        .packages
        .into_iter()
        .filter_map(|p| p.source)
        .collect();
    assert_eq!((sources[0].name.as_str(), sources[0].version.as_str()), ("glibc", "2.36-9"));
    assert_eq!((sources[1].name.as_str(), sources[1].version.as_str()), ("zlib", "1:1.2.13.dfsg-1"));
    check(
        "var/lib/dpkg/status.d/tzdata",
        b"Package: tzdata\nVersion: 2024a-0+deb12u1\nArchitecture: all\n",
        INSTALLED,
        &["deb tzdata 2024a-0+deb12u1"],
    );
    check(
        "lib/apk/db/installed",
        b"C:Q1x=\nP:musl\nV:1.2.4-r2\nA:x86_64\nL:MIT\no:musl\nF:lib\nR:ld-musl-x86_64.so.1\n\nP:zlib\nV:1.3.1-r0\n\n",
        INSTALLED,
        &["apk musl 1.2.4-r2", "apk zlib 1.3.1-r0"],
    );
    for (content, problem) in [
        ("Package: a\nStatus: install ok installed\n\n", "line 1: a package without a name or version"),
        ("Package: a\nVersion: 1\nnonsense\n", "line 3: a field without a colon"),
    ] {
        assert_eq!(said("var/lib/dpkg/status", content.as_bytes(), INSTALLED).unread, [problem]);
    }
}

#[test]
fn databases_of_rpm() {
    let headers = [make::rpm_header("zlib", None, &[]), make::rpm_header("bind", Some(32), &[("/usr/bin/", "dig")])];
    let (database, _) = make::rpm_database(&headers, false);
    check("var/lib/rpm/rpmdb.sqlite", &database, INSTALLED, &["rpm zlib 1.2-3.el9", "rpm bind 32:1.2-3.el9"]);
    let ndb = make::ndb_database(&headers);
    check("usr/lib/sysimage/rpm/Packages.db", &ndb, INSTALLED, &["rpm zlib 1.2-3.el9", "rpm bind 32:1.2-3.el9"]);
    let package = said("var/lib/rpm/rpmdb.sqlite", &database, INSTALLED).packages.remove(1);
    assert_eq!(package.source.unwrap().version, "32:1.2-3.el9");
    assert_eq!((package.architecture.as_str(), package.licences[0].as_str()), ("x86_64", "MIT"));
    let (database, _) = make::rpm_database(&[headers[0][..40].to_vec()], false);
    assert_eq!(said("var/lib/rpm/rpmdb.sqlite", &database, INSTALLED).unread, ["package 1: its header is cut off"]);
    assert!(said("var/lib/rpm/Packages", b"\0", INSTALLED).unread[0].contains("Berkeley DB"));
    assert!(said("var/lib/rpm/rpmdb.sqlite", b"no database", INSTALLED).unread[0].starts_with("rpm's database"));
}

#[test]
fn programs() {
    let modules = ["golang shop 1.4.2", "golang golang.org/x/net v0.1.0", "golang github.com/new/one v1.0.1"];
    let with = |version| [&modules[..], &[version]].concat();
    check("app/server", &make::go_program(), INSTALLED, &with("golang stdlib v1.22.1"));
    check("app/server", &make::old_go_program(), INSTALLED, &with("golang stdlib v1.17.3"));
    check("app/server", &make::rust_program(), INSTALLED, &["cargo shop 0.1.0", "cargo serde 1.0.200"]);
    check("bin/sh", &make::elf(&[(".text", b"x")]), INSTALLED, &[]);
    check("bin/sh", b"\x7fELF", INSTALLED, &[]);
}

#[test]
fn archives_of_java() {
    let pom = |group: &str, artifact: &str, version: &str| {
        format!("#Generated\ngroupId={group}\nartifactId={artifact}\nversion={version}\r\n").into_bytes()
    };
    let inner =
        make::zip(&[("META-INF/maven/org.slf4j/slf4j-api/pom.properties", &pom("org.slf4j", "slf4j-api", "1.7.36"))]);
    let named = make::zip(&[(
        "META-INF/MANIFEST.MF",
        b"Manifest-Version: 1.0\r\nBundle-SymbolicName: org.apac\r\n he.commons.io\r\n",
    )]);
    let outer = make::zip(&[
        ("META-INF/MANIFEST.MF", b"Implementation-Title: shop\nImplementation-Version: 3.0\n"),
        ("BOOT-INF/lib/slf4j-api-1.7.36.jar", &inner),
        ("BOOT-INF/lib/commons-io-2.11.0.jar", &named),
        ("META-INF/maven/shop/shop/pom.properties", &pom("shop", "shop", "3.1")),
    ]);
    check(
        "app/shop.jar",
        &outer,
        INSTALLED,
        &[
            "maven org.slf4j:slf4j-api 1.7.36 in BOOT-INF/lib/slf4j-api-1.7.36.jar",
            "maven org.apache.commons:commons-io 2.11.0 in BOOT-INF/lib/commons-io-2.11.0.jar",
            "maven shop:shop 3.1",
        ],
    );
    check("opt/guava-31.1-jre.jar", &make::zip(&[("a", b"")]), INSTALLED, &["maven guava 31.1-jre"]);
    // A program that starts what follows it.
    let executable = [b"#!/bin/sh\nexec java -jar $0\n", outer.as_slice()].concat();
    assert_eq!(said("app/shop.jar", &executable, INSTALLED).packages.len(), 3);
    check("app/empty.jar", b"", INSTALLED, &[]);
}

#[test]
fn what_package_managers_leave() {
    check("srv/node_modules/a/package.json", br#"{"name":"a","version":"v1.2.3"}"#, INSTALLED, &["npm a 1.2.3"]);
    let metadata = b"Metadata-Version: 2.1\nName: Jinja2\nVersion: 2.10\nLicense: BSD\n\nVersion: 9\n";
    check("usr/lib/python3/Jinja2-2.10.dist-info/METADATA", metadata, INSTALLED, &["pypi Jinja2 2.10"]);
    check("usr/lib/python3/six.egg-info", metadata, INSTALLED, &["pypi Jinja2 2.10"]);
    check("usr/lib/python3/six.egg", &make::zip(&[("EGG-INFO/PKG-INFO", metadata)]), INSTALLED, &["pypi Jinja2 2.10"]);
    let gem = b"# -*- encoding: utf-8 -*-\n# stub: rake 13.0.6 ruby lib\n\nGem::Specification.new do |s|\n  s.name = \"rake\".freeze\n  \
        s.version = \"13.0.6\"\n  s.licenses = [\"MIT\".freeze]\n";
    check("var/lib/gems/specifications/rake-13.0.6.gemspec", gem, INSTALLED, &["gem rake 13.0.6"]);
    for list in [
        r#"{"packages":[{"name":"monolog/monolog","version":"2.0.0","license":["MIT"]}],"dev":true}"#,
        r#"[{"name":"monolog/monolog","version":"2.0.0"}]"#,
    ] {
        check("srv/vendor/composer/installed.json", list.as_bytes(), INSTALLED, &["composer monolog/monolog 2.0.0"]);
    }
}

#[test]
fn lock_files_of_node() {
    check(
        "package-lock.json",
        b"{\"lockfileVersion\":3,\"packages\":{\n\"\":{\"name\":\"shop\",\"version\":\"1\"},\n\"node_modules/a\":{\"version\":\"1.0.0\"},\n\
          \"node_modules/a/node_modules/@b/c\":{\"version\":\"2.0.0\"},\n\"node_modules/d\":{\"version\":\"3\",\"dev\":true},\n\
          \"libs/x\":{\"version\":\"1\"},\"node_modules/x\":{\"link\":true},\n\"node_modules/e\":{\"name\":\"real\",\"version\":\"4\"}}}",
        REPOSITORY,
        &["npm a 1.0.0 :3", "npm @b/c 2.0.0 :4", "npm real 4 :7"],
    );
    check(
        "package-lock.json",
        b"{\"lockfileVersion\":1,\"dependencies\":{\n\"a\": {\"version\":\"1.0.0\",\"dependencies\":{\n\"b\": {\"version\":\"2\"}}},\n\
          \"c\": {\"version\":\"npm:real@3\"},\"d\": {\"version\":\"file:../d\"},\"e\": {\"version\":\"1\",\"dev\":true}}}",
        REPOSITORY,
        &["npm a 1.0.0 :2", "npm b 2 :3", "npm real 3 :4"],
    );
    check(
        "yarn.lock",
        b"# yarn lockfile v1\n\n\n\"@b/c@^1.0.0\", \"@b/c@^1.1.0\":\n  version \"1.1.2\"\n  resolved \"x\"\n  dependencies:\n    version \"9\"\n\n\
          alias@npm:real@^2:\n  version \"2.0.1\"\n",
        REPOSITORY,
        &["npm @b/c 1.1.2 :4", "npm real 2.0.1 :10"],
    );
    check(
        "yarn.lock",
        b"__metadata:\n  version: 6\n\n\"lodash@npm:^4.17.0\":\n  version: 4.17.21\n  resolution: \"lodash@npm:4.17.21\"\n\n\
          \"shop@workspace:.\":\n  version: 0.0.0-use.local\n  resolution: \"shop@workspace:.\"\n",
        REPOSITORY,
        &["npm lodash 4.17.21 :4"],
    );
    for (lock, expected) in [
        (
            "lockfileVersion: 5.4\n\npackages:\n\n  /a/1.0.0_x@2:\n    dev: false\n\n  /@b/c/2.0.0:\n    dev: true\n",
            &["npm a 1.0.0 :5"][..],
        ),
        ("lockfileVersion: '6.0'\n\npackages:\n\n  /@b/c@2.0.0(x@1):\n    dev: false\n", &["npm @b/c 2.0.0 :5"]),
        (
            "lockfileVersion: '9.0'\n\nimporters:\n  .:\n    dependencies:\n      a:\n        specifier: ^1\n        version: 1.0.0(p@1.0.0)\n    \
             devDependencies:\n      t:\n        specifier: ^1\n        version: 1.0.0\n\npackages:\n\n  a@1.0.0:\n    resolution: {}\n\n  \
             '@b/c@2.0.0':\n    resolution: {}\n\n  t@1.0.0:\n    resolution: {}\n\nsnapshots:\n\n  a@1.0.0(p@1.0.0):\n    dependencies:\n      \
             '@b/c': 2.0.0\n\n  '@b/c@2.0.0': {}\n\n  t@1.0.0: {}\n",
            &["npm a 1.0.0 :16", "npm @b/c 2.0.0 :19"],
        ),
    ] {
        check("pnpm-lock.yaml", lock.as_bytes(), REPOSITORY, expected);
    }
}

#[test]
fn lock_files_of_python() {
    check(
        "requirements.txt",
        b"\xef\xbb\xbf# pinned\nDjango==2.2  # old\nrequests[socks]==2.19.0 ; python_version > '3' \\\n  --hash=sha256:0\nflask>=1\n-r x.txt\n\
          a==1.*\nb===1.0\nc @ https://x/c==1.whl\n",
        REPOSITORY,
        &["pypi Django 2.2 :2", "pypi requests 2.19.0 :3", "pypi b 1.0 :8"],
    );
    check(
        "poetry.lock",
        b"[[package]]\nname = \"a\"\nversion = \"1\"\ncategory = \"main\"\n\n[[package]]\nname = \"b\"\nversion = \"2\"\ncategory = \"dev\"\n\n\
          [[package]]\nname = \"c\"\nversion = \"3\"\ngroups = [\"dev\", \"main\"]\n",
        REPOSITORY,
        &["pypi a 1 :2", "pypi c 3 :12"],
    );
    check(
        "uv.lock",
        b"version = 1\n[[package]]\nname = \"a\"\nversion = \"1\"\nsource = { registry = \"x\" }\ndependencies = [{ name = \"b\" }]\n\
          [[package]]\nname = \"b\"\nversion = \"2\"\n[[package]]\nname = \"shop\"\nversion = \"0\"\nsource = { virtual = \".\" }\n\
          dependencies = [{ name = \"a\", version = \"1\" }]\n[[package]]\nname = \"pytest\"\nversion = \"8\"\n",
        REPOSITORY,
        &["pypi a 1 :3", "pypi b 2 :8"],
    );
    check(
        "Pipfile.lock",
        b"{\n\"default\": {\n\"a\": {\"version\": \"==1.0\"},\n\"b\": {\"git\": \"x\"}},\n\"develop\": {\"c\": {\"version\": \"==2\"}}}",
        REPOSITORY,
        &["pypi a 1.0 :3"],
    );
}

#[test]
fn lock_files_of_others() {
    check(
        "Gemfile.lock",
        b"PATH\n  remote: .\n  specs:\n    shop (1)\n\nGEM\n  remote: https://rubygems.org/\n  specs:\n    nokogiri (1.13.1-x86_64-linux)\n      \
          racc (~> 1.4)\n    racc (1.6.0)\n\nDEPENDENCIES\n  nokogiri\n",
        REPOSITORY,
        &["gem nokogiri 1.13.1 :9", "gem racc 1.6.0 :11"],
    );
    check(
        "Cargo.lock",
        b"version = 4\n\n[[package]]\nname = \"serde\"\nversion = \"1.0.200\"\nsource = \"registry+x\"\n\n\
          [[package]]\nname = \"shop\"\nversion = \"0.1.0\"\n",
        REPOSITORY,
        &["cargo serde 1.0.200 :4"],
    );
    check(
        "composer.lock",
        b"{\"packages\": [\n{\"name\": \"a/b\", \"version\": \"v1.0\"}],\n\"packages-dev\": [{\"name\": \"c/d\", \"version\": \"1\"}]}",
        REPOSITORY,
        &["composer a/b v1.0 :2"],
    );
    check(
        "go.mod",
        b"module shop\n\ngo 1.22\n\nrequire golang.org/x/net v0.1.0 // indirect\nrequire (\n\tgithub.com/old/one v1.0.0\n\tgithub.com/a/b v1\n)\n\
          replace github.com/old/one => github.com/new/one v1.0.1\nreplace github.com/a/b v2 => ../b\n",
        REPOSITORY,
        &["golang golang.org/x/net v0.1.0 :5", "golang github.com/new/one v1.0.1 :7", "golang github.com/a/b v1 :8"],
    );
    for path in
        ["package-lock.json", "pnpm-lock.yaml", "poetry.lock", "uv.lock", "Cargo.lock", "composer.lock", "Pipfile.lock"]
    {
        let said = said(path, b"{[<nothing that anybody would write", REPOSITORY);
        assert_eq!((said.packages.len(), said.unread.len()), (0, 1), "{path}");
    }
}
