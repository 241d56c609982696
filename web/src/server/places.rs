//! How many connections there may be, in all and from one address; and which addresses are proxies of ours.

use std::collections::HashMap;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

/// Addresses that begin alike, such as `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    bits: u128,
    length: u32,
}

impl Network {
    /// Whether an address is one of them.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let differing = bits(address) ^ self.bits;
        self.length == 0 || differing >> (128 - self.length) == 0
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unusable = || format!("`{text}` is no network such as 10.0.0.0/8 or fd00::/8");
        let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
        let address: IpAddr = address.parse().map_err(|_| unusable())?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let length = length.map_or(Ok(width), |length| length.parse::<u32>().map_err(|_| unusable()))?;
        if length > width {
            return Err(unusable());
        }
        Ok(Self { bits: bits(address), length: 128 - width + length })
    }
}

fn bits(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(address) => u128::from(address.to_ipv6_mapped()),
        IpAddr::V6(address) => u128::from(address),
    }
}

/// Counts connections.
#[derive(Debug)]
pub(super) struct Places {
    all_max: usize,
    each_max: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    each: HashMap<u128, usize>,
}

/// A connection's place; free again when dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    key: Option<u128>,
}

/// Why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    ByAll,
    ByThisAddress,
}

impl Places {
    pub(super) fn new(all_max: usize, each_max: usize) -> Arc<Self> {
        Arc::new(Self { all_max, each_max, taken: Mutex::default() })
    }

    /// A place for a connection. `is_counted` is false for a proxy, which speaks for many.
    pub(super) fn take(self: &Arc<Self>, address: IpAddr, is_counted: bool) -> Result<Place, Full> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.all >= self.all_max {
            return Err(Full::ByAll);
        }
        let key = is_counted.then(|| one_host(address));
        if let Some(key) = key {
            let count = taken.each.entry(key).or_default();
            if *count >= self.each_max {
                return Err(Full::ByThisAddress);
            }
            *count += 1;
        }
        taken.all += 1;
        Ok(Place { places: Arc::clone(self), key })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all -= 1;
        if let Some(key) = self.key
            && let Some(count) = taken.each.get_mut(&key)
        {
            *count -= 1;
            if *count == 0 {
                taken.each.remove(&key);
            }
        }
    }
}

/// An IPv6 host has a whole /64 to choose addresses from.
fn one_host(address: IpAddr) -> u128 {
    let bits = bits(address);
    if address.to_canonical().is_ipv4() { bits } else { bits >> 64 << 64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        for (network, address, expected) in [
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "2001:db8::1", true),
            ("fd00::/8", "fd12::1", true),
        ] {
            let found = network.parse::<Network>().unwrap().contains(address.parse().unwrap());
            assert_eq!(found, expected, "{address} in {network}");
        }
        for text in ["", "10.0.0.0/33", "a/8", "10.0.0.0/x"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }

    #[test]
    fn places_are_given_back() {
        let places = Places::new(3, 2);
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let first = places.take(address("2001:db8::1"), true).unwrap();
        let _second = places.take(address("2001:db8::2"), true).unwrap();
        assert_eq!(places.take(address("2001:db8::3"), true).unwrap_err(), Full::ByThisAddress);
        let _proxy = places.take(address("2001:db8::3"), false).unwrap();
        assert_eq!(places.take(address("10.0.0.1"), true).unwrap_err(), Full::ByAll);
        drop(first);
        places.take(address("2001:db8::3"), true).unwrap();
    }
}
