//! Users and groups from `/etc/passwd` and `/etc/group`.
//!
//! Read by hand: glibc's own look-ups load shared objects of the image, which a static binary must not. The rules are those
//! of Docker's `--user`: name or number, and without a group that of the user, with all groups that list the user.

use std::fs;

/// Who a process is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Further groups.
    pub(crate) groups: Vec<u32>,
    /// Absent for a number that is nobody's.
    pub(crate) name: Option<String>,
    pub(crate) home: Option<String>,
    pub(crate) shell: Option<String>,
}

impl Account {
    /// `name`, `uid`, `name:group` or `uid:gid`.
    pub(crate) fn find(wanted: &str) -> Result<Self, String> {
        // An image without these files has no names; numbers still work.
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let group = fs::read_to_string("/etc/group").unwrap_or_default();
        Self::find_in(wanted, &passwd, &group)
    }

    fn find_in(wanted: &str, passwd: &str, group: &str) -> Result<Self, String> {
        let (user, group_wanted) = match wanted.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (wanted, None),
        };
        let number = user.parse::<u32>().ok();
        let mut entries = passwd.lines().filter_map(PasswdEntry::read);
        let entry = entries.find(|entry| entry.name == user || Some(entry.uid) == number);
        let mut account = match (&entry, number) {
            (Some(entry), _) => entry.account(),
            (None, Some(uid)) => Self { uid, gid: 0, groups: Vec::new(), name: None, home: None, shell: None },
            (None, None) => return Err(format!("no user `{user}` in /etc/passwd")),
        };
        match group_wanted {
            Some(wanted) => account.gid = find_group(wanted, group)?,
            None => {
                let listed =
                    |members: &str| account.name.as_ref().is_some_and(|name| members.split(',').any(|m| m == name));
                account.groups =
                    groups(group).filter(|(_, _, members)| listed(members)).map(|(_, gid, _)| gid).collect();
            }
        }
        Ok(account)
    }
}

struct PasswdEntry<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
    shell: &'a str,
}

impl<'a> PasswdEntry<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        let (home, shell) = (fields.nth(1).unwrap_or_default(), fields.next().unwrap_or_default());
        Some(Self { name, uid, gid, home, shell })
    }

    fn account(&self) -> Account {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Account {
            uid: self.uid,
            gid: self.gid,
            groups: Vec::new(),
            name: some(self.name),
            home: some(self.home),
            shell: some(self.shell),
        }
    }
}

/// Name, gid and comma-separated members.
fn groups(group: &str) -> impl Iterator<Item = (&str, u32, &str)> {
    group.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let gid = fields.nth(1)?.parse().ok()?;
        Some((name, gid, fields.next().unwrap_or_default()))
    })
}

fn find_group(wanted: &str, group: &str) -> Result<u32, String> {
    let named = groups(group).find(|(name, _, _)| *name == wanted).map(|(_, gid, _)| gid);
    named.or_else(|| wanted.parse().ok()).ok_or_else(|| format!("no group `{wanted}` in /etc/group"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str =
        "root:x:0:0:root:/root:/bin/bash\nbroken line\nnode:x:1000:1001::/home/node:/bin/sh\n77:x:1002:1002:::\n";
    const GROUP: &str = "root:x:0:\ndocker:x:999:node,other\nnode:x:1001:\nvideo:x:44:other,node\nlone:x:7\n";

    type Expected<'a> = (u32, u32, &'a [u32], Option<&'a str>);

    fn check(wanted: &str, expect: Result<Expected<'_>, &str>) {
        let got = Account::find_in(wanted, PASSWD, GROUP);
        let got = got.map(|account| (account.uid, account.gid, account.groups, account.home));
        let expect = expect.map(|(uid, gid, groups, home)| (uid, gid, groups.to_vec(), home.map(str::to_owned)));
        assert_eq!(got, expect.map_err(str::to_owned), "{wanted}");
    }

    #[test]
    fn names_and_numbers() {
        check("root", Ok((0, 0, &[], Some("/root"))));
        check("node", Ok((1000, 1001, &[999, 44], Some("/home/node"))));
        check("1000", Ok((1000, 1001, &[999, 44], Some("/home/node"))));
        check("node:docker", Ok((1000, 999, &[], Some("/home/node"))));
        check("5:6", Ok((5, 6, &[], None)));
        check("5", Ok((5, 0, &[], None)));
        check("5:lone", Ok((5, 7, &[], None)));
        check("77", Ok((1002, 1002, &[], None)));
        check("ghost", Err("no user `ghost` in /etc/passwd"));
        check("root:ghosts", Err("no group `ghosts` in /etc/group"));
        check("", Err("no user `` in /etc/passwd"));
    }
}
