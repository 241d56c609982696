//! How often a repository may knock: a bucket of tokens each, filled steadily.
//!
//! Only requests whose signature is right get here, so nobody can empty another one's bucket.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

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
    pub(super) fn take(&self, forge: Forge, repository: &str, now: Instant) -> Result<(), Duration> {
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

    #[test]
    fn a_bucket_empties_and_fills() {
        let buckets = Buckets::new(Rate { per_minute: 60, burst: 2 });
        let begun = Instant::now();
        let take = |name: &str, seconds: u64| buckets.take(Forge::Github, name, begun + Duration::from_secs(seconds));
        assert_eq!((take("a/b", 0), take("a/b", 0), take("a/c", 0)), (Ok(()), Ok(()), Ok(())));
        assert_eq!(take("a/b", 0), Err(Duration::from_secs(1)));
        assert_eq!(take("a/b", 1), Ok(()));
        assert!(take("a/b", 1).is_err());
        assert_eq!((take("a/b", 60), take("a/b", 60)), (Ok(()), Ok(())));
        assert!(take("a/b", 60).is_err(), "never more than the burst");
    }
}
