//! Asking containers whether they are healthy, all the time while somebody wants to know.
//!
//! A container counts as healthy once it was so several times in a row, and as ill once it was not so several times in a row.
//! One that has run for long was judged before, by a process that is gone: it is asked as often, but without the time between.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::action::health_check::probe::{self, Answer, Url};

/// The longest that one question may take.
const QUESTION_MAX: Duration = Duration::from_secs(5);
/// Between two questions until the first good answer (a container that starts is not waited for longer than it needs), and
/// until the verdict on one that has run for long.
const START_PAUSE: Duration = Duration::from_millis(100);
/// Nobody wants to know any more.
const FORGOTTEN: Duration = Duration::from_secs(60);
/// How long a look waits for a container that was not healthy yet.
const MOMENT: Duration = Duration::from_millis(700);
/// One that was asked more often than this takes its time, and is not waited for.
const LOOKS_MAX: u64 = 50;

/// Whom to ask, and how.
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub(super) container: String,
    pub(super) address: SocketAddr,
    pub(super) path: String,
    pub(super) interval: Duration,
    pub(super) threshold: u32,
    /// For how long it has run.
    pub(super) running: Duration,
}

/// What is known of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Health {
    /// How often it was asked.
    pub(super) asked: u64,
    /// It was healthy often enough in a row, and not ill as often since.
    pub(super) is_healthy: bool,
    /// It was healthy at some time.
    pub(super) was_healthy: bool,
    /// The last answer, in words.
    said: String,
    /// The last bad one.
    bad: String,
    good_in_row: u32,
    bad_in_row: u32,
}

impl Health {
    fn judge(&mut self, answer: Result<String, String>, threshold: u32) {
        let is_good = answer.is_ok();
        self.asked += 1;
        if let Err(error) = &answer {
            self.bad.clone_from(error);
        }
        self.said = answer.unwrap_or_else(|error| error);
        if is_good {
            (self.good_in_row, self.bad_in_row) = (self.good_in_row + 1, 0);
        } else {
            (self.good_in_row, self.bad_in_row) = (0, self.bad_in_row + 1);
        }
        if self.good_in_row >= threshold {
            (self.is_healthy, self.was_healthy) = (true, true);
        } else if self.bad_in_row >= threshold {
            self.is_healthy = false;
        }
    }

    /// What it answers, for one that is not healthy: the last bad answer, and good ones since that are not enough.
    pub(super) fn said(&self) -> String {
        match (self.asked, self.good_in_row) {
            (0, _) => "it has not answered yet".to_owned(),
            (_, 0) => self.bad.clone(),
            (_, good) if self.bad.is_empty() => format!("{}, {good} in a row so far", self.said),
            (_, good) => format!("{}; since then {good} good in a row, which are not enough", self.bad),
        }
    }
}

#[derive(Debug)]
struct Asked {
    health: watch::Receiver<Health>,
    wanted: Arc<Mutex<Instant>>,
}

/// All that are asked.
#[derive(Debug, Default)]
pub(super) struct Questions(Mutex<HashMap<String, Asked>>);

impl Questions {
    /// What is known of a container; it is asked from now on.
    pub(super) async fn health(&self, question: Question) -> Health {
        let mut health = self.ask(question);
        // One that starts is given a moment, so that nobody waits longer than it takes. Its end is as good as an answer.
        let is_known = |health: &Health| health.asked > 0 && (health.was_healthy || health.asked > LOOKS_MAX);
        let in_time = tokio::time::timeout(MOMENT, health.wait_for(is_known)).await;
        drop(in_time);
        health.borrow().clone()
    }

    fn ask(&self, question: Question) -> watch::Receiver<Health> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, asked| asked.health.has_changed().is_ok());
        if let Some(asked) = all.get(&question.container) {
            *asked.wanted.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            return asked.health.clone();
        }
        let (sender, health) = watch::channel(Health::default());
        let wanted = Arc::new(Mutex::new(Instant::now()));
        all.insert(question.container.clone(), Asked { health: health.clone(), wanted: Arc::clone(&wanted) });
        tokio::spawn(keep_asking(question, sender, wanted));
        health
    }

    /// It is asked no more.
    pub(super) fn forget(&self, container: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(asked) = all.remove(container)
            && let Some(long_ago) = Instant::now().checked_sub(FORGOTTEN)
        {
            *asked.wanted.lock().unwrap_or_else(PoisonError::into_inner) = long_ago;
        }
    }
}

async fn keep_asking(question: Question, health: watch::Sender<Health>, wanted: Arc<Mutex<Instant>>) {
    let is_old = question.running > question.interval * question.threshold;
    let limit = FORGOTTEN.max(question.interval * 2);
    loop {
        let answer = ask(question.address, &question.path).await;
        let mut now = health.borrow().clone();
        now.judge(answer, question.threshold);
        let is_soon = !now.was_healthy && (is_old || now.good_in_row == 0);
        health.send_replace(now);
        tokio::time::sleep(if is_soon { START_PAUSE.min(question.interval) } else { question.interval }).await;
        if wanted.lock().unwrap_or_else(PoisonError::into_inner).elapsed() >= limit {
            return;
        }
    }
}

/// Asks once: `Ok` if healthy, either way in words.
pub(super) async fn ask(address: SocketAddr, path: &str) -> Result<String, String> {
    let url = Url::plain(address, path);
    let Answer { status, body } =
        probe::ask(&url, QUESTION_MAX).await.map_err(|error| format!("GET {url}: {error}"))?;
    let said = format!("GET {url}: HTTP {status}");
    if (200..400).contains(&status) {
        return Ok(said);
    }
    Err(format!("{said}: {}", Answer { status, body }.start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn healthy_in_a_row() {
        // `+` good, `-` bad; expected after each answer.
        let check = |answers: &str, expected: &str| {
            let mut health = Health::default();
            let mut shown = String::new();
            for answer in answers.chars() {
                let answer = if answer == '+' { Ok("HTTP 200".to_owned()) } else { Err("HTTP 503".to_owned()) };
                health.judge(answer, 3);
                shown.push(if health.is_healthy { 'h' } else { '.' });
            }
            assert_eq!(shown, expected, "{answers}");
        };
        check("+++", "..h");
        check("++-+++", ".....h");
        check("+-+-+-+-", "........");
        check("+++--+--+++---", "..hhhhhhhhhhh.");
    }

    #[test]
    fn one_that_flaps_is_told_by_its_bad_answer() {
        let check = |answers: &[Result<&str, &str>], expected: &str| {
            let mut health = Health::default();
            for answer in answers {
                health.judge(answer.map(str::to_owned).map_err(str::to_owned), 3);
            }
            assert_eq!(health.said(), expected);
        };
        check(&[], "it has not answered yet");
        check(&[Ok("HTTP 200")], "HTTP 200, 1 in a row so far");
        check(&[Ok("HTTP 200"), Err("HTTP 503")], "HTTP 503");
        check(
            &[Err("HTTP 503"), Ok("HTTP 200"), Ok("HTTP 200")],
            "HTTP 503; since then 2 good in a row, which are not enough",
        );
    }
}
