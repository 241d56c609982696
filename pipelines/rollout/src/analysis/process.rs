//! The two bets: that green is worse than allowed, and that it is not. What they have won is their evidence.
//!
//! Given the numbers of requests n_g and n_b, the factor a^e_g · b^e_b of a tick has an expectation of at most
//! exp(n_g·p_g·(a−1) + n_b·p_b·(b−1)), since 1+x ≤ e^x. With a = q/q0, b = (1−q)/(1−q0) and q0 = w·r0/(w·r0+1−w) that is at most 1
//! for all rates p_g ≤ r0·p_b, small or large. So each product is a bet that is fair at best, and so is their mean.

use serde::{Deserialize, Serialize};

/// How many of how many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Count {
    pub(super) bad: u64,
    pub(super) of: u64,
}

impl Count {
    pub(super) fn rate(self) -> f64 {
        float(self.bad) / float(self.of.max(1))
    }
}

/// How many times worse than allowed green may be: one bet for each.
const WORSE: [f64; 8] = [1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0];

/// Nobody can be worse than to fail (nearly) always.
const RATE_MAX: f64 = 0.999;

/// Which part of what is held back is bet after each block of requests.
const BET_MORE: f64 = 1.0 / 30.0;

/// The bet that green is worse than `r0` times blue.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Against {
    /// Natural logarithms of what each bet has won.
    logs: [f64; WORSE.len()],
    /// That of what is not bet yet; `None`: nothing.
    held_back: Option<f64>,
}

impl Against {
    /// Green had `green` bad events and blue `blue`, when green's share was `share`, in (0, 1).
    pub(super) fn relative(&mut self, r0: f64, share: f64, green: u64, blue: u64) {
        let fair = chance(share, r0);
        for (log, worse) in self.logs.iter_mut().zip(WORSE) {
            let bet = chance(share, r0 * worse);
            *log += float(green) * (bet / fair).ln() + float(blue) * ((1.0 - bet) / (1.0 - fair)).ln();
        }
        self.bet_more();
    }

    /// There is no blue: against a rate that is fixed, in (0, 1).
    pub(super) fn absolute(&mut self, allowed: f64, green: Count) {
        let good = green.of.saturating_sub(green.bad);
        for (log, worse) in self.logs.iter_mut().zip(WORSE) {
            let bet = (allowed * worse).min(RATE_MAX);
            *log += float(green.bad) * (bet / allowed).ln() + float(good) * ((1.0 - bet) / (1.0 - allowed)).ln();
        }
        self.bet_more();
    }

    /// Gives each bet the same part of one half of what there is, and holds the other half back: what never happened so far may
    /// begin under another load, or some time later.
    pub(super) fn share_out(&mut self) {
        let half = self.log() - std::f64::consts::LN_2;
        (self.logs, self.held_back) = ([half; WORSE.len()], Some(half));
    }

    /// Gives the bets some of what was held back. All of it together stays what it is.
    fn bet_more(&mut self) {
        let Some(held_back) = self.held_back else { return };
        let more = held_back + BET_MORE.ln();
        self.logs = self.logs.map(|log| log_of_sum([log, more].into_iter()));
        self.held_back = Some(held_back + (1.0 - BET_MORE).ln());
    }

    /// The logarithm of the evidence: the mean of what the bets have won, and what is held back.
    pub(super) fn log(&self) -> f64 {
        let each = self.logs.map(|log| log - float(WORSE.len() as u64).ln());
        log_of_sum(each.into_iter().chain([self.held_back.unwrap_or(f64::MIN)]))
    }
}

/// How much better than the worst that is allowed green may be, and how much is bet on it. Most on hardly any bad event at all:
/// that is what releases are like.
const BETTER: [(f64, f64); 5] = [(0.02, 0.4), (0.25, 0.2), (0.5, 0.2), (0.75, 0.1), (0.9, 0.1)];

/// What is asked beyond `max-ratio`, so that there is something to tell before it is proved.
const LOOSER: [f64; 8] = [1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0];

/// Nobody waits for more requests than these.
const MISSING_MAX: u64 = 1 << 40;

/// The bet that green is better than so many times blue and a margin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Bound {
    /// By [`LOOSER`]; then by [`BETTER`].
    logs: [[f64; BETTER.len()]; LOOSER.len()],
}

impl Bound {
    /// At the beginning of a step.
    pub(super) const fn new() -> Self {
        Self { logs: [[0.0; BETTER.len()]; LOOSER.len()] }
    }

