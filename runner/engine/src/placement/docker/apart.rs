//! The network that jobs without services share where they are isolated: the engine drops what one container sends to
//! another (`com.docker.network.bridge.enable_icc=false`).
//!
//! It is made when the first job needs it, is found again by its name after a restart, and goes when the server ends. See
//! <https://docs.docker.com/engine/network/drivers/bridge/#options>.

use std::collections::HashMap;

use bollard::Docker;
use bollard::models::NetworkCreateRequest;
use tokio::sync::Mutex;

use super::connection::{message, status};
use crate::placement::owner::{LABEL_APART, Owner};

const NO_TRAFFIC: (&str, &str) = ("com.docker.network.bridge.enable_icc", "false");

/// The network of one installation.
#[derive(Debug)]
pub(super) struct Apart {
    name: String,
    installation: String,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Unknown,
    /// The engine cannot keep containers of one network apart: each job has its own.
    Impossible,
}

impl Apart {
    pub(super) fn of(owner: &Owner) -> Self {
        let installation = owner.installation().to_owned();
        Self { name: format!("pipe-jobs-{installation}"), installation, state: Mutex::new(State::Unknown) }
    }

    /// Its name. Asked of the engine each time, as a person may remove networks that nobody uses. `None`: there is none.
    pub(super) async fn ensure(&self, docker: &Docker) -> Option<String> {
        let mut state = self.state.lock().await;
        if *state == State::Impossible {
            return None;
        }
        match docker.inspect_network(&self.name, None).await {
            Ok(found) => {
                let keeps_apart =
                    found.options.unwrap_or_default().get(NO_TRAFFIC.0).is_some_and(|is| is == NO_TRAFFIC.1);
                if keeps_apart {
                    return Some(self.name.clone());
                }
                tracing::warn!(
                    network = self.name,
                    "there is another network of this name; each job gets one of its own"
                );
                *state = State::Impossible;
                return None;
            }
            Err(error) if status(&error) == Some(404) => {}
            Err(error) => {
                // What is wrong is told by whatever is asked next.
                tracing::debug!(error = message(&error), "the network of jobs cannot be looked for");
                return None;
            }
        }
        let request = NetworkCreateRequest {
            name: self.name.clone(),
            driver: Some("bridge".to_owned()),
            options: Some([NO_TRAFFIC].map(|(name, value)| (name.to_owned(), value.to_owned())).into()),
            labels: Some(HashMap::from([(LABEL_APART.to_owned(), self.installation.clone())])),
            ..NetworkCreateRequest::default()
        };
        match docker.create_network(request).await {
            Ok(_) => Some(self.name.clone()),
            Err(error) => {
                let reason = message(&error);
                tracing::warn!(reason, "the engine has no network that keeps jobs apart; each gets one of its own");
                *state = State::Impossible;
                None
            }
        }
    }

    /// Removes it, unless a job still uses it.
    pub(super) async fn remove(&self, docker: &Docker) {
        let _state = self.state.lock().await;
        match docker.remove_network(&self.name).await {
            Err(error) if status(&error) != Some(404) => {
                tracing::info!(network = self.name, reason = message(&error), "the network of jobs stays");
            }
            Ok(()) | Err(_) => {}
        }
    }
}
