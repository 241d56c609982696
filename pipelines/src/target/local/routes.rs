//! A service's route in the proxy's table, and how a rollout changes it. Pure; other routes stay as they are.
//!
//! The proxy counts by revision. Ours are `<revision>@<rollout>`, so that the counters of both colours begin at 0 with each
//! rollout and nobody needs to remember where they were.

use std::net::SocketAddr;

use proxy::table::{Affinity, Colour, Route, Table};
use rollout::Weight;

/// Name of what stands.
pub(super) const BLUE: &str = "blue";
/// Name of what comes.
pub(super) const GREEN: &str = "green";

/// A service as one rollout sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Share<'a> {
    pub(super) service: &'a str,
    pub(super) rollout: u64,
    pub(super) blue: Option<u64>,
    pub(super) green: u64,
}

/// Where a service's requests come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) path: String,
    pub(super) strip: bool,
    pub(super) affinity: Affinity,
}

/// Under which name the proxy counts a revision in a rollout.
pub(super) fn key(revision: u64, rollout: u64) -> String {
    format!("{revision}@{rollout}")
}

/// Which revision a name is of.
pub(super) fn revision(key: &str) -> Option<u64> {
    key.split('@').next()?.parse().ok()
}

pub(super) fn route<'t>(table: &'t Table, service: &str) -> Option<&'t Route> {
    table.routes.iter().find(|route| route.service == service)
}

/// What stands: the colour with most of the traffic, or the one that is named so where none has any.
pub(super) fn standing<'t>(table: &'t Table, service: &str) -> Option<&'t Colour> {
    let colours = &route(table, service)?.colours;
    let named = colours.iter().find(|colour| colour.name == BLUE);
    named.or_else(|| colours.iter().filter(|colour| colour.weight > 0).max_by_key(|colour| colour.weight))
}

/// What share of any service's requests goes to a revision or to one of its addresses.
pub(super) fn weight_of(table: &Table, service: &str, of: u64, addresses: &[SocketAddr]) -> u16 {
    let carries = |route: &Route, colour: &Colour| {
        (route.service == service && revision(&colour.revision) == Some(of))
            || colour.backends.iter().any(|backend| addresses.contains(backend))
    };
    let shares = table.routes.iter().flat_map(|route| route.colours.iter().map(move |colour| (route, colour)));
    shares.filter(|(route, colour)| carries(route, colour)).map(|(_, colour)| colour.weight).max().unwrap_or(0)
}