    /// As [`Against::relative`]; `margin` is the rate on top.
    pub(super) fn relative(&mut self, ratio: f64, margin: f64, share: f64, green: Count, blue: u64) {
        for (bets, looser) in self.logs.iter_mut().zip(LOOSER) {
            for (log, (better, _)) in bets.iter_mut().zip(BETTER) {
                let (a, b) = odds(share, ratio * looser, better);
                *log += float(green.bad) * a.ln() + float(blue) * b.ln() + float(green.of) * margin * (1.0 - a);
            }
        }
    }

    /// As [`Against::absolute`].
    pub(super) fn absolute(&mut self, allowed: f64, green: Count) {
        let good = green.of.saturating_sub(green.bad);
        for (bets, looser) in self.logs.iter_mut().zip(LOOSER) {
            let allowed = (allowed * looser).min(RATE_MAX);
            for (log, (better, _)) in bets.iter_mut().zip(BETTER) {
                *log +=
                    float(green.bad) * better.ln() + float(good) * ((1.0 - better * allowed) / (1.0 - allowed)).ln();
            }
        }
    }

    /// The logarithm of the evidence that what is allowed is kept.
    #[cfg(test)]
    pub(super) fn log(&self) -> f64 {
        log_of_sum(self.logs[0].iter().zip(BETTER).map(|(log, (_, stake))| log + stake.ln()))
    }

    /// How many times what is allowed green is at most, to `1 − alpha`; `None`: more than was asked for. At most 1: a pass.
    pub(super) fn looser(&self, alpha: f64) -> Option<f64> {
        self.logs.iter().zip(LOOSER).find(|(bets, _)| is_won(bets, alpha)).map(|(_, looser)| looser)
    }

    /// How many more requests of green it takes, if each adds what `growth` says to a bet with these odds; `None`: it does not come
    /// near in [`MISSING_MAX`].
    fn missing(&self, alpha: f64, growth: impl Fn(f64) -> f64) -> Option<u64> {
        let is_enough = |requests: u64| {
            let each = self.logs[0].iter().zip(BETTER);
            log_of_sum(each.map(|(log, (better, stake))| log + stake.ln() + float(requests) * growth(better)))
                >= -alpha.ln()
        };
        let mut high = 1_u64;
        while !is_enough(high) {
            high = high.checked_mul(2).filter(|high| *high <= MISSING_MAX)?;
        }
        let mut low = high / 2;
        while high - low > 1 {
            let middle = u64::midpoint(low, high);
            if is_enough(middle) { high = middle } else { low = middle }
        }
        Some(high)
    }

    /// [`Self::missing`] while green and blue go on as they did.
    pub(super) fn missing_relative(
        &self,
        alpha: f64,
        ratio: f64,
        margin: f64,
        (share, green, blue): (f64, Count, Count),
    ) -> Option<u64> {
        self.missing(alpha, |better| {
            let (a, b) = odds(share, ratio, better);
            green.rate() * a.ln() + blue.rate() * (1.0 - share) / share * b.ln() + margin * (1.0 - a)
        })
    }

    /// [`Self::missing`] while green goes on as it did.
    pub(super) fn missing_absolute(&self, alpha: f64, allowed: f64, green: Count) -> Option<u64> {
        self.missing(alpha, |better| {
            let rate = green.rate();
            rate * better.ln() + (1.0 - rate) * ((1.0 - better * allowed) / (1.0 - allowed)).ln()
        })
    }
}

fn is_won(bets: &[f64; BETTER.len()], alpha: f64) -> bool {
    log_of_sum(bets.iter().zip(BETTER).map(|(log, (_, stake))| log + stake.ln())) >= -alpha.ln()
}

/// The factors of a bad event of green and of blue when it is bet that green is `better` times as bad as `ratio` says.
fn odds(share: f64, ratio: f64, better: f64) -> (f64, f64) {
    let (fair, bet) = (chance(share, ratio), chance(share, ratio * better));
    (bet / fair, (1.0 - bet) / (1.0 - fair))
}

/// The probability that a bad event is green's if it is `ratio` times as bad as blue.
pub(super) fn chance(share: f64, ratio: f64) -> f64 {
    share * ratio / (share * ratio + 1.0 - share)
}

/// ln Σ exp, without overflow.
fn log_of_sum(logs: impl Iterator<Item = f64> + Clone) -> f64 {
    let top = logs.clone().fold(f64::MIN, f64::max);
    top + logs.map(|log| (log - top).exp()).sum::<f64>().ln()
}

/// Counts are below 2^53.
#[expect(clippy::cast_precision_loss, reason = "counts of requests are far below 2^53")]
pub(super) const fn float(count: u64) -> f64 {
    count as f64
}

/// The other way.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is checked by its callers to be in range"
)]
pub(super) const fn whole(count: f64) -> u64 {
    count as u64
}
