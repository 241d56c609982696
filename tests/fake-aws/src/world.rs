//! The whole of what stands in the fake cloud. It is pure: calls and moments go in, answers and wishes come out; whoever
//! holds it tells it the time. What it wishes for (containers, probes, tables of the balancer) is performed by `actors`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::cloudwatch::CloudWatch;
use crate::codedeploy::CodeDeploy;
use crate::ecr::Ecr;
use crate::ecs::Ecs;
use crate::elb::Elb;
use crate::error::Answer;
use crate::hooks::Functions;
use crate::ids::Ids;
use crate::sts::{Caller, Identities};
use crate::value::{SECOND, Time};
use crate::wire::Service;

/// What does not change.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) account: String,
    /// Whose resources these are; other regions have what ECR replicates to them.
    pub(crate) region: String,
    /// `http://127.0.0.1:PORT`.
    pub(crate) endpoint: String,
    /// Tasks and targets only behave as if: nothing is started and nothing is asked.
    pub(crate) is_simulated: bool,
}

/// How images that go wrong do so, in worlds without containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Misbehaviour {
    /// The image is not there.
    CannotPull,
    /// Ends by itself with this code, soon after its start.
    Exits(i64),
    /// Answers health checks with 503.
    Unhealthy,
}

/// Everything.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) now: Time,
    pub(crate) settings: Settings,
    pub(crate) ids: Ids,
    pub(crate) identities: Identities,
    pub(crate) ecr: Ecr,
    pub(crate) ecs: Ecs,
    pub(crate) elb: Elb,
    pub(crate) watch: CloudWatch,
    pub(crate) deploys: CodeDeploy,
    pub(crate) functions: Functions,
    /// By a part of the image's name.
    pub(crate) misbehaviours: Vec<(String, Misbehaviour)>,
    /// Values of secrets that tasks may have, by ARN.
    pub(crate) secrets: BTreeMap<String, String>,
    pub(crate) topic_arns: BTreeSet<String>,
    /// The last lines of tasks that ended, by task.
    pub(crate) logs: BTreeMap<String, Vec<String>>,
}

impl World {
    pub(crate) fn new(settings: Settings, now: Time, seed: u64) -> Self {
        Self {
            now,
            settings,
            ids: Ids::new(seed),
            identities: Identities::default(),
            ecr: Ecr::default(),
            ecs: Ecs::default(),
            elb: Elb::default(),
            watch: CloudWatch::default(),
            deploys: CodeDeploy::default(),
            functions: Functions::default(),
            misbehaviours: Vec::new(),
            secrets: BTreeMap::new(),
            topic_arns: BTreeSet::new(),
            logs: BTreeMap::new(),
        }
    }

    /// Answers a call.
    pub(crate) fn call(
        &mut self,
        service: Service,
        operation: &str,
        input: &Value,
        caller: &Caller,
        keys: Option<&Value>,
    ) -> Answer {
        match service {
            Service::Sts => self.sts(operation, input, caller, keys),
            Service::Iam => self.iam(operation, input),
            Service::Ecr => self.ecr(operation, input, &caller.region),
            Service::Ecs => self.ecs(operation, input),
            Service::Elb => self.elb(operation, input),
            Service::CloudWatch => self.cloudwatch(operation, input),
            Service::CodeDeploy => self.codedeploy(operation, input),
            Service::Secrets => self.secrets_manager(operation, input),
            Service::Parameters => self.parameters(operation, input),
            Service::Sns => self.topics(operation, input),
            Service::Logs => self.log_events(operation, input),
        }
    }

    /// Lets the time come to `to`, second by second, so that what follows from what happens in its order.
    pub(crate) fn advance(&mut self, to: Time) {
        while self.now < to {
            self.now = to.min(self.now + SECOND);
            self.tick();
        }
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self) {
        self.tick_ecr();
        if self.settings.is_simulated {
            self.simulate_tasks();
        }
        self.tick_tasks();
        if self.settings.is_simulated {
            self.simulate_probes();
        }
        self.tick_targets();
        self.tick_alarms();
        self.tick_codedeploy();
        self.tick_rolling();
        self.tick_native();
    }

    /// How an image goes wrong, if it was told to.
    pub(crate) fn misbehaviour(&self, image: &str) -> Option<&Misbehaviour> {
        self.misbehaviours.iter().find(|(part, _)| image.contains(part.as_str())).map(|(_, how)| how)
    }

    /// An ARN of this account and region.
    pub(crate) fn arn(&self, service: &str, rest: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{rest}", self.settings.region, self.settings.account)
    }
}
