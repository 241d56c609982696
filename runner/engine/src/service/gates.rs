//! Reviews: which deployments of a run wait, who may let them go on, and what exactly they approve.

use std::fmt::Write as _;

use indexmap::IndexMap;
use sha2::{Digest as _, Sha256};
use workflow::run::{EVERYBODY, Gate, JobRunKey, Recorded, Review, RunEvent, TEAM};

use super::{RunService, ServiceError};
use crate::dispatcher::Control;
use crate::store::RunId;

/// Somebody who reviews.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reviewer {
    /// The name that counts: one person, one review.
    pub name: String,
    /// Other names of the same person, such as logins at a forge.
    pub aliases: Vec<String>,
    /// Teams that they are in.
    pub teams: Vec<String>,
    /// Of a token that a user made: that user, whose one review it is. It is asked by its own name all the same.
    pub person: Option<String>,
}

/// What somebody says of a deployment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The environment, in any case.
    pub environment: String,
    /// Whether it may go on.
    pub approved: bool,
    /// Why, possibly empty.
    pub comment: String,
    /// [`Waiting::subject`] as they saw it; `None`: whatever waits now.
    pub subject: Option<String>,
}

/// What waits at one environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The environment, as the jobs name it.
    pub environment: String,
    /// The job runs, each with its gate.
    pub gates: IndexMap<JobRunKey, Gate>,
}

impl Reviewer {
    /// Somebody of one name.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Whose one review it is.
    fn counts_as(&self) -> &str {
        self.person.as_deref().unwrap_or(&self.name)
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.name.as_str()).chain(self.aliases.iter().map(String::as_str))
    }

    /// Whether a reviewer's name is theirs: their own, that of a team, or an alias that says what it is of. A login alone
    /// may be somebody else's here.
    #[must_use]
    pub fn is_named(&self, reviewer: &str) -> bool {
        if let Some(team) = reviewer.strip_prefix(TEAM) {
            return self.teams.iter().any(|own| own.eq_ignore_ascii_case(team));
        }
        let whole = self.aliases.iter().filter(|alias| self.person.is_none() && alias.contains([':', '@']));
        std::iter::once(&self.name).chain(whole).any(|name| name.eq_ignore_ascii_case(reviewer))
    }

    fn is_among(&self, reviewers: &[String]) -> bool {
        reviewers.iter().any(|reviewer| reviewer == EVERYBODY || self.is_named(reviewer))
    }

    /// The name under which they began the run, where those may not approve it.
    fn barred<'a>(&self, barred: &'a [String]) -> Option<&'a str> {
        barred.iter().find(|barred| self.names().any(|name| name.eq_ignore_ascii_case(barred))).map(String::as_str)
    }
}

impl Waiting {
    /// What exactly is approved here: the digest of the one job's, or of all of them.
    #[must_use]
    pub fn subject(&self) -> String {
        let subjects: Vec<_> = self.gates.values().map(|gate| gate.terms.subject.as_str()).collect();
        if let [subject] = subjects.as_slice() {
            return (*subject).to_owned();
        }
        let digest = Sha256::digest(subjects.join("\n"));
        digest.iter().fold(String::new(), |mut text, byte| {
            let _infallible = write!(text, "{byte:02x}");
            text
        })
    }

    /// Who may review, as the first job's environment says: all jobs of one environment wait for the same.
    #[must_use]
    pub fn reviewers(&self) -> &[String] {
        self.gates.values().next().map(|gate| gate.reviewers.as_slice()).unwrap_or_default()
    }

    /// Why this one may not review now.
    ///
    /// # Errors
    /// They are not asked, began the run themselves, wrote what may not be approved by who wrote it, or have reviewed
    /// already.
    pub fn check(&self, run: RunId, by: &Reviewer) -> Result<(), ServiceError> {
        let (environment, name) = (self.environment.clone(), by.name.clone());
        for gate in self.gates.values() {
            if let Some(barred) = by.barred(&gate.terms.barred) {
                return Err(ServiceError::OwnRun { by: barred.to_owned(), run, environment });
            }
            if !by.is_among(&gate.reviewers) {
                let reviewers = gate.reviewers.join(", ");
                return Err(ServiceError::NotReviewer { by: name, environment, reviewers });
            }
            let Some(authors) = &gate.terms.authors else { continue };
            if let Some(author) = by.barred(authors) {
                return Err(ServiceError::OwnCommits { by: author.to_owned(), run, environment });
            }
            // Commits name their authors by address: of somebody without one here, nobody knows.
            if !by.names().any(|name| name.contains('@')) {
                return Err(ServiceError::NoAddress { by: name, run, environment });
            }
        }
        // One person is one review, under whichever name; a login alone may be somebody else's here.
        let own = |name: &&str| *name == by.name || name.contains([':', '@']);
        let names: Vec<&str> = by.names().filter(own).chain([by.counts_as()]).collect();
        let has_reviewed = |gate: &Gate| names.iter().any(|name| gate.has_review_of(name));
        if self.gates.values().all(has_reviewed) {
            return Err(ServiceError::Reviewed { by: name, run, environment });
        }
        Ok(())
    }
}

