//! `owner/name` from a remote's URL.

use std::path::Path;

/// `owner/name` of a URL as git takes them: `https://host/owner/name.git`, `git@host:owner/name`, `ssh://host/owner/name`.
/// `None` for paths on this machine and whatever else has no two names.
pub fn repository_name(url: &str) -> Option<String> {
    let path = match url.split_once("://") {
        Some(("file", _)) => return None,
        Some((_, rest)) => rest.split_once('/')?.1,
        None => {
            let (host, path) = url.split_once(':')?;
            if host.contains('/') {
                return None;
            }
            path
        }
    };
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    let (owner, name) = path.rsplit_once('/')?;
    let owner = owner.rsplit('/').next()?;
    let usable = |text: &str| !text.is_empty() && text.chars().all(is_usable) && text != "." && text != "..";
    (usable(owner) && usable(name)).then(|| format!("{owner}/{name}"))
}

/// A name for a repository without a remote: `local/` and its folder.
pub fn local_name(root: &Path) -> String {
    let folder = root.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name: String = folder.chars().map(|c| if is_usable(c) { c } else { '-' }).collect();
    let name = name.trim_matches(['-', '.']);
    format!("local/{}", if name.is_empty() { "repository" } else { name })
}

const fn is_usable(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_their_repository() {
        for (url, expected) in [
            ("https://github.com/acme/shop.git", Some("acme/shop")),
            ("https://user:pass@github.com/acme/shop/", Some("acme/shop")),
            ("git@github.com:acme/shop.git", Some("acme/shop")),
            ("ssh://git@github.com:22/acme/shop", Some("acme/shop")),
            ("https://gitlab.com/group/sub/shop", Some("sub/shop")),
            ("file:///srv/git/shop.git", None),
            ("/srv/git/shop.git", None),
            ("../shop", None),
            ("https://github.com/shop", None),
            ("https://github.com/acme/$(x)", None),
        ] {
            assert_eq!(repository_name(url).as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn folders_name_what_has_no_url() {
        for (path, expected) in [("/home/a/my shop", "local/my-shop"), ("/", "local/repository"), ("/x/.y", "local/y")]
        {
            assert_eq!(local_name(Path::new(path)), expected);
        }
    }
}
