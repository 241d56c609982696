//! Reading large JSON documents one member at a time, so that they never lie in memory as a whole.

use std::fmt;
use std::io::Read;
use std::marker::PhantomData;

use serde::Deserializer as _;
use serde::de::{DeserializeOwned, MapAccess, Visitor};

/// Why a source could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("{0}")]
    Shape(String),
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl From<serde_json::Error> for ReadError {
    fn from(error: serde_json::Error) -> Self {
        Self::Shape(error.to_string())
    }
}

/// Calls `take` with each member of the object that a document is.
///
/// # Errors
/// When the document is no object, a member has another shape, it ends early, or `take` fails.
pub(crate) fn each_member<Member: DeserializeOwned>(
    reader: impl Read,
    take: impl FnMut(String, Member) -> std::io::Result<()>,
) -> Result<(), ReadError> {
    let mut deserializer = serde_json::Deserializer::from_reader(std::io::BufReader::with_capacity(1 << 16, reader));
    let mut members = Members { take, failed: None, member: PhantomData };
    let read = deserializer.deserialize_map(&mut members).and_then(|()| deserializer.end());
    match members.failed {
        Some(error) => Err(error.into()),
        None => Ok(read?),
    }
}

struct Members<Member, Take> {
    take: Take,
    failed: Option<std::io::Error>,
    member: PhantomData<Member>,
}

impl<'de, Member, Take> Visitor<'de> for &mut Members<Member, Take>
where
    Member: DeserializeOwned,
    Take: FnMut(String, Member) -> std::io::Result<()>,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<Map: MapAccess<'de>>(self, mut map: Map) -> Result<(), Map::Error> {
        while let Some((name, member)) = map.next_entry()? {
            if let Err(error) = (self.take)(name, member) {
                let text = error.to_string();
                self.failed = Some(error);
                return Err(serde::de::Error::custom(text));
            }
        }
        Ok(())
    }
}
