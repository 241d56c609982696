//! Which files are which, by their paths.

/// How a file that is called like a Dockerfile is known to be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    /// `Dockerfile` itself.
    Surely,
    /// `Dockerfile.web`, `web.Dockerfile`: if there is a `FROM` in it, and no `dockerfile.rs`.
    Maybe,
    Not,
}

impl Named {
    pub(super) fn of(path: &str) -> Self {
        let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
        for kind in ["dockerfile", "containerfile"] {
            if name == kind {
                return Self::Surely;
            }
            let begins = name.strip_prefix(kind).is_some_and(|rest| rest.starts_with('.'));
            if (begins && !name.ends_with(".dockerignore")) || name.ends_with(&format!(".{kind}")) {
                return Self::Maybe;
            }
        }
        Self::Not
    }
}

/// Whether a text that may be a Dockerfile is one.
pub(super) fn begins_from(text: &str) -> bool {
    text.lines().any(|line| {
        let word = line.split_whitespace().next();
        word.is_some_and(|word| word.eq_ignore_ascii_case("FROM")) && !line.trim_end().ends_with(';')
    })
}

/// Folders of a file system that package managers fill.
const PACKAGED: [&str; 16] = [
    "usr/lib/",
    "usr/lib32/",
    "usr/lib64/",
    "usr/libexec/",
    "usr/include/",
    "usr/share/",
    "usr/games/",
    "usr/local/go/",
    "usr/local/include/",
    "usr/local/share/",
    "lib/",
    "lib64/",
    "var/lib/dpkg/",
    "var/lib/apt/",
    "var/lib/rpm/",
    "var/cache/",
];
/// What people put into such folders all the same.
const OWN: [&str; 2] = ["usr/share/nginx/html/", "usr/lib/systemd/system/"];
/// Folders of that name are filled by a package manager of a language, wherever they lie.
const OF_LANGUAGES: [&str; 5] = ["node_modules", "site-packages", "dist-packages", "__pycache__", "gems"];

/// Whether a file of an image came with software that was installed: its examples and tests hold keys of nobody, and it is most
/// of an image.
pub(super) fn comes_with_software(path: &str) -> bool {
    if OWN.iter().any(|folder| path.starts_with(folder)) {
        return false;
    }
    let is_of_python = path.strip_prefix("usr/local/lib/").is_some_and(|rest| rest.starts_with("python"));
    is_of_python
        || PACKAGED.iter().any(|folder| path.starts_with(folder))
        || path.split('/').rev().skip(1).any(|folder| OF_LANGUAGES.contains(&folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dockerfiles_have_many_names() {
        for (path, expected) in [
            ("Dockerfile", Named::Surely),
            ("a/Containerfile", Named::Surely),
            ("a/Dockerfile.web", Named::Maybe),
            ("a/web.dockerfile", Named::Maybe),
            ("src/dockerfile.rs", Named::Maybe),
            ("Dockerfile.dockerignore", Named::Not),
            ("docs/dockerfile-notes.md", Named::Not),
        ] {
            assert_eq!(Named::of(path), expected, "{path}");
        }
        assert!(begins_from("# syntax\nARG A\nfrom debian AS base\n"));
        assert!(!begins_from("//! FROM of a Dockerfile\nuse from::here;\n"));
    }

    #[test]
    fn files_of_packages_are_told_from_those_that_somebody_put_there() {
        for (path, expected) in [
            ("app/.env", false),
            ("root/.aws/credentials", false),
            ("etc/ssl/private/key.pem", false),
            ("usr/src/app/config.js", false),
            ("usr/local/bin/start.sh", false),
            ("usr/share/nginx/html/config.js", false),
            ("usr/share/doc/openssl/test.pem", true),
            ("usr/local/lib/python3.11/test/key.pem", true),
            ("app/node_modules/a/test/key.pem", true),
            ("venv/lib/python3.11/site-packages/a.py", true),
            ("app/node_modules", false),
        ] {
            assert_eq!(comes_with_software(path), expected, "{path}");
        }
    }
}
