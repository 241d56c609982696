//! The table of prices: what comes with the action, or a file of the repository in the same form.

use std::collections::BTreeMap;

use serde::Deserialize;

/// What comes with the action; it names its date and sources.
pub(in super::super) const SHIPPED: &str = include_str!("prices.json");

/// Prices.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(in super::super) struct Prices {
    /// Such as `USD`.
    pub(super) currency: String,
    /// Hours that a month counts.
    pub(super) hours_a_month: f64,
    /// Year and month of the prices.
    pub(super) as_of: String,
    /// Where they are from.
    #[expect(dead_code, reason = "whoever writes a table must say where its prices are from")]
    source: String,
    regions: BTreeMap<String, Region>,
    /// Types that cost nothing by themselves; one that ends in `_` is the beginning of many.
    free: Vec<String>,
}

/// Prices of a region. What is absent is not priced.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct Region {
    /// By architecture.
    pub(super) fargate_vcpu_hour: BTreeMap<String, f64>,
    /// By architecture.
    pub(super) fargate_gb_hour: BTreeMap<String, f64>,
    /// By kind of load balancer; its capacity units are usage.
    pub(super) balancer_hour: BTreeMap<String, f64>,
    /// Without what passes it.
    pub(super) nat_gateway_hour: Option<f64>,
    /// An interface endpoint in one zone.
    pub(super) endpoint_hour: Option<f64>,
    /// A public IPv4 address.
    pub(super) address_hour: Option<f64>,
    /// An alarm on one metric.
    pub(super) alarm_month: Option<f64>,
    /// By engine and class, in one zone.
    pub(super) database_hour: BTreeMap<String, BTreeMap<String, f64>>,
    /// By kind of storage, in one zone.
    pub(super) database_gb_month: BTreeMap<String, f64>,
}

impl Prices {
    /// Reads a table.
    ///
    /// # Errors
    /// It is none; a sentence.
    pub(in super::super) fn read(text: &str) -> Result<Self, String> {
        let prices: Self = serde_json::from_str(text).map_err(|error| format!("the prices cannot be read: {error}"))?;
        if prices.hours_a_month > 0.0 {
            Ok(prices)
        } else {
            Err("the prices cannot be read: `hours-a-month` must be more than 0".to_owned())
        }
    }

    /// Those of a region.
    pub(super) fn of_region(&self, region: &str) -> Option<&Region> {
        self.regions.get(region)
    }

    /// Whether a type costs nothing by itself.
    pub(super) fn is_free(&self, kind: &str) -> bool {
        self.free.iter().any(|free| kind == free || free.ends_with('_') && kind.starts_with(free.as_str()))
    }
}
