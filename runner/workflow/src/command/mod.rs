//! What a step says to the runner: commands in its output, environment files, and problem matchers over its output.
//!
//! All of it is text in, values out. Reading the files, finding paths, applying the effects and showing the log are the engine's
//! part. Follows <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands> and, where the
//! page is silent, what `actions/runner` does.

pub mod annotation;
pub mod artifacts;
pub mod environment_file;
pub mod line_splitter;
pub mod matcher;
mod matcher_config;
mod matcher_regex;
mod opt_in;
pub mod parse;
pub mod problem;
pub mod processor;

pub use self::annotation::{ANNOTATIONS_PER_LEVEL_MAX, Annotation, AnnotationLevel};
pub use self::line_splitter::{LineSplitter, Piece, each_line};
pub use self::matcher::{Matched, MatcherSet};
pub use self::parse::{RawCommand, WorkflowCommand, parse_command};
pub use self::problem::{Problem, ProblemFinder};
pub use self::processor::{CommandProcessor, CommandSettings, Effect, Handled, LogLine};
