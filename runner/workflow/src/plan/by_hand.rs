//! Workflows made by hand from JSON, for tests of plans: `needs`, `if`, `strategy`, `steps`, and `calls` for a called
//! workflow with its `inputs` and `jobs`.

use indexmap::IndexMap;
use serde_json::{Value as Json, json};

use crate::expression::{Allowed, Expression};
use crate::matrix::tests::{strategy, token};
use crate::model::{
    CallDefinitions, CallInput, CalledWorkflow, InputType, Job, JobId, JobKind, ReusableCall, Secrets, Step, StepId,
    StepKind, StepsJob, Triggers, Workflow,
};
use crate::source::{FileId, Span, Spanned};

fn condition(json: &Json) -> Expression {
    let text = json.get("if").and_then(Json::as_str).unwrap_or("");
    Expression::parse(text, &Allowed::ANYTHING).unwrap().into_condition()
}

fn step(json: &Json) -> Step {
    Step {
        id: StepId::new("__run"),
        id_written: false,
        span: Span::default(),
        name: json.get("name").map(token),
        condition: condition(json),
        condition_span: json.get("if").map(|_| Span::default()),
        continue_on_error: None,
        timeout_minutes: None,
        env: json.get("env").map(token),
        background: None,
        kind: StepKind::Run { script: token(&json["run"]), shell: None, working_directory: None },
    }
}

fn called(json: &Json) -> CalledWorkflow {
    let input = |(name, kind): (&String, &Json)| {
        let kind = if kind == "boolean" { InputType::Boolean } else { InputType::String };
        (name.clone(), CallInput { span: Span::default(), description: None, required: false, kind, default: None })
    };
    CalledWorkflow {
        file: FileId(1),
        name: None,
        inputs: json.get("inputs").and_then(Json::as_object).into_iter().flatten().map(input).collect(),
        secrets: IndexMap::new(),
        outputs: IndexMap::new(),
        definitions: CallDefinitions::default(),
        permissions: None,
        env: json.get("env").map(token),
        defaults: None,
        concurrency: None,
        jobs: jobs(&json["jobs"]),
    }
}

fn job(id: &str, json: &Json) -> Job {
    let place = |text: &str| Span::new(FileId(0), u32::try_from(text.len()).unwrap(), 99);
    let texts = json.get("needs").and_then(Json::as_array).into_iter().flatten().map(|need| need.as_str().unwrap());
    let needs = texts.map(|need| Spanned::new(JobId::new(need), place(need))).collect();
    let kind = match json.get("calls") {
        Some(inner) => JobKind::Call(Box::new(ReusableCall {
            reference: Spanned::new("./called.yml".to_owned(), Span::default()),
            inputs: json.get("with").map(token),
            secrets: match json.get("secrets") {
                None => Secrets::None,
                Some(Json::String(_)) => Secrets::Inherit,
                Some(mapping) => Secrets::Mapping(token(mapping)),
            },
            called: Some(Box::new(called(inner))),
        })),
        None => JobKind::Steps(Box::new(StepsJob {
            runs_on: json.get("runs-on").map_or_else(|| token(&json!("ubuntu-latest")), token),
            environment: json.get("environment").map(token),
            env: json.get("env").map(token),
            defaults: None,
            outputs: None,
            timeout_minutes: None,
            cancel_timeout_minutes: None,
            container: None,
            services: None,
            snapshot: None,
            steps: json.get("steps").and_then(Json::as_array).into_iter().flatten().map(step).collect(),
        })),
    };
    Job {
        id: Spanned::new(JobId::new(id), place(id)),
        span: Span::default(),
        name: json.get("name").map(token),
        needs,
        needs_written: None,
        condition: condition(json),
        condition_span: json.get("if").map(|_| Span::default()),
        permissions: None,
        cache_mode: None,
        strategy: json.get("strategy").map(strategy),
        concurrency: json.get("concurrency").map(token),
        continue_on_error: None,
        kind,
    }
}

fn jobs(json: &Json) -> IndexMap<JobId, Job> {
    json.as_object().unwrap().iter().map(|(id, json)| (JobId::new(id.as_str()), job(id, json))).collect()
}

pub(super) fn workflow(json: &Json) -> Workflow {
    Workflow {
        path: ".github/workflows/ci.yml".to_owned(),
        name: None,
        description: None,
        run_name: None,
        on: Triggers::default(),
        permissions: None,
        env: json.get("env").map(token),
        defaults: None,
        concurrency: None,
        jobs: jobs(&json["jobs"]),
    }
}
