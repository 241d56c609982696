//! `ports:` of services: what a workflow writes, and where each is reached.
//!
//! On GitHub a service's port is mapped to the runner machine, and steps connect to `localhost:<port>` there. Here the
//! runner machine is the job's container, so a port is opened on *its* localhost (by the agent's forwarder) and never on
//! the real machine: jobs that run side by side may all ask for 5432.

use std::collections::HashSet;

use indexmap::IndexMap;

use crate::placement::PlacementError;

/// The first port that is given to entries without one of their own; Docker begins there too.
const RANDOM_PORT_MIN: u16 = 32768;

/// An entry of `ports:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    outside: Option<u16>,
    inside: u16,
}

/// Where the ports of all services of a job are reached: service → port inside → port on localhost.
pub(crate) type Plan = IndexMap<String, IndexMap<u16, u16>>;

/// Reads `ports:` of all services, and gives a port to each entry that has none.
pub(crate) fn plan<'a>(services: impl Iterator<Item = (&'a str, &'a [String])>) -> Result<Plan, PlacementError> {
    let mut taken: IndexMap<u16, &str> = IndexMap::new();
    let mut all: Vec<(&str, Vec<Entry>)> = Vec::new();
    for (service, ports) in services {
        let mut entries = Vec::new();
        for port in ports {
            let refuse = |reason: String| PlacementError::PortRefused {
                owner: format!("service `{service}`"),
                port: port.clone(),
                reason,
            };
            let parsed = parse(port).map_err(|reason| refuse(reason.to_owned()))?;
            for entry in parsed {
                if let Some(outside) = entry.outside
                    && let Some(other) = taken.insert(outside, service)
                {
                    return Err(refuse(format!("is taken: service `{other}` has port {outside} already")));
                }
                entries.push(entry);
            }
        }
        all.push((service, entries));
    }
    let taken: HashSet<u16> = taken.into_keys().collect();
    let mut free = (RANDOM_PORT_MIN..=u16::MAX).filter(|port| !taken.contains(port));
    let mut plan = Plan::new();
    for (service, entries) in all {
        let mut ports = IndexMap::new();
        for entry in entries {
            let outside = entry.outside.or_else(|| free.next()).unwrap_or(entry.inside);
            ports.insert(entry.inside, outside);
        }
        plan.insert(service.to_owned(), ports);
    }
    Ok(plan)
}

/// `80`, `8080:80`, `127.0.0.1:8080:80`, `80/tcp`, `8000-8002:9000-9002`.
fn parse(text: &str) -> Result<Vec<Entry>, &'static str> {
    const SHAPE: &str = "is not a port; write `5432` or `8080:80`";
    let (ports, protocol) = text.trim().split_once('/').unwrap_or((text.trim(), "tcp"));
    match protocol {
        "tcp" => {}
        "udp" | "sctp" => {
            return Err("cannot be reached on localhost: only tcp is forwarded; connect to the service by its name");
        }
        _ => return Err(SHAPE),
    }
    let parts: Vec<&str> = ports.split(':').collect();
    let (outside, inside) = match parts.as_slice() {
        [inside] => (None, *inside),
        [outside, inside] | [_, outside, inside] => (Some(*outside).filter(|text| !text.is_empty()), *inside),
        _ => return Err(SHAPE),
    };
    let inside = range(inside).ok_or(SHAPE)?;
    let Some(outside) = outside else {
        return Ok(inside.map(|inside| Entry { outside: None, inside }).collect());
    };
    let outside = range(outside).ok_or(SHAPE)?;
    if outside.clone().count() != inside.clone().count() {
        return Err("maps ranges of different lengths");
    }
    Ok(outside.zip(inside).map(|(outside, inside)| Entry { outside: Some(outside), inside }).collect())
}

fn range(text: &str) -> Option<std::ops::RangeInclusive<u16>> {
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
    match text.split_once('-') {
        None => port(text).map(|port| port..=port),
        Some((first, last)) => Some(port(first)?..=port(last)?).filter(|range| !range.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(services: &[(&str, &[&str])], expect: &str) {
        let owned: Vec<(&str, Vec<String>)> =
            services.iter().map(|(id, ports)| (*id, ports.iter().map(|p| (*p).to_owned()).collect())).collect();
        let got = match plan(owned.iter().map(|(id, ports)| (*id, ports.as_slice()))) {
            Ok(plan) => format!("{plan:?}"),
            Err(error) => error.to_string(),
        };
        assert!(got.contains(expect), "{services:?}\n  gave {got}\n  want {expect}");
    }

    #[test]
    fn plans() {
        check(&[("db", &["5432:5432"])], r#"{"db": {5432: 5432}}"#);
        check(&[("db", &["5432"]), ("cache", &["6379/tcp"])], r#"{"db": {5432: 32768}, "cache": {6379: 32769}}"#);
        check(&[("a", &["5432:5432"]), ("b", &["5433:5432"])], r#"{"a": {5432: 5432}, "b": {5432: 5433}}"#);
        check(&[("a", &["80"]), ("b", &["32768:80"])], r#"{"a": {80: 32769}, "b": {80: 32768}}"#);
        check(&[("a", &["127.0.0.1:8080:80"])], "{80: 8080}");
        check(&[("a", &["127.0.0.1::80"])], "{80: 32768}");
        check(&[("a", &["8000-8001:9000-9001"])], "{9000: 8000, 9001: 8001}");
        check(&[("a", &[])], r#"{"a": {}}"#);
    }

    #[test]
    fn refused() {
        check(
            &[("a", &["80:80"]), ("b", &["80:8080"])],
            "`ports` of service `b`: `80:8080` is taken: service `a` has port 80",
        );
        check(&[("a", &["53:53/udp"])], "only tcp is forwarded");
        check(&[("a", &["http"])], "is not a port");
        check(&[("a", &["0"])], "is not a port");
        check(&[("a", &["70000:1"])], "is not a port");
        check(&[("a", &["1-3:1-2"])], "different lengths");
        check(&[("a", &["1:2:3:4"])], "is not a port");
    }
}
