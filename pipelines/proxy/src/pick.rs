//! Who gets the next request: shares that come out exactly, in an order that nobody can foresee.
//!
//! Permuted blocks, as in clinical trials: a thousand requests are cut into blocks of about as many as it takes for the
//! smallest share to come once, each block has what is due to it, and its order is drawn anew each time it comes. So a
//! thousand requests from the first on are split to the one, 90 to 10 any thousand to within one; a client that asks in a rhythm
//! meets no rhythm of ours; and which of two requests of a block went where has nothing to do with what they asked.
//! One counter for each route serves all threads.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// Requests until everything has come out: weights are thousandths.
const CYCLE: usize = 1_000;

/// Which colour is next.
#[derive(Debug)]
pub(crate) struct Pick {
    /// Empty if no colour has weight.
    slots: Vec<u8>,
    block: usize,
    seed: u64,
    next: AtomicU64,
}

impl Pick {
    /// By weights that are 1,000 together, or all 0.
    pub(crate) fn new(weights: &[u16]) -> Self {
        let seed = RandomState::new().hash_one(0_u8);
        let smallest = weights.iter().copied().filter(|weight| *weight > 0).min();
        let Some(smallest) = smallest.map(usize::from) else {
            return Self { slots: Vec::new(), block: 1, seed, next: AtomicU64::new(0) };
        };
        let block =
            (1..=CYCLE).find(|length| CYCLE.is_multiple_of(*length) && length * smallest >= CYCLE).unwrap_or(CYCLE);
        let mut slots = evenly(weights);
        for (number, block) in slots.chunks_mut(block).enumerate() {
            shuffle(block, mix(seed ^ number as u64));
        }
        Self { slots, block, seed, next: AtomicU64::new(0) }
    }

    /// The index of the next request's colour; `None` if none has weight.
    pub(crate) fn next(&self) -> Option<usize> {
        if self.slots.is_empty() {
            return None;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let block = self.block as u64;
        let turn = mix(self.seed.wrapping_add(number / block)) % block;
        let at = number / block * block % CYCLE as u64 + (number % block + turn) % block;
        // Below CYCLE: the blocks divide it.
        self.slots.get(usize::try_from(at).unwrap_or(0)).map(|colour| usize::from(*colour))
    }

    /// The index of the colour that belongs to a client: the same as long as its colour's share does not shrink past it.
    pub(crate) fn of_client(weights: &[u16], client: u64) -> Option<usize> {
        let place = mix(client) % CYCLE as u64;
        let mut end = 0;
        weights.iter().position(|weight| {
            end += u64::from(*weight);
            place < end
        })
    }
}

/// A thousand slots in which each colour comes as evenly as it can: the one that is furthest behind is next.
fn evenly(weights: &[u16]) -> Vec<u8> {
    let mut behind: Vec<i32> = vec![0; weights.len()];
    let mut slots = Vec::with_capacity(CYCLE);
    for _ in 0..CYCLE {
        for (debt, weight) in behind.iter_mut().zip(weights) {
            *debt += i32::from(*weight);
        }
        let most = behind.iter().enumerate().max_by_key(|(_, debt)| **debt).map_or(0, |(index, _)| index);
        behind[most] -= CYCLE as i32;
        slots.push(u8::try_from(most).unwrap_or(u8::MAX));
    }
    slots
}

fn shuffle(slots: &mut [u8], seed: u64) {
    for last in (1..slots.len()).rev() {
        let other = mix(seed.wrapping_add(last as u64)) % (last as u64 + 1);
        slots.swap(last, usize::try_from(other).unwrap_or(last));
    }
}

/// The finaliser of splitmix64: neighbouring numbers become unrelated ones. Not for secrets.
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A number for a client's cookie or header: the same in every process.
pub(crate) fn number_of(service: &str, value: &[u8]) -> u64 {
    let mut number = 0xCBF2_9CE4_8422_2325_u64;
    for byte in service.bytes().chain([0]).chain(value.iter().copied()) {
        number = (number ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(picks: &[usize], colours: usize) -> Vec<usize> {
        (0..colours).map(|colour| picks.iter().filter(|pick| **pick == colour).count()).collect()
    }

    #[test]
    fn a_thousand_are_split_exactly_and_any_thousand_nearly() {
        for (weights, off) in [
            (vec![900, 100], 1),
            (vec![100, 900], 1),
            (vec![500, 500], 1),
            (vec![990, 10], 1),
            (vec![999, 1], 1),
            (vec![1_000, 0], 0),
            (vec![0, 1_000], 0),
            (vec![667, 333], 3),
            (vec![877, 123], 3),
            (vec![700, 200, 100], 5),
        ] {
            let weights: Vec<u16> = weights;
            let pick = Pick::new(&weights);
            let picks: Vec<_> = (0..5_000).map(|_| pick.next().unwrap()).collect();
            for start in 0..=4_000 {
                let counted = counts(&picks[start..start + 1_000], weights.len());
                for (count, weight) in counted.iter().zip(&weights) {
                    let exact = if start % 1_000 == 0 { 0 } else { off };
                    let differs = count.abs_diff(usize::from(*weight));
                    assert!(differs <= exact, "{weights:?} from {start}: {counted:?}, seed {}", pick.seed);
                }
            }
        }
    }

    #[test]
    fn the_split_is_exact_across_threads() {
        let pick = Pick::new(&[900, 100]);
        let picks = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..8).map(|_| scope.spawn(|| (0..125).filter_map(|_| pick.next()).collect::<Vec<_>>())).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        assert_eq!(counts(&picks, 2), [900, 100]);
    }

    /// Every tenth request, as a client in a rhythm asks, has the same share as all; and so has each that follows one.
    #[test]
    fn there_is_no_rhythm() {
        let pick = Pick::new(&[900, 100]);
        let picks: Vec<_> = (0..100_000).map(|_| pick.next().unwrap()).collect();
        for period in [2, 5, 10, 20, 100, 1_000] {
            for phase in 0..period.min(10) {
                let met: Vec<_> = picks.iter().skip(phase).step_by(period).copied().collect();
                let green = counts(&met, 2)[1] as f64;
                let (expected, deviation) = (met.len() as f64 * 0.1, (met.len() as f64 * 0.09).sqrt());
                // Five deviations: once in a million looks, and there are about fifty.
                assert!((green - expected).abs() < 5.0 * deviation, "{period}/{phase}: {green}, seed {}", pick.seed);
            }
        }
        let other = Pick::new(&[900, 100]);
        let others: Vec<_> = (0..1_000).map(|_| other.next().unwrap()).collect();
        assert_ne!(picks[..1_000], others[..], "two tables have two orders");
    }

    #[test]
    fn nothing_has_weight() {
        assert_eq!(Pick::new(&[0, 0]).next(), None);
        assert_eq!(Pick::of_client(&[0, 0], 1), None);
    }

    #[test]
    fn a_client_keeps_green_as_green_grows() {
        let clients: Vec<u64> = (0..10_000_u32).map(|client| number_of("orders", &client.to_le_bytes())).collect();
        let green = |weight: u16| -> Vec<bool> {
            clients.iter().map(|client| Pick::of_client(&[1_000 - weight, weight], *client) == Some(1)).collect()
        };
        let (ten, fifty, all) = (green(100), green(500), green(1_000));
        assert!(ten.iter().zip(&fifty).all(|(ten, fifty)| *fifty || !ten));
        assert!(all.iter().all(|all| *all));
        let share = ten.iter().filter(|is| **is).count();
        assert!((800..1_200).contains(&share), "{share} of 10,000 at 10 %");
    }
}
