//! Calls that are written here and not by an SDK: questions in JSON, signed and sent by the same code as all others.

use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_types::timeout::TimeoutConfig;
use serde_json::Value;

use crate::cloud::{Service, http};
use crate::patience::reading;
use crate::problem::{Answer, Asked};
use crate::{Cloud, Problem};

/// How long a call may take.
const CALL_TIME_MAX: Duration = Duration::from_secs(20);

/// A service that is asked directly, by the names that it has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Direct {
    pub(crate) service: Service,
    /// Of its host, and in signatures.
    pub(crate) host: &'static str,
    /// In policies.
    pub(crate) action: &'static str,
    /// Before the name of a call, in `X-Amz-Target`.
    pub(crate) target: &'static str,
    /// Of AWS's JSON.
    pub(crate) version: &'static str,
}

impl Direct {
    /// A call that changes nothing.
    pub(crate) async fn ask(self, cloud: &Cloud, name: &str, about: &str, input: &Value) -> Result<Value, Problem> {
        let action = format!("{}:{name}", self.action);
        let asked = Asked { action: &action, resource: about, region: cloud.region() };
        reading(|| async {
            let answer = self.send(cloud, name, input.to_string()).await?;
            if answer.status == 200 {
                return Ok(serde_json::from_str(&answer.body).unwrap_or_default());
            }
            Err(Problem::of_answer(&answer, asked))
        })
        .await
    }

    async fn send(self, cloud: &Cloud, name: &str, body: String) -> Result<Answer, Problem> {
        let domain = if cloud.region().starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let own = || format!("https://{}.{}.{domain}", self.host, cloud.region());
        let base = cloud.endpoint(self.service).map_or_else(own, str::to_owned);
        let url = format!("{}/", base.trim_end_matches('/'));
        let unmade = |error: BoxError| Problem::unmade(&*error);
        let request = self.signed(cloud, &url, name, &body).map_err(unmade)?;
        let once = std::sync::Mutex::new(Some(request));
        let taken = move |(): ()| -> Result<HttpRequest, BoxError> {
            let request = once.lock().ok().and_then(|mut request| request.take());
            request.ok_or_else(|| "it was sent already".into())
        };
        let times = TimeoutConfig::builder().operation_timeout(CALL_TIME_MAX).build();
        let operation = Operation::builder()
            .service_name(self.action)
            .operation_name(name.to_owned())
            .behavior_version(BehaviorVersion::latest())
            .http_client(http())
            .endpoint_url(&base)
            .no_auth()
            .no_retry()
            .sleep_impl(aws_smithy_async::rt::sleep::TokioSleep::new())
            .timeout_config(times)
            .serializer(taken)
            .deserializer::<_, Infallible>(read)
            .build();
        operation.invoke(()).await.map_err(|error| Problem::of_way(&error))
    }

    fn signed(self, cloud: &Cloud, url: &str, name: &str, body: &str) -> Result<HttpRequest, BoxError> {
        let keys = cloud.keys().ok_or("there are no credentials")?;
        let identity = keys.credentials().clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(cloud.region())
            .name(self.host)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()?
            .into();
        let target = format!("{}.{name}", self.target);
        let kind = format!("application/x-amz-json-{}", self.version);
        let headers = [("content-type", kind.as_str()), ("x-amz-target", target.as_str())];
        let signable = SignableRequest::new("POST", url, headers.into_iter(), SignableBody::Bytes(body.as_bytes()))?;
        let (instructions, _signature) = sign(signable, &params)?.into_parts();
        let mut request = HttpRequest::new(body.to_owned().into());
        request.set_method("POST")?;
        request.set_uri(url.to_owned())?;
        for (name, value) in headers.into_iter().chain(instructions.headers()) {
            request.headers_mut().insert(name.to_owned(), value.to_owned());
        }
        Ok(request)
    }
}

fn read(response: &HttpResponse) -> Result<Answer, OrchestratorError<Infallible>> {
    let body = response.body().bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default();
    let after = response.headers().get("retry-after").and_then(|seconds| seconds.parse().ok());
    Ok(Answer { status: response.status().as_u16(), body, after: after.map(Duration::from_secs) })
}
