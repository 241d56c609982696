//! Files of others, as they come: public data that a person asked for, from addresses of a list or of theirs.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::{HeaderMap, Request, Uri, header};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use super::proxied::Way;
use super::{OutboundError, Proxies, address, chain_of, is_this_machine, proxied};

/// How long an answer may take to begin.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);
/// How often an answer may lead elsewhere.
const REDIRECTS_MAX: usize = 5;

/// Gets files.
#[derive(Debug, Clone)]
pub struct Getter {
    client: Client<HttpsConnector<Way>, Empty<Bytes>>,
}

/// An answer whose body comes yet.
#[derive(Debug)]
pub struct Got {
    /// Its status.
    pub status: u16,
    headers: HeaderMap,
    body: Incoming,
}

impl Getter {
    /// One.
    ///
    /// # Errors
    /// TLS cannot be used.
    pub fn new() -> Result<Self, OutboundError> {
        Self::by(Proxies::default())
    }

    /// One that goes by proxies.
    ///
    /// # Errors
    /// TLS cannot be used.
    pub fn by(proxies: Proxies) -> Result<Self, OutboundError> {
        Ok(Self { client: Client::builder(TokioExecutor::new()).build(proxied(proxies)?) })
    }

    /// Asks for a file. Answers that lead elsewhere are followed, but not from TLS to without.
    ///
    /// # Errors
    /// The address is none, or there is no answer; a sentence for a person.
    pub async fn get(&self, url: &str, headers: &[(&str, String)]) -> Result<Got, String> {
        let mut to = address(url).map_err(|error| format!("cannot {error}"))?;
        for _ in 0..=REDIRECTS_MAX {
            let got = self.ask(&to, headers).await?;
            if !matches!(got.status, 301 | 302 | 303 | 307 | 308) {
                return Ok(got);
            }
            to = next(&to, &got.header(header::LOCATION.as_str()).unwrap_or_default())?;
        }
        Err(format!("it leads elsewhere more than {REDIRECTS_MAX} times"))
    }

    /// Asks once: an answer that leads elsewhere is an answer as any other.
    ///
    /// # Errors
    /// The address is none, or there is no answer; a sentence for a person.
    pub async fn once(&self, url: &str, headers: &[(&str, String)]) -> Result<Got, String> {
        self.ask(&address(url).map_err(|error| format!("cannot {error}"))?, headers).await
    }

    async fn ask(&self, to: &Uri, headers: &[(&str, String)]) -> Result<Got, String> {
        let mut request = Request::get(to.clone());
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let mut request = request.body(Empty::new()).map_err(|error| error.to_string())?;
        let agent = header::HeaderValue::from_static(concat!("pipe/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().entry(header::USER_AGENT).or_insert(agent);
        let asked = tokio::time::timeout(ANSWER_TIME_MAX, self.client.request(request)).await;
        let answer = asked
            .map_err(|_| format!("no answer within {} s", ANSWER_TIME_MAX.as_secs()))?
            .map_err(|error| chain_of(&error))?;
        let (head, body) = answer.into_parts();
        Ok(Got { status: head.status.as_u16(), headers: head.headers, body })
    }
}

impl Got {
    /// A header, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name)?.to_str().ok().map(str::to_owned)
    }

    /// The next bytes of the body.
    pub async fn piece(&mut self) -> Option<Result<Bytes, String>> {
        loop {
            match self.body.frame().await? {
                Ok(frame) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Some(Ok(bytes));
                    }
                }
                Err(error) => return Some(Err(chain_of(&error))),
            }
        }
    }
}

/// Where an answer leads.
fn next(from: &Uri, place: &str) -> Result<Uri, String> {
    let wrong = || format!("it leads to an address that is none: {place}");
    let to: Uri = place.parse().map_err(|_| wrong())?;
    let to = if to.authority().is_some() {
        to
    } else {
        let mut parts = from.clone().into_parts();
        parts.path_and_query = to.into_parts().path_and_query;
        Uri::from_parts(parts).map_err(|_| wrong())?
    };
    let to = address(&to.to_string()).map_err(|_| wrong())?;
    let is_plain = to.scheme_str() == Some("http") && !to.host().is_some_and(is_this_machine);
    if is_plain && from.scheme_str() == Some("https") {
        return Err(format!("it leads from TLS to an address without: {place}"));
    }
    Ok(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_lead_where_they_may() {
        let from: Uri = "https://a.example/x/y?z".parse().unwrap();
        for (place, expected) in [
            ("/other", Some("https://a.example/other")),
            ("https://b.example/z", Some("https://b.example/z")),
            ("http://b.example/z", None),
            ("ftp://b.example/z", None),
            ("", None),
        ] {
            assert_eq!(next(&from, place).ok().map(|to| to.to_string()).as_deref(), expected, "{place}");
        }
    }
}
