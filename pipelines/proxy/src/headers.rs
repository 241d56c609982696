//! What changes in the head of a request and of an answer on the way through.
//!
//! Hop-by-hop headers are taken out (RFC 9110 section 7.6.1), `X-Forwarded-*` and `X-Request-Id` are set. Framing is
//! hyper's on both sides: it is never passed on.

use std::time::Duration;

use hyper::header::{self, Entry, HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, Version};

/// Where tests say which colour they want, and where they are told which one answered.
pub(crate) const COLOUR: HeaderName = HeaderName::from_static("x-pipe-color");
/// Of the answer to a test.
pub(crate) const REVISION: HeaderName = HeaderName::from_static("x-pipe-revision");
/// A request's name in everybody's logs.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
/// Longest id that is believed.
const REQUEST_ID_BYTES_MAX: usize = 128;

/// Takes out what is between two neighbours only.
pub(crate) fn take_out_hops(headers: &mut HeaderMap) {
    // Most requests have none of them, so look before taking.
    if let Entry::Occupied(connection) = headers.entry(header::CONNECTION) {
        let (_, values) = connection.remove_entry_mult();
        let named: Vec<HeaderName> = values
            .filter_map(|value| value.to_str().map(str::to_owned).ok())
            .flat_map(|value| value.split(',').map(|name| name.trim().to_owned()).collect::<Vec<_>>())
            .filter_map(|name| HeaderName::try_from(name).ok())
            .collect();
        for name in named {
            // Nobody can have what the proxy itself needs taken out.
            if name != header::HOST && name != header::CONTENT_LENGTH {
                headers.remove(name);
            }
        }
    }
    for name in [KEEP_ALIVE, PROXY_CONNECTION, header::TE, header::TRANSFER_ENCODING, header::UPGRADE] {
        headers.remove(name);
    }
}

/// Which protocol a request wants to go on with, if it does.
pub(crate) fn upgrade<B>(request: &Request<B>) -> Option<HeaderValue> {
    if request.version() != Version::HTTP_11 {
        return None;
    }
    let wanted = request.headers().get(header::UPGRADE)?;
    let connection = request.headers().get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let mut names = connection.flat_map(|value| value.split(','));
    names.any(|name| name.trim().eq_ignore_ascii_case("upgrade")).then(|| wanted.clone())
}

/// Tells the backend who asked. `peer` is the client's address.
pub(crate) fn forwarded(headers: &mut HeaderMap, peer: &HeaderValue, is_trusted: bool) {
    let before = headers.get(FORWARDED_FOR).filter(|_| is_trusted);
    let all = match before {
        None => peer.clone(),
        Some(before) => {
            let all = [before.as_bytes(), b", ", peer.as_bytes()].concat();
            HeaderValue::from_bytes(&all).unwrap_or_else(|_| peer.clone())
        }
    };
    headers.insert(FORWARDED_FOR, all);
    if !is_trusted || !headers.contains_key(FORWARDED_PROTO) {
        headers.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
    }
    if (!is_trusted || !headers.contains_key(FORWARDED_HOST))
        && let Some(host) = headers.get(header::HOST).cloned()
    {
        headers.insert(FORWARDED_HOST, host);
    }
}

/// Whether a client's id is believed.
pub(crate) fn is_request_id(id: &[u8]) -> bool {
    !id.is_empty() && id.len() <= REQUEST_ID_BYTES_MAX && id.iter().all(u8::is_ascii_graphic)
}

/// The request's id: the client's, if it is one, else a new one.
pub(crate) fn request_id(headers: &mut HeaderMap, new: impl FnOnce() -> String) -> Option<HeaderValue> {
    if let Some(id) = headers.get(REQUEST_ID)
        && is_request_id(id.as_bytes())
    {
        return Some(id.clone());
    }
    let id = HeaderValue::try_from(new()).ok()?;
    headers.insert(REQUEST_ID, id.clone());
    Some(id)
}

/// HTTP/2 may send a cookie in pieces; HTTP/1 has one line of them (RFC 9113 section 8.2.3).
pub(crate) fn join_cookies(headers: &mut HeaderMap) {
    let cookies: Vec<&[u8]> = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if cookies.len() > 1
        && let Ok(joined) = HeaderValue::from_bytes(&cookies.join(&b"; "[..]))
    {
        headers.insert(header::COOKIE, joined);
    }
}

/// The value of a cookie.
pub(crate) fn cookie<'headers>(headers: &'headers HeaderMap, name: &str) -> Option<&'headers [u8]> {
    cookie_of(headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes), name)
}

/// The same in these lines.
pub(crate) fn cookie_of<'lines>(lines: impl Iterator<Item = &'lines [u8]>, name: &str) -> Option<&'lines [u8]> {
    let mut pairs = lines.flat_map(|line| line.split(|byte| *byte == b';'));
    pairs.find_map(|pair| pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

/// How long a backend keeps an idle connection: `Keep-Alive: timeout=5`, as Node and Apache say it.
pub(crate) fn keep_alive(value: &str) -> Option<Duration> {
    let seconds = value.split(',').find_map(|part| part.trim().strip_prefix("timeout="))?;
    seconds.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        headers.keys().map(HeaderName::as_str).collect()
    }

    #[test]
    fn hops_are_taken_out() {
        let mut of_one = headers(&[
            ("host", "a"),
            ("connection", "close, X-Secret, host, content-length"),
            ("x-secret", "1"),
            ("content-length", "3"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("proxy-connection", "keep-alive"),
            ("x-kept", "1"),
        ]);
        take_out_hops(&mut of_one);
        let mut left = names(&of_one);
        left.sort_unstable();
        assert_eq!(left, ["content-length", "host", "x-kept"]);
    }

    #[test]
    fn who_asked_is_told() {
        let peer = HeaderValue::from_static("10.0.0.9");
        for (is_trusted, before, address, scheme, host) in [
            (false, false, "10.0.0.9", "http", "shop"),
            (false, true, "10.0.0.9", "http", "shop"),
            (true, true, "1.2.3.4, 10.0.0.9", "https", "example"),
            (true, false, "10.0.0.9", "http", "shop"),
        ] {
            let mut of_one = headers(&[("host", "shop")]);
            if before {
                for (name, value) in
                    [("x-forwarded-for", "1.2.3.4"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "example")]
                {
                    of_one.insert(name, HeaderValue::from_static(value));
                }
            }
            forwarded(&mut of_one, &peer, is_trusted);
            assert_eq!(of_one["x-forwarded-for"], address);
            assert_eq!(
                (&of_one["x-forwarded-proto"], &of_one["x-forwarded-host"]),
                (&scheme.parse().unwrap(), &host.parse().unwrap())
            );
        }
    }

    #[test]
    fn ids_and_cookies() {
        let mut of_one = headers(&[("x-request-id", "abc")]);
        assert_eq!(request_id(&mut of_one, || "new".to_owned()).unwrap(), "abc");
        let mut of_one = headers(&[("x-request-id", "a b")]);
        assert_eq!(request_id(&mut of_one, || "new".to_owned()).unwrap(), "new");
        assert_eq!(of_one["x-request-id"], "new");
        let mut of_one = headers(&[("cookie", "a=1; id=x=y")]);
        of_one.append("cookie", HeaderValue::from_static("b=2"));
        assert_eq!(cookie(&of_one, "id"), Some(&b"x=y"[..]));
        assert_eq!(cookie(&of_one, "b"), Some(&b"2"[..]));
        assert_eq!(cookie(&of_one, "i"), None);
        join_cookies(&mut of_one);
        assert_eq!(of_one["cookie"], "a=1; id=x=y; b=2");
    }
}
