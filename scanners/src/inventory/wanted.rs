//! Which files say something, by their path alone: it is asked of each file of an image, so it looks at the name first.

/// What a file is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    OsRelease,
    DpkgStatus,
    /// A package of an image without dpkg: `status.d` of distroless images.
    DpkgStatusFile,
    DpkgList,
    DpkgSums,
    ApkInstalled,
    RpmSqlite,
    /// What SQLite has written and not yet put into the database.
    RpmLog,
    /// The form of rpm's database that SUSE uses.
    RpmNdb,
    /// Its oldest form, Berkeley DB.
    RpmBerkeley,
    NodePackage,
    PythonMetadata,
    /// A `.egg-info` that is a file, or an archive.
    PythonEgg,
    Gemspec,
    Jar,
    /// Anything that may be executed: Go and Cargo leave notes in programs.
    Program,
    ComposerInstalled,
    Lock(LockFile),
}

/// Files of a repository that name what will be installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LockFile {
    Npm,
    Yarn,
    Pnpm,
    Requirements,
    Poetry,
    Uv,
    Pipenv,
    Bundler,
    Cargo,
    Composer,
    GoMod,
}

/// What is read of a file system.
pub(crate) fn installed(path: &str, executable: bool) -> Option<Kind> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let kind = match name {
        "package.json" => Some(Kind::NodePackage),
        "METADATA" if folder.ends_with(".dist-info") => Some(Kind::PythonMetadata),
        "PKG-INFO" if folder.ends_with(".egg-info") || folder.ends_with("EGG-INFO") => Some(Kind::PythonMetadata),
        "os-release" if folder == "etc" || folder == "usr/lib" => Some(Kind::OsRelease),
        "status" if folder == "var/lib/dpkg" => Some(Kind::DpkgStatus),
        "installed" if matches!(folder, "lib/apk/db" | "usr/lib/apk/db") => Some(Kind::ApkInstalled),
        "installed.json" if folder.ends_with("vendor/composer") || folder == "composer" => {
            Some(Kind::ComposerInstalled)
        }
        "rpmdb.sqlite" if is_rpm(folder) => Some(Kind::RpmSqlite),
        "rpmdb.sqlite-wal" if is_rpm(folder) => Some(Kind::RpmLog),
        "Packages.db" if is_rpm(folder) => Some(Kind::RpmNdb),
        "Packages" if is_rpm(folder) => Some(Kind::RpmBerkeley),
        // Programs of Rust mostly do not say what is in them. Of the sources of others Cargo ignores it.
        "Cargo.lock" if !folder.contains("registry/src/") => Some(Kind::Lock(LockFile::Cargo)),
        name => by_ending(folder, name),
    };
    kind.or_else(|| executable.then_some(Kind::Program))
}

fn by_ending(folder: &str, name: &str) -> Option<Kind> {
    if folder == "var/lib/dpkg/status.d" {
        return Some(if name.ends_with(".md5sums") { Kind::DpkgSums } else { Kind::DpkgStatusFile });
    }
    let (_, ending) = name.rsplit_once('.')?;
    match ending {
        "list" if folder == "var/lib/dpkg/info" => Some(Kind::DpkgList),
        "gemspec" if folder.ends_with("specifications") || folder.ends_with("specifications/default") => {
            Some(Kind::Gemspec)
        }
        "egg-info" | "egg" => Some(Kind::PythonEgg),
        _ if is_jar(ending) => Some(Kind::Jar),
        _ => None,
    }
}

/// Archives of Java: libraries, web, enterprise and resource archives, and Jenkins' plugins.
pub(crate) fn is_jar(ending: &str) -> bool {
    ["jar", "war", "ear", "par", "jpi", "hpi"].iter().any(|jar| ending.eq_ignore_ascii_case(jar))
}

fn is_rpm(folder: &str) -> bool {
    matches!(folder, "var/lib/rpm" | "usr/lib/sysimage/rpm" | "usr/share/rpm")
}

/// What is read of a repository.
pub(crate) fn lock_file(path: &str) -> Option<Kind> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let lock = match name {
        "package-lock.json" | "npm-shrinkwrap.json" => LockFile::Npm,
        "yarn.lock" => LockFile::Yarn,
        // No lock file, but it tells what of Yarn's is for development.
        "package.json" => return Some(Kind::NodePackage),
        "pnpm-lock.yaml" => LockFile::Pnpm,
        "poetry.lock" => LockFile::Poetry,
        "uv.lock" => LockFile::Uv,
        "Pipfile.lock" => LockFile::Pipenv,
        "Gemfile.lock" | "gems.locked" => LockFile::Bundler,
        "Cargo.lock" => LockFile::Cargo,
        "composer.lock" => LockFile::Composer,
        "go.mod" => LockFile::GoMod,
        name => {
            let stem = name.strip_suffix(".txt")?;
            let is_requirements = stem.starts_with("requirements")
                || stem.ends_with("requirements")
                || folder.rsplit('/').next() == Some("requirements");
            return is_requirements.then_some(Kind::Lock(LockFile::Requirements));
        }
    };
    Some(Kind::Lock(lock))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_their_path() {
        for (path, expected) in [
            ("app/node_modules/@babel/core/package.json", Some(Kind::NodePackage)),
            ("usr/lib/python3/dist-packages/six-1.16.0.egg-info/PKG-INFO", Some(Kind::PythonMetadata)),
            ("usr/lib/python3/dist-packages/six-1.16.0.egg-info", Some(Kind::PythonEgg)),
            ("opt/METADATA", None),
            ("var/lib/dpkg/status.d/base", Some(Kind::DpkgStatusFile)),
            ("var/lib/dpkg/status.d/base.md5sums", Some(Kind::DpkgSums)),
            ("var/lib/dpkg/info/libc6:amd64.list", Some(Kind::DpkgList)),
            ("usr/lib/ruby/gems/3.1.0/specifications/default/json-2.6.1.gemspec", Some(Kind::Gemspec)),
            ("src/x.gemspec", None),
            ("opt/App.WAR", Some(Kind::Jar)),
            ("srv/vendor/composer/installed.json", Some(Kind::ComposerInstalled)),
            ("home/app/package-lock.json", None),
            ("home/app/Cargo.lock", Some(Kind::Lock(LockFile::Cargo))),
            ("root/.cargo/registry/src/index.crates.io-0/serde-1.0.200/Cargo.lock", None),
        ] {
            assert_eq!(installed(path, false), expected, "{path}");
        }
        assert_eq!(installed("usr/bin/app", true), Some(Kind::Program));
    }

    #[test]
    fn lock_files_are_known_by_their_name() {
        for (path, expected) in [
            ("package-lock.json", Some(LockFile::Npm)),
            ("a/requirements-dev.txt", Some(LockFile::Requirements)),
            ("requirements/base.txt", Some(LockFile::Requirements)),
            ("notes.txt", None),
            ("go.mod", Some(LockFile::GoMod)),
        ] {
            assert_eq!(lock_file(path), expected.map(Kind::Lock), "{path}");
        }
    }
}
