//! Migrations as they lie in the repository: which there are, what their first lines say, what they do.

use std::path::Path;

use super::sql::{Harm, harms};

/// Longest file that is read.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Most files.
const FILES_MAX: usize = 10_000;
/// Lines at the beginning in which marks are looked for.
const MARK_LINES_MAX: usize = 20;
/// The marks.
const MARKS: [&str; 4] = ["irreversible", "reversible", "expand", "contract"];

/// When a migration may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Phase {
    /// Before the new revision: the old one works with it.
    Expand,
    /// After it: the old one does not.
    Contract,
}

impl Phase {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Expand => "expand",
            Self::Contract => "contract",
        }
    }
}

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
    let real = root.canonicalize().map_err(|error| format!("`migrations`: {folder} cannot be read: {error}"))?;
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
    let marks = marks(text).map_err(|problem| format!("{name}: {problem}"))?;
    let has = |mark: &str| marks.iter().find(|(word, _)| word == mark).map(|(_, why)| why.clone());
    let harms = if name.to_lowercase().ends_with(".sql") { harms(text) } else { Vec::new() };
    let (mut losses, mut breaks) = (Vec::new(), Vec::new());
    for harm in harms {
        match harm {
            Harm::Loses(words) => losses.push(words),
            Harm::Breaks(words) => breaks.push(words),
        }
    }
    let lost = (!losses.is_empty()).then(|| losses.join(", "));
    let marked =
        has("irreversible").map(|why| if why.is_empty() { lost.clone().unwrap_or("it says so".into()) } else { why });
    let irreversible = match has("reversible") {
        Some(_) => None,
        None => marked.or_else(|| lost.clone()),
    };
    breaks.extend(lost);
    let phase = match (has("expand"), has("contract")) {
        (Some(_), Some(_)) => {
            return Err(format!("{name} is marked as `expand` and as `contract`; it can be one of them"));
        }
        (Some(_), None) => Phase::Expand,
        (None, Some(_)) => Phase::Contract,
        (None, None) if breaks.is_empty() => Phase::Expand,
        (None, None) => Phase::Contract,
    };
    Ok(Migration {
        name: name.to_owned(),
        path: format!("{}/{name}", folder.trim_end_matches('/')),
        digest: super::digest(text.as_bytes()),
        phase,
        irreversible,
        breaks: (!breaks.is_empty()).then(|| breaks.join(", ")),
    })
}

/// `-- pipe: irreversible (why)` and its like among the first lines, with `#` or `//` where that is a comment.
fn marks(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut all = Vec::new();
    for line in text.lines().take(MARK_LINES_MAX) {
        let line = line.trim();
        let comment = ["--", "#", "//"].iter().find_map(|start| line.strip_prefix(start));
        let Some(words) = comment.and_then(|words| words.trim().strip_prefix("pipe:")) else { continue };
        let (mark, why) = words.trim().split_once([' ', '(', ':']).unwrap_or((words.trim(), ""));
        let mark = mark.trim_end_matches(',').to_lowercase();
        if !MARKS.contains(&mark.as_str()) {
            let near = workflow::diagnostic::suggest(&mark, MARKS);
            let hint =
                near.map_or_else(|| format!("use {}", MARKS.join(", ")), |near| format!("did you mean `{near}`?"));
            return Err(format!("`pipe: {mark}` is no mark of a migration; {hint}"));
        }
        all.push((mark, why.trim().trim_start_matches('(').trim_end_matches(')').to_owned()));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_go_before_what_the_statements_say() {
        let check = |text: &str, phase, irreversible: Option<&str>| {
            let migration = of("1.sql", "db", text).unwrap();
            assert_eq!((migration.phase, migration.irreversible.as_deref()), (phase, irreversible), "{text}");
        };
        check("CREATE TABLE a (b int)", Phase::Expand, None);
        check("DROP TABLE a", Phase::Contract, Some("drops table a"));
        check("-- pipe: irreversible\nSELECT merge()", Phase::Expand, Some("it says so"));
        check("-- pipe: irreversible (mails are sent)\nSELECT 1", Phase::Expand, Some("mails are sent"));
        check("-- pipe: irreversible\nDROP TABLE a", Phase::Contract, Some("drops table a"));
        check("-- pipe: reversible\n-- pipe: expand\nDROP TABLE copy_of_a", Phase::Expand, None);
        check("-- pipe: contract\nSELECT 1", Phase::Contract, None);
        check("ALTER TABLE a RENAME TO b", Phase::Contract, None);
        let problem = |text: &str| of("1.sql", "db", text).unwrap_err();
        assert_eq!(
            problem("-- pipe: ireversible"),
            "1.sql: `pipe: ireversible` is no mark of a migration; did you mean `irreversible`?"
        );
        assert!(problem("-- pipe: expand\n-- pipe: contract").contains("one of them"));
        let python = of("2.py", "db", "# pipe: irreversible\ndrop_table('a')").unwrap();
        assert_eq!(python.irreversible.as_deref(), Some("it says so"));
    }

    #[test]
    fn they_come_in_the_order_of_their_numbers() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("db")).unwrap();
        for name in ["10_b.sql", "9_a.sql", "V2__x.sql", "readme.down.sql", ".hidden", "z.sql"] {
            std::fs::write(folder.path().join("db").join(name), "SELECT 1").unwrap();
        }
        let names: Vec<_> = all(folder.path(), "db").unwrap().into_iter().map(|one| one.name).collect();
        assert_eq!(names, ["V2__x.sql", "9_a.sql", "10_b.sql", "z.sql"]);
        assert!(all(folder.path(), "none").unwrap_err().contains("cannot be read"));
        assert!(all(folder.path(), "..").unwrap_err().contains("leads out of"));
    }
}
