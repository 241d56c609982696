//! From a file of a known kind to what it says.

use std::io;

use super::elf::Elf;
use super::facts::Said;
use super::wanted::{Kind, LockFile};
use super::{
    apk, cargo, composer, dpkg, gem, go, jar, npm, npm_lock, os_release, pnpm, python, python_lock, rpm, rpm_berkeley,
    yarn,
};
use crate::source::{Limits, Random};

/// Reads a file. What is wrong with it is part of the answer.
pub(crate) fn read(kind: Kind, path: &str, content: &Random, limits: &Limits, development: bool) -> Said {
    let is_jumped_in = matches!(kind, Kind::Jar | Kind::Program | Kind::RpmSqlite | Kind::RpmNdb);
    let bytes_max = if is_jumped_in { limits.random_bytes } else { limits.file_bytes };
    if content.length() > bytes_max {
        return Said::unread(format!("it has {} bytes, more than {bytes_max}", content.length()));
    }
    match understand(kind, path, content, limits, development) {
        Ok(said) => said,
        Err(error) => Said::unread(crate::source::explain(&error)),
    }
}

fn understand(kind: Kind, path: &str, content: &Random, limits: &Limits, development: bool) -> io::Result<Said> {
    let text = || content.bytes(0, content.length());
    Ok(match kind {
        Kind::OsRelease => os_release::parse(&text()?),
        Kind::DpkgStatus | Kind::DpkgStatusFile => dpkg::status(&text()?),
        Kind::DpkgList => dpkg::list(&text()?),
        Kind::DpkgSums => dpkg::sums(&text()?),
        Kind::ApkInstalled => apk::installed(&text()?),
        Kind::RpmSqlite => rpm::sqlite(content, None),
        Kind::RpmLog => Said::default(),
        Kind::RpmNdb => rpm::ndb(content),
        Kind::RpmBerkeley if content.length() == 0 => Said::default(),
        Kind::RpmBerkeley => rpm_berkeley::berkeley(content),
        Kind::NodePackage => npm::package_json(path, &text()?),
        Kind::PythonMetadata => python::metadata(&text()?),
        Kind::PythonEgg => egg(content, limits)?,
        Kind::Gemspec => gem::gemspec(&text()?),
        // An empty file in place of an archive holds nothing.
        Kind::Jar if content.length() == 0 => Said::default(),
        Kind::Jar => jar::jar(path, content, limits),
        Kind::Program => program(content)?,
        Kind::ComposerInstalled => composer::installed(&text()?),
        Kind::Lock(lock) => locked(lock, &text()?, development),
    })
}

fn locked(lock: LockFile, text: &[u8], development: bool) -> Said {
    match lock {
        LockFile::Npm => npm_lock::parse(text, development),
        LockFile::Yarn => yarn::parse(text, None, development),
        LockFile::Pnpm => pnpm::parse(text, development),
        LockFile::Requirements => python_lock::requirements(text),
        LockFile::Poetry => python_lock::poetry(text, development),
        LockFile::Uv => python_lock::uv(text, development),
        LockFile::Pipenv => python_lock::pipenv(text, development),
        LockFile::Bundler => gem::lock(text),
        LockFile::Cargo => cargo::lock(text),
        LockFile::Composer => composer::lock(text, development),
        LockFile::GoMod => go::go_mod(text),
    }
}

/// A `.egg-info` that is a file is what PKG-INFO is; an `.egg` is an archive with one in it.
fn egg(content: &Random, limits: &Limits) -> io::Result<Said> {
    let mut head = [0; 2];
    if content.read_exact_at(0, &mut head).is_err() {
        return Ok(Said::default());
    }
    if &head == b"PK" {
        return Ok(jar::egg(content)?.map(|note| python::metadata(&note)).unwrap_or_default());
    }
    if content.length() > limits.file_bytes {
        return Ok(Said::unread("it is too large to be read"));
    }
    Ok(python::metadata(&content.bytes(0, content.length())?))
}

/// What Go and Cargo leave in a program. A broken program says nothing: the kernel would not run it.
fn program(file: &Random) -> io::Result<Said> {
    let Ok(Some(elf)) = Elf::open(file) else { return Ok(Said::default()) };
    let Ok([go_section, crates]) = elf.sections([".go.buildinfo", ".dep-v0"]) else { return Ok(Said::default()) };
    let mut said = go::program(file, &elf, go_section)?.unwrap_or_default();
    if let Some(crates) = crates {
        let audit = cargo::audit(&file.bytes(crates.offset, crates.bytes)?);
        said.packages.extend(audit.packages);
        said.unread.extend(audit.unread);
    }
    Ok(said)
}
