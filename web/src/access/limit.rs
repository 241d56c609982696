//! How often somebody may try to sign in: five times a minute for a name from an address, then after waits that double.
//!
//! The name may be nobody's: it is counted alike, so that nothing is told. Addresses are counted as well, over all names,
//! more generously. What is known is bounded: what was quiet for longest is forgotten first.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Tries of one name from one address before it has to wait.
const TRIES: u32 = 5;
/// Tries of one address, whatever the names.
const TRIES_OF_ADDRESS: u32 = 30;
/// The first wait; tries are forgotten after so long without any.
const WAIT: Duration = Duration::from_secs(60);
/// The longest wait.
const WAIT_MAX: Duration = Duration::from_secs(3_600);
/// Names and addresses that are known at once.
const KNOWN_MAX: usize = 20_000;

/// How long somebody has to wait; whether this is the first time they are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wait {
    /// How long.
    pub(crate) time: Duration,
    /// Whether it is news, for the audit log.
    pub(crate) is_new: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Address(u128),
    Name(u128, String),
}

#[derive(Debug)]
struct Tries {
    count: u32,
    waits: u32,
    last: Instant,
    until: Option<Instant>,
    told: bool,
}

/// Counts tries.
#[derive(Debug, Default)]
pub(crate) struct Limit(Mutex<HashMap<Key, Tries>>);

impl Limit {
    /// Counts a try before it is made; who has to wait may not make it.
    pub(crate) fn take(&self, address: IpAddr, name: &str, now: Instant) -> Result<(), Wait> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN_MAX {
            forget(&mut known, now);
        }
        let keys = keys(address, name);
        for (key, _) in &keys {
            if let Some(tries) = known.get_mut(key)
                && let Some(until) = tries.until.filter(|until| *until > now)
            {
                let is_new = !std::mem::replace(&mut tries.told, true);
                return Err(Wait { time: until - now, is_new });
            }
        }
        for (key, most) in keys {
            let tries = known.entry(key).or_insert(Tries { count: 0, waits: 0, last: now, until: None, told: false });
            if now.duration_since(tries.last) >= WAIT && tries.until.is_none() {
                tries.count = 0;
            }
            (tries.count, tries.last) = (tries.count + 1, now);
            if tries.count >= most {
                let wait = WAIT.saturating_mul(1 << tries.waits.min(10)).min(WAIT_MAX);
                tries.until = Some(now + wait);
                (tries.count, tries.waits, tries.told) = (0, tries.waits + 1, false);
            }
        }
        Ok(())
    }

    /// It was the right password: the name begins anew, the address does not.
    pub(crate) fn succeeded(&self, address: IpAddr, name: &str) {
        let [_, (own, _)] = keys(address, name);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&own);
    }
}

fn keys(address: IpAddr, name: &str) -> [(Key, u32); 2] {
    let bits = match address.to_canonical() {
        IpAddr::V4(address) => u128::from(address.to_ipv6_mapped()),
        // One host has a whole /64.
        IpAddr::V6(address) => u128::from(address) >> 64 << 64,
    };
    let name: String = name.chars().take(100).collect::<String>().to_lowercase();
    [(Key::Address(bits), TRIES_OF_ADDRESS), (Key::Name(bits, name), TRIES)]
}

/// Those who do not wait and were quiet; if all wait, half of them, the ones that were quiet for longest.
fn forget(known: &mut HashMap<Key, Tries>, now: Instant) {
    known.retain(|_, tries| tries.until.is_some_and(|until| until > now) || now.duration_since(tries.last) < WAIT_MAX);
    if known.len() >= KNOWN_MAX {
        let mut ages: Vec<_> = known.values().map(|tries| tries.last).collect();
        ages.sort();
        let middle = ages[ages.len() / 2];
        known.retain(|_, tries| tries.last > middle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn u06_a_thousand_tries_are_few() {
        let (limit, begin) = (Limit::default(), Instant::now());
        let address: IpAddr = "192.0.2.7".parse().unwrap();
        let tries = |name: &str, seconds: std::ops::Range<u64>| {
            let tries =
                seconds.filter(|second| limit.take(address, name, begin + Duration::from_secs(*second)).is_ok());
            tries.count()
        };
        assert_eq!(tries("ada", 0..1_000), 5 + 5 + 5 + 5 + 5, "waits of 1, 2, 4 and 8 minutes");
        assert!(limit.take("192.0.2.8".parse().unwrap(), "ada", begin + Duration::from_secs(1_000)).is_ok());
    }

    #[test]
    fn many_names_of_one_address_wait_too() {
        let (limit, now) = (Limit::default(), Instant::now());
        let tries = (0..1_000).filter(|one| {
            let address = format!("2001:db8::{one:x}").parse().unwrap();
            limit.take(address, &format!("user-{one}"), now).is_ok()
        });
        assert_eq!(tries.count(), 30);
        let wait = limit.take("2001:db8::1".parse().unwrap(), "other", now).unwrap_err();
        assert!(wait.time == WAIT && !wait.is_new);
    }

    #[test]
    fn who_succeeds_begins_anew_and_who_is_quiet_is_forgotten() {
        let (limit, now) = (Limit::default(), Instant::now());
        let address: IpAddr = "192.0.2.7".parse().unwrap();
        for _ in 0..5 {
            for _ in 0..4 {
                limit.take(address, "Ada", now).unwrap();
            }
            limit.succeeded(address, "ada");
        }
        for one in 0..(KNOWN_MAX as u32 + 10) {
            let address = IpAddr::from(std::net::Ipv4Addr::from(one));
            limit.take(address, "x", now + Duration::from_millis(u64::from(one))).unwrap();
        }
        assert!(limit.0.lock().unwrap().len() <= KNOWN_MAX + 2);
    }
}
