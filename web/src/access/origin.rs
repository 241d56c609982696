//! Whether a request comes from a page of this server, and where it may be sent on to.
//!
//! SameSite is not enough: a page of a sibling domain is of the same site. Browsers tell the origin of each POST; where a
//! page's referrer policy hides it (`Origin: null`), `Sec-Fetch-Site` tells, and no script can set either.
//! Follows <https://www.w3.org/TR/fetch-metadata/>.

use axum::http::{HeaderMap, Uri, header};

/// Longest path to come back to.
const PATH_BYTES_MAX: usize = 2_048;

/// Whether a page of this server asks. `url`: the server's own address, where it is configured.
pub(crate) fn is_of_ours(headers: &HeaderMap, url: Option<&str>) -> bool {
    let fetch_site = text(headers, "sec-fetch-site");
    if fetch_site.is_some_and(|site| site != "same-origin") {
        return false;
    }
    match text(headers, "origin") {
        None | Some("null") => fetch_site.is_some(),
        Some(origin) => is_own(origin, headers, url),
    }
}

fn is_own(origin: &str, headers: &HeaderMap, url: Option<&str>) -> bool {
    if url.is_some_and(|url| url.trim_end_matches('/').eq_ignore_ascii_case(origin)) {
        return true;
    }
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let default = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => return false,
    };
    let host = host(headers).unwrap_or_default();
    let is_same = host.trim_end_matches(default).eq_ignore_ascii_case(authority);
    // Where its address is configured, it is that one, or this machine.
    is_same && !host.is_empty() && (url.is_none() || is_loopback(headers))
}

/// Whether the browser runs on the machine of the server, as it names it.
pub(crate) fn is_loopback(headers: &HeaderMap) -> bool {
    let Some(host) = host(headers) else { return false };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

fn host(headers: &HeaderMap) -> Option<&str> {
    text(headers, header::HOST.as_str())
}

/// The value of a header that is sent once.
fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut all = headers.get_all(name).iter();
    let first = all.next()?;
    // Two values are worse than a wrong one.
    if all.next().is_some() { Some("") } else { Some(first.to_str().unwrap_or_default()) }
}

/// A path of this server to go on to; whatever else somebody may have written there is `/`.
pub(crate) fn own_path(next: &str) -> String {
    let is_plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let is_path = next.starts_with('/') && !next.starts_with("//") && next.len() <= PATH_BYTES_MAX;
    let is_uri = next.parse::<Uri>().is_ok_and(|uri| uri.authority().is_none());
    // Signing in leads on, not back to itself.
    let is_elsewhere = !["/login", "/logout"].iter().any(|own| next.starts_with(own));
    if is_plain && is_path && is_uri && is_elsewhere { next.to_owned() } else { "/".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(host: &str, origin: Option<&str>, site: Option<&str>, url: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert("host", host.parse().unwrap());
        origin.map(|origin| headers.insert("origin", origin.parse().unwrap()));
        site.map(|site| headers.insert("sec-fetch-site", site.parse().unwrap()));
        is_of_ours(&headers, url)
    }

    #[test]
    fn u03_only_pages_of_ours_ask() {
        let url = Some("https://ci.example");
        for (host, origin, site, url, expected) in [
            ("ci.example", Some("https://ci.example"), None, None, true),
            ("ci.example", Some("https://ci.example"), Some("same-origin"), None, true),
            ("ci.example:443", Some("https://ci.example"), None, None, true),
            ("ci.example:8443", Some("https://ci.example:8443"), None, None, true),
            ("127.0.0.1:8080", Some("http://127.0.0.1:8080"), None, None, true),
            ("backend:8080", Some("https://ci.example"), None, url, true),
            ("127.0.0.1:8080", Some("http://127.0.0.1:8080"), None, url, true),
            ("ci.example", Some("null"), Some("same-origin"), None, true),
            ("ci.example", None, Some("same-origin"), None, true),
            ("ci.example", None, None, None, false),
            ("ci.example", Some("null"), None, None, false),
            ("ci.example", Some(""), None, None, false),
            ("ci.example", Some("https://evil.example"), None, None, false),
            ("ci.example", Some("https://evil.example"), Some("cross-site"), None, false),
            ("ci.example", Some("https://ci.example"), Some("same-site"), None, false),
            ("ci.example", Some("https://ci.example"), Some("none"), None, false),
            ("ci.example", Some("https://other.ci.example"), Some("same-site"), None, false),
            ("ci.example", Some("https://ci.example.evil.example"), None, None, false),
            ("ci.example", Some("https://ci.example:444"), None, None, false),
            ("ci.example", Some("ftp://ci.example"), None, None, false),
            ("ci.example", Some("ci.example"), None, None, false),
            ("evil.example", Some("https://evil.example"), None, url, false),
        ] {
            assert_eq!(check(host, origin, site, url), expected, "{host} {origin:?} {site:?} {url:?}");
        }
        let mut headers = HeaderMap::new();
        headers.insert("host", "ci.example".parse().unwrap());
        headers.append("origin", "https://ci.example".parse().unwrap());
        headers.append("origin", "https://evil.example".parse().unwrap());
        assert!(!is_of_ours(&headers, None));
    }

    #[test]
    fn paths_to_come_back_to_are_our_own() {
        for path in ["/", "/runs/7?x=1&y=%2F", "/runs/7/review/production"] {
            assert_eq!(own_path(path), path);
        }
        for path in [
            "",
            "runs",
            "//evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "https://evil.example",
            "javascript:alert(1)",
            "/\t/evil.example",
            "/\n//evil.example",
            "/ü",
            "/login?next=/login",
            "/logout",
            &format!("/{}", "x".repeat(3_000)),
        ] {
            assert_eq!(own_path(path), "/", "{path}");
        }
    }
}
