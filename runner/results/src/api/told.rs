//! What jobs say to the forge, kept: lines of a file, one for each thing said, added and never changed. Who asks later finds what was
//! said before, in this run or an earlier one, as it would at the forge.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::ask::Refusal;
use crate::job::Job;

/// Ids begin behind those that an event may have.
const FIRST_ID: u64 = 1_000_000_001;
/// Bytes of the file.
const FILE_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// What a reaction is to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Subject {
    /// An issue or pull request, by its number.
    Issue(u64),
    Comment(u64),
}

/// A reaction.
#[derive(Debug, Clone)]
pub(super) struct Reaction {
    pub(super) to: Subject,
    pub(super) content: String,
    pub(super) made: String,
}

/// One thing that was said.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "said", rename_all = "kebab-case")]
pub(super) enum Said {
    Comment {
        issue: u64,
        body: String,
    },
    CommentChanged {
        comment: u64,
        body: String,
    },
    CommentRemoved {
        comment: u64,
    },
    Reaction {
        to: Subject,
        content: String,
    },
    ReactionRemoved {
        reaction: u64,
    },
    /// All that the issue has from now on.
    Labels {
        issue: u64,
        labels: Vec<String>,
    },
    Issue {
        fields: Map<String, Json>,
    },
    IssueChanged {
        issue: u64,
        fields: Map<String, Json>,
    },
    Status {
        commit: String,
        fields: Map<String, Json>,
    },
    Check {
        fields: Map<String, Json>,
    },
    CheckChanged {
        check: u64,
        fields: Map<String, Json>,
    },
}

#[derive(Debug, Serialize, Deserialize)]
struct Line {
    id: u64,
    at: String,
    run: u64,
    job: String,
    #[serde(flatten)]
    said: Said,
}

/// Something with what is known of when it was said.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) id: u64,
    pub(super) made: String,
    pub(super) changed: String,
    pub(super) fields: Map<String, Json>,
}

/// All that was said, as it stands.
#[derive(Debug, Default)]
pub(super) struct Told {
    last: u64,
    /// `issue` and `body`.
    pub(super) comments: BTreeMap<u64, Entry>,
    pub(super) reactions: BTreeMap<u64, Reaction>,
    pub(super) labels: BTreeMap<u64, Vec<String>>,
    /// Those that were made here.
    pub(super) issues: BTreeMap<u64, Entry>,
    /// What was changed of others.
    pub(super) changed: BTreeMap<u64, Map<String, Json>>,
    /// With `sha`.
    pub(super) statuses: Vec<Entry>,
    pub(super) checks: BTreeMap<u64, Entry>,
}

impl Told {
    /// What was said until now.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn read(job: &Job) -> Result<Self, Refusal> {
        match File::open(job.facts.kept.said(&job.facts.repository.name)) {
            Ok(mut file) => {
                file.lock_shared().map_err(Refusal::broken)?;
                Self::of(&mut file).map(|(told, _)| told)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(Refusal::broken(error)),
        }
    }

    /// Says something that depends on what stands, and gives its id and what stands then.
    ///
    /// # Errors
    /// Of `what`, or it cannot be written; then nothing was.
    pub(super) fn say(job: &Job, what: impl FnOnce(&Self) -> Result<Said, Refusal>) -> Result<(u64, Self), Refusal> {
        let path = job.facts.kept.said(&job.facts.repository.name);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(Refusal::broken)?;
        }
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let mut file = file.map_err(Refusal::broken)?;
        file.lock().map_err(Refusal::broken)?;
        let (mut told, end) = Self::of(&mut file)?;
        let line = Line {
            id: told.last.max(FIRST_ID - 1) + 1,
            at: Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            run: job.facts.run.0,
            job: job.facts.job.clone(),
            said: what(&told)?,
        };
        let text = serde_json::to_string(&line).map_err(Refusal::broken)?;
        // Nothing that is hidden in logs is kept here.
        let text = format!("{}\n", job.facts.masker.mask(&text));
        let line: Line = serde_json::from_str(&text).map_err(Refusal::broken)?;
        if end + text.len() as u64 > FILE_BYTES_MAX {
            return Err(Refusal::invalid(format!("{} is full: remove it to begin anew", path.display())));
        }
        // A line that a process was killed over is written over.
        file.set_len(end).and_then(|()| file.seek(SeekFrom::Start(end))).map_err(Refusal::broken)?;
        file.write_all(text.as_bytes()).map_err(Refusal::broken)?;
        let id = line.id;
        told.take(line);
        Ok((id, told))
    }

    /// What a file has, and where its last whole line ends.
    fn of(file: &mut File) -> Result<(Self, u64), Refusal> {
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(Refusal::broken)?;
        let end = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let mut told = Self::default();
        for line in text[..end].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            told.take(serde_json::from_slice(line).map_err(Refusal::broken)?);
        }
        Ok((told, end as u64))
    }

    fn take(&mut self, line: Line) {
        let Line { id, at, run: _, job: _, said } = line;
        self.last = self.last.max(id);
        let entry = |fields: Map<String, Json>| Entry { id, made: at.clone(), changed: at.clone(), fields };
        let change = |entry: Option<&mut Entry>, fields: Map<String, Json>| {
            if let Some(entry) = entry {
                entry.fields.extend(fields);
                entry.changed.clone_from(&at);
            }
        };
        let body = |body: String| Map::from_iter([("body".to_owned(), Json::String(body))]);
        match said {
            Said::Comment { issue, body: text } => {
                let mut fields = body(text);
                fields.insert("issue".to_owned(), issue.into());
                self.comments.insert(id, entry(fields));
            }
            Said::CommentChanged { comment, body: text } => change(self.comments.get_mut(&comment), body(text)),
            Said::CommentRemoved { comment } => drop(self.comments.remove(&comment)),
            Said::Reaction { to, content } => drop(self.reactions.insert(id, Reaction { to, content, made: at })),
            Said::ReactionRemoved { reaction } => drop(self.reactions.remove(&reaction)),
            Said::Labels { issue, labels } => drop(self.labels.insert(issue, labels)),
            Said::Issue { fields } => drop(self.issues.insert(id, entry(fields))),
            Said::IssueChanged { issue, fields } if self.issues.contains_key(&issue) => {
                change(self.issues.get_mut(&issue), fields);
            }
            Said::IssueChanged { issue, fields } => self.changed.entry(issue).or_default().extend(fields),
            Said::Status { commit, mut fields } => {
                fields.insert("sha".to_owned(), commit.into());
                self.statuses.push(entry(fields));
            }
            Said::Check { fields } => drop(self.checks.insert(id, entry(fields))),
            Said::CheckChanged { check, fields } => change(self.checks.get_mut(&check), fields),
        }
    }
}
