//! How often AWS is asked of what it deploys by itself: its limits are of an account, which others use too.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

/// One question after another, so far apart.
#[derive(Debug)]
pub struct Pace {
    apart: Duration,
    next: Mutex<Option<Instant>>,
}

impl Pace {
    /// What rollouts keep to: one question a second.
    pub const USUAL: Duration = Duration::from_secs(1);

    /// One of this distance.
    #[must_use]
    pub fn of(apart: Duration) -> Self {
        Self { apart, next: Mutex::new(None) }
    }

    /// How far apart.
    pub(crate) const fn apart(&self) -> Duration {
        self.apart
    }

    /// Waits for the turn of the next question. Who stops waiting takes nobody's turn.
    pub(crate) async fn turn(&self) {
        let mut next = self.next.lock().await;
        if let Some(at) = *next {
            tokio::time::sleep_until(at).await;
        }
        *next = Some(Instant::now() + self.apart);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn questions_are_apart() {
        let pace = Pace::of(Duration::from_millis(20));
        let begun = Instant::now();
        for _ in 0..4 {
            pace.turn().await;
        }
        assert!(begun.elapsed() >= Duration::from_millis(60), "{:?}", begun.elapsed());
    }
}
