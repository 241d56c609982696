//! Objects of the wire, read again, so that a client shows a run as the machine that performs it does.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value as Json;
use workflow::command::Annotation;
use workflow::run::{EVENT_VERSION, JobRunKey, Recorded, RunEvent, StepIndex};

use crate::notice::Notice;
use crate::placement::PlacementProgress;

/// What an object says.
#[derive(Debug, Clone)]
pub enum Incoming {
    /// A run has its numbers.
    Created {
        /// The workflow's name.
        workflow: String,
        /// Empty where there is none.
        title: String,
        /// `github.run_number`.
        number: u64,
    },
    /// Something happened in it. A line of output has its line feed again.
    Notice(Notice),
    /// A sentence about the whole.
    Message(String),
}

#[derive(Deserialize)]
struct Common {
    #[serde(rename = "type")]
    kind: String,
    at: Option<Timestamp>,
    job: Option<Json>,
    step: Option<StepIndex>,
    #[serde(default)]
    seq: u64,
    #[serde(default)]
    text: String,
}

#[derive(Deserialize)]
struct Created {
    workflow: String,
    #[serde(default)]
    title: String,
    number: u64,
}

#[derive(Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
enum Stage {
    Pulling { image: String, bytes_done: u64, bytes_total: u64 },
    Pulled { image: String },
    ServiceStarted { service: String },
    ServiceWaiting { service: String },
    ServiceReady { service: String },
    Ready,
}

/// Reads an object; `None` for what this version does not know.
#[must_use]
pub fn read(mut object: Json) -> Option<Incoming> {
    let common = Common::deserialize(&object).ok()?;
    let key = || common.job.as_ref().and_then(Json::as_str).map(JobRunKey::parse);
    let step = common.step;
    let notice = match common.kind.as_str() {
        "run_created" => {
            let Created { workflow, title, number } = Created::deserialize(&object).ok()?;
            return Some(Incoming::Created { workflow, title, number });
        }
        "message" => return Some(Incoming::Message(common.text)),
        "log" => Notice::Output { key: key()?, step, bytes: format!("{}\n", common.text).into() },
        "placing" => Notice::Placing { key: key()?, progress: progress(Stage::deserialize(&object).ok()?) },
        "annotation" => {
            let annotation: Annotation = serde_json::from_value(object.get_mut("annotation")?.take()).ok()?;
            Notice::Annotated { key: key()?, step, annotation: Box::new(annotation) }
        }
        "summary" => {
            let markdown = object.get("markdown")?.as_str()?.to_owned();
            Notice::Summary { key: key()?, step: step?, markdown }
        }
        _ => {
            let event = RunEvent::deserialize(&object).ok().or_else(|| {
                // Facts of job runs have the key under another name here.
                let object = object.as_object_mut()?;
                let job = object.shift_remove("job")?;
                object.insert("key".to_owned(), job);
                RunEvent::deserialize(&*object).ok()
            })?;
            Notice::Recorded(Box::new(Recorded { v: EVENT_VERSION, seq: common.seq, at: common.at?, event }))
        }
    };
    Some(Incoming::Notice(notice))
}

fn progress(stage: Stage) -> PlacementProgress {
    match stage {
        Stage::Pulling { image, bytes_done, bytes_total } => {
            PlacementProgress::Pulling { image, bytes_done, bytes_total }
        }
        Stage::Pulled { image } => PlacementProgress::Pulled { image },
        Stage::ServiceStarted { service } => PlacementProgress::ServiceStarted { service },
        Stage::ServiceWaiting { service } => PlacementProgress::ServiceWaiting { service },
        Stage::ServiceReady { service } => PlacementProgress::ServiceReady { service },
        Stage::Ready => PlacementProgress::Ready,
    }
}