impl Share<'_> {
    /// Green's share of this rollout's service; `None` while it is not in the table.
    pub(super) fn weight(&self, table: &Table) -> Option<Weight> {
        let colours = &route(table, self.service)?.colours;
        colours.iter().find(|colour| revision(&colour.revision) == Some(self.green)).map(|green| Weight(green.weight))
    }

    /// Green is there, without traffic.
    pub(super) fn with_green(&self, table: &Table, way: &Way, backends: &[SocketAddr]) -> Result<Table, String> {
        if let Some(other) = table.routes.iter().find(|route| route.service != self.service && route.path == way.path) {
            return Err(format!(
                "the route {} of the proxy leads to the service `{}` already; give `{}` another `route`",
                way.path, other.service, self.service
            ));
        }
        let mut table = table.clone();
        let green = Colour {
            name: GREEN.to_owned(),
            revision: key(self.green, self.rollout),
            weight: 0,
            backends: backends.to_vec(),
        };
        let Some(route) = table.routes.iter_mut().find(|route| route.service == self.service) else {
            table.routes.push(Route {
                service: self.service.to_owned(),
                path: way.path.clone(),
                strip: way.strip,
                affinity: way.affinity.clone(),
                colours: vec![green],
                test: None,
            });
            return Ok(table);
        };
        if let Some(known) = route.colours.iter_mut().find(|colour| revision(&colour.revision) == Some(self.green)) {
            known.backends = green.backends;
        } else {
            // What is left of a rollout before this one has no traffic, or is dead.
            route
                .colours
                .retain(|colour| revision(&colour.revision) == self.blue || (self.blue.is_none() && colour.weight > 0));
            for colour in &mut route.colours {
                BLUE.clone_into(&mut colour.name);
            }
            if let [blue] = route.colours.as_mut_slice() {
                blue.weight = Weight::ALL.0;
            }
            route.colours.push(green);
            route.test = None;
        }
        for colour in &mut route.colours {
            if let Some(of) = revision(&colour.revision) {
                colour.revision = key(of, self.rollout);
            }
        }
        Ok(table)
    }

    /// Green has this share and blue the rest. Without a blue it has all or nothing.
    pub(super) fn with_weight(&self, table: &Table, weight: Weight) -> Result<Table, String> {
        let mut table = table.clone();
        let has_blue = self.blue.is_some();
        let green = if has_blue || weight == Weight::NONE { weight.0 } else { Weight::ALL.0 };
        let route = table.routes.iter_mut().find(|route| route.service == self.service);
        let Some(route) = route else {
            // Nothing was ever put there: that is no traffic.
            return if weight == Weight::NONE && !has_blue { Ok(table) } else { Err(self.lost("the service")) };
        };
        let is = |colour: &Colour, of: Option<u64>| of.is_some() && revision(&colour.revision) == of;
        let knows = |of| route.colours.iter().any(|colour| is(colour, of));
        if !knows(Some(self.green)) && weight > Weight::NONE {
            return Err(self.lost("green"));
        }
        if has_blue && !knows(self.blue) && weight < Weight::ALL {
            return Err(self.lost("blue"));
        }
        if !has_blue && green > 0 {
            route.colours.retain(|colour| is(colour, Some(self.green)));
        }
        for colour in &mut route.colours {
            colour.weight = match () {
                () if is(colour, Some(self.green)) => green,
                () if is(colour, self.blue) => Weight::ALL.0 - green,
                () => 0,
            };
        }
        Ok(table)
    }

    fn lost(&self, what: &str) -> String {
        format!(
            "{what} of `{}` (rollout {}) is not in the proxy's table: somebody else has changed it, or it is from another generation",
            self.service, self.rollout
        )
    }

    /// Whether the shares are those that were asked for.
    pub(super) fn has_weight(&self, table: &Table, weight: Weight) -> bool {
        self.with_weight(table, weight).is_ok_and(|wanted| wanted.routes == table.routes)
    }

    /// Tests reach green, or do no more.
    pub(super) fn with_tests(&self, table: &Table, on: bool) -> Result<Table, String> {
        let mut table = table.clone();
        match table.routes.iter_mut().find(|route| route.service == self.service) {
            Some(route) => route.test = on.then(|| GREEN.to_owned()),
            None if on => return Err(self.lost("green")),
            None => {}
        }
        Ok(table)
    }

    /// Green is what stands, under the way that was asked for.
    pub(super) fn with_primary(&self, table: &Table, way: &Way) -> Result<Table, String> {
        let mut table = table.clone();
        let Some(route) = table.routes.iter_mut().find(|route| route.service == self.service) else {
            return Err(self.lost("green"));
        };
        route.colours.retain(|colour| revision(&colour.revision) == Some(self.green));
        let [green] = route.colours.as_mut_slice() else { return Err(self.lost("green")) };
        if green.weight != Weight::ALL.0 {
            return Err(format!(
                "green of `{}` has {} of the traffic, not all of it",
                self.service,
                Weight(green.weight)
            ));
        }
        BLUE.clone_into(&mut green.name);
        (route.path, route.strip, route.affinity, route.test) =
            (way.path.clone(), way.strip, way.affinity.clone(), None);
        Ok(table)
    }

    /// A revision without traffic is there no more.
    pub(super) fn without(&self, table: &Table, gone: u64) -> Table {
        let mut table = table.clone();
        for route in table.routes.iter_mut().filter(|route| route.service == self.service) {
            route.colours.retain(|colour| revision(&colour.revision) != Some(gone) || colour.weight > 0);
            if route.test.as_ref().is_some_and(|test| !route.colours.iter().any(|colour| colour.name == *test)) {
                route.test = None;
            }
        }
        table.routes.retain(|route| route.service != self.service || !route.colours.is_empty());
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARE: Share<'_> = Share { service: "orders", rollout: 12, blue: Some(9), green: 12 };

    fn way(path: &str) -> Way {
        Way { path: path.to_owned(), strip: false, affinity: Affinity::None }
    }

    fn backends(last: u8) -> Vec<SocketAddr> {
        vec![SocketAddr::from(([10, 0, 0, last], 8080))]
    }

    fn table(colours: &[(&str, &str, u16)]) -> Table {
        let other = Route { service: "web".to_owned(), path: "/".to_owned(), ..blank() };
        let colours = colours.iter().enumerate().map(|(number, (name, revision, weight))| Colour {
            name: (*name).to_owned(),
            revision: (*revision).to_owned(),
            weight: *weight,
            backends: backends(u8::try_from(number).unwrap()),
        });
        Table { generation: 4, routes: vec![other, Route { colours: colours.collect(), ..blank() }] }
    }

    fn blank() -> Route {
        Route {
            service: "orders".to_owned(),
            path: "/orders".to_owned(),
            strip: false,
            affinity: Affinity::None,
            colours: Vec::new(),
            test: None,
        }
    }

    fn shown(table: &Table, service: &str) -> String {
        let Some(route) = route(table, service) else { return "none".to_owned() };
        let colours = route.colours.iter().map(|one| format!("{} {} {}", one.name, one.revision, one.weight));
        format!("{} {:?} {}", route.path, route.test, colours.collect::<Vec<_>>().join(", "))
    }

    #[test]
    fn a_rollout_in_the_table() {
        let before = table(&[("blue", "9@9", 1000)]);
        let check = |table: &Table, expected: &str| {
            assert_eq!(shown(table, "orders"), expected);
            assert_eq!(route(table, "web"), route(&before, "web"), "another route");
        };
        let green = SHARE.with_green(&before, &way("/o"), &backends(7)).unwrap();
        check(&green, "/orders None blue 9@12 1000, green 12@12 0");
        assert_eq!(SHARE.with_green(&green, &way("/o"), &backends(7)).unwrap(), green, "twice is once");
        let tested = SHARE.with_tests(&green, true).unwrap();
        check(&tested, "/orders Some(\"green\") blue 9@12 1000, green 12@12 0");
        let tenth = SHARE.with_weight(&tested, Weight(100)).unwrap();
        check(&tenth, "/orders Some(\"green\") blue 9@12 900, green 12@12 100");
        assert!(SHARE.has_weight(&tenth, Weight(100)) && !SHARE.has_weight(&tenth, Weight(101)));
        assert_eq!(weight_of(&tenth, "orders", 9, &[]), 900);
        assert_eq!(weight_of(&tenth, "other", 8, &backends(7)), 100, "by its address");
        assert!(SHARE.with_primary(&tenth, &way("/o")).unwrap_err().contains("10 % of the traffic, not all"));
        let all = SHARE.with_weight(&tenth, Weight::ALL).unwrap();
        let primary = SHARE.with_primary(&all, &way("/o")).unwrap();
        check(&primary, "/o None blue 12@12 1000");
        assert_eq!(SHARE.with_primary(&primary, &way("/o")).unwrap(), primary);
        let back = SHARE.with_weight(&tenth, Weight::NONE).unwrap();
        check(&SHARE.without(&back, 12), "/orders None blue 9@12 1000");
        check(&SHARE.without(&tenth, 12), &shown(&tenth, "orders"));
    }

    #[test]
    fn a_first_deployment_has_all_or_nothing() {
        let first = Share { blue: None, ..SHARE };
        let empty = Table::default();
        assert_eq!(first.with_weight(&empty, Weight::NONE).unwrap(), empty);
        let green = first.with_green(&empty, &way("/orders"), &backends(7)).unwrap();
        assert_eq!(shown(&green, "orders"), "/orders None green 12@12 0");
        let tenth = first.with_weight(&green, Weight(100)).unwrap();
        assert_eq!(shown(&tenth, "orders"), "/orders None green 12@12 1000");
        assert_eq!(first.without(&green, 12).routes, []);
        // What was dead is replaced.
        let dead = table(&[("blue", "9@9", 1000)]);
        let green = first.with_green(&dead, &way("/orders"), &backends(7)).unwrap();
        assert_eq!(shown(&green, "orders"), "/orders None blue 9@12 1000, green 12@12 0");
        let all = first.with_weight(&green, Weight::ALL).unwrap();
        assert_eq!(shown(&all, "orders"), "/orders None green 12@12 1000");
    }

    #[test]
    fn a_table_of_somebody_else() {
        let other = table(&[("blue", "3@3", 1000)]);
        for (result, expected) in [
            (SHARE.with_weight(&other, Weight(100)), "green of `orders` (rollout 12) is not in the proxy's table"),
            (SHARE.with_weight(&Table::default(), Weight::NONE), "the service of `orders`"),
            (SHARE.with_weight(&other, Weight::NONE), "blue of `orders`"),
            (SHARE.with_green(&other, &way("/"), &[]), "the route / of the proxy leads to the service `web` already"),
            (SHARE.with_primary(&other, &way("/")), "green of `orders`"),
        ] {
            let error = result.unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        // A rollout that nobody ended had a colour of its own: its traffic goes back.
        let left = table(&[("blue", "9@11", 500), ("green", "11@11", 500)]);
        let green = SHARE.with_green(&left, &way("/orders"), &backends(7)).unwrap();
        assert_eq!(shown(&green, "orders"), "/orders None blue 9@12 1000, green 12@12 0");
    }
}
