//! Which tables make sense. All that is wrong with one is told at once.

use std::collections::BTreeSet;

use hyper::header::HeaderName;

use crate::table::{Affinity, Colour, Route, Table};

/// Services of an environment.
pub(crate) const ROUTES_MAX: usize = 256;
/// Colours of a service: two, and those that are being stopped.
pub(crate) const COLOURS_MAX: usize = 8;
/// Containers of a colour.
pub(crate) const BACKENDS_MAX: usize = 256;
/// Longest name or path.
pub(crate) const NAME_BYTES_MAX: usize = 256;
/// Weights of a route are this together.
const WHOLE: u32 = 1_000;

impl Table {
    /// What is wrong with it; empty if nothing is.
    #[must_use]
    pub fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        if self.routes.len() > ROUTES_MAX {
            mistakes.push(format!("{} routes are more than {ROUTES_MAX}", self.routes.len()));
        }
        let (mut services, mut paths) = (BTreeSet::new(), BTreeSet::new());
        for route in &self.routes {
            if !services.insert(&route.service) {
                mistakes.push(format!("the service `{}` is there twice", route.service));
            }
            if !paths.insert(&route.path) {
                mistakes.push(format!("the path `{}` is there twice", route.path));
            }
            route.check(&mut mistakes);
        }
        mistakes
    }
}

impl Route {
    fn check(&self, mistakes: &mut Vec<String>) {
        let service = &self.service;
        let mut add = |mistake: String| mistakes.push(format!("service `{service}`: {mistake}"));
        if let Some(wrong) = name(service) {
            add(format!("its name {wrong}"));
        }
        if let Some(wrong) = path(&self.path) {
            add(format!("the path `{}` {wrong}", self.path));
        }
        match &self.affinity {
            Affinity::None => {}
            Affinity::Cookie(cookie) if name(cookie).is_none() => {}
            Affinity::Header(header) if HeaderName::try_from(header).is_ok() => {}
            Affinity::Cookie(text) | Affinity::Header(text) => {
                add(format!("`{text}` is no name of a cookie or header"))
            }
        }
        if self.colours.is_empty() || self.colours.len() > COLOURS_MAX {
            add(format!("it has {} colours, not 1 to {COLOURS_MAX}", self.colours.len()));
        }
        let sum: u32 = self.colours.iter().map(|colour| u32::from(colour.weight)).sum();
        if sum != 0 && sum != WHOLE {
            add(format!("its weights are {sum} together, not {WHOLE} (or all 0)"));
        }
        let (mut names, mut revisions) = (BTreeSet::new(), BTreeSet::new());
        for colour in &self.colours {
            if !names.insert(&colour.name) {
                add(format!("the colour `{}` is there twice", colour.name));
            }
            // Counters are kept by it.
            if !revisions.insert(&colour.revision) {
                add(format!("the revision `{}` is there twice", colour.revision));
            }
            if let Some(wrong) = colour.mistake() {
                add(format!("colour `{}`: {wrong}", colour.name));
            }
        }
        if let Some(test) = &self.test
            && !names.contains(test)
        {
            add(format!("tests should reach the colour `{test}`, which it does not have"));
        }
    }
}

impl Colour {
    fn mistake(&self) -> Option<String> {
        let unique: BTreeSet<_> = self.backends.iter().collect();
        if let Some(wrong) = name(&self.name) {
            Some(format!("its name {wrong}"))
        } else if let Some(wrong) = name(&self.revision) {
            Some(format!("its revision {wrong}"))
        } else if self.weight > 0 && self.backends.is_empty() {
            Some("it has weight but no backend".to_owned())
        } else if self.backends.len() > BACKENDS_MAX {
            Some(format!("{} backends are more than {BACKENDS_MAX}", self.backends.len()))
        } else if unique.len() < self.backends.len() {
            Some("a backend is there twice".to_owned())
        } else {
            let impossible = self.backends.iter().find(|backend| backend.port() == 0 || backend.ip().is_unspecified());
            impossible.map(|backend| format!("nothing can answer at {backend}"))
        }
    }
}

