//! What a migration of a database does, read from its text: when it may run, whether it can be undone.
//!
//! `pipe/migrate` goes by it, and pages say it before a deployment is approved. Both revisions of a rollout use the database at
//! once: see <https://martinfowler.com/bliki/ParallelChange.html>.

mod sql;

use serde::Serialize;

use self::sql::{Harm, harms};

/// Lines at the beginning in which marks are looked for.
const MARK_LINES_MAX: usize = 20;
/// The marks.
const MARKS: [&str; 4] = ["irreversible", "reversible", "expand", "contract"];

/// When a migration may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Before the new revision: the old one works with it.
    Expand,
    /// After it: the old one does not.
    Contract,
}

impl Phase {
    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Expand => "expand",
            Self::Contract => "contract",
        }
    }
}

/// What a file does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// When it may run.
    pub phase: Phase,
    /// Why it cannot be undone, if it cannot.
    pub irreversible: Option<String>,
    /// Why the revision that runs may not work with it.
    pub breaks: Option<String>,
}

/// Reads a file. `name` is without folders; of a file that is no `.sql` only marks are read.
///
/// # Errors
/// Its marks contradict each other, or one is unknown.
pub fn read(name: &str, text: &str) -> Result<Reading, String> {
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
    Ok(Reading { phase, irreversible, breaks: (!breaks.is_empty()).then(|| breaks.join(", ")) })
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
            let migration = read("1.sql", text).unwrap();
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
        let problem = |text: &str| read("1.sql", text).unwrap_err();
        assert_eq!(
            problem("-- pipe: ireversible"),
            "1.sql: `pipe: ireversible` is no mark of a migration; did you mean `irreversible`?"
        );
        assert!(problem("-- pipe: expand\n-- pipe: contract").contains("one of them"));
        let python = read("2.py", "# pipe: irreversible\ndrop_table('a')").unwrap();
        assert_eq!(python.irreversible.as_deref(), Some("it says so"));
    }
}
