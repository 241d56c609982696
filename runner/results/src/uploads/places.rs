//! Where blocks of an upload lie: in their place where that can be guessed, otherwise aside.

use std::collections::{BTreeMap, HashMap};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::{BLOCKS_MAX, Committed, UPLOAD_BYTES_MAX};

/// Digits at the end of a client's name of a block.
const INDEX_DIGITS: usize = 12;

/// Where a block lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Extent {
    /// Aside, since where it belongs is not known.
    pub(super) spilled: bool,
    pub(crate) at: u64,
    pub(crate) bytes: u64,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) blocks: HashMap<String, Extent>,
    /// Those in their place that are written whole.
    pub(super) whole: BTreeMap<u64, u64>,
    /// Those in their place, whether written or not.
    taken: BTreeMap<u64, u64>,
    spill_end: u64,
    block_bytes: Option<u64>,
    pub(super) committed: Option<Committed>,
}

pub(super) fn too_large() -> String {
    format!("it has more than {} GiB", UPLOAD_BYTES_MAX >> 30)
}

impl State {
    pub(super) fn note(&mut self, id: String, extent: Extent) {
        if extent.spilled {
            self.spill_end = self.spill_end.max(extent.at + extent.bytes);
        } else {
            self.taken.insert(extent.at, extent.bytes);
            self.whole.insert(extent.at, extent.bytes);
        }
        self.blocks.insert(id, extent);
    }

    pub(super) fn place(&mut self, id: &str, bytes: u64) -> Result<Extent, String> {
        if self.blocks.len() >= BLOCKS_MAX && !self.blocks.contains_key(id) {
            return Err(format!("it has more than {BLOCKS_MAX} blocks"));
        }
        let sum: u64 = self.taken.values().sum();
        if sum.saturating_add(self.spill_end).saturating_add(bytes) > UPLOAD_BYTES_MAX {
            return Err(too_large());
        }
        let guessed = self.guess(id, bytes).filter(|at| *at <= UPLOAD_BYTES_MAX && self.is_free(*at, bytes));
        if let Some(at) = guessed {
            self.taken.insert(at, bytes);
            return Ok(Extent { spilled: false, at, bytes });
        }
        let at = self.spill_end;
        self.spill_end += bytes;
        Ok(Extent { spilled: true, at, bytes })
    }

    /// Where a block lies if all but the last have the size of the first one that came.
    fn guess(&mut self, id: &str, bytes: u64) -> Option<u64> {
        let index = index(id)?;
        let size = *self.block_bytes.get_or_insert(bytes);
        if bytes > size {
            return None;
        }
        index.checked_mul(size)
    }

    fn is_free(&self, at: u64, bytes: u64) -> bool {
        let before = self.taken.range(..=at).next_back().is_none_or(|(start, length)| start + length <= at);
        let after = self.taken.range(at..).next().is_none_or(|(start, _)| at + bytes <= *start);
        before && after
    }
}

/// The number that clients of GitHub end the names of their blocks with.
fn index(id: &str) -> Option<u64> {
    let name = STANDARD.decode(id).ok()?;
    let digits = name.len().checked_sub(INDEX_DIGITS)?;
    std::str::from_utf8(&name[digits..]).ok()?.parse().ok()
}
