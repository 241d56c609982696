//! `[costs]`: what a minute costs, and at which parts of a month's budget people are told.

use engine::insights::costs::CostRules;
use indexmap::IndexMap;
use serde::Deserialize;

/// Parts of a budget, in percent, where nothing is said.
const ALERTS: [u32; 3] = [50, 80, 100];
/// Highest part of a budget, in percent.
const ALERT_MAX: u32 = 1_000;
/// Longest name of a currency.
const CURRENCY_BYTES_MAX: usize = 10;

/// `[costs]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct CostsTable {
    /// Such as `EUR`.
    pub currency: Option<String>,
    /// Of a minute of jobs whose labels have no price.
    pub default_price: Option<f64>,
    /// Of a minute, by label of `runs-on`.
    pub prices: IndexMap<String, f64>,
    /// Of a month.
    pub budget: Option<f64>,
    /// At which parts of the budget people are told, in percent.
    pub alerts: Option<Vec<u32>>,
}

impl CostsTable {
    /// What the form alone does not say: the word that is wrong, and why.
    pub fn problem(&self) -> Option<(String, String)> {
        let wrong = |word: &str, message: String| Some((word.to_owned(), message));
        let is_price = |price: f64| price.is_finite() && price >= 0.0;
        if let Some((label, _)) = self.prices.iter().find(|(_, price)| !is_price(**price)) {
            return wrong(label, format!("the price of a minute of `{label}` is a number from 0 on"));
        }
        if self.default_price.is_some_and(|price| !is_price(price)) {
            return wrong("default-price", "`default-price` is a number from 0 on".to_owned());
        }
        if self.budget.is_some_and(|budget| !budget.is_finite() || budget <= 0.0) {
            return wrong("budget", "`budget` of a month is a number above 0".to_owned());
        }
        let has_prices = !self.prices.is_empty() || self.default_price.is_some();
        if (has_prices || self.budget.is_some()) && self.currency.as_deref().is_none_or(|name| name.trim().is_empty()) {
            let word = if has_prices { "costs" } else { "budget" };
            return wrong(word, "`[costs]` needs a `currency` such as `EUR`".to_owned());
        }
        if self
            .currency
            .as_ref()
            .is_some_and(|name| name.len() > CURRENCY_BYTES_MAX || name.chars().any(char::is_control))
        {
            return wrong("currency", format!("`currency` has at most {CURRENCY_BYTES_MAX} letters"));
        }
        let alerts = self.alerts.as_ref()?;
        let rise = alerts.windows(2).all(|pair| pair[0] < pair[1]);
        if alerts.len() != ALERTS.len() || !rise || alerts.iter().any(|at| !(1..=ALERT_MAX).contains(at)) {
            let message = format!(
                "`alerts` are three parts of the budget in percent, each higher than the one before, {ALERT_MAX} at most"
            );
            return wrong("alerts", message);
        }
        if self.budget.is_none() {
            return wrong("alerts", "`alerts` are of a `budget`, and there is none".to_owned());
        }
        None
    }

    /// As what counts knows it.
    pub fn rules(&self) -> CostRules {
        CostRules {
            currency: self.currency.clone().unwrap_or_default().trim().to_owned(),
            prices: self.prices.iter().map(|(label, price)| (label.to_lowercase(), *price)).collect(),
            default_price: self.default_price.unwrap_or(0.0),
            budget: self.budget,
            alerts: self.alerts.clone().unwrap_or_else(|| ALERTS.to_vec()),
        }
    }
}
