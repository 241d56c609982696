//! Who wrote what lies between two commits, by their mail addresses: names anybody may share.

use std::collections::BTreeSet;

use git2::{Oid, Repository};

use super::{MirrorError, library};

/// Most commits that are looked at.
pub const WRITTEN_MAX: usize = 50_000;
/// Longest address that is told, in bytes.
const ADDRESS_BYTES_MAX: usize = 254;
/// GitHub's addresses for people who keep theirs to themselves: `NUMBER+LOGIN@…`.
/// <https://docs.github.com/en/account-and-profile/reference/email-addresses-reference>
const KEPT_PRIVATE: &str = "@users.noreply.github.com";
/// Begins a line at the end of a message that names somebody who wrote it too.
/// <https://docs.github.com/en/pull-requests/committing-changes-to-your-project/creating-and-editing-commits/creating-a-commit-with-multiple-authors>
const TOO: &str = "co-authored-by:";

/// Addresses (and logins, where an address holds one) in lower case of who wrote the commits that `new` has and `old`
/// (`None`: nothing) has not. An `old` that is not here any more counts as nothing: then all of `new` comes.
/// `None`: more than [`WRITTEN_MAX`] commits come.
///
/// # Errors
/// `new` is not here, or the mirror cannot be read.
pub fn written(repository: &Repository, old: Option<&str>, new: &str) -> Result<Option<Vec<String>>, MirrorError> {
    let found = |id: &str| Oid::from_str(id).ok().filter(|id| repository.find_commit(*id).is_ok());
    let new = found(new).ok_or_else(|| MirrorError::Gone(new.to_owned()))?;
    let mut names = BTreeSet::new();
    let mut walk = || {
        let mut walk = repository.revwalk()?;
        walk.push(new)?;
        old.and_then(found).map(|old| walk.hide(old)).transpose()?;
        for (count, id) in walk.enumerate() {
            if count >= WRITTEN_MAX {
                return Ok(false);
            }
            let commit = repository.find_commit(id?)?;
            add(&String::from_utf8_lossy(commit.author().email_bytes()), &mut names);
            let message = String::from_utf8_lossy(commit.message_bytes()).into_owned();
            message.lines().filter_map(co_author).for_each(|address| add(address, &mut names));
        }
        Ok(true)
    };
    let is_all = walk().map_err(library(repository))?;
    Ok(is_all.then(|| names.into_iter().collect()))
}

fn add(address: &str, names: &mut BTreeSet<String>) {
    let address = address.trim().to_lowercase();
    if address.is_empty() || address.len() > ADDRESS_BYTES_MAX {
        return;
    }
    if let Some(kept) = address.strip_suffix(KEPT_PRIVATE) {
        let login = kept.split_once('+').map_or(kept, |(_, login)| login);
        names.insert(login.to_owned());
    }
    names.insert(address);
}

/// The address in `Co-authored-by: NAME <ADDRESS>`.
fn co_author(line: &str) -> Option<&str> {
    let line = line.trim();
    let is_one = line.get(..TOO.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(TOO));
    let (_, address) = line.rsplit_once('<').filter(|_| is_one)?;
    address.strip_suffix('>')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mirror::tests::World;

    #[test]
    fn whoever_wrote_a_commit_since_then() {
        let world = World::new();
        let by = |who: &str, message: &str| {
            let (name, address) = who.split_once(' ').unwrap();
            let (name, address) = (format!("user.name={name}"), format!("user.email={address}"));
            world.git(&["-c", &name, "-c", &address, "commit", "-q", "--allow-empty", "-m", message]);
            world.git(&["rev-parse", "HEAD"])
        };
        let first = world.commit("a.txt", "1");
        let second = by("Bob BOB@example.org", "two");
        let third = by("Eve 7+Octo-Cat@users.noreply.github.com", "three\n\nCo-Authored-By: Kim <kim@example.org>");
        let repository = Repository::open(world.there.root()).unwrap();
        let check = |old: Option<&str>, new: &str, expected: &[&str]| {
            assert_eq!(written(&repository, old, new).unwrap().unwrap(), expected, "{old:?} {new}");
        };
        let eve = "7+octo-cat@users.noreply.github.com";
        check(Some(&second), &third, &[eve, "kim@example.org", "octo-cat"]);
        check(Some(&first), &third, &[eve, "bob@example.org", "kim@example.org", "octo-cat"]);
        check(Some(&third), &first, &[]);
        let all = [eve, "ada@example.org", "bob@example.org", "kim@example.org", "octo-cat"];
        check(None, &third, &all);
        check(Some(&"1".repeat(40)), &third, &all);
        let gone = written(&repository, None, &"1".repeat(40));
        assert!(matches!(gone, Err(MirrorError::Gone(_))), "{gone:?}");
        for line in [
            "Co-authored-by: Kim",
            "co-authored-by <a@b>",
            "\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}<a@b>",
            "x",
        ] {
            assert_eq!(co_author(line), None, "{line}");
        }
    }
}
