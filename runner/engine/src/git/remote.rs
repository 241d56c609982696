//! What a local repository tells about its remote. What it tells about an event is read by the command line.

use git2::Repository;

use super::refs::{Head, unborn_or_head};

const GITHUB: &str = "https://github.com";

/// The branch that the remote calls its default, else `main` or `master`, whichever exists, else what is checked out.
#[must_use]
pub fn default_branch(repository: &Repository) -> String {
    let of_remote = repository.find_reference("refs/remotes/origin/HEAD").ok().and_then(|head| {
        let target = head.symbolic_target().ok().flatten()?;
        target.strip_prefix("refs/remotes/origin/").map(str::to_owned)
    });
    let known = || {
        let exists = |name: &&str| {
            ["refs/heads", "refs/remotes/origin"]
                .iter()
                .any(|folder| repository.find_reference(&format!("{folder}/{name}")).is_ok())
        };
        ["main", "master"].into_iter().find(|name| exists(name)).map(str::to_owned)
    };
    let current = || match unborn_or_head(repository).head {
        Head::Branch(branch) => Some(branch),
        Head::Detached(_) => None,
    };
    of_remote.or_else(known).or_else(current).unwrap_or_else(|| "main".to_owned())
}

/// URL of `origin` (or of the only remote) without user and password.
#[must_use]
pub fn origin_url(repository: &Repository) -> Option<String> {
    let remotes = repository.remotes().ok()?;
    let only = || (remotes.len() == 1).then(|| remotes.get(0).ok().flatten().map(str::to_owned)).flatten();
    let remote = repository.find_remote("origin").ok().or_else(|| repository.find_remote(&only()?).ok())?;
    remote.url().ok().map(without_credentials)
}

fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (host, path) = rest.split_once('/').map_or((rest, ""), |(host, path)| (host, path));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    if path.is_empty() { format!("{scheme}://{host}") } else { format!("{scheme}://{host}/{path}") }
}

/// Host and `owner/name` of a remote's URL: `https://host/owner/name.git`, `git@host:owner/name`, `ssh://…`.
fn split_url(url: &str) -> Option<(String, String)> {
    let (host, path) = match url.split_once("://") {
        Some(("file", _)) => return None,
        Some((_, rest)) => rest.split_once('/')?,
        None => url.split_once(':').filter(|(host, _)| !host.contains('/'))?,
    };
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let path = path.trim_matches('/').trim_end_matches(".git");
    let mut parts = path.rsplit('/').filter(|part| !part.is_empty());
    let (name, owner) = (parts.next()?, parts.next()?);
    let good = |text: &str| text.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter));
    (good(owner) && good(name)).then(|| (host.to_owned(), format!("{owner}/{name}")))
}

/// Where the remote is, as `https://host`; GitHub where there is none.
#[must_use]
pub fn server_url(repository: &Repository) -> String {
    let url = origin_url(repository);
    let split = url.as_deref().and_then(split_url);
    let Some((host, _)) = split else { return GITHUB.to_owned() };
    match url.as_deref().and_then(|url| url.split_once("://")) {
        Some(("http", _)) => format!("http://{host}"),
        Some(_) | None => format!("https://{}", host.split(':').next().unwrap_or(&host)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remotes() {
        let check = |url: &str, expect: Option<(&str, &str)>| {
            let expect = expect.map(|(host, name)| (host.to_owned(), name.to_owned()));
            assert_eq!(split_url(&without_credentials(url)), expect, "{url}");
        };
        check("https://github.com/owner/name.git", Some(("github.com", "owner/name")));
        check("https://user:word@github.com/owner/name", Some(("github.com", "owner/name")));
        check("git@github.com:owner/name.git", Some(("github.com", "owner/name")));
        check("ssh://git@host:22/group/owner/name.git", Some(("host:22", "owner/name")));
        check("/srv/git/name.git", None);
        check("../name", None);
        check("file:///srv/a/b", None);
        assert_eq!(without_credentials("https://a:b@host/x/y"), "https://host/x/y");
    }
}
