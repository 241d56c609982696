//! The server: AWS's calls, the registry, and what tests steer, on one port.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use crate::faults::{Call, Fault, fault_name, refusal};
use crate::inner::{Inner, lock};
use crate::model::Side;
use crate::sts::Caller;
use crate::value::Input as _;
use crate::wire::signature::{Signed, scope};
use crate::wire::{self, Asked, Protocol, Service, Written};
use crate::{control, fetch};

/// The connection ends without an answer.
#[derive(Debug)]
pub(crate) struct Dropped;

impl std::fmt::Display for Dropped {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("the answer was dropped on purpose")
    }
}

impl std::error::Error for Dropped {}

/// A request with its whole body.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) parts: hyper::http::request::Parts,
    pub(crate) body: Bytes,
}

impl Whole {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub(crate) fn path(&self) -> &str {
        self.parts.uri.path()
    }
}

/// Serves until the fake stops.
pub(crate) async fn serve(inner: Arc<Inner>, listener: TcpListener) {
    let tasks = tokio_util::task::TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = inner.stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else { continue };
        tasks.spawn(connection(Arc::clone(&inner), stream));
    }
    tasks.close();
    tasks.wait().await;
}

async fn connection(inner: Arc<Inner>, stream: TcpStream) {
    let service = hyper::service::service_fn(|request| {
        let inner = Arc::clone(&inner);
        async move { answer(inner, request).await }
    });
    let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // How a client's connection ends is its own affair.
    tokio::select! {
        _ended = connection => {}
        () = inner.stop.cancelled() => {}
    }
}

async fn answer(inner: Arc<Inner>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Dropped> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Dropped)?.to_bytes();
    let whole = Whole { parts, body };
    let path = whole.path();
    let written = if path.starts_with("/_fake") {
        control::answer(&inner, &whole).await
    } else if path == "/v2" || path.starts_with("/v2/") {
        inner.with(|world| world.registry(&whole))
    } else {
        aws(&inner, &whole).await?
    };
    let mut response = Response::new(Full::new(written.body.into()));
    *response.status_mut() = hyper::StatusCode::from_u16(written.status).unwrap_or_default();
    for (name, value) in written.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    let date = crate::wire::signature::http_date(inner.server_time());
    if let Ok(date) = HeaderValue::from_str(&date) {
        response.headers_mut().insert(hyper::header::DATE, date);
    }
    Ok(response)
}

async fn aws(inner: &Inner, whole: &Whole) -> Result<Written, Dropped> {
    let request_id = inner.look(|world| world.ids.uuid());
    let asked = match wire::read(whole.path(), &whole.parts.headers, &whole.body) {
        Ok(asked) => asked,
        Err(error) => {
            let protocol =
                if whole.header("content-type").contains("json") { Protocol::Json11 } else { Protocol::Query };
            let asked =
                Asked { service: Service::Sts, operation: String::new(), protocol, input: serde_json::json!({}) };
            return Ok(wire::write(&asked, &Err(error), &request_id));
        }
    };
    let name = format!("{}.{}", asked.service.name(), asked.operation);
    let fault = lock(&inner.faults).of(&name);
    if fault == Some(Fault::DropRequest) {
        note(inner, &asked, "", 0, None, fault.as_ref(), false);
        return Err(Dropped);
    }
    if let Some(Fault::Delay(time)) = &fault {
        tokio::time::sleep(*time).await;
    }
    let (answer, region) = perform(inner, whole, &asked, &name, fault.as_ref()).await;
    let answer = held_against_models(inner, &asked, answer);
    let written = wire::write(&asked, &answer, &request_id);
    let is_dropped = fault == Some(Fault::DropResponse);
    let status = if is_dropped { 0 } else { written.status };
    let error = answer.as_ref().err().map(|error| error.code.clone());
    note(inner, &asked, &region, status, error, fault.as_ref(), answer.is_ok());
    if is_dropped { Err(Dropped) } else { Ok(written) }
}

