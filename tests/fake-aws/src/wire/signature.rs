//! Who signed a request, and whether rightly: Signature Version 4.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use hmac::{Hmac, Mac as _};
use hyper::HeaderMap;
use sha2::Sha256;

use crate::error::AwsError;
use crate::ids::{hex, sha256};
use crate::value::{MINUTE, Time};

/// A request may be this much older or younger than the server's clock.
const SKEW_MAX: Time = 5 * MINUTE;

/// What a signature is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) access_key: String,
    pub(crate) region: String,
    pub(crate) service: String,
    date: String,
}

/// Of the header `Authorization`.
pub(crate) fn scope(authorization: &str) -> Option<Scope> {
    let credential = part(authorization, "Credential=")?;
    let mut parts = credential.rsplitn(5, '/');
    let _request = parts.next()?;
    let (service, region, date, key) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    Some(Scope {
        access_key: key.to_owned(),
        region: region.to_owned(),
        service: service.to_owned(),
        date: date.to_owned(),
    })
}

fn part<'t>(authorization: &'t str, name: &str) -> Option<&'t str> {
    authorization.split([' ', ',']).find_map(|part| part.strip_prefix(name))
}

/// A request as it was signed.
#[derive(Debug)]
pub(crate) struct Signed<'r> {
    pub(crate) method: &'r str,
    pub(crate) path: &'r str,
    pub(crate) query: &'r str,
    pub(crate) headers: &'r HeaderMap,
    pub(crate) body: &'r [u8],
}

impl Signed<'_> {
    fn header(&self, name: &str) -> String {
        let all = self.headers.get_all(name).iter();
        let values: Vec<_> = all.filter_map(|value| value.to_str().ok()).map(str::trim).collect();
        values.join(",").split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Checks the time and the signature.
    ///
    /// # Errors
    /// As AWS refuses: the clock is off, or the secret is another one.
    pub(crate) fn check(&self, secret: &str, now: Time, is_query: bool) -> Result<(), AwsError> {
        let wrong = |message: String| {
            let code = if is_query { "SignatureDoesNotMatch" } else { "InvalidSignatureException" };
            Err(AwsError::new(code, message).with_status(403))
        };
        let authorization = self.header("authorization");
        let scope = scope(&authorization).ok_or_else(incomplete)?;
        let signature = part(&authorization, "Signature=").ok_or_else(incomplete)?;
        let names = part(&authorization, "SignedHeaders=").ok_or_else(incomplete)?;
        let date = self.header("x-amz-date");
        let at = moment(&date).ok_or_else(incomplete)?;
        let server = compact(now);
        if at < now - SKEW_MAX {
            let earliest = compact(now - SKEW_MAX);
            return wrong(format!("Signature expired: {date} is now earlier than {earliest} ({server} - 5 min.)"));
        }
        if at > now + SKEW_MAX {
            let latest = compact(now + SKEW_MAX);
            return wrong(format!(
                "Signature not yet current: {date} is still later than {latest} ({server} + 5 min.)"
            ));
        }
        if self.signature(secret, &scope, names, &date) != signature {
            return wrong(
                "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
                 Access Key and signing method. Consult the service documentation for details."
                    .to_owned(),
            );
        }
        Ok(())
    }

    fn signature(&self, secret: &str, scope: &Scope, names: &str, date: &str) -> String {
        let headers: String = names.split(';').map(|name| format!("{name}:{}\n", self.header(name))).collect();
        let stated = self.header("x-amz-content-sha256");
        let payload = if stated.is_empty() { sha256(self.body) } else { stated };
        let mut pairs: Vec<_> = self.query.split('&').filter(|pair| !pair.is_empty()).collect();
        pairs.sort_unstable();
        let canonical = format!("{}\n{}\n{}\n{headers}\n{names}\n{payload}", self.method, self.path, pairs.join("&"));
        let place = format!("{}/{}/{}/aws4_request", scope.date, scope.region, scope.service);
        let text = format!("AWS4-HMAC-SHA256\n{date}\n{place}\n{}", sha256(canonical.as_bytes()));
        let mut key = format!("AWS4{secret}").into_bytes();
        for part in place.split('/') {
            key = hmac(&key, part);
        }
        hex(&hmac(&key, &text))
    }
}

fn incomplete() -> AwsError {
    AwsError::new("IncompleteSignatureException", "the request is not signed with AWS4-HMAC-SHA256 and a date")
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// `20260102T030405Z`.
fn moment(text: &str) -> Option<Time> {
    if text.len() != 16 || !text.is_ascii() {
        return None;
    }
    let (date, time) = (&text[..8], &text[9..15]);
    let iso = format!("{}-{}-{}T{}:{}:{}Z", &date[..4], &date[4..6], &date[6..], &time[..2], &time[2..4], &time[4..]);
    iso.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

/// As the header `Date` has it; clients correct their clocks by it.
pub(crate) fn http_date(at: Time) -> String {
    jiff::Timestamp::from_millisecond(at)
        .map_or_else(|_| String::new(), |at| at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
}

fn compact(at: Time) -> String {
    crate::value::iso(at)
        .replace(['-', ':'], "")
        .replacen(".000", "", 1)
        .split('.')
        .next()
        .map_or_else(String::new, |text| if text.ends_with('Z') { text.to_owned() } else { format!("{text}Z") })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the documentation of AWS: `get-vanilla` of the test suite of Signature Version 4.
    #[test]
    fn the_published_example_is_accepted() {
        let mut headers = HeaderMap::new();
        headers.insert("host", "example.amazonaws.com".parse().unwrap());
        headers.insert("x-amz-date", "20150830T123600Z".parse().unwrap());
        let authorization = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
            SignedHeaders=host;x-amz-date, \
            Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
        headers.insert("authorization", authorization.parse().unwrap());
        let signed = Signed { method: "GET", path: "/", query: "", headers: &headers, body: b"" };
        let now = moment("20150830T123700Z").unwrap();
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        assert_eq!(signed.check(secret, now, true), Ok(()));
        for (secret, now, code, words) in [
            ("other", now, "InvalidSignatureException", "does not match"),
            (
                secret,
                now + 6 * MINUTE,
                "InvalidSignatureException",
                "Signature expired: 20150830T123600Z is now earlier",
            ),
            (secret, now - 7 * MINUTE, "InvalidSignatureException", "Signature not yet current"),
        ] {
            let error = signed.check(secret, now, false).unwrap_err();
            assert_eq!((error.code.as_str(), error.status), (code, 403));
            assert!(error.message.contains(words), "{}", error.message);
        }
    }
}
