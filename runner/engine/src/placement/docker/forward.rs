//! Ports of services on the job's localhost: the agent in the job's container passes connections on.

use std::collections::HashMap;

use super::start::{AGENT, Start};
use crate::placement::client::AgentClient;
use crate::placement::{ExecEvent, ExecOutcome, ExecRequest, PlacementError};

impl Start<'_> {
    /// Opens the services' ports on the job's localhost.
    pub(super) async fn forward(
        &self,
        client: &AgentClient,
        addresses: &HashMap<String, String>,
    ) -> Result<(), PlacementError> {
        let forwards = self.prepared.forwards(self.spec.shape);
        if forwards.is_empty() {
            return Ok(());
        }
        let failed = |reason: String| PlacementError::Agent { reason: format!("could not forward ports: {reason}") };
        let mut argv = vec![format!("{}/{AGENT}", self.agent_folder()), "forward".to_owned()];
        for (port, (service, inside)) in forwards {
            let address = addresses.get(service).map_or("", String::as_str);
            argv.push(format!("{port}={address}:{inside}"));
        }
        let mut exec = client.exec(ExecRequest::new(argv, "/")).map_err(failed)?;
        let mut said = Vec::new();
        while let Some(event) = exec.next().await {
            match event {
                ExecEvent::Output { offset: _, bytes } => {
                    said.extend_from_slice(&bytes);
                    if said.ends_with(b"ready\n") {
                        return Ok(());
                    }
                }
                ExecEvent::Ended(ExecOutcome::NotStarted { reason } | ExecOutcome::Lost { reason }) => {
                    return Err(failed(reason));
                }
                ExecEvent::Ended(ExecOutcome::Exited { .. }) => break,
            }
        }
        Err(failed(String::from_utf8_lossy(&said).trim().to_owned()))
    }
}