impl RunService {
    /// Lets the jobs that wait at an environment go on, or fails them.
    ///
    /// # Errors
    /// The run is over, no job waits there, what waits is not what was seen, or somebody else has to review.
    pub async fn review(&self, run: RunId, by: &Reviewer, verdict: Verdict) -> Result<(), ServiceError> {
        let mut live = self.subscribe(run);
        let meant = self.gates(run).await?;
        let meant = meant.into_iter().find(|it| it.environment.eq_ignore_ascii_case(&verdict.environment));
        let Verdict { environment, approved, comment, subject } = verdict;
        let Some(waiting) = meant else { return Err(ServiceError::NotWaiting { run, environment }) };
        waiting.check(run, by)?;
        if subject.is_some_and(|seen| seen != waiting.subject()) {
            return Err(ServiceError::Changed { run, environment });
        }
        let subjects = waiting.gates.values().map(|gate| gate.terms.subject.clone()).collect();
        let name = by.counts_as().to_owned();
        let order = Control::Review { environment, approved, by: name, comment, subjects };
        let answered = |event: &RunEvent| {
            // Taken up for this review, it is asked for something else: what comes, or by which rules, has changed.
            if let RunEvent::ReviewRequested { key, environment, terms, .. } = event {
                let was = &waiting.gates.get(key)?.terms.subject;
                let environment = environment.clone();
                return (*was != terms.subject).then_some(Err(ServiceError::Changed { run, environment }));
            }
            let RunEvent::Reviewed { key, by: who, passed, .. } = event else { return None };
            waiting.gates.contains_key(key).then_some(())?;
            if who == by.counts_as() {
                return Some(Ok(()));
            }
            // Somebody else was quicker.
            let (by, environment) = (who.clone(), waiting.environment.clone());
            passed.then_some(Err(ServiceError::Reviewed { by, run, environment }))
        };
        self.ask(run, order, &mut live, &answered).await
    }

    /// What waits for a review, by environment.
    ///
    /// # Errors
    /// The run does not exist, is over, or cannot be read.
    pub async fn gates(&self, run: RunId) -> Result<Vec<Waiting>, ServiceError> {
        self.unfinished(run).await?;
        Ok(waiting(&self.0.log.read(run).await?))
    }
}

/// What waits for a review after these facts, by environment.
#[must_use]
pub fn waiting(facts: &[Recorded]) -> Vec<Waiting> {
    let mut open: IndexMap<JobRunKey, Gate> = IndexMap::new();
    for fact in facts {
        if let RunEvent::ReviewRequested { key, environment, reviewers, wait_ms, terms } = &fact.event {
            let gate = Gate {
                environment: environment.clone(),
                reviewers: reviewers.clone(),
                terms: terms.clone(),
                since: fact.at,
                wait_ms: *wait_ms,
                reviews: Vec::new(),
            };
            open.insert(key.clone(), gate);
        } else if let RunEvent::Reviewed { key, approved, by, comment, .. } = &fact.event {
            if let Some(gate) = open.get_mut(key) {
                let review = Review { approved: *approved, by: by.clone(), comment: comment.clone(), at: fact.at };
                gate.reviews.push(review);
            }
        } else if let RunEvent::JobRunFinished { key, .. } = &fact.event {
            open.shift_remove(key);
        }
    }
    let mut all: Vec<Waiting> = Vec::new();
    for (key, gate) in open.into_iter().filter(|(_, gate)| gate.wants_review()) {
        match all.iter_mut().find(|it| it.environment.eq_ignore_ascii_case(&gate.environment)) {
            Some(waiting) => drop(waiting.gates.insert(key, gate)),
            None => {
                let environment = gate.environment.clone();
                all.push(Waiting { environment, gates: IndexMap::from([(key, gate)]) });
            }
        }
    }
    all
}
