//! What a month costs before and after a plan, from a small table of prices: Fargate, load balancers, RDS, NAT and what is beside
//! them. Pure.
//!
//! An estimate for a review, not a bill: only what stands there all month counts, at list prices. What has no price here (usage,
//! other instance classes, other regions) is named, and never counted as nothing.

mod estimate;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value as Json;

pub(super) use self::table::{Prices, SHIPPED};

use self::estimate::{Estimate, estimate};

/// Lines that a text shows.
const LINES_MAX: usize = 50;
/// Smallest difference that is one.
const CENT: f64 = 0.005;

/// Costs of a month.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cost {
    /// Before, in the table's currency.
    pub(super) before: f64,
    /// After.
    pub(super) after: f64,
    /// What costs something, before or after.
    pub(super) lines: Vec<Line>,
    /// What has no price here, and why, with how many there are.
    pub(super) unpriced: BTreeMap<(String, String), usize>,
    /// Where.
    pub(super) region: String,
    currency: String,
    as_of: String,
}

/// A resource and its costs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    /// Such as `aws_nat_gateway.this[0]`.
    pub(super) address: String,
    /// What was counted.
    pub(super) what: String,
    /// A month of it before.
    pub(super) before: f64,
    /// And after.
    pub(super) after: f64,
}

impl Cost {
    /// Costs of a plan, as `terraform show -json` has it. `fallback` is the region where the plan names none.
    pub(super) fn of(plan: &Json, prices: &Prices, own: Option<&str>, fallback: Option<&str>) -> Self {
        let region = own.map(str::to_owned).or_else(|| region_of(plan)).or_else(|| fallback.map(str::to_owned));
        let region = region.unwrap_or_default();
        let mut cost = Self {
            before: 0.0,
            after: 0.0,
            lines: Vec::new(),
            unpriced: BTreeMap::new(),
            region: region.clone(),
            currency: prices.currency.clone(),
            as_of: prices.as_of.clone(),
        };
        for resource in plan["resource_changes"].as_array().into_iter().flatten() {
            let kind = resource["type"].as_str().unwrap_or_default();
            if resource["mode"] == "data" || prices.is_free(kind) {
                continue;
            }
            let change = &resource["change"];
            let side = |values: &Json, name: &str| match values.is_null() {
                true => Estimate::Nothing,
                false => estimate(plan, resource, (values, name), prices.of_region(&region), prices.hours_a_month),
            };
            let (before, after) = (side(&change["before"], "before"), side(&change["after"], "after"));
            cost.add(resource["address"].as_str().unwrap_or_default(), kind, before, after);
        }
        cost
    }

    fn add(&mut self, address: &str, kind: &str, before: Estimate, after: Estimate) {
        let what = match (&before, &after) {
            (_, Estimate::Priced { what, .. }) | (Estimate::Priced { what, .. }, _) => what.clone(),
            _ => String::new(),
        };
        let mut amount = |estimate: Estimate| match estimate {
            Estimate::Nothing => 0.0,
            Estimate::Priced { month, .. } => month,
            Estimate::Unpriced(why) => {
                *self.unpriced.entry((kind.to_owned(), why)).or_default() += 1;
                0.0
            }
        };
        let (after, before) = match (after, before) {
            // It is named once.
            (Estimate::Unpriced(why), Estimate::Unpriced(_)) => (amount(Estimate::Unpriced(why)), 0.0),
            (after, before) => (amount(after), amount(before)),
        };
        self.before += before;
        self.after += after;
        if before > 0.0 || after > 0.0 {
            self.lines.push(Line { address: address.to_owned(), what, before, after });
        }
    }

    /// The difference.
    pub(super) fn delta(&self) -> f64 {
        self.after - self.before
    }

    /// `12.34 → 45.67 USD a month (+33.33)`.
    pub(super) fn words(&self) -> String {
        let delta = signed(self.delta());
        let mut words = format!("{:.2} → {:.2} {} a month ({delta})", self.before, self.after, self.currency);
        if !self.unpriced.is_empty() {
            let _infallible = write!(words, ", without {}", self.unpriced_words());
        }
        words
    }

    fn unpriced_words(&self) -> String {
        let one = |((kind, why), count): (&(String, String), &usize)| match count {
            1 => format!("{kind} ({why})"),
            more => format!("{more} × {kind} ({why})"),
        };
        self.unpriced.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    /// For people.
    pub(super) fn markdown(&self) -> String {
        let mut text = format!("**Cost**: {:.2} → {:.2} {} a month, ", self.before, self.after, self.currency);
        let _infallible = writeln!(text, "**{}**", signed(self.delta()));
        if !self.lines.is_empty() {
            text.push_str("\n| resource | what | before | after |\n| --- | --- | ---: | ---: |\n");
            for line in self.lines.iter().take(LINES_MAX) {
                let address = super::words::code(&line.address.replace('|', "¦"));
                let _infallible =
                    writeln!(text, "| {address} | {} | {:.2} | {:.2} |", line.what, line.before, line.after);
            }
            if self.lines.len() > LINES_MAX {
                let _infallible = writeln!(text, "| and {} more | | | |", self.lines.len() - LINES_MAX);
            }
        }
        if !self.unpriced.is_empty() {
            let _infallible = writeln!(text, "\nNot priced: {}.", self.unpriced_words());
        }
        let region = if self.region.is_empty() { "an unknown region" } else { &self.region };
        let _infallible =
            writeln!(text, "\nList prices of {region} as of {}, without data transfer and usage.", self.as_of);
        text
    }
}

/// `+1.00`, `-1.00`, `±0.00`.
pub(super) fn signed(amount: f64) -> String {
    if amount.abs() < CENT { "±0.00".to_owned() } else { format!("{amount:+.2}") }
}

/// The region of the plan's provider, where it is written or a variable has it.
fn region_of(plan: &Json) -> Option<String> {
    let region = &plan["configuration"]["provider_config"]["aws"]["expressions"]["region"];
    if let Some(written) = region["constant_value"].as_str() {
        return Some(written.to_owned());
    }
    let variable =
        region["references"].as_array()?.iter().find_map(|reference| reference.as_str()?.strip_prefix("var."))?;
    plan["variables"][variable]["value"].as_str().map(str::to_owned)
}
