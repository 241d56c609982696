//! Counts what runs used as soon as they are over, and looks at the budget.
//!
//! A run is read from its log once. The labels of its jobs are made again from its workflow, since the log holds only what
//! ran them.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value as Json;
use tokio_util::sync::CancellationToken;
use workflow::run::{JobRunKey, Recorded, Run};

use super::costs::{CostRules, Used, used};
use crate::job::runs_on;
use crate::notify::{Herald, Notice, Occasion};
use crate::reporting::subject;
use crate::service::{RunSecrets, RunSpec};
use crate::store::audit::Audit;
use crate::store::insights::{BudgetAlert, Insights, Uncounted};
use crate::store::listing::Listing;
use crate::store::{RunId, SqliteStore, StoreError};

/// Counts runs.
#[derive(Debug)]
pub(super) struct Counter {
    pub(super) insights: Insights,
    pub(super) listing: Listing,
    pub(super) store: SqliteStore,
    /// For labels that are made of variables.
    pub(super) secrets: Arc<dyn RunSecrets>,
    pub(super) rules: CostRules,
    pub(super) audit: Audit,
    /// Tells people.
    pub(super) herald: Option<Herald>,
}

/// What people are told.
fn notice(alert: &BudgetAlert) -> Notice {
    let BudgetAlert { month, percent, spent, budget, currency, .. } = alert;
    Notice {
        occasion: Occasion::Budget,
        subject: format!("budget {month} {percent}"),
        title: format!("{percent} % of the budget of {month} is used"),
        lines: vec![format!("{spent:.2} of {budget:.2} {currency}")],
        repository: None,
        path: Some("/costs".to_owned()),
        run: None,
        environment: None,
        review: None,
    }
}

impl Counter {
    /// Counts everything that is over; tells whether there was something.
    pub(super) async fn count_all(&self, stop: &CancellationToken) -> Result<bool, StoreError> {
        let mut any = false;
        loop {
            let uncounted = self.insights.uncounted().await?;
            if uncounted.is_empty() || stop.is_cancelled() {
                return Ok(any);
            }
            let mut all = Vec::with_capacity(uncounted.len());
            for of in uncounted {
                let used = self.used(&of).await?;
                all.push((of, used));
            }
            self.insights.count(all).await?;
            any = true;
        }
    }

    pub(super) async fn check_budget(&self, now: Timestamp) -> Result<(), StoreError> {
        self.insights.check_budget(&self.rules, &self.audit, now).await?;
        let Some(herald) = self.herald.as_ref().filter(|_| self.rules.budget.is_some()) else { return Ok(()) };
        let month = now.strftime("%Y-%m").to_string();
        for alert in self.insights.alerts(0).await?.iter().filter(|alert| alert.month == month) {
            // Nobody is told twice of one subject, so that a killed server may tell again.
            herald.tell(notice(alert), now).await?;
        }
        Ok(())
    }

    async fn used(&self, of: &Uncounted) -> Result<Used, StoreError> {
        let facts = self.listing.log(of.run).await?;
        let spec = self.store.spec(of.run).await?;
        let run = match &spec {
            Some(spec) => self.replayed(of.run, spec, &facts).await?,
            None => None,
        };
        let labels = |key: &JobRunKey| run.as_ref().map(|run| runs_on(run, key)).unwrap_or_default();
        let inputs = spec.as_ref().map_or(&Json::Null, |spec| &spec.inputs);
        Ok(used(&facts, of.made_at, inputs, &labels))
    }

    /// The run as it was, as far as its log fits its workflow.
    async fn replayed(&self, id: RunId, spec: &RunSpec, facts: &[Recorded]) -> Result<Option<Run>, StoreError> {
        let Some(row) = self.store.run_row(id).await? else { return Ok(None) };
        let vars = self.secrets.vars(spec, None).await.unwrap_or_default();
        let (_, run_facts) = subject(id, &row, spec, &vars, None);
        let Some(run_facts) = run_facts else { return Ok(None) };
        let mut run = Run::new(run_facts);
        for fact in facts {
            if run.apply_stored(fact).is_err() {
                break;
            }
        }
        Ok(Some(run))
    }
}
