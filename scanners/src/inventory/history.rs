//! From an image's history to the lines of its Dockerfile.
//!
//! Builders write into the history what made each layer, each in its own form, and the Dockerfile has the same in another.
//! Both are gone through from their ends; the base image's part begins where they no longer agree. An instruction whose
//! text depends on variables counts as the same when its keyword is.

use super::dockerfile;
use crate::dockerfile::Instruction;
use crate::package::Layer;
use crate::source::HistoryEntry;

/// Tells each layer what made it and, with a Dockerfile, on which line that stands.
pub(crate) fn attribute(layers: &mut [Layer], history: &[HistoryEntry], dockerfile: Option<(&str, Option<&str>)>) {
    let made: Vec<usize> = (0..history.len()).filter(|entry| !history[*entry].empty_layer).collect();
    // Some tools write no history, or one that does not fit.
    if made.len() != layers.len() {
        return;
    }
    for (layer, entry) in layers.iter_mut().zip(&made) {
        layer.created_by.clone_from(&history[*entry].created_by);
    }
    let Some((text, target)) = dockerfile else { return };
    let lines = align(history, &dockerfile::instructions(text, target));
    let Some(first) = lines.iter().position(Option::is_some) else { return };
    for (layer, entry) in layers.iter_mut().zip(&made) {
        layer.dockerfile_line = lines[*entry];
        layer.base = *entry < first;
    }
}

/// The line of each entry of the history.
fn align(history: &[HistoryEntry], instructions: &[Instruction]) -> Vec<Option<u32>> {
    let mut lines = vec![None; history.len()];
    let mut next = instructions.len();
    for (number, entry) in history.iter().enumerate().rev() {
        let made = Made::read(&entry.created_by);
        let before = instructions[..next].iter().rposition(|instruction| made.is(instruction));
        // Only what leaves no layer may be left out in between.
        let skipped = before.map(|found| &instructions[found + 1..next]);
        match (before, skipped) {
            (Some(found), Some(skipped)) if skipped.iter().all(|instruction| !makes_layer(&instruction.keyword)) => {
                lines[number] = Some(instructions[found].line);
                next = found;
            }
            _ if entry.empty_layer => {}
            _ => break,
        }
    }
    lines
}

/// WORKDIR makes one with BuildKit, and with others when its folder is not there.
fn makes_layer(keyword: &str) -> bool {
    matches!(keyword, "RUN" | "COPY" | "ADD")
}

const KEYWORDS: [&str; 16] = [
    "RUN",
    "COPY",
    "ADD",
    "WORKDIR",
    "ENV",
    "ARG",
    "CMD",
    "ENTRYPOINT",
    "EXPOSE",
    "LABEL",
    "USER",
    "VOLUME",
    "STOPSIGNAL",
    "HEALTHCHECK",
    "SHELL",
    "MAINTAINER",
];

/// What the history says about one entry.
#[derive(Debug, PartialEq, Eq)]
struct Made<'a> {
    keyword: &'a str,
    text: &'a str,
}

impl<'a> Made<'a> {
    fn read(created_by: &'a str) -> Self {
        let text = created_by.trim().trim_end_matches("# buildkit").trim_end();
        if let Some((_, instruction)) = text.split_once("#(nop)") {
            let (keyword, rest) = instruction.trim().split_once(' ').unwrap_or((instruction.trim(), ""));
            return Self { keyword, text: rest.trim() };
        }
        match text.split_once(' ') {
            Some(("RUN", rest)) => Self { keyword: "RUN", text: command(rest) },
            Some((keyword, rest)) if KEYWORDS.contains(&keyword) => Self { keyword, text: rest.trim() },
            _ => Self { keyword: "RUN", text: command(text) },
        }
    }

    fn is(&self, instruction: &Instruction) -> bool {
        if self.keyword != instruction.keyword {
            return false;
        }
        match (self.keyword, instruction.document()) {
            ("RUN", Some(document)) => plain(self.text).contains(&plain(document)),
            ("RUN", None) => {
                let wanted = plain(without_flags(&instruction.rest));
                let made = plain(self.text);
                made == wanted || made.ends_with(&wanted)
            }
            // The sources are expanded or digests, the place is not.
            ("COPY" | "ADD", _) => instruction.rest.contains('$') || last(self.text) == last(&instruction.rest),
            ("WORKDIR", _) => instruction.rest.contains('$') || plain(self.text).ends_with(&plain(&instruction.rest)),
            _ => true,
        }
    }
}

