//! The instructions of a Dockerfile that lead to its image, with their lines.
//!
//! Only what it takes to find the line of a layer: which stages an image is made of.
//! Follows <https://docs.docker.com/reference/dockerfile/>.

use crate::dockerfile::{Instruction, read};

#[derive(Debug)]
struct Stage {
    name: String,
    from: String,
    instructions: Vec<Instruction>,
}

/// The instructions of a target (the last stage, when none is named) with those of the stages that it is built on, in order.
pub(crate) fn instructions(text: &str, target: Option<&str>) -> Vec<Instruction> {
    let stages = stages(text);
    let named = |name: &str, before: usize| {
        stages[..before].iter().rposition(|stage| !stage.name.is_empty() && stage.name.eq_ignore_ascii_case(name))
    };
    let chosen = target.and_then(|target| named(target, stages.len()));
    let Some(mut stage) = chosen.or_else(|| stages.len().checked_sub(1)) else { return Vec::new() };
    let mut chain = vec![stage];
    // A stage is built on stages before it only, so this ends.
    while let Some(before) = named(&stages[stage].from, stage) {
        chain.push(before);
        stage = before;
    }
    chain.into_iter().rev().flat_map(|stage| stages[stage].instructions.clone()).collect()
}

fn stages(text: &str) -> Vec<Stage> {
    let mut stages: Vec<Stage> = Vec::new();
    for instruction in read(text) {
        if instruction.keyword == "FROM" {
            let words: Vec<&str> = instruction.rest.split_whitespace().filter(|word| !word.starts_with("--")).collect();
            let is_named = words.get(1).is_some_and(|word| word.eq_ignore_ascii_case("as"));
            let name = if is_named { words.get(2).copied().unwrap_or_default() } else { "" };
            let from = words.first().copied().unwrap_or_default();
            stages.push(Stage { name: name.to_owned(), from: from.to_owned(), instructions: Vec::new() });
        } else if let Some(stage) = stages.last_mut() {
            stage.instructions.push(instruction);
        }
    }
    stages
}
