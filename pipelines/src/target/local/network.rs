//! The network of an environment, made once, with addresses that are given out here.
//!
//! The engine gives a fixed address only in a network whose addresses were chosen by whoever made it. The lower part of ours
//! is for containers of services, which keep theirs for as long as they live; the upper part is for whatever people connect.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use bollard::models::{Ipam, IpamConfig, NetworkCreateRequest};
use bollard::query_parameters::{InspectNetworkOptions, ListNetworksOptionsBuilder};
use sha2::{Digest as _, Sha256};

use super::containers::{Containers, ENVIRONMENT, INSTALLATION, refused, status};
use super::names;
use crate::docker::words;
use crate::rollout::CallError;

/// Addresses of a network, as a power of two: `/22`.
const SIZE_BITS: u32 = 10;
/// Of those, the ones that we give out: the first three quarters.
const OURS_MAX: u32 = (1 << SIZE_BITS) / 4 * 3;
/// Addresses that we do not give out: of the network and its gateway.
const FIRST: u32 = 2;
/// Networks are looked for in 10.192.0.0/10.
const BASE: u32 = 0x0AC0_0000;
/// How many there are of them.
const COUNT: u32 = 1 << (22 - SIZE_BITS);
/// How many are tried.
const TRIED_MAX: u32 = 64;

/// A network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Network {
    pub(super) name: String,
    first: Ipv4Addr,
}

impl Network {
    /// That of the environment, made if it is not there.
    pub(super) async fn ensure(containers: &Containers) -> Result<Self, CallError> {
        let name = names::network(&containers.environment);
        if let Some(network) = Self::find(containers, &name).await? {
            return Ok(network);
        }
        // The engine makes as many of one name as it is asked for.
        let _one_at_a_time = containers.choosing.lock().await;
        if let Some(network) = Self::find(containers, &name).await? {
            return Ok(network);
        }
        let routes = std::fs::read_to_string("/proc/net/route").unwrap_or_default();
        let mut last = "all addresses from 10.192.0.0 to 10.255.255.255 are in use".to_owned();
        for first in candidates(&containers.environment).filter(|first| !overlaps(*first, &routes)) {
            match containers.docker.client.create_network(request(containers, &name, first)).await {
                Ok(made) => return settle(containers, Self { name, first }, &made.id).await,
                Err(error) if words(&error).contains("overlap") => last = words(&error),
                // Somebody else was faster.
                Err(error) if status(&error) == Some(409) => {
                    if let Some(network) = Self::find(containers, &name).await? {
                        return Ok(network);
                    }
                }
                Err(error) => return Err(refused(&format!("make the network {name}"))(error)),
            }
        }
        Err(CallError::last(format!("no addresses were found for the network {name}: {last}")))
    }

    async fn find(containers: &Containers, name: &str) -> Result<Option<Self>, CallError> {
        let found = match containers.docker.client.inspect_network(name, None::<InspectNetworkOptions>).await {
            Ok(found) => found,
            Err(error) if status(&error) == Some(404) => return Ok(None),
            Err(error) => return Err(refused(&format!("look at the network {name}"))(error)),
        };
        let labels = found.labels.unwrap_or_default();
        if labels.get(INSTALLATION) != Some(&containers.installation) {
            return Err(CallError::last(format!(
                "the network {name} is not of this installation; remove it (`docker network rm {name}`), or give the \
                 environment another name"
            )));
        }
        let configs = found.ipam.and_then(|ipam| ipam.config).unwrap_or_default();
        let subnet = configs.iter().find_map(|config| config.subnet.as_ref()?.split_once('/')?.0.parse().ok());
        subnet.map(|first| Some(Self { name: name.to_owned(), first })).ok_or_else(|| {
            CallError::last(format!(
                "the network {name} has no addresses of its own; remove it: `docker network rm {name}`"
            ))
        })
    }

    /// This machine, as containers see it.
    pub(super) fn gateway(&self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.first) + 1)
    }

    /// The first address that nobody has.
    pub(super) fn free(&self, taken: &[IpAddr]) -> Option<Ipv4Addr> {
        let all = (FIRST..OURS_MAX).map(|number| Ipv4Addr::from(u32::from(self.first) + number));
        all.into_iter().find(|address| !taken.contains(&IpAddr::V4(*address)))
    }
}

