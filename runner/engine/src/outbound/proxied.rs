//! The way to other servers through a proxy, where the environment of a command names one.
//!
//! `HTTPS_PROXY` (else `ALL_PROXY`) and `NO_PROXY` count as curl takes them, in small letters too
//! (<https://curl.se/docs/manpage.html#ENVIRONMENT>). The proxy is asked for a tunnel (RFC 9110, section 9.3.6), so TLS is with the server
//! and the proxy sees its name alone. What goes without TLS goes past it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower::Service;

type Problem = Box<dyn std::error::Error + Send + Sync>;

/// What the environment names is no proxy that can be used. It may hold a password, so it is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "use the proxy of HTTPS_PROXY (or ALL_PROXY): it must be http://HOST:PORT, with USER:PASSWORD@ before HOST where it asks for that"
)]
pub struct ProxyError;

/// Which proxy for which server.
#[derive(Debug, Clone, Default)]
pub struct Proxies(Option<Arc<Matcher>>);

impl Proxies {
    /// As the variables say; `variable` gives one that is set and not empty.
    ///
    /// # Errors
    /// The proxy is none that can be used: it must be `http://HOST:PORT`, with `USER:PASSWORD@` before the host where it asks for that.
    pub fn from_environment(variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, ProxyError> {
        let either = |name: &str| variable(&name.to_lowercase()).or_else(|| variable(name));
        let Some(proxy) = either("HTTPS_PROXY").or_else(|| either("ALL_PROXY")) else { return Ok(Self::default()) };
        let proxy = if proxy.contains("://") { proxy } else { format!("http://{proxy}") };
        let matcher = Matcher::builder().https(proxy).no(either("NO_PROXY").unwrap_or_default()).build();
        // A name that is in no list, to see what the proxy was understood as.
        let other = Uri::from_static("https://proxied.invalid/");
        let is_none = either("NO_PROXY").is_some_and(|list| list.trim() == "*");
        match matcher.intercept(&other) {
            Some(way) if way.uri().scheme_str() == Some("http") && way.uri().host().is_some() => {}
            None if is_none => {}
            Some(_) | None => return Err(ProxyError),
        }
        Ok(Self(Some(Arc::new(matcher))))
    }
}

/// Makes connections, through a proxy where there is one.
#[derive(Debug, Clone)]
pub(super) struct Way {
    http: HttpConnector,
    proxies: Proxies,
}

impl Way {
    pub(super) const fn new(http: HttpConnector, proxies: Proxies) -> Self {
        Self { http, proxies }
    }
}

impl Service<Uri> for Way {
    type Response = TokioIo<TcpStream>;
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Problem>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Problem>> {
        self.http.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let by = self.proxies.0.as_ref().and_then(|proxies| proxies.intercept(&to));
        let Some(by) = by else {
            let connecting = self.http.call(to);
            return Box::pin(async move { Ok(connecting.await?) });
        };
        let tunnel = Tunnel::new(by.uri().clone(), self.http.clone());
        let mut tunnel = match by.basic_auth() {
            Some(words) => tunnel.with_auth(words.clone()),
            None => tunnel,
        };
        // The proxy's name and not its password.
        let name = by
            .uri()
            .authority()
            .map_or_else(String::new, |name| name.as_str().rsplit('@').next().unwrap_or_default().to_owned());
        Box::pin(async move {
            tunnel.call(to).await.map_err(|error| {
                let reason = super::chain_of(&error);
                Problem::from(format!("the proxy {name} (HTTPS_PROXY) does not let it through: {reason}"))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The proxy for an address by these variables.
    fn by(variables: &[(&str, &str)], to: &'static str) -> Result<Option<String>, ProxyError> {
        let variable =
            |name: &str| variables.iter().find(|(one, _)| *one == name).map(|(_, value)| (*value).to_owned());
        let proxies = Proxies::from_environment(&variable)?;
        let way = proxies.0.and_then(|matcher| matcher.intercept(&Uri::from_static(to)));
        Ok(way.map(|way| format!("{} {}", way.uri(), way.basic_auth().is_some())))
    }

    #[test]
    fn variables_count_as_for_curl() {
        let osv = "https://storage.googleapis.com/x";
        let check = |variables: &[(&str, &str)], to, expected: Option<&str>| {
            assert_eq!(by(variables, to), Ok(expected.map(str::to_owned)), "{variables:?}");
        };
        check(&[], osv, None);
        check(&[("HTTPS_PROXY", "http://proxy:3128")], osv, Some("http://proxy:3128/ false"));
        check(
            &[("https_proxy", "http://small:1"), ("HTTPS_PROXY", "http://large:1")],
            osv,
            Some("http://small:1/ false"),
        );
        check(&[("ALL_PROXY", "ada:secret@proxy:3128")], osv, Some("http://proxy:3128/ true"));
        let both = |list| [("HTTPS_PROXY", "http://proxy:3128"), ("NO_PROXY", list)];
        check(&both("googleapis.com"), osv, None);
        check(&both("example.com,10.0.0.0/8"), osv, Some("http://proxy:3128/ false"));
        check(&both("example.com,10.0.0.0/8"), "https://10.1.2.3/", None);
        check(&both("*"), osv, None);
        check(&both(""), "http://mirror.example/", None);
        for wrong in ["https://proxy:3128", "socks5://proxy:1080", "http://", "http://a b"] {
            assert_eq!(by(&[("HTTPS_PROXY", wrong)], osv), Err(ProxyError), "{wrong}");
        }
    }
}
