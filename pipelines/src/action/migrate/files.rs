//! Migrations as they lie in the repository: which there are, in their order. What one does, crate `rollout` reads.

use std::path::Path;

use rollout::migration::{self, Phase, Reading};

/// Longest file that is read.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Most files.
const FILES_MAX: usize = 10_000;

/// A migration.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(super) struct Migration {
    /// Its file, without folders.
    pub(super) name: String,
    /// Its path in the workspace.
    pub(super) path: String,
    /// SHA-256 of what it says, as hexadecimal digits.
    pub(super) digest: String,
    /// When it may run.
    pub(super) phase: Phase,
    /// Why it cannot be undone, if it cannot.
    pub(super) irreversible: Option<String>,
    /// Why the old revision may not work with it.
    pub(super) breaks: Option<String>,
}

/// All migrations of a folder, in the order of their names.
pub(super) fn all(workspace: &Path, folder: &str) -> Result<Vec<Migration>, String> {
    let root = workspace.join(folder);
    // A link may lead anywhere on the machine of the engine.
    let real = root.canonicalize().map_err(|error| missing(folder, &error))?;
    let home = workspace.canonicalize().map_err(|error| format!("the workspace cannot be read: {error}"))?;
    if !real.starts_with(&home) {
        return Err(format!("`migrations`: {folder} leads out of the workspace"));
    }
    let entries =
        std::fs::read_dir(&real).map_err(|error| format!("`migrations`: {folder} cannot be read: {error}"))?;
    let mut names = Vec::new();
    for entry in entries.take(FILES_MAX) {
        let entry = entry.map_err(|error| format!("`migrations`: {folder} cannot be read: {error}"))?;
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        let name = entry.file_name().to_string_lossy().into_owned();
        let goes_back = name.ends_with(".down.sql") || name.starts_with(['.', '_']);
        if is_file && !goes_back && entry.metadata().is_ok_and(|facts| facts.len() <= FILE_BYTES_MAX) {
            names.push(name);
        }
    }
    names.sort_by(|one, other| order(one).cmp(&order(other)));
    names.into_iter().map(|name| read(&real, folder, name)).collect()
}

/// Why there is no such folder, most likely, and what to do.
fn missing(folder: &str, error: &std::io::Error) -> String {
    let help = if error.kind() == std::io::ErrorKind::NotFound {
        "; check the repository out in a step before this one (`uses: actions/checkout@v4`), and write the folder as seen from its root, \
         such as `migrations: db/migrations`"
    } else {
        ""
    };
    format!("`migrations`: {folder} cannot be read: {error}{help}")
}

/// By the number that they begin with, if they do, so that 10 comes after 9.
fn order(name: &str) -> (u128, &str) {
    let digits = name.trim_start_matches(['V', 'v']);
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    (digits[..end].parse().unwrap_or(u128::MAX), name)
}

fn read(root: &Path, folder: &str, name: String) -> Result<Migration, String> {
    let bytes = std::fs::read(root.join(&name)).map_err(|error| format!("{name} cannot be read: {error}"))?;
    of(&name, folder, &String::from_utf8_lossy(&bytes))
}

/// Reads one.
pub(super) fn of(name: &str, folder: &str, text: &str) -> Result<Migration, String> {
    let Reading { phase, irreversible, breaks } = migration::read(name, text)?;
    let path = format!("{}/{name}", folder.trim_end_matches('/'));
    let digest = super::digest(text.as_bytes());
    Ok(Migration { name: name.to_owned(), path, digest, phase, irreversible, breaks })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_come_in_the_order_of_their_numbers() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("db")).unwrap();
        for name in ["10_b.sql", "9_a.sql", "V2__x.sql", "readme.down.sql", ".hidden", "z.sql"] {
            std::fs::write(folder.path().join("db").join(name), "SELECT 1").unwrap();
        }
        let names: Vec<_> = all(folder.path(), "db").unwrap().into_iter().map(|one| one.name).collect();
        assert_eq!(names, ["V2__x.sql", "9_a.sql", "10_b.sql", "z.sql"]);
        let none = all(folder.path(), "none").unwrap_err();
        assert!(none.contains("none cannot be read") && none.contains("check the repository out"), "{none}");
        assert!(all(folder.path(), "..").unwrap_err().contains("leads out of"));
    }
}
