//! Ruby: gems that are installed (`specifications/*.gemspec`) and Bundler's lock file.
//!
//! A gemspec is a program; RubyGems writes those of installed gems in one form, whose lines are read without running them.
//! <https://guides.rubygems.org/specification-reference/>, <https://bundler.io/man/gemfile.5.html>.

use super::facts::{Said, Stated};
use crate::package::Ecosystem;

pub(crate) fn gemspec(text: &[u8]) -> Said {
    let text = String::from_utf8_lossy(text);
    let (mut name, mut version, mut stub) = (None, None, None);
    let mut licences = Vec::new();
    for line in text.lines() {
        let line = line.trim();
        if let Some(rest) = line.strip_prefix("# stub: ") {
            let mut words = rest.split(' ');
            stub = words.next().zip(words.next());
            continue;
        }
        let Some((left, right)) = line.split_once('=') else { continue };
        let Some((_, field)) = left.trim().split_once('.') else { continue };
        match field {
            "name" => name = name.or_else(|| quoted(right).next()),
            "version" => version = version.or_else(|| quoted(right).next()),
            "license" | "licenses" => licences.extend(quoted(right).map(str::to_owned)),
            _ => {}
        }
    }
    match (name.or(stub.map(|(name, _)| name)), version.or(stub.map(|(_, version)| version))) {
        (Some(name), Some(version)) if !name.is_empty() && !version.is_empty() => {
            Said::packages(vec![Stated::new(Ecosystem::RubyGems, name, version).licensed(licences)])
        }
        _ => Said::unread("it names no gem, or no version"),
    }
}

/// The texts in quotes of a line.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    let quote = if line.contains('"') { '"' } else { '\'' };
    line.split(quote).skip(1).step_by(2)
}

/// Gems from servers and repositories; those of the project itself (`PATH`) have no advisories.
pub(crate) fn lock(text: &[u8]) -> Said {
    let text = String::from_utf8_lossy(text);
    let mut packages = Vec::new();
    let mut is_read = false;
    for (number, line) in text.lines().enumerate() {
        if !line.starts_with(' ') {
            is_read = matches!(line.trim(), "GEM" | "GIT");
            continue;
        }
        // Four spaces: a gem. Six: what it needs.
        let Some(entry) = line.strip_prefix("    ").filter(|rest| is_read && !rest.starts_with(' ')) else { continue };
        let Some((name, rest)) = entry.split_once(" (") else { continue };
        let version = rest.trim_end().trim_end_matches(')');
        // `1.13.1-x86_64-linux`: built for a platform.
        let version = version.split('-').next().unwrap_or(version);
        if !version.is_empty() {
            packages.push(Stated::new(Ecosystem::RubyGems, name, version).at_line(u32::try_from(number + 1).ok()));
        }
    }
    Said::packages(packages)
}
