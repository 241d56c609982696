//! Going back after success: a rollout of its own, to what stood before.

use engine::store::RunId;
use engine::store::rollouts::{LISTED_MAX, RolloutFilter, RolloutRow, RolloutState};
use jiff::SignedDuration;
use rollout::plan::{Revision, Schedule, Step, Weight};
use rollout::{Order, Outcome, Plan, View};

use super::{Asked, Keeper, KeeperError};
use crate::rollout::journal::{planned, read};

/// Where to go back.
#[derive(Debug, Clone)]
pub struct Back {
    /// The environment.
    pub environment: String,
    /// The service.
    pub service: String,
    /// To what this rollout brought; `None`: to what stood before the newest one.
    pub to: Option<u64>,
    /// Who asks.
    pub by: String,
    /// Why.
    pub comment: String,
    /// Of the step that asks; `None`: a person does.
    pub key: Option<String>,
    /// The run that asks, if one does.
    pub run: Option<RunId>,
    /// Its job.
    pub job: String,
}

impl Keeper {
    /// Takes a service back: a rollout that goes on is told to, else a new one is written down and carried. Its number.
    ///
    /// # Errors
    /// There is nothing to go back to, or a migration since then cannot be undone; the text says what to do.
    pub async fn go_back(&self, back: Back) -> Result<u64, KeeperError> {
        if let Some(key) = &back.key
            && let Some(known) = self.0.rollouts.of_key(key).await?
        {
            // A step that is taken up: what stands may be another one by now.
            return Ok(known.id);
        }
        let rows = self.of_place((&back.environment, &back.service), LISTED_MAX).await?;
        if back.to.is_none()
            && let Some(id) = self.tell_open(&rows, &back).await?
        {
            return Ok(id);
        }
        let views = rows.iter().map(|row| Ok((row.id, read(row.view.clone())?)));
        let views = views.collect::<Result<Vec<(u64, View)>, KeeperError>>()?;
        let place = format!("{} in {}", back.service, back.environment);
        let standing = views.iter().find(|(_, view)| view.outcome == Some(Outcome::Succeeded));
        let Some((of, standing)) = standing else {
            return Err(KeeperError::Refused(format!(
                "nothing was deployed of {place} yet, so there is nothing to take back"
            )));
        };
        let to = target_of(&views, standing, back.to, &place)?;
        let since = views.iter().filter(|(id, view)| *id > to.id && view.outcome == Some(Outcome::Succeeded));
        if let Some((id, migration)) = since.filter_map(|(id, view)| Some((id, view.irreversible.as_ref()?))).next() {
            let text = format!(
                "{place} cannot go back: the migration `{migration}` of rollout {id} cannot be undone; deploy a version that fits it"
            );
            return Err(KeeperError::Refused(text));
        }
        let plan = self.plan(*of, &to).await?;
        let key = back.key.clone().unwrap_or_else(|| format!("rollback of {of} to {} at {}", to.id, self.now()));
        let id = self.ask(Asked { key, plan, run: back.run, job: back.job, by: back.by }).await?;
        self.carry(id, None);
        Ok(id)
    }

    /// The plan of the newest rollout of a service; `None`: there was none.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn newest_plan(&self, environment: &str, service: &str) -> Result<Option<Plan>, KeeperError> {
        let rows = self.of_place((environment, service), 1).await?;
        let Some(newest) = rows.first() else { return Ok(None) };
        Ok(planned(&self.0.rollouts, newest.id).await?)
    }

    async fn of_place(&self, place: (&str, &str), limit: usize) -> Result<Vec<RolloutRow>, KeeperError> {
        let filter = RolloutFilter {
            environment: Some(place.0.to_owned()),
            service: Some(place.1.to_owned()),
            limit,
            ..RolloutFilter::default()
        };
        Ok(self.0.rollouts.list(filter).await?)
    }

    /// One that goes on, or is stuck, goes back itself.
    async fn tell_open(&self, rows: &[RolloutRow], back: &Back) -> Result<Option<u64>, KeeperError> {
        for row in rows.iter().filter(|row| row.state != RolloutState::Closed) {
            let view: View = read(row.view.clone())?;
            let order = [Order::Rollback, Order::Abort].into_iter().find(|order| view.orders.contains(order));
            let is_over = view.outcome == Some(Outcome::Succeeded);
            if let Some(order) = order.filter(|_| !is_over) {
                self.order(row.id, order, &back.by, &back.comment).await?;
                return Ok(Some(row.id));
            }
        }
        Ok(None)
    }

    /// The plan of the newest one with what stood before: all of the traffic at once, what is warm is used again.
    async fn plan(&self, of: u64, to: &Revision) -> Result<Plan, KeeperError> {
        // Its settings are those that it ran with.
        let plan = match planned(&self.0.rollouts, to.id).await? {
            Some(plan) => plan,
            None => planned(&self.0.rollouts, of).await?.ok_or(KeeperError::Unknown(of))?,
        };
        let step = Step { weight: Weight::ALL, hold: SignedDuration::ZERO, analyse: false, pause: false };
        Ok(Plan {
            image: to.image.clone(),
            version: to.version.clone(),
            commit: to.commit.clone(),
            schedule: Schedule { steps: vec![step], ..plan.schedule },
            hooks: Vec::new(),
            irreversible: None,
            rollback_of: Some(of),
            reuse: Some(to.clone()),
            ..plan
        })
    }
}

fn target_of(views: &[(u64, View)], standing: &View, to: Option<u64>, place: &str) -> Result<Revision, KeeperError> {
    let Some(to) = to else {
        let none =
            || KeeperError::Refused(format!("{place} had nothing before what stands now; deploy an earlier commit"));
        return standing.blue.as_ref().map(|blue| blue.revision.clone()).ok_or_else(none);
    };
    let found = views.iter().find(|(id, view)| *id == to && view.outcome == Some(Outcome::Succeeded));
    let revision = found.map(|(_, view)| view.green.revision.clone());
    let revision = revision.ok_or_else(|| {
        KeeperError::Refused(format!(
            "rollout {to} of {place} is not known, or did not succeed; see `pipe deploy history`"
        ))
    })?;
    if revision.id == standing.green.revision.id {
        return Err(KeeperError::Refused(format!("what rollout {to} brought of {place} is what stands")));
    }
    Ok(revision)
}
