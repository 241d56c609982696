//! A graph as SVG, from a template; the layout is crate `workflow`'s.

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, context};
use workflow::plan::{Plan, layout};

use crate::exit::Failure;

const TEMPLATE: &str = include_str!("graph.svg");

/// A whole document.
pub fn draw(plan: &Plan) -> Result<String, Failure> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    let layout = layout(plan);
    let drawn = environment.render_named_str(
        "graph.svg",
        TEMPLATE,
        context! { title => plan.name.clone(), graph => Serde(&layout) },
    );
    // The template and the layout are ours; a failure is a bug, not the user's.
    drawn.map_err(|error| Failure::environment(format!("draw the graph: {error}")))
}