fn name(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        Some("is empty")
    } else if text.len() > NAME_BYTES_MAX {
        Some("is too long")
    } else if !text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b',' | b';')) {
        Some("has characters other than letters, digits and . _ - : / @ + =")
    } else {
        None
    }
}

fn path(text: &str) -> Option<&'static str> {
    if !text.starts_with('/') {
        Some("does not begin with /")
    } else if text.len() > NAME_BYTES_MAX {
        Some("is too long")
    } else if text.len() > 1 && text.ends_with('/') {
        Some("ends with /: paths are matched on whole segments anyway")
    } else if text.split('/').skip(1).any(|part| matches!(part, "." | "..")) || text.contains("//") {
        Some("has segments that clients take out")
    } else if !text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'\\' | b'"')) {
        Some("has characters that no path has")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let colour = |name: &str, weight, port: u16| Colour {
            name: name.to_owned(),
            revision: format!("r-{name}"),
            weight,
            backends: vec![([127, 0, 0, 1], port).into()],
        };
        let route = |service: &str, path: &str| Route {
            service: service.to_owned(),
            path: path.to_owned(),
            strip: false,
            affinity: Affinity::None,
            colours: vec![colour("blue", 900, 1), colour("green", 100, 2)],
            test: Some("green".to_owned()),
        };
        Table { generation: 0, routes: vec![route("frontend", "/"), route("orders", "/orders")] }
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut Table), expected: &str) {
        let mut table = table();
        change(&mut table);
        let mistakes = table.mistakes();
        assert!(
            if expected.is_empty() { mistakes.is_empty() } else { mistakes.iter().any(|one| one.contains(expected)) },
            "{expected:?} in {mistakes:?}"
        );
    }

    #[test]
    fn mistakes_are_told() {
        check(|_| {}, "");
        check(|table| *table = Table::default(), "");
        check(|table| table.routes[0].colours.iter_mut().for_each(|colour| colour.weight = 0), "");
        check(|table| table.routes[0].test = None, "");
        check(|table| table.routes[0].affinity = Affinity::Cookie("session".to_owned()), "");
        check(|table| table.routes[0].colours[1].weight = 101, "1001 together, not 1000");
        check(|table| table.routes[0].colours[0].weight = u16::MAX, "together, not 1000");
        check(|table| table.routes[0].colours.clear(), "has 0 colours");
        check(|table| table.routes[0].colours[1].name = "blue".to_owned(), "colour `blue` is there twice");
        check(|table| table.routes[0].colours[1].revision = "r-blue".to_owned(), "revision `r-blue` is there twice");
        check(|table| table.routes[0].colours[1].revision.clear(), "its revision is empty");
        check(|table| table.routes[0].colours[1].backends.clear(), "weight but no backend");
        check(|table| table.routes[0].colours[1].backends[0].set_port(0), "nothing can answer at 127.0.0.1:0");
        check(|table| table.routes[0].test = Some("red".to_owned()), "the colour `red`, which it does not have");
        check(|table| table.routes[1].service = "frontend".to_owned(), "service `frontend` is there twice");
        check(|table| table.routes[1].path = "/".to_owned(), "path `/` is there twice");
        check(|table| table.routes[1].path = "/orders/".to_owned(), "ends with /");
        check(|table| table.routes[1].path = "orders".to_owned(), "does not begin with /");
        check(|table| table.routes[1].path = "/a/../b".to_owned(), "segments that clients take out");
        check(|table| table.routes[1].path = "/a b".to_owned(), "characters that no path has");
        check(|table| table.routes[1].affinity = Affinity::Header("a b".to_owned()), "no name of a cookie or header");
        check(
            |table| {
                let first = table.routes[0].colours[0].backends[0];
                table.routes[0].colours[0].backends.push(first);
            },
            "a backend is there twice",
        );
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let mut table = table();
        table.routes[0].colours[0].weight = 1;
        table.routes[1].path = "x".to_owned();
        assert_eq!(table.mistakes().len(), 2);
    }
}
