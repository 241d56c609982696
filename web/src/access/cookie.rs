//! The cookie of a session.
//!
//! Over https it is `__Host-pipe`, which a browser takes only with Secure, for this host and from this host. On the
//! machine itself (127.0.0.1, localhost) plain http will do, but not every browser takes Secure there: the cookie has
//! another name and no Secure, and is believed only there. Elsewhere plain http gets none.
//! Follows <https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis>.

use axum::http::{HeaderMap, HeaderValue, header};
use engine::store::people::LIFE_MAX;
use workflow::secret::Secret;

use super::origin::is_loopback;

const SECURE: &str = "__Host-pipe";
const LOOPBACK: &str = "pipe-loopback";

/// How a browser reaches the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// Over TLS.
    Secure,
    /// Plain, on the machine itself.
    Loopback,
    /// Plain, from elsewhere: anybody on the way reads passwords and cookies.
    Plain,
}

impl Transport {
    /// As the browser tells: its origin, or that it takes this for a place to be trusted at all, which it tells by sending
    /// `Sec-Fetch-Site`.
    pub(crate) fn of(headers: &HeaderMap, url: Option<&str>) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let origin = text("origin").unwrap_or_default();
        if origin.starts_with("https://") || (origin.is_empty() && url.is_some_and(|url| url.starts_with("https://"))) {
            return Self::Secure;
        }
        if is_loopback(headers) {
            return Self::Loopback;
        }
        let is_trusted = !origin.starts_with("http://") && text("sec-fetch-site").is_some();
        if is_trusted { Self::Secure } else { Self::Plain }
    }

    /// The cookie of a new session; `None` where there may be none.
    pub(crate) fn cookie(self, session: &Secret) -> Option<HeaderValue> {
        let seconds = LIFE_MAX.as_secs();
        self.set(session.expose(), seconds)
    }

    /// What takes it away.
    pub(crate) fn no_cookie(self) -> Option<HeaderValue> {
        self.set("", 0)
    }

    fn set(self, content: &str, seconds: i64) -> Option<HeaderValue> {
        let rest = format!("Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict");
        let text = match self {
            Self::Secure => format!("{SECURE}={content}; Secure; {rest}"),
            Self::Loopback => format!("{LOOPBACK}={content}; {rest}"),
            Self::Plain => return None,
        };
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

/// What the browser sends as its session. One that is sent twice is not believed.
pub(crate) fn presented(headers: &HeaderMap) -> Option<&str> {
    one(headers, SECURE).or_else(|| one(headers, LOOPBACK).filter(|_| is_loopback(headers)))
}

/// The content of a cookie that is sent once.
pub(crate) fn one<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut found = pairs.filter(|(own, _)| *own == name).map(|(_, content)| content);
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse::<header::HeaderName>().unwrap(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn cookies_are_secure_but_on_the_machine_itself() {
        for (pairs, url, expected) in [
            (&[("host", "ci.example"), ("origin", "https://ci.example")][..], None, Transport::Secure),
            (&[("host", "ci.example"), ("origin", "null"), ("sec-fetch-site", "same-origin")], None, Transport::Secure),
            (&[("host", "ci.example"), ("origin", "http://ci.example")], None, Transport::Plain),
            (&[("host", "ci.example")], None, Transport::Plain),
            (&[("host", "ci.example")], Some("https://ci.example"), Transport::Secure),
            (&[("host", "127.0.0.1:8080"), ("origin", "http://127.0.0.1:8080")], None, Transport::Loopback),
            (&[("host", "localhost"), ("origin", "null")], None, Transport::Loopback),
            (&[("host", "127.0.0.1:80"), ("origin", "https://ci.example")], None, Transport::Secure),
            (&[("host", "127.0.0.1.evil.example"), ("origin", "http://x")], None, Transport::Plain),
        ] {
            assert_eq!(Transport::of(&headers(pairs), url), expected, "{pairs:?}");
        }
        let session = Secret::new("x");
        let cookie = Transport::Secure.cookie(&session).unwrap();
        assert_eq!(cookie, "__Host-pipe=x; Secure; Path=/; Max-Age=604800; HttpOnly; SameSite=Strict");
        assert!(!Transport::Loopback.cookie(&session).unwrap().to_str().unwrap().contains("Secure"));
        assert_eq!(Transport::Plain.cookie(&session), None);
    }

    #[test]
    fn a_cookie_is_believed_where_it_was_given() {
        for (host, cookie, expected) in [
            ("ci.example", "__Host-pipe=a", Some("a")),
            ("ci.example", "x=1; __Host-pipe=a; y", Some("a")),
            ("ci.example", "pipe-loopback=a", None),
            ("127.0.0.1:8080", "pipe-loopback=a", Some("a")),
            ("127.0.0.1:8080", "pipe-loopback=a; pipe-loopback=b", None),
            ("ci.example", "__Host-pipe=a; __Host-pipe=b", None),
            ("ci.example", "", None),
        ] {
            assert_eq!(presented(&headers(&[("host", host), ("cookie", cookie)])), expected, "{host} {cookie}");
        }
    }
}
