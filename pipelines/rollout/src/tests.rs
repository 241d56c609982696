//! What the tests of this crate share.

use jiff::SignedDuration;
use serde_json::json;

use crate::plan::{Analysis, OnActive, Plan, RollbackOn, Schedule};

/// A plan with all defaults.
pub(crate) fn plan() -> Plan {
    Plan {
        environment: "production".to_owned(),
        service: "orders".to_owned(),
        repository: "acme/shop".to_owned(),
        commit: "1a38bd2".to_owned(),
        image: "shop/orders@sha256:2222".to_owned(),
        version: "v2".to_owned(),
        target: "local".to_owned(),
        settings: json!({ "replicas": 2 }),
        schedule: Schedule::default(),
        analysis: Analysis::default(),
        rollback_on: RollbackOn::ALL,
        on_active: OnActive::Wait,
        hooks: Vec::new(),
        start_timeout: SignedDuration::from_mins(2),
        timeout: SignedDuration::from_hours(2),
        keep_blue: SignedDuration::from_hours(1),
        tick: SignedDuration::from_secs(5),
        irreversible: None,
        rollback_of: None,
        reuse: None,
    }
}
