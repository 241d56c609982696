//! Server-sent events, read from bytes as they come.
//!
//! Follows <https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream>, with line feeds only,
//! as our server writes them.

/// Longest event that is waited for.
const EVENT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// Its name; empty for most.
    pub name: String,
    /// What to ask for to go on behind it.
    pub id: Option<String>,
    /// Its text.
    pub data: String,
}

/// Bytes that wait for the end of their event.
#[derive(Debug, Default)]
pub struct Events {
    waiting: Vec<u8>,
}

impl Events {
    /// Takes bytes and gives the events that are whole. False when one is too long to be ours.
    pub fn push(&mut self, bytes: &[u8], mut take: impl FnMut(Event)) -> bool {
        self.waiting.extend_from_slice(bytes);
        let mut begin = 0;
        while let Some(length) = memchr::memmem::find(&self.waiting[begin..], b"\n\n") {
            let event = parse(&self.waiting[begin..begin + length]);
            begin += length + 2;
            if let Some(event) = event {
                take(event);
            }
        }
        self.waiting.drain(..begin);
        self.waiting.len() <= EVENT_BYTES_MAX
    }
}

/// `None` for a comment.
fn parse(bytes: &[u8]) -> Option<Event> {
    let text = String::from_utf8_lossy(bytes);
    let mut event = Event::default();
    let mut has_data = false;
    for line in text.split('\n') {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => event.name = value.to_owned(),
            "id" => event.id = Some(value.to_owned()),
            "data" => {
                if has_data {
                    event.data.push('\n');
                }
                event.data.push_str(value);
                has_data = true;
            }
            _ => {}
        }
    }
    has_data.then_some(event)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_out_however_the_bytes_are_cut() {
        let text = "retry: 1000\nid: 0\ndata: {\"a\":1}\n\n: alive\n\nid: 1|b:2=3\ndata: x: y\ndata:z\n\nevent: end\ndata: {}\n\n";
        let event = |name: &str, id: Option<&str>, data: &str| Event {
            name: name.into(),
            id: id.map(str::to_owned),
            data: data.into(),
        };
        let expected =
            [event("", Some("0"), "{\"a\":1}"), event("", Some("1|b:2=3"), "x: y\nz"), event("end", None, "{}")];
        for cut in 0..text.len() {
            let (mut events, mut got) = (Events::default(), Vec::new());
            for part in [&text.as_bytes()[..cut], &text.as_bytes()[cut..]] {
                assert!(events.push(part, |event| got.push(event)));
            }
            assert_eq!(got, expected, "cut at {cut}");
        }
    }
}
