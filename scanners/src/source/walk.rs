//! What a walk through a layer or folder shows of each entry, and the paths it says it in.
//!
//! A walk names entries and hands out their content on request; what it is good for is the visitor's affair. Links are
//! never followed, so loops of them and links out of the image lead nowhere.

use std::io;

use super::Random;

/// What lies at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    Directory,
    File {
        bytes: u64,
        /// Whether anybody may execute it.
        executable: bool,
    },
    /// A symbolic link, a device, a pipe: there, but never read.
    Other,
    /// Another name for a file of the same layer.
    HardLink {
        target: String,
    },
    /// A file of which only the parts that are not zero are stored, in a form that is not read here.
    Sparse {
        bytes: u64,
    },
    /// The path does not exist from this layer on.
    Whiteout,
    /// What layers below have in this directory does not exist from this layer on.
    Opaque,
}

/// The content of the file that a visitor is being shown.
pub trait Content {
    /// The first bytes, at most 64 of them and fewer when the file has fewer.
    ///
    /// # Errors
    /// When they cannot be read.
    fn head(&mut self) -> io::Result<Vec<u8>>;

    /// All of it, for whoever needs to jump around in it.
    ///
    /// # Errors
    /// When it cannot be read, or ends before its length.
    fn random(&mut self) -> io::Result<Random>;
}

/// Is shown each entry of a layer or folder.
pub trait Visitor {
    /// `path` is relative to the root, without a leading or trailing `/`, and never goes up.
    ///
    /// # Errors
    /// When the content could not be read; the walk ends.
    fn entry(&mut self, path: &str, node: Node, content: &mut dyn Content) -> io::Result<()>;

    /// An entry that cannot be taken for what it says it is.
    fn odd(&mut self, path: &str, reason: &str);
}

/// How many bytes [`Content::head`] gives.
pub(crate) const HEAD_BYTES: usize = 64;

/// A path as a layer writes it, cleaned: no leading `/` or `./`, nothing doubled; none when it goes up.
pub(crate) fn clean(raw: &str) -> Option<String> {
    let mut path = String::with_capacity(raw.len());
    for part in raw.split('/') {
        match part {
            "" | "." => {}
            ".." => return None,
            part => {
                if !path.is_empty() {
                    path.push('/');
                }
                path.push_str(part);
            }
        }
    }
    Some(path)
}

/// What the name of a layer's entry says about layers below: OCI image-spec, layer.md, "Whiteouts".
/// None for names that mean themselves; some with an empty path for aufs' own notes, which mean nothing.
pub(crate) fn whiteout(path: &str) -> Option<(String, Node)> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let removed = name.strip_prefix(".wh.")?;
    if removed == ".wh..opq" {
        return Some((folder.to_owned(), Node::Opaque));
    }
    if removed.starts_with(".wh.") || removed.is_empty() {
        return Some((String::new(), Node::Other));
    }
    let path = if folder.is_empty() { removed.to_owned() } else { format!("{folder}/{removed}") };
    Some((path, Node::Whiteout))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_and_may_not_go_up() {
        for (raw, expected) in [
            ("usr/bin/node", Some("usr/bin/node")),
            ("./usr//bin/", Some("usr/bin")),
            ("/etc/passwd", Some("etc/passwd")),
            ("./", Some("")),
            ("a/../b", None),
            ("../../etc/passwd", None),
            ("..a/b..", Some("..a/b..")),
        ] {
            assert_eq!(clean(raw).as_deref(), expected, "{raw}");
        }
    }

    #[test]
    fn whiteouts_are_told_from_names() {
        assert_eq!(whiteout("app/.wh.package.json"), Some(("app/package.json".to_owned(), Node::Whiteout)));
        assert_eq!(whiteout(".wh.app"), Some(("app".to_owned(), Node::Whiteout)));
        assert_eq!(whiteout("app/.wh..wh..opq"), Some(("app".to_owned(), Node::Opaque)));
        assert_eq!(whiteout(".wh..wh.plnk"), Some((String::new(), Node::Other)));
        assert_eq!(whiteout("app/.whatever"), None);
    }
}