/// Without the shell and the arguments that come before: `|1 VERSION=3 /bin/sh -c make`.
fn command(text: &str) -> &str {
    let text = text.trim();
    match text.split_once("/bin/sh -c ") {
        Some((before, command)) if before.is_empty() || before.starts_with('|') => command,
        Some(_) | None => text,
    }
}

/// `--mount=…` and the like are for the builder.
fn without_flags(mut rest: &str) -> &str {
    while rest.starts_with("--") {
        rest = rest.split_once(char::is_whitespace).map_or("", |(_, after)| after.trim_start());
    }
    rest
}

/// Without what builders write differently: spaces, quotes, the brackets of lists.
fn plain(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_whitespace() && !"[]\",'\\".contains(*letter)).collect()
}

fn last(text: &str) -> String {
    let word = text.split_whitespace().next_back().unwrap_or_default();
    plain(word).trim_start_matches("./").trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCKERFILE: &str = "# syntax=docker/dockerfile:1\nFROM node:20 AS deps\nWORKDIR /app\nCOPY package.json ./\n\
        RUN --mount=type=cache,target=/root/.npm \\\n    npm ci && \\\n    # quietly\n    npm cache clean\n\n\
        FROM deps\nARG PORT=1\nENV PORT=$PORT\nCOPY --from=deps src/ /app/src/\nRUN <<EOF\napt-get update\nEOF\n\
        USER node\nCMD [\"node\", \"x.js\"]\n";

    fn check(history: &[(&str, bool)], expected: &[Option<u32>]) {
        let history: Vec<_> = history
            .iter()
            .map(|(created_by, empty_layer)| HistoryEntry {
                created_by: (*created_by).to_owned(),
                empty_layer: *empty_layer,
            })
            .collect();
        let count = history.iter().filter(|entry| !entry.empty_layer).count();
        let layer = Layer { diff_id: String::new(), created_by: String::new(), dockerfile_line: None, base: false };
        let mut layers = vec![layer; count];
        attribute(&mut layers, &history, Some((DOCKERFILE, None)));
        let lines: Vec<_> = layers.iter().map(|layer| layer.dockerfile_line).collect();
        assert_eq!(lines, expected, "{history:?}");
        for layer in &layers {
            let is_base = layer.dockerfile_line.is_none() && expected.iter().any(Option::is_some);
            assert_eq!(layer.base, is_base, "{layer:?}");
        }
    }

    #[test]
    fn buildkit_and_the_old_builder_are_understood() {
        check(
            &[
                ("/bin/sh -c #(nop) ADD file:abc in / ", false),
                ("/bin/sh -c #(nop)  CMD [\"bash\"]", true),
                ("WORKDIR /app", false),
                ("COPY package.json ./ # buildkit", false),
                ("RUN /bin/sh -c npm ci &&     npm cache clean # buildkit", false),
                ("ARG PORT=1", true),
                ("ENV PORT=1", true),
                ("COPY src/ /app/src/ # buildkit", false),
                ("RUN |1 PORT=1 /bin/sh -c apt-get update # buildkit", false),
                ("USER node", true),
                ("CMD [\"node\" \"x.js\"]", true),
            ],
            &[None, Some(3), Some(4), Some(5), Some(13), Some(14)],
        );
        check(
            &[
                ("/bin/sh -c #(nop) ADD file:abc in / ", false),
                ("/bin/sh -c #(nop) WORKDIR /app", true),
                ("/bin/sh -c #(nop) COPY file:0a in ./ ", false),
                ("/bin/sh -c npm ci &&     npm cache clean", false),
                ("/bin/sh -c #(nop)  ARG PORT=1", true),
                ("/bin/sh -c #(nop) COPY dir:12 in /app/src/ ", false),
                ("|1 PORT=1 /bin/sh -c apt-get update", false),
                ("/bin/sh -c #(nop)  USER node", true),
            ],
            &[None, Some(4), Some(5), Some(13), Some(14)],
        );
    }

    #[test]
    fn another_dockerfile_claims_nothing() {
        check(&[("/bin/sh -c #(nop) ADD file:abc in / ", false), ("RUN /bin/sh -c make", false)], &[None, None]);
    }
}
