//! DORA's five figures as numbers: of the last 30 days, for each service and environment, as the page and the API have them.

use std::collections::BTreeSet;

use jiff::{Timestamp, ToSpan as _};

use super::number::Text;
use crate::insights::dora::{Figures, Judged, judge};
use crate::insights::{Spread, Window};
use crate::store::insights::{DoraFilter, Insights};
use crate::store::{Database, StoreError};

/// Days that they are of.
const DAYS: i64 = 30;
/// Most places that are told of.
const PLACES_MAX: usize = 200;

/// Values of a figure, with their quantile where it is of many.
type Values = Vec<(Option<&'static str>, f64)>;

/// What is deployed where, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// `owner/name`.
    pub repository: String,
    /// Where to.
    pub environment: String,
    /// What; empty: all of the repository.
    pub service: String,
    /// The figures.
    pub figures: Figures,
}

impl Delivery {
    /// Those of everything that was ever deployed, by environment.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn read(database: &Database, now: Timestamp) -> Result<Vec<Self>, StoreError> {
        let insights = Insights::on(database.clone());
        let window = Window::last(DAYS, now);
        let places = insights.places().await?;
        let names: BTreeSet<String> = places.iter().map(|place| place.environment.to_lowercase()).collect();
        let mut all = Vec::new();
        for name in names {
            let written = places.iter().find(|place| place.environment.eq_ignore_ascii_case(&name));
            let environment = written.map_or(name, |place| place.environment.clone());
            // How often, as a word, is over three months; what was before the first of the window says what that one brought.
            let since = now.to_zoned(window.zone.clone()).checked_sub(3.months().days(7));
            let since = since.map_or(Timestamp::MIN, |at| at.timestamp());
            let filter = DoraFilter { environment: environment.clone(), since, ..DoraFilter::default() };
            let judged = judge(insights.deployments(filter).await?);
            let key = |one: &Judged| (one.deployment.repository.to_lowercase(), one.deployment.service.clone());
            all.extend(judged.chunk_by(|one, other| key(one) == key(other)).map(|group| Self {
                repository: group[0].deployment.repository.clone(),
                environment: environment.clone(),
                service: group[0].deployment.service.clone(),
                figures: Figures::of(group, &window),
            }));
        }
        all.truncate(PLACES_MAX);
        Ok(all)
    }
}

/// Their text.
#[must_use]
pub fn render(all: &[Delivery]) -> String {
    let mut text = Text::default();
    let mut family = |name: &str, help: &str, values: &dyn Fn(&Figures) -> Values| {
        text.head(name, help, "gauge");
        for one in all {
            let labels = [
                ("repository", one.repository.as_str()),
                ("environment", one.environment.as_str()),
                ("service", one.service.as_str()),
            ];
            for (quantile, value) in values(&one.figures) {
                let quantile = quantile.map(|quantile| ("quantile", quantile));
                text.value(name, &labels.into_iter().chain(quantile).collect::<Vec<_>>(), value);
            }
        }
    };
    let spread = |spread: Option<Spread>| {
        let both = spread.map(|it| [(Some("0.5"), it.median_seconds), (Some("0.9"), it.p90_seconds)]);
        both.into_iter().flatten().collect::<Vec<_>>()
    };
    let one = |value: Option<f64>| value.map(|value| (None, value)).into_iter().collect::<Vec<_>>();
    family("pipe_dora_deployments", "Deployments of the last 30 days that count.", &|it| {
        one(Some(it.deployments as f64))
    });
    family("pipe_dora_lead_time_seconds", "From a commit to its users, over 30 days.", &|it| spread(it.lead_time));
    family("pipe_dora_change_fail_ratio", "Deployments of 30 days that failed, from 0 to 1.", &|it| {
        one(it.change_fail_rate)
    });
    family(
        "pipe_dora_recovery_time_seconds",
        "From the first bad sign to the end of a failure, over 30 days.",
        &|it| spread(it.recovery_time),
    );
    family("pipe_dora_rework_ratio", "Deployments of 30 days that were not planned, from 0 to 1.", &|it| {
        one(it.rework_rate)
    });
    text.finish()
}
