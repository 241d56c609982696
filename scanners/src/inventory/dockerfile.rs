//! The instructions of a Dockerfile that lead to its image, with their lines.
//!
//! Only what it takes to find the line of a layer: stages, continued lines, comments, here-documents.
//! Follows <https://docs.docker.com/reference/dockerfile/>.

/// One instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Instruction {
    /// Of its first word, from 1.
    pub(crate) line: u32,
    /// In capitals.
    pub(crate) keyword: String,
    /// All that follows, in one line.
    pub(crate) rest: String,
    /// The first line of its here-documents that says something.
    pub(crate) document: Option<String>,
}

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

fn read(text: &str) -> Vec<Instruction> {
    let escape = escape(text);
    let mut found = Vec::new();
    let mut lines = (1_u32..).zip(text.lines()).peekable();
    while let Some((line, first)) = lines.next() {
        let trimmed = first.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        let mut whole = String::new();
        let mut part = trimmed.to_owned();
        while let Some(begun) = part.strip_suffix(escape) {
            whole.push_str(begun);
            whole.push(' ');
            // Comments and empty lines within are passed over.
            let next = lines.find(|(_, line)| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
            match next {
                Some((_, next)) => part = next.trim().to_owned(),
                None => part = String::new(),
            }
        }
        whole.push_str(&part);
        let (keyword, rest) = whole.split_once(char::is_whitespace).unwrap_or((&whole, ""));
        let keyword = keyword.to_ascii_uppercase();
        let ends = if matches!(keyword.as_str(), "RUN" | "COPY" | "ADD") { heredocs(rest) } else { Vec::new() };
        let mut document = None;
        for end in &ends {
            // Up to its end, or the text's.
            for (_, line) in lines.by_ref().take_while(|(_, line)| line.trim() != end) {
                let says_something = !line.trim().is_empty() && !line.trim_start().starts_with('#');
                document = document.or_else(|| says_something.then(|| line.trim().to_owned()));
            }
        }
        found.push(Instruction { line, keyword, rest: rest.trim().to_owned(), document });
    }
    found
}

/// `# escape=` at the top.
fn escape(text: &str) -> char {
    let directives = text.lines().take_while(|line| line.starts_with('#')).filter_map(|line| line[1..].split_once('='));
    let escape = directives.filter(|(key, _)| key.trim().eq_ignore_ascii_case("escape")).map(|(_, value)| value.trim());
    escape.last().and_then(|value| value.chars().next()).unwrap_or('\\')
}

/// The words that end the here-documents of an instruction: `<<EOF`, `<<-"EOF"`.
fn heredocs(rest: &str) -> Vec<String> {
    let begun = rest.split_whitespace().filter_map(|word| word.split_once("<<").map(|(_, after)| after));
    let names = begun.map(|name| name.trim_start_matches('-').trim_matches(['"', '\'']));
    let is_name = |name: &&str| {
        name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    names.filter(is_name).map(str::to_owned).collect()
}
