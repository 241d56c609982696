//! Who gets a request: which colour, which backend, and what if that one cannot be reached. It sends nothing itself.
//!
//! Sent again is only what cannot have had an effect twice: what never reached a connection, by any method; and, once, what
//! an idempotent method (RFC 9110 section 9.2.2) asked on a connection that ended without a byte of an answer. A POST that
//! was sent is never sent again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::Method;

use crate::answers::Refusal;
use crate::backend::Backend;
use crate::ejection;
use crate::headers;
use crate::live::{Client, Live, LiveColour, LiveRoute};
use crate::pick;
use crate::table::Affinity;
use crate::tally::Outcome;
use crate::ticket::Ticket;
use crate::worker::Worker;

/// Backends that are tried for one request.
const TRIED_MAX: usize = 6;
/// Connections that turned out to have ended before anything was sent on them, for one request.
const STALE_MAX: usize = 8;

/// What of a request decides where it goes.
pub(crate) trait Asked {
    fn method(&self) -> &Method;
    /// Without the query.
    fn path(&self) -> &str;
    /// The first header of this name.
    fn header(&self, name: &str) -> Option<&[u8]>;
    /// The value of a cookie.
    fn cookie(&self, name: &str) -> Option<&[u8]>;
}

/// A request on its way.
pub(crate) struct Way<'worker> {
    pub(crate) worker: &'worker Arc<Worker>,
    live: Arc<Live>,
    route: usize,
    colour: usize,
    pub(crate) method: Method,
    pub(crate) ticket: Ticket,
    tried: Vec<SocketAddr>,
    stale: usize,
    is_replayed: bool,
    /// Whose connection ended without a word: it is asked again only where there is nobody else.
    lost: Option<SocketAddr>,
}

impl<'worker> Way<'worker> {
    /// Decides who gets a request. `is_test`: it came in where tests come in.
    pub(crate) fn choose(worker: &'worker Arc<Worker>, asked: &impl Asked, is_test: bool) -> Result<Self, Refusal> {
        let begun = Instant::now();
        loop {
            let live = worker.shared.live();
            let route = live.route(asked.path()).ok_or(Refusal::NoRoute)?;
            let (colour, is_test) = live.routes[route].colour_of(asked, is_test)?;
            let tally = &live.routes[route].colours[colour].tally;
            if !worker.shared.enter(&live, tally) {
                // Another table stands since a moment.
                continue;
            }
            let ticket = Ticket::of_entered(tally, is_test, begun);
            let method = asked.method().clone();
            let (tried, stale, is_replayed, lost) = (Vec::new(), 0, false, None);
            return Ok(Self { worker, live, route, colour, method, ticket, tried, stale, is_replayed, lost });
        }
    }

    pub(crate) fn route(&self) -> &LiveRoute {
        &self.live.routes[self.route]
    }

    /// Who has it now.
    pub(crate) fn colour(&self) -> &LiveColour {
        &self.route().colours[self.colour]
    }

    /// Whom to ask now.
    pub(crate) fn next(&mut self) -> Result<Arc<Backend>, Refusal> {
        let Some(backend) = self.backend() else {
            self.ticket.record(&self.method, Outcome::Failed);
            return Err(Refusal::Unreached);
        };
        self.ticket.at(&backend);
        Ok(backend)
    }

    /// If nobody of the colour is left, its share goes to another one; if there is none either, those that could not be
    /// reached are tried once more.
    fn backend(&mut self) -> Option<Arc<Backend>> {
        if self.tried.len() >= TRIED_MAX {
            return None;
        }
        let shunned: Vec<_> = self.tried.iter().copied().chain(self.lost.take()).collect();
        if let Some(backend) = self.colour().backend(&shunned, false) {
            return Some(Arc::clone(backend));
        }
        if !self.ticket.is_test()
            && let Some(other) = self.route().instead_of(self.colour)
            && let Some(backend) = self.route().colours[other].backend(&shunned, false)
        {
            let backend = Arc::clone(backend);
            let tally = Arc::clone(&self.route().colours[other].tally);
            self.ticket.divert(&self.method, &tally);
            self.colour = other;
            return Some(backend);
        }
        self.colour().backend(&self.tried, true).map(Arc::clone)
    }

    /// How long a connection may have been idle that it is sent on.
    pub(crate) fn kept(&self) -> Duration {
        let times = &self.worker.shared.options.times;
        if self.method.is_idempotent() { times.kept } else { times.kept.min(times.kept_for_unsafe) }
    }

    /// Whether it may be sent although it was sent before.
    pub(crate) fn may_be_sent_twice(&self) -> bool {
        self.method.is_idempotent() && !self.is_replayed
    }

    /// Its answer has begun.
    pub(crate) fn answered(&mut self, status: u16) {
        self.ticket.record(&self.method, Outcome::Answered(status));
    }

    /// There was no connection.
    pub(crate) fn unreached(&mut self, backend: &Arc<Backend>, reason: &str) {
        self.ticket.connection_error();
        ejection::eject(&self.worker.shared, backend, reason);
        self.tried.push(backend.address);
    }

    /// There was one, but nothing was sent on it.
    pub(crate) fn unsent(&mut self, backend: &Backend) {
        self.stale += 1;
        if self.stale >= STALE_MAX {
            self.tried.push(backend.address);
        }
    }

    /// It may have been received. `again`: nothing of an answer came, and all of the request is there to be sent once more.
    pub(crate) fn lost(&mut self, backend: &Backend, again: bool) -> Result<(), Refusal> {
        self.ticket.connection_error();
        if !again || !self.may_be_sent_twice() {
            self.ticket.record(&self.method, Outcome::Failed);
            return Err(Refusal::Broken);
        }
        // Its other connections may have ended too.
        self.lost = Some(backend.address);
        self.is_replayed = true;
        Ok(())
    }

    /// No answer in time.
    pub(crate) fn timed_out(&mut self) -> Refusal {
        self.ticket.record(&self.method, Outcome::TimedOut);
        Refusal::TimedOut
    }
}

impl LiveRoute {
    /// Index of the colour that a request goes to, and whether it is one of tests.
    fn colour_of(&self, asked: &impl Asked, is_test: bool) -> Result<(usize, bool), Refusal> {
        if let Some(wanted) = asked.header(headers::COLOUR.as_str()) {
            let found = self.colours.iter().position(|colour| colour.name.as_bytes() == wanted);
            let index = found.ok_or(Refusal::NoColour)?;
            // Users' door leads to what users may see anyway, and to what is there for tests.
            let may = is_test || self.colours[index].weight > 0 || self.test == Some(index);
            return if may { Ok((index, true)) } else { Err(Refusal::NoColour) };
        }
        if is_test {
            return self.test.map(|index| (index, true)).ok_or(Refusal::NoColour);
        }
        let client: Client = match &self.affinity {
            Affinity::None => None,
            Affinity::Cookie(name) => asked.cookie(name),
            Affinity::Header(name) => asked.header(name),
        }
        .map(|value| pick::number_of(&self.service, value));
        self.pick(client).map(|index| (index, false)).ok_or(Refusal::NoTraffic)
    }
}
