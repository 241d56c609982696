//! Addresses that are opened by their signature alone, as clients want them for blobs: for one thing, one purpose and a
//! while.

use hmac::Mac as _;
use subtle::ConstantTimeEq as _;

use crate::token::Keys;

/// How long something may be uploaded under an address, in seconds.
pub(crate) const UPLOAD_SECONDS: u64 = 6 * 60 * 60;
/// How long a download may begin.
pub(crate) const DOWNLOAD_SECONDS: u64 = 10 * 60;

/// What an address is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Read,
    Write,
}

impl Purpose {
    const fn letter(self) -> &'static str {
        match self {
            Self::Read => "r",
            Self::Write => "w",
        }
    }
}

/// The query of a signed address, without what a client may add. `about` is signed with it.
pub(crate) fn query(keys: &Keys, purpose: Purpose, path: &str, about: &str, until: u64) -> String {
    let about_part: String = form_urlencoded::byte_serialize(about.as_bytes()).collect();
    format!(
        "se={until}&sp={}&rsct={about_part}&sig={}",
        purpose.letter(),
        signature(keys, purpose, path, about, &until.to_string())
    )
}

/// Why an address opens nothing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Shut {
    Expired,
    Forged,
}

/// Checks an address; gives what was signed with it.
pub(crate) fn check(keys: &Keys, purpose: Purpose, path: &str, query: &str, now: u64) -> Result<String, Shut> {
    let (mut until, mut given, mut about) = (None, None, None);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let slot = match &*name {
            "se" => &mut until,
            "sig" => &mut given,
            "rsct" => &mut about,
            _ => continue,
        };
        // Twice is a game.
        if slot.replace(value.into_owned()).is_some() {
            return Err(Shut::Forged);
        }
    }
    let (Some(until), Some(given)) = (until, given) else { return Err(Shut::Forged) };
    let about = about.unwrap_or_default();
    let own = signature(keys, purpose, path, &about, &until);
    if !bool::from(own.as_bytes().ct_eq(given.as_bytes())) {
        return Err(Shut::Forged);
    }
    if until.parse::<u64>().map_or(true, |until| until < now) {
        return Err(Shut::Expired);
    }
    Ok(about)
}

fn signature(keys: &Keys, purpose: Purpose, path: &str, about: &str, until: &str) -> String {
    let mut mac = keys.mac();
    for part in [purpose.letter(), path, about, until] {
        mac.update(&(part.len() as u64).to_le_bytes());
        mac.update(part.as_bytes());
    }
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p01_f09_an_address_is_for_one_thing_one_purpose_and_a_while() {
        let keys = Keys { token: "t".into(), request: "r".into(), signing: "k".into(), api: Vec::new() };
        let other = Keys { token: "t".into(), request: "r".into(), signing: "l".into(), api: Vec::new() };
        let good = query(&keys, Purpose::Write, "/upload/1", "application/zip", 100);
        let check = |keys: &Keys, purpose, path: &str, query: &str, now| super::check(keys, purpose, path, query, now);
        assert_eq!(check(&keys, Purpose::Write, "/upload/1", &good, 100), Ok("application/zip".to_owned()));
        let added = format!("{good}&comp=block&blockid=AAAA");
        assert!(check(&keys, Purpose::Write, "/upload/1", &added, 1).is_ok());
        assert_eq!(check(&keys, Purpose::Write, "/upload/1", &good, 101), Err(Shut::Expired));
        assert_eq!(check(&keys, Purpose::Read, "/upload/1", &good, 1), Err(Shut::Forged));
        assert_eq!(check(&keys, Purpose::Write, "/upload/2", &good, 1), Err(Shut::Forged));
        assert_eq!(check(&other, Purpose::Write, "/upload/1", &good, 1), Err(Shut::Forged));
        let longer = good.replace("se=100", "se=900");
        assert_eq!(check(&keys, Purpose::Write, "/upload/1", &longer, 1), Err(Shut::Forged));
        let twice = format!("{good}&se=900");
        assert_eq!(check(&keys, Purpose::Write, "/upload/1", &twice, 1), Err(Shut::Forged));
        assert_eq!(check(&keys, Purpose::Write, "/upload/1", "", 1), Err(Shut::Forged));
    }
}
