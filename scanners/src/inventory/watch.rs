//! One walk for two: the inventory and the scanners of files see the same entries, and a file is opened once for both.

use std::io;

use super::collect::Collector;
use crate::files::{Look, Looked};
use crate::source::{Content, Node, Random, Visitor};

/// Shows each entry to both.
pub(crate) struct Watch<'w, 'a> {
    /// Not there where what it would say is known already.
    pub(crate) collector: Option<&'w mut Collector<'a>>,
    pub(crate) look: Option<Look<'w>>,
}

impl Watch<'_, '_> {
    pub(crate) fn looked(&mut self) -> Looked {
        self.look.take().map(Look::finish).unwrap_or_default()
    }
}

impl Visitor for Watch<'_, '_> {
    fn entry(&mut self, path: &str, node: Node, content: &mut dyn Content) -> io::Result<()> {
        let is_file = matches!(node, Node::File { .. });
        let mut content = Once { content, random: None };
        if let Some(collector) = &mut self.collector {
            collector.entry(path, node, &mut content)?;
        }
        match &mut self.look {
            Some(look) if is_file => look.file(path, &mut content),
            Some(_) | None => Ok(()),
        }
    }

    fn odd(&mut self, path: &str, reason: &str) {
        if let Some(collector) = &mut self.collector {
            collector.odd(path, reason);
        }
    }
}

/// Content that is taken out of a stream once, whoever asks.
struct Once<'a> {
    content: &'a mut dyn Content,
    random: Option<Random>,
}

impl Content for Once<'_> {
    fn head(&mut self) -> io::Result<Vec<u8>> {
        match &self.random {
            Some(random) => random.bytes(0, random.length().min(crate::source::HEAD_BYTES as u64)),
            None => self.content.head(),
        }
    }

    fn random(&mut self) -> io::Result<Random> {
        match &self.random {
            Some(random) => Ok(random.clone()),
            None => Ok(self.random.insert(self.content.random()?).clone()),
        }
    }
}
