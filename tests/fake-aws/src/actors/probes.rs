//! Health checks of targets, for real.

use std::sync::Arc;
use std::time::Duration;

use crate::elb::{Probe, ProbeResult};
use crate::fetch::{Failure, get};
use crate::inner::Inner;

/// Containers share this machine with much else, so that a probe that a fast clock allows only milliseconds still has this.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks a target, and tells the world.
pub(super) async fn probe(inner: Arc<Inner>, probe: Probe) {
    let speed = inner.speed().max(1.0);
    let allowed = Duration::from_millis(u64::try_from(probe.timeout).unwrap_or_default()).div_f64(speed).max(PATIENCE);
    let host = format!("{}:{}", probe.address, probe.probe_port);
    let asked = tokio::select! {
        () = inner.stop.cancelled() => return,
        asked = get(&host, &probe.path, allowed, "ELB-HealthChecker/2.0") => asked,
    };
    let result = match asked {
        Ok((status, _)) => ProbeResult::Status(status),
        Err(Failure::Refused) => ProbeResult::Refused,
        Err(Failure::TimedOut) => ProbeResult::TimedOut,
    };
    inner.with(|world| world.probed(&probe, result));
}
