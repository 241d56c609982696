//! Where a repository is fetched from: a URL that git takes, checked before git sees it.
//!
//! Nothing that git would read as an option, run as a command (`ext::`), or send a password with gets through. Relative
//! paths do not either: a server has no folder that they could start from.
//! Follows <https://git-scm.com/docs/git-fetch#_git_urls>.

use std::fmt;
use std::path::Path;

/// Longest URL that is taken.
const URL_BYTES_MAX: usize = 2_048;

/// A checked URL or absolute path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RemoteUrl {
    text: String,
    transport: Transport,
}

/// How git speaks with a remote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// `https://`.
    Https,
    /// `http://`.
    Http,
    /// `ssh://` and `user@host:path`.
    Ssh,
    /// `git://`.
    Git,
    /// A path on this machine, or `file://`.
    File,
}

/// Why a URL is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Nothing is written.
    #[error("it is empty")]
    Empty,
    /// It is too long.
    #[error("it is longer than {URL_BYTES_MAX} bytes")]
    TooLong,
    /// Spaces, control characters, a leading `-`.
    #[error("it begins with `-`, or holds a space or a control character")]
    Form,
    /// `ext::`, `javascript:` …
    #[error("only https, http, ssh, git and file URLs, `user@host:path` and absolute paths are fetched from")]
    Scheme,
    /// `https://user:password@host/`.
    #[error("it holds a password, which would be shown in lists and logs; give the token apart from the URL")]
    Password,
    /// No host, or one that a program would read as an option.
    #[error("its host is missing or unusable")]
    Host,
    /// `repositories/shop.git`.
    #[error("a path on this machine must be absolute")]
    Relative,
}

impl RemoteUrl {
    /// Checks a URL or path.
    ///
    /// # Errors
    /// It is none that is fetched from.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(UrlError::Empty);
        }
        if text.len() > URL_BYTES_MAX {
            return Err(UrlError::TooLong);
        }
        if text.starts_with('-') || text.chars().any(|letter| letter.is_control() || letter == ' ' && !is_path(text)) {
            return Err(UrlError::Form);
        }
        let transport = transport(text)?;
        Ok(Self { text: text.to_owned(), transport })
    }

    /// As git takes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How git speaks with it.
    #[must_use]
    pub const fn transport(&self) -> Transport {
        self.transport
    }

    /// `host` or `host:port` of an https or http URL, for which a token is meant.
    #[must_use]
    pub fn web_host(&self) -> Option<&str> {
        match self.transport {
            Transport::Https | Transport::Http => {
                let rest = self.text.split_once("://")?.1;
                let host = rest.split(['/', '?', '#']).next()?;
                Some(host.rsplit_once('@').map_or(host, |(_, host)| host))
            }
            Transport::Ssh | Transport::Git | Transport::File => None,
        }
    }

    /// The folder, of a repository on this machine.
    #[must_use]
    pub fn local_path(&self) -> Option<&Path> {
        (self.transport == Transport::File).then(|| Path::new(self.text.strip_prefix("file://").unwrap_or(&self.text)))
    }

    /// `owner/name` by the last two names of its path; `local/name` of a path on this machine.
    #[must_use]
    pub fn full_name(&self) -> Option<String> {
        let rest = self.text.split_once("://").map_or(self.text.as_str(), |(_, rest)| rest);
        let path = match self.transport {
            Transport::File => rest,
            Transport::Ssh if !self.text.contains("://") => rest.split_once(':')?.1,
            Transport::Https | Transport::Http | Transport::Ssh | Transport::Git => rest.split_once('/')?.1,
        };
        let path = path.trim_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path).trim_end_matches('/');
        let mut parts = path.rsplit('/').filter(|part| !part.is_empty());
        let name = parts.next()?;
        let owner = if self.transport == Transport::File { "local" } else { parts.next()? };
        let plain = |part: &str| {
            !part.starts_with(['-', '.'])
                && part.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter))
        };
        (plain(owner) && plain(name)).then(|| format!("{owner}/{name}"))
    }
}

impl fmt::Display for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Transport {
    /// As in git's `protocol.NAME.allow`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
            Self::Ssh => "ssh",
            Self::Git => "git",
            Self::File => "file",
        }
    }
}

fn is_path(text: &str) -> bool {
    text.starts_with('/') || text.starts_with("file://")
}

