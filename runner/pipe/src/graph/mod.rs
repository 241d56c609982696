//! `pipe graph`: the jobs of workflows and what they need, as text, mermaid, dot, SVG or JSON.

mod svg;
mod text;

use std::io::Write;
use std::path::Path;

use indexmap::IndexMap;
use serde_json::{Value as Json, json};
use workflow::event::EventName;
use workflow::plan::{Plan, dot, layout, mermaid};

use crate::args::{Global, GraphArgs, GraphFormat};
use crate::exit::{Exit, Failure};
use crate::happening;
use crate::planning::{self, Request};
use crate::render;
use crate::repository::{Base, Repository, Wanted};
use crate::select::Workflows;
use crate::terminal::{self, Terminal};

/// Runs the command.
pub fn run(args: &GraphArgs, global: &Global) -> Result<Exit, Failure> {
    let workflows = Workflows::load(&args.selection, args.workflow.as_deref(), global)?;
    let wanted = Wanted {
        actor: None,
        default_branch: None,
        remote: "origin".to_owned(),
        host: "github.com".to_owned(),
        base: Base::default(),
    };
    let repository = Repository::open(Path::new("."), &wanted)?;
    let terminal = Terminal::stdout(global.color);
    let mut output = terminal::results();
    let mut invalid = false;
    let mut documents = Vec::new();
    for reading in &workflows.readings {
        let drawn = match &reading.workflow {
            None => Err(reading.diagnostics.clone()),
            Some(workflow) => {
                let listed = workflow.on.entries.keys().filter_map(|name| EventName::parse(name));
                let name = listed.into_iter().find(|name| *name != EventName::WorkflowCall).unwrap_or(EventName::Push);
                let event = happening::build(name, json!({}), IndexMap::new(), &repository.facts)?;
                let server_url = &repository.facts.server_url;
                let request = Request { event: &event, vars: &IndexMap::new(), jobs: &[], server_url };
                Plan::new(workflow, &planning::facts(workflow, &event, &serde_json::Map::new(), &request))
            }
        };
        match drawn {
            Ok(plan) => documents.push(draw(&plan, args.format, terminal)?),
            Err(diagnostics) => {
                invalid = true;
                let finding = render::Finding { diagnostics: &diagnostics, ..reading.finding() };
                let text = render::text::render(&finding, Terminal::stderr(global.color));
                let _gone = std::io::stderr().write_all(text.as_bytes());
            }
        }
    }
    if args.format == GraphFormat::Svg && documents.len() > 1 {
        return Err(Failure::usage("an SVG shows one workflow").help("name it: `pipe graph --format svg WORKFLOW`"));
    }
    output.write_all(documents.join("\n").as_bytes())?;
    output.flush()?;
    Ok(if invalid { Exit::Invalid } else { Exit::Success })
}

fn draw(plan: &Plan, format: GraphFormat, terminal: Terminal) -> Result<String, Failure> {
    Ok(match format {
        GraphFormat::Text => text::draw(plan, terminal),
        GraphFormat::Mermaid => mermaid(plan),
        GraphFormat::Dot => dot(plan),
        GraphFormat::Svg => svg::draw(plan)?,
        GraphFormat::Json => format!("{:#}\n", as_json(plan)),
    })
}

fn as_json(plan: &Plan) -> Json {
    let ids = |indexes: &[workflow::plan::JobIndex]| -> Vec<String> {
        indexes.iter().map(|index| plan.job(*index).id.to_string()).collect()
    };
    let jobs: Vec<Json> = plan
        .indexed()
        .map(|(index, job)| {
            json!({
                "id": job.id, "name": plan.display_name(index), "needs": ids(&job.needs),
                "calls": job.calls.map(|frame| ids(&plan.frame(frame).jobs)),
            })
        })
        .collect();
    json!({ "v": 1, "workflow": plan.path, "name": plan.name, "jobs": jobs, "order": ids(&plan.order), "layout": layout(plan) })
}
