//! A graph for the terminal: the jobs in columns of time, each with what it needs.

use workflow::plan::{FrameIndex, Plan, PlannedLegs, levels};

use crate::terminal::Terminal;

/// Levels from top to bottom; jobs of one level may run at once.
pub fn draw(plan: &Plan, terminal: Terminal) -> String {
    let mut text = format!("{}  {}\n", terminal.bold(&plan.name), terminal.dim(&plan.path));
    frame(plan, FrameIndex(0), "", terminal, &mut text);
    text
}

fn frame(plan: &Plan, index: FrameIndex, indentation: &str, terminal: Terminal, text: &mut String) {
    let levels = levels(plan, index);
    let last_level = levels.len();
    for (number, jobs) in (1..).zip(&levels) {
        let count = jobs.len();
        for (place, index) in (1..).zip(jobs) {
            let job = plan.job(*index);
            let is_last = number == last_level && place == count;
            let branch = match (place, is_last) {
                (_, true) => "└─",
                (1, false) => "├─",
                (_, false) => "│ ",
            };
            let branch = if place > 1 && is_last { "└ " } else { branch };
            let own = job.name.as_deref().unwrap_or_else(|| job.job.id.value.as_str());
            let legs = match &job.legs {
                PlannedLegs::Single => String::new(),
                PlannedLegs::Static(legs) => format!(" × {}", legs.legs.len()),
                PlannedLegs::Dynamic => " × ?".to_owned(),
            };
            let needs: Vec<&str> = job.needs.iter().map(|need| plan.job(*need).job.id.value.as_str()).collect();
            let needs = if needs.is_empty() { String::new() } else { format!("  ← {}", needs.join(", ")) };
            text.push_str(&format!("{indentation}{branch} {}{legs}{}\n", terminal.bold(own), terminal.dim(&needs)));
            if let Some(called) = job.calls {
                let deeper = format!("{indentation}{} ", if is_last { "  " } else { "│ " });
                frame(plan, called, &deeper, terminal, text);
            }
        }
    }
}
