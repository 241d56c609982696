//! What a person or a program sees of a run: live on a terminal, plain lines elsewhere, JSON lines on request, a summary
//! at the end.
//!
//! Everything arrives masked ([`engine::notice`]); nothing here decides about the run.

mod behind;
mod clean;
mod duration;
mod json;
mod lines;
mod live;
pub mod plain;
mod record;
mod summary;

use duration::in_words;
pub use json::JsonView;
pub use live::LiveView;
pub use plain::PlainView;
pub use record::Record;
pub use summary::{Logs, SummaryFacts, summary};

use engine::notice::Notice;
use engine::store::RunNumbers;

/// Shows notices as they come.
pub trait View: Send {
    /// A run has its numbers and its title, which is empty where the workflow gives none.
    fn begun(&mut self, workflow: &str, title: &str, numbers: RunNumbers);

    /// Something happened. `record` knows of it already.
    fn notice(&mut self, notice: &Notice, record: &Record);

    /// A sentence about the whole, such as that it is being cancelled.
    fn say(&mut self, text: &str);

    /// The run is over; nothing more comes.
    fn ended(&mut self);
}