/// Another process may have made one of the same name at the same time: all agree on the one with the lowest id.
async fn settle(containers: &Containers, mine: Network, id: &str) -> Result<Network, CallError> {
    let client = &containers.docker.client;
    let filters: HashMap<&str, Vec<String>> = [("name", vec![mine.name.clone()])].into();
    let options = ListNetworksOptionsBuilder::default().filters(&filters).build();
    let all = client.list_networks(Some(options)).await.map_err(refused("list networks"))?;
    let same = all.into_iter().filter(|one| one.name.as_ref() == Some(&mine.name)).filter_map(|one| one.id);
    if same.min().is_none_or(|lowest| lowest == id) {
        return Ok(mine);
    }
    client.remove_network(id).await.map_err(refused(&format!("remove the network {id}")))?;
    let found = Network::find(containers, &mine.name).await?;
    found.ok_or_else(|| CallError::transient(format!("the network {} was removed by somebody", mine.name)))
}

fn request(containers: &Containers, name: &str, first: Ipv4Addr) -> NetworkCreateRequest {
    let others = Ipv4Addr::from(u32::from(first) + OURS_MAX);
    let config = IpamConfig {
        subnet: Some(format!("{first}/{}", 32 - SIZE_BITS)),
        ip_range: Some(format!("{others}/{}", 32 - SIZE_BITS + 2)),
        gateway: Some(Network { name: String::new(), first }.gateway().to_string()),
        auxiliary_addresses: None,
    };
    let labels = [(INSTALLATION, &containers.installation), (ENVIRONMENT, &containers.environment)];
    NetworkCreateRequest {
        name: name.to_owned(),
        driver: Some("bridge".to_owned()),
        ipam: Some(Ipam { config: Some(vec![config]), ..Ipam::default() }),
        labels: Some(labels.map(|(name, value)| (name.to_owned(), value.clone())).into()),
        ..NetworkCreateRequest::default()
    }
}

/// Where an environment's network may be: mostly in the same place each time.
fn candidates(environment: &str) -> impl Iterator<Item = Ipv4Addr> {
    let digest = Sha256::digest(environment.as_bytes());
    let start = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
    (0..TRIED_MAX).map(move |step| Ipv4Addr::from(BASE + (start.wrapping_add(step) % COUNT) * (1 << SIZE_BITS)))
}

/// Whether this machine sends such addresses elsewhere (`/proc/net/route`); the default route does not count.
fn overlaps(first: Ipv4Addr, routes: &str) -> bool {
    let number = |field: Option<&&str>| u32::from_str_radix(field?, 16).ok().map(u32::from_be);
    routes.lines().skip(1).any(|line| {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        let (Some(to), Some(mask)) = (number(fields.get(1)), number(fields.get(7))) else { return false };
        let common = mask & !((1 << SIZE_BITS) - 1);
        mask != 0 && to & common == u32::from(first) & common
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let network = Network { name: "pipe-a".to_owned(), first: Ipv4Addr::new(10, 200, 4, 0) };
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(network.free(&[]), Some(Ipv4Addr::new(10, 200, 4, 2)));
        assert_eq!(
            network.free(&[address("10.200.4.2"), address("10.200.4.3"), address("10.200.4.5")]),
            Some(Ipv4Addr::new(10, 200, 4, 4))
        );
        let all: Vec<_> = (0..OURS_MAX).map(|number| IpAddr::V4(Ipv4Addr::from(0x0AC8_0400 + number))).collect();
        assert_eq!(network.free(&all), None);
    }

    #[test]
    fn networks_of_others_are_left_alone() {
        let first = candidates("production").next().unwrap();
        assert_eq!(first, candidates("production").next().unwrap());
        assert!(first.octets()[0] == 10 && first.octets()[1] >= 192 && first.octets()[3] == 0, "{first}");
        // As the kernel writes them: bytes in the machine's order.
        let route = |to: [u8; 4], mask: [u8; 4]| {
            let hex = |bytes: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(bytes));
            format!("Iface Destination ...\neth0 {} 0 1 0 0 0 {} 0 0 0\n", hex(to), hex(mask))
        };
        let ours = Ipv4Addr::new(10, 200, 4, 0);
        for (to, mask, expected) in [
            ([0, 0, 0, 0], [0, 0, 0, 0], false),
            ([10, 0, 0, 0], [255, 0, 0, 0], true),
            ([10, 200, 4, 0], [255, 255, 252, 0], true),
            ([10, 200, 6, 0], [255, 255, 255, 0], true),
            ([10, 200, 8, 0], [255, 255, 252, 0], false),
            ([192, 168, 0, 0], [255, 255, 0, 0], false),
        ] {
            assert_eq!(overlaps(ours, &route(to, mask)), expected, "{to:?}/{mask:?}");
        }
    }
}
