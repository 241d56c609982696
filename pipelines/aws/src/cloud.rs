//! The services of AWS that are used, each made when it is first asked for: a process that never deploys there pays nothing.

use std::sync::OnceLock;
use std::time::Duration;

use aws_sdk_sts::config::retry::RetryConfig;
use aws_sdk_sts::config::timeout::TimeoutConfig;
use aws_sdk_sts::config::{BehaviorVersion, Region, SharedCredentialsProvider, SharedHttpClient};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_types::SdkConfig;

use crate::access::{endpoint, region};
use crate::{AccessError, Keys};

/// How long one attempt may take.
const ATTEMPT_TIME_MAX: Duration = Duration::from_secs(20);
/// How long a connection may take.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

/// A service, by the end of the variable of its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Alarms and metrics.
    CloudWatch,
    /// Deployments that AWS carries.
    CodeDeploy,
    /// Images.
    Ecr,
    /// Containers.
    Ecs,
    /// Load balancers.
    LoadBalancers,
    /// What containers wrote.
    Logs,
    /// Temporary keys.
    Sts,
}

impl Service {
    /// All.
    pub const ALL: [Self; 7] =
        [Self::CloudWatch, Self::CodeDeploy, Self::Ecr, Self::Ecs, Self::LoadBalancers, Self::Logs, Self::Sts];

    /// As in `AWS_ENDPOINT_URL_…`.
    const fn variable(self) -> &'static str {
        match self {
            Self::CloudWatch => "CLOUDWATCH",
            Self::CodeDeploy => "CODEDEPLOY",
            Self::Ecr => "ECR",
            Self::Ecs => "ECS",
            Self::LoadBalancers => "ELASTIC_LOAD_BALANCING_V2",
            Self::Logs => "CLOUDWATCH_LOGS",
            Self::Sts => "STS",
        }
    }
}

/// AWS as one step sees it: with its keys, in one region.
#[derive(Debug, Clone)]
pub struct Cloud {
    region: String,
    keys: Option<Keys>,
    endpoints: [Option<String>; Service::ALL.len()],
}

impl Cloud {
    /// Of a step, by its variables; `written` is the region that the step's input names, if any.
    ///
    /// # Errors
    /// There is no key, or no region.
    pub fn of<'a>(written: Option<&str>, variable: impl Fn(&str) -> Option<&'a str>) -> Result<Self, AccessError> {
        let keys = Keys::of(&variable)?;
        Ok(Self::without_keys(written, variable)?.with_keys(keys))
    }

    /// The same without keys, for what gives some.
    ///
    /// # Errors
    /// There is no region.
    pub fn without_keys<'a>(
        written: Option<&str>,
        variable: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<Self, AccessError> {
        let endpoints = Service::ALL.map(|service| endpoint(&variable, service.variable()));
        Ok(Self { region: region(written, &variable)?, keys: None, endpoints })
    }

    /// With these keys.
    #[must_use]
    pub fn with_keys(self, keys: Keys) -> Self {
        Self { keys: Some(keys), ..self }
    }

    /// The same elsewhere.
    #[must_use]
    pub fn in_region(&self, region: &str) -> Self {
        Self { region: region.to_owned(), ..self.clone() }
    }

    /// Where.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Whose, if anybody's.
    #[must_use]
    pub const fn keys(&self) -> Option<&Keys> {
        self.keys.as_ref()
    }

    /// Addresses that were set in place of AWS's own, not checked.
    pub fn endpoints(&self) -> impl Iterator<Item = &str> {
        self.endpoints.iter().flatten().map(String::as_str)
    }

    /// The address of a service that was set in place of AWS's own.
    pub(crate) fn endpoint(&self, service: Service) -> Option<&str> {
        let at = Service::ALL.iter().position(|known| *known == service)?;
        self.endpoints[at].as_deref()
    }

    /// What a client of a service is made of. Nothing is tried again by itself: who calls knows what may be done twice.
    pub(crate) fn config(&self, service: Service) -> SdkConfig {
        let times = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIME_MAX)
            .operation_attempt_timeout(ATTEMPT_TIME_MAX)
            .build();
        let mut config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(self.region.clone()))
            .retry_config(RetryConfig::disabled())
            .timeout_config(times)
            .http_client(http());
        if let Some(keys) = &self.keys {
            config = config.credentials_provider(SharedCredentialsProvider::new(keys.credentials().clone()));
        }
        if let Some(endpoint) = self.endpoint(service) {
            config = config.endpoint_url(endpoint);
        }
        config.build()
    }
}

/// One pool of connections for the process, made at the first call: it reads the certificates of the machine.
pub(crate) fn http() -> SharedHttpClient {
    static HTTP: OnceLock<SharedHttpClient> = OnceLock::new();
    let made = || aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    HTTP.get_or_init(made).clone()
}