fn transport(text: &str) -> Result<Transport, UrlError> {
    if text.starts_with('/') {
        return Ok(Transport::File);
    }
    let Some((scheme, rest)) = text.split_once("://") else { return scp_like(text) };
    let transport = match scheme.to_ascii_lowercase().as_str() {
        "https" => Transport::Https,
        "http" => Transport::Http,
        "ssh" => Transport::Ssh,
        "git" => Transport::Git,
        "file" => return if rest.starts_with('/') { Ok(Transport::File) } else { Err(UrlError::Relative) },
        _ => return Err(UrlError::Scheme),
    };
    let (authority, path) = rest.split_once('/').ok_or(UrlError::Host)?;
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    if user.contains(':') {
        return Err(UrlError::Password);
    }
    let usable = |part: &str| !part.starts_with('-') && part.chars().all(|letter| letter.is_ascii_graphic());
    if host.is_empty() || !usable(host) || !usable(user) || path.trim_matches('/').is_empty() {
        return Err(UrlError::Host);
    }
    Ok(transport)
}

/// `user@host:path`. Without a colon before the first slash it is a path.
fn scp_like(text: &str) -> Result<Transport, UrlError> {
    let Some((authority, path)) = text.split_once(':') else { return Err(UrlError::Relative) };
    if authority.contains('/') {
        return Err(UrlError::Relative);
    }
    // `ext::command`, `data:…`, `C:\`.
    let Some((user, host)) = authority.split_once('@') else { return Err(UrlError::Scheme) };
    let usable = |part: &str| !part.is_empty() && !part.starts_with('-') && !part.contains(['@', ':']);
    if !usable(user) || !usable(host) || path.is_empty() || path.starts_with([':', '-']) {
        return Err(UrlError::Host);
    }
    Ok(Transport::Ssh)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<(Transport, Option<&str>), UrlError>) {
        let found = RemoteUrl::parse(text);
        let found = found.as_ref().map(|url| (url.transport(), url.full_name())).map_err(|error| *error);
        let expected = expected.map(|(transport, name)| (transport, name.map(str::to_owned)));
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn what_is_fetched_from() {
        check("https://github.com/acme/shop.git", Ok((Transport::Https, Some("acme/shop"))));
        check("https://token@git.test:8443/a/b/shop", Ok((Transport::Https, Some("b/shop"))));
        check("http://[::1]:3000/acme/shop/", Ok((Transport::Http, Some("acme/shop"))));
        check("ssh://git@host:22/acme/shop.git", Ok((Transport::Ssh, Some("acme/shop"))));
        check("git@github.com:acme/shop.git", Ok((Transport::Ssh, Some("acme/shop"))));
        check("git://host/acme/shop", Ok((Transport::Git, Some("acme/shop"))));
        check("/srv/git/my shop.git", Ok((Transport::File, None)));
        check("/srv/git/shop.git/", Ok((Transport::File, Some("local/shop"))));
        check("file:///srv/git/shop", Ok((Transport::File, Some("local/shop"))));
        check("https://host/shop", Ok((Transport::Https, None)));
    }

    #[test]
    fn what_is_not() {
        for (text, expected) in [
            ("", UrlError::Empty),
            ("--upload-pack=touch /tmp/p", UrlError::Form),
            ("-x", UrlError::Form),
            ("https://host/a b/c", UrlError::Form),
            ("https://host/a\nb", UrlError::Form),
            ("ext::sh -c true", UrlError::Form),
            ("ext::sh", UrlError::Scheme),
            ("ext::git@host:x", UrlError::Scheme),
            ("fd::17", UrlError::Scheme),
            ("ftp://host/a/b", UrlError::Scheme),
            ("https://user:secret@host/a/b", UrlError::Password),
            ("https://:secret@host/a/b", UrlError::Password),
            ("ssh://-oProxyCommand=x/a/b", UrlError::Host),
            ("ssh://-x@host/a/b", UrlError::Host),
            ("git@-oProxyCommand=x:a/b", UrlError::Host),
            ("git@host:-x", UrlError::Host),
            ("https://host", UrlError::Host),
            ("https:///a/b", UrlError::Host),
            ("shop.git", UrlError::Relative),
            ("../shop", UrlError::Relative),
            ("a/b:c", UrlError::Relative),
            ("file://shop", UrlError::Relative),
        ] {
            check(text, Err(expected));
        }
        assert_eq!(RemoteUrl::parse(&format!("/{}", "a".repeat(URL_BYTES_MAX))), Err(UrlError::TooLong));
    }

    #[test]
    fn hosts_that_tokens_are_for() {
        for (text, expected) in [
            ("https://github.com/a/b", Some("github.com")),
            ("https://x@git.test:8443/a/b", Some("git.test:8443")),
            ("ssh://git@host/a/b", None),
            ("/srv/a", None),
        ] {
            assert_eq!(RemoteUrl::parse(text).unwrap().web_host(), expected, "{text}");
        }
    }
}
