//! What people come in by: who they are, their sessions, and how often they may try.

use std::sync::Arc;

use engine::store::Database;
use engine::store::audit::Audit;
use engine::store::people::{Cost, FirstCode, People, Sessions};

use super::limit::Limit;
use crate::pages::Oidc;

/// The way in for people. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Entrance {
    /// Who they are.
    pub people: People,
    /// Who is signed in.
    pub sessions: Sessions,
    /// Lets the first one in.
    pub first: FirstCode,
    /// The server's own address, such as `https://ci.example`.
    pub url: Option<String>,
    pub(crate) oidc: Option<Arc<Oidc>>,
    pub(crate) limit: Arc<Limit>,
}

impl Entrance {
    /// That of a database.
    #[must_use]
    pub fn on(database: Database, audit: Audit) -> Self {
        Self {
            people: People::on(database.clone(), audit.clone()),
            sessions: Sessions::on(database, audit),
            first: FirstCode::default(),
            url: None,
            oidc: None,
            limit: Arc::default(),
        }
    }

    /// With the server's own address.
    #[must_use]
    pub fn at(mut self, url: Option<String>) -> Self {
        self.url = url.map(|url| url.trim_end_matches('/').to_owned());
        self
    }

    /// With a provider where people sign in.
    #[must_use]
    pub fn with_oidc(mut self, oidc: Option<Oidc>) -> Self {
        self.oidc = oidc.map(Arc::new);
        self
    }

    /// With other costs of passwords.
    #[must_use]
    pub fn with_cost(mut self, cost: Cost) -> Self {
        self.people = self.people.with_cost(cost);
        self
    }
}
