//! A table as requests read it: immutable but for counters, replaced whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::backend::Backend;
use crate::pick::Pick;
use crate::table::{Affinity, Table};
use crate::tally::Tally;

/// A table that stands.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) table: Table,
    /// Longest path first.
    pub(crate) routes: Vec<LiveRoute>,
}

#[derive(Debug)]
pub(crate) struct LiveRoute {
    pub(crate) service: Arc<str>,
    pub(crate) path: String,
    pub(crate) strip: bool,
    pub(crate) affinity: Affinity,
    pub(crate) colours: Vec<LiveColour>,
    /// Index of the colour that tests reach.
    pub(crate) test: Option<usize>,
    weights: Vec<u16>,
    pick: Pick,
}

#[derive(Debug)]
pub(crate) struct LiveColour {
    pub(crate) name: String,
    pub(crate) weight: u16,
    pub(crate) tally: Arc<Tally>,
    pub(crate) backends: Vec<Arc<Backend>>,
    /// Whether it has been told that none of its backends is left.
    pub(crate) is_down: AtomicBool,
    next: AtomicUsize,
}

/// What a client brought that says to which colour it belongs.
pub(crate) type Client = Option<u64>;

impl Live {
    /// `tally` and `backend` give what is counted and known already.
    pub(crate) fn new(
        table: Table,
        mut tally: impl FnMut(&str, &str) -> Arc<Tally>,
        mut backend: impl FnMut(std::net::SocketAddr) -> Arc<Backend>,
    ) -> Self {
        let mut routes: Vec<_> = table
            .routes
            .iter()
            .map(|route| {
                let weights: Vec<u16> = route.colours.iter().map(|colour| colour.weight).collect();
                let colours = route.colours.iter().map(|colour| LiveColour {
                    name: colour.name.clone(),
                    weight: colour.weight,
                    tally: tally(&route.service, &colour.revision),
                    backends: colour.backends.iter().map(|address| backend(*address)).collect(),
                    is_down: AtomicBool::new(false),
                    next: AtomicUsize::new(0),
                });
                LiveRoute {
                    service: route.service.as_str().into(),
                    path: route.path.clone(),
                    strip: route.strip,
                    affinity: route.affinity.clone(),
                    colours: colours.collect(),
                    test: route.colours.iter().position(|colour| Some(&colour.name) == route.test.as_ref()),
                    pick: Pick::new(&weights),
                    weights,
                }
            })
            .collect();
        routes.sort_by_key(|route| std::cmp::Reverse(route.path.len()));
        Self { table, routes }
    }

    /// Index of the route that a path belongs to.
    pub(crate) fn route(&self, path: &str) -> Option<usize> {
        self.routes.iter().position(|route| is_below(path, &route.path))
    }
}

fn is_below(path: &str, route: &str) -> bool {
    route == "/" && path.starts_with('/')
        || path.strip_prefix(route).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl LiveRoute {
    /// Index of the colour whose turn it is. `None` if no colour has weight.
    pub(crate) fn pick(&self, client: Client) -> Option<usize> {
        match client {
            Some(client) => Pick::of_client(&self.weights, client),
            None => self.pick.next(),
        }
    }

    /// Index of another colour with weight and a backend that can be reached.
    pub(crate) fn instead_of(&self, index: usize) -> Option<usize> {
        let others = self.colours.iter().enumerate().filter(|(other, colour)| *other != index && colour.weight > 0);
        others.filter(|(_, colour)| colour.can_answer()).max_by_key(|(_, colour)| colour.weight).map(|(other, _)| other)
    }

    /// What is left of a path for the backend.
    pub(crate) fn stripped<'path>(&self, path_and_query: &'path str) -> std::borrow::Cow<'path, str> {
        let rest = if self.strip && self.path != "/" {
            path_and_query.strip_prefix(self.path.as_str()).unwrap_or(path_and_query)
        } else {
            path_and_query
        };
        if rest.starts_with('/') { rest.into() } else { format!("/{rest}").into() }
    }
}

impl LiveColour {
    pub(crate) fn can_answer(&self) -> bool {
        self.backends.iter().any(|backend| !backend.is_out())
    }

    /// The backend with the fewest requests among those that can be reached and are not in `tried`; ties in turn. With
    /// `even_out`, one that could not be reached is better than none.
    pub(crate) fn backend(&self, tried: &[std::net::SocketAddr], even_out: bool) -> Option<&Arc<Backend>> {
        let count = self.backends.len();
        let first = if count > 1 { self.next.fetch_add(1, Ordering::Relaxed) } else { 0 };
        (0..count)
            .filter_map(|step| self.backends.get((first.wrapping_add(step)) % count))
            .filter(|backend| (even_out || !backend.is_out()) && !tried.contains(&backend.address))
            .min_by_key(|backend| (backend.is_out(), backend.busy()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Colour, Route};

    fn live(paths: &[(&str, bool)]) -> Live {
        let routes = paths.iter().map(|(path, strip)| Route {
            service: format!("of {path}"),
            path: (*path).to_owned(),
            strip: *strip,
            affinity: Affinity::None,
            colours: vec![Colour {
                name: "blue".to_owned(),
                revision: "r".to_owned(),
                weight: 0,
                backends: Vec::new(),
            }],
            test: None,
        });
        let table = Table { generation: 1, routes: routes.collect() };
        Live::new(table, |service, revision| Arc::new(Tally::new(service, revision)), |at| Arc::new(Backend::new(at)))
    }

    #[test]
    fn the_longest_path_on_whole_segments_decides() {
        let with_root = live(&[("/", false), ("/orders", true), ("/orders/admin", true), ("/products", false)]);
        for (path, route, stripped) in [
            ("/", "/", "/"),
            ("/x", "/", "/x"),
            ("/orders", "/orders", "/"),
            ("/orders/", "/orders", "/"),
            ("/orders/1?a=/b", "/orders", "/1?a=/b"),
            ("/orders?a=b", "/orders", "/?a=b"),
            ("/ordersx", "/", "/ordersx"),
            ("/orders/admin/1", "/orders/admin", "/1"),
            ("/orders/administrator", "/orders", "/administrator"),
            ("/products/1", "/products", "/products/1"),
            ("/Orders", "/", "/Orders"),
        ] {
            let only_path = path.split('?').next().unwrap();
            let found = &with_root.routes[with_root.route(only_path).unwrap()];
            assert_eq!((found.path.as_str(), &*found.stripped(path)), (route, stripped), "{path}");
        }
        assert!(live(&[("/orders", false)]).route("/").is_none());
        assert!(with_root.route("*").is_none());
    }

    #[test]
    fn who_has_least_to_do_is_next() {
        let backends: Vec<_> = (1..=3_u16).map(|port| Arc::new(Backend::new(([127, 0, 0, 1], port).into()))).collect();
        let colour = LiveColour {
            name: "blue".to_owned(),
            weight: 1_000,
            tally: Arc::new(Tally::new("a", "b")),
            backends: backends.clone(),
            is_down: AtomicBool::new(false),
            next: AtomicUsize::new(0),
        };
        let turns: Vec<_> = (0..6).map(|_| colour.backend(&[], false).unwrap().address.port()).collect();
        assert_eq!(turns, [1, 2, 3, 1, 2, 3]);
        backends[0].enter();
        backends[2].enter();
        assert_eq!(colour.backend(&[], false).unwrap().address.port(), 2);
        let tried: Vec<_> = backends.iter().map(|backend| backend.address).collect();
        assert!(colour.backend(&tried, true).is_none());
    }
}
