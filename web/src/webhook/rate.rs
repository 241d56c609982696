//! How often a repository may knock: a bucket of tokens each, filled steadily.
//!
//! Only requests whose signature is right get here, so nobody can empty another one's bucket.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use workflow::event::Forge;

/// Deliveries that one repository may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// In the long run.
    pub per_minute: u32,
    /// At once, after a pause.
    pub burst: u32,
}

impl Default for Rate {
    fn default() -> Self {
        Self { per_minute: 60, burst: 300 }
    }
}

/// One bucket a repository; there are no more than repositories are registered.
#[derive(Debug)]
pub(super) struct Buckets {
    rate: Rate,
    buckets: Mutex<HashMap<(Forge, String), Bucket>>,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Buckets {
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, buckets: Mutex::default() }
    }

    /// Takes a token, or says how long to wait for the next one.
    pub(super) fn take(&self, forge: Forge, repository: &str) -> Result<(), Duration> {
        let now = Instant::now();
        let (burst, each_second) = (f64::from(self.rate.burst), f64::from(self.rate.per_minute) / 60.0);
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.entry((forge, repository.to_owned())).or_insert(Bucket { tokens: burst, at: now });
        let filled = now.duration_since(bucket.at).as_secs_f64() * each_second;
        *bucket = Bucket { tokens: (bucket.tokens + filled).min(burst), at: now };
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return Ok(());
        }
        let wait = (1.0 - bucket.tokens) / each_second;
        Err(Duration::try_from_secs_f64(wait).unwrap_or(Duration::from_secs(3_600)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_bucket_empties_and_fills() {
        let buckets = Buckets::new(Rate { per_minute: 60, burst: 2 });
        let take = |name: &str| buckets.take(Forge::Github, name);
        assert_eq!((take("a/b"), take("a/b"), take("a/c")), (Ok(()), Ok(()), Ok(())));
        assert_eq!(take("a/b"), Err(Duration::from_secs(1)));
        tokio::time::advance(Duration::from_millis(1_000)).await;
        assert_eq!(take("a/b"), Ok(()));
        assert!(take("a/b").is_err());
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!((take("a/b"), take("a/b")), (Ok(()), Ok(())));
        assert!(take("a/b").is_err(), "never more than the burst");
    }
}
