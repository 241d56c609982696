//! What the handlers of the API and of the pages share: the readings of the database, and what they carry deeds out with.

use engine::store::SqliteStore;
use engine::store::answers::Answers;
use engine::store::approvals::Approvals;
use engine::store::badges::Badges;
use engine::store::deliveries::Deliveries;
use engine::store::deployments::Deployments;
use engine::store::listing::Listing;
use engine::store::outbox::Outbox;
use engine::store::repositories::Repositories;
use engine::store::rollouts::Rollouts;

use crate::api::Api;
use crate::api::follow::Follow;
use crate::api::once::Once;
use crate::pages::log::Logs;

/// One server, as its handlers see it.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) listing: Listing,
    pub(crate) deliveries: Deliveries,
    pub(crate) deployments: Deployments,
    pub(crate) outbox: Outbox,
    pub(crate) approvals: Approvals,
    pub(crate) badges: Badges,
    pub(crate) repositories: Repositories,
    pub(crate) rollouts: Rollouts,
    pub(crate) once: Once,
    pub(crate) follow: Follow,
    pub(crate) store: SqliteStore,
    /// Where the lines of logs are that somebody looks at.
    pub(crate) logs: Logs,
    pub(crate) api: Api,
}

impl Site {
    pub(crate) fn new(api: Api) -> Self {
        let database = || api.database.clone();
        let listing = Listing::on(database());
        Self {
            deliveries: Deliveries::on(database()),
            deployments: Deployments::on(database()),
            outbox: Outbox::on(database()),
            approvals: Approvals::on(database()),
            badges: Badges::on(database(), api.audit.clone()),
            repositories: Repositories::on(database()),
            rollouts: api.rollouts.clone(),
            once: Once::new(Answers::on(database())),
            follow: Follow::new(listing.clone(), api.folders.clone(), api.stop.clone()),
            logs: Logs::default(),
            store: SqliteStore::on(database()),
            listing,
            api,
        }
    }
}