async fn perform(
    inner: &Inner,
    whole: &Whole,
    asked: &Asked,
    name: &str,
    fault: Option<&Fault>,
) -> (crate::error::Answer, String) {
    let caller = match identify(inner, whole, asked) {
        Ok(caller) => caller,
        Err(error) => return (Err(error), String::new()),
    };
    let region = caller.region.clone();
    if let Some(error) = fault.and_then(|fault| refusal(fault, name, &caller.arn, asked.protocol == Protocol::Query)) {
        return (Err(error), region);
    }
    // What needs the network is fetched before the world is locked.
    let keys = if asked.operation == "AssumeRoleWithWebIdentity" {
        let issuer = asked.input.text("WebIdentityToken").and_then(|token| inner.look(|world| world.issuer_of(token)));
        match issuer {
            Some(issuer) => fetch::keys(&issuer).await,
            None => None,
        }
    } else {
        None
    };
    (inner.with(|world| world.call(asked.service, &asked.operation, &asked.input, &caller, keys.as_ref())), region)
}

/// Who signed it. A token takes the place of a signature.
fn identify(inner: &Inner, whole: &Whole, asked: &Asked) -> Result<Caller, crate::error::AwsError> {
    let usual = inner.look(|world| world.settings.region.clone());
    let is_query = asked.protocol == Protocol::Query;
    let Some(scope) = scope(whole.header("authorization")) else {
        if asked.operation == "AssumeRoleWithWebIdentity" {
            return Ok(Caller { arn: "anonymous".to_owned(), user_id: String::new(), region: usual });
        }
        let code = if is_query { "MissingAuthenticationToken" } else { "MissingAuthenticationTokenException" };
        return Err(crate::error::AwsError::new(code, "Request is missing Authentication Token").with_status(403));
    };
    let (token, now) = (whole.header("x-amz-security-token"), crate::clock::machine_time());
    let known = inner.look(|world| world.credentials(&scope.access_key, token, now, is_query).cloned())?;
    let uri = &whole.parts.uri;
    let signed = Signed {
        method: whole.parts.method.as_str(),
        path: uri.path(),
        query: uri.query().unwrap_or_default(),
        headers: &whole.parts.headers,
        body: &whole.body,
    };
    signed.check(&known.secret, inner.server_time(), is_query)?;
    Ok(Caller { arn: known.arn, user_id: known.user_id, region: scope.region })
}

/// The answer, if AWS would understand the call and give such a one; else what is wrong, as a refusal that no client knows.
fn held_against_models(inner: &Inner, asked: &Asked, answer: crate::error::Answer) -> crate::error::Answer {
    let Some(models) = &inner.models else { return answer };
    let is_text = asked.protocol == Protocol::Query;
    let mut found = models.mistakes(asked.service, &asked.operation, Side::Input, &asked.input, is_text);
    match &answer {
        Ok(value) => {
            let value = crate::value::without_nulls(value.clone());
            found.extend(models.mistakes(asked.service, &asked.operation, Side::Output, &value, is_text));
        }
        Err(error) => found.extend(models.no_refusal(asked.service, &asked.operation, &error.code)),
    }
    lock(&inner.compared).insert(format!("{}.{}", asked.service.name(), asked.operation));
    if found.is_empty() {
        return answer;
    }
    let words = found.join("; ");
    lock(&inner.mistakes).extend(found);
    Err(crate::error::AwsError::new("NotInTheModel", words))
}

fn note(
    inner: &Inner,
    asked: &Asked,
    region: &str,
    status: u16,
    error: Option<String>,
    fault: Option<&Fault>,
    is_done: bool,
) {
    let call = Call {
        number: 0,
        at: inner.look(|world| world.now),
        service: asked.service.name().to_owned(),
        operation: asked.operation.clone(),
        region: region.to_owned(),
        input: asked.input.clone(),
        status,
        error,
        fault: fault_name(fault),
        is_done,
    };
    lock(&inner.journal).add(call);
}
