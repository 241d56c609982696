//! An `action.yml`: read against its schema like a workflow, then into its model.
//!
//! Says in GitHub's words what GitHub's runner refuses. Follows
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/metadata-syntax>.

use indexmap::IndexMap;

use super::checks::Checks;
use super::condition;
use super::options::ReadOptions;
use super::steps;
use crate::action::{Action, ActionImage, ActionInput, ActionRuns, ContainerRuns, NodeVersion, ScriptRuns, is_inside};
use crate::expression::Expression;
use crate::model::{Step, StepKind};
use crate::schema::{ACTION_ROOT, Schema};
use crate::source::{SourceFile, SourceMap};
use crate::template::{self, Budget, ReadError, Token, TokenKind};

/// What a reading of an action gave.
#[derive(Debug, Clone)]
pub struct ActionReading {
    /// The file.
    pub sources: SourceMap,
    /// The action, unless there are errors.
    pub action: Option<Action>,
    /// What GitHub's runner refuses, in its order and words.
    pub errors: Vec<ReadError>,
}

/// Reads the `action.yml` of the action in a folder of its repository (empty: at its root).
pub fn read_action(file: SourceFile, folder: &str, options: &ReadOptions) -> ActionReading {
    let mut sources = SourceMap::default();
    let (action, errors) = read_among(file, folder, &mut sources, options);
    ActionReading { sources, action, errors }
}

/// The same among other files, as one of a session; spans are in `sources`.
pub(crate) fn read_among(
    file: SourceFile,
    folder: &str,
    sources: &mut SourceMap,
    options: &ReadOptions,
) -> (Option<Action>, Vec<ReadError>) {
    let mut checks = Checks::new(options);
    checks.folder = folder;
    let id = sources.add(file.clone());
    checks.enter(file.clone());
    let mut budget = Budget::new(options.limits);
    let reading = template::Reading {
        schema: Schema::action(),
        root: ACTION_ROOT,
        budget: &mut budget,
        background_steps: options.background_steps,
        repairs: None,
        errors: &mut checks.errors,
    };
    let tokens = template::read(&file, id, reading);
    let action = tokens.filter(|_| checks.errors.is_empty()).and_then(|tokens| action(&mut checks, &tokens, &file));
    (action.filter(|_| checks.errors.is_empty()), checks.errors)
}

fn action(checks: &mut Checks<'_>, written: &Token, file: &SourceFile) -> Option<Action> {
    let Some(written_runs) = written.get("runs") else {
        checks.unplaced(Some(written.span), format!("Top level 'runs:' section is required for {}", file.name()));
        return None;
    };
    let runs = runs(checks, written_runs, file)?;
    let named = |token: Option<&Token>| -> Vec<(String, Token)> {
        let pairs = token.and_then(Token::as_mapping).unwrap_or_default();
        pairs.iter().filter_map(|(key, value)| Some((key.as_str()?.to_owned(), value.clone()))).collect()
    };
    let inputs = named(written.get("inputs")).into_iter().map(|(name, value)| (name, input(&value))).collect();
    let outputs: IndexMap<_, _> = named(written.get("outputs"))
        .into_iter()
        .filter_map(|(name, output)| Some((name, output.get("value")?.clone())))
        .collect();
    Some(Action { name: text(written, "name"), inputs, outputs, runs, is_described: true })
}

fn input(written: &Token) -> ActionInput {
    let required = written.get("required").is_some_and(|token| match &token.kind {
        TokenKind::Boolean(value) => *value,
        TokenKind::String(text) => text.eq_ignore_ascii_case("true"),
        TokenKind::Null
        | TokenKind::Number(_)
        | TokenKind::Sequence(_)
        | TokenKind::Mapping(_)
        | TokenKind::Expression(_)
        | TokenKind::Insert => false,
    });
    ActionInput { required, default: written.get("default").cloned(), deprecation: text(written, "deprecationMessage") }
}

fn text(written: &Token, key: &str) -> Option<String> {
    written.get(key).and_then(Token::as_str).map(str::to_owned)
}

fn runs(checks: &mut Checks<'_>, written: &Token, file: &SourceFile) -> Option<ActionRuns> {
    let using = written.get("using").and_then(Token::as_str).unwrap_or_default();
    let lower = using.to_ascii_lowercase();
    if lower == "composite" {
        let Some(list) = written.get("steps") else {
            let file = file.name();
            let message = format!("You are using a composite action but there are no steps provided in {file}.");
            checks.error(written.span, message);
            return None;
        };
        return Some(ActionRuns::Composite(composite_steps(checks, list)));
    }
    if lower == "docker" {
        return container(checks, written, file).map(|container| ActionRuns::Container(Box::new(container)));
    }
    if let Some(node) = NodeVersion::ALL.into_iter().find(|node| node.word() == lower) {
        return script(checks, written, node, file).map(|script| ActionRuns::Script(Box::new(script)));
    }
    let at = written.get("using").map_or(written.span, |token| token.span);
    checks.error_with_help(
        at,
        format!("'using: {using}' is not supported, use 'docker', 'node12', 'node16', 'node20' or 'node24' instead."),
        Some("an action of steps has `using: composite`".to_owned()),
    );
    None
}

fn script(checks: &mut Checks<'_>, written: &Token, node: NodeVersion, file: &SourceFile) -> Option<ScriptRuns> {
    let Some(main) = text(written, "main") else {
        let (word, file) = (node.word(), file.name());
        checks.error(written.span, format!("You are using a JavaScript Action but there is not an entry JavaScript file provided in {file}. Add `main:` beside `using: {word}`."));
        return None;
    };
    for key in ["main", "pre", "post"] {
        stays_inside(checks, written, key);
    }
    let (pre, post) = (part(checks, written, ["pre", "pre-if"]), part(checks, written, ["post", "post-if"]));
    Some(ScriptRuns { node, main, pre, post })
}

/// A file of the action that is named below a key. GitHub takes any path, and finds nothing outside of the repository.
fn stays_inside(checks: &mut Checks<'_>, written: &Token, key: &str) {
    if let Some(token) = written.get(key)
        && let Some(path) = token.as_str().filter(|path| !is_inside(checks.folder, path))
    {
        let message = format!("`{key}: {path}` is outside of the action's repository");
        let help = "name a file of the repository; paths count from the folder of action.yml".to_owned();
        checks.error_with_help(token.span, message, Some(help));
    }
}

/// What is done before or after, and when.
fn part(checks: &mut Checks<'_>, written: &Token, [key, condition]: [&str; 2]) -> Option<(String, Expression)> {
    let what = text(written, key)?;
    Some((what, part_condition(checks, written.get(condition))))
}

fn container(checks: &mut Checks<'_>, written: &Token, file: &SourceFile) -> Option<ContainerRuns> {
    let named =
        written.get("image").and_then(|token| Some((token.span, token.as_str().filter(|text| !text.is_empty())?)));
    let Some((span, image)) = named else {
        let file = file.name();
        checks.error(written.span, format!("You are using a Container Action but an image is not provided in {file}."));
        return None;
    };
    let Some(image) = ActionImage::parse(image) else {
        checks.error(span, format!("'{image}' should be either '[path]/Dockerfile' or 'docker://image[:tag]'."));
        return None;
    };
    if matches!(image, ActionImage::Dockerfile(_)) {
        stays_inside(checks, written, "image");
    }
    let env = written.get("env").and_then(Token::as_mapping).unwrap_or_default();
    Some(ContainerRuns {
        image,
        entrypoint: text(written, "entrypoint").filter(|text| !text.is_empty()),
        args: written.get("args").and_then(Token::as_sequence).map(<[Token]>::to_vec),
        env: env.iter().filter_map(|(name, value)| Some((name.as_str()?.to_owned(), value.clone()))).collect(),
        pre: part(checks, written, ["pre-entrypoint", "pre-if"]),
        post: part(checks, written, ["post-entrypoint", "post-if"]),
    })
}

/// `pre-if:` and `post-if:`: where they are absent, whatever became of the job.
fn part_condition(checks: &mut Checks<'_>, written: Option<&Token>) -> Expression {
    written.map_or_else(condition::always, |written| condition::read_part(checks, written))
}

fn composite_steps(checks: &mut Checks<'_>, list: &Token) -> Vec<Step> {
    let steps = steps::read(checks, list);
    for step in &steps {
        let refused = match &step.kind {
            StepKind::Run { .. } | StepKind::Uses { .. } if step.background.is_none() => continue,
            StepKind::Run { .. } | StepKind::Uses { .. } => "background",
            StepKind::Wait(_) => "wait",
            StepKind::WaitAll => "wait-all",
            StepKind::Cancel(_) => "cancel",
            StepKind::Parallel(_) => "parallel",
        };
        checks.error(step.span, format!("'{refused}' is not allowed in the steps of a composite action"));
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &str) {
        check_in("", text, expect);
    }

    fn check_in(folder: &str, text: &str, expect: &str) {
        let text = text.replace("\n$", "\nruns: { using: composite, steps: [");
        let reading = read_action(SourceFile::new("action.yml", text.as_str()), folder, &ReadOptions::default());
        let got = match &reading.action {
            Some(action) => {
                let inputs = action.inputs.iter().map(|(name, input)| {
                    let marks =
                        [(input.required, "!"), (input.default.is_some(), "="), (input.deprecation.is_some(), "~")];
                    marks.iter().filter(|(is, _)| *is).fold(name.clone(), |name, (_, mark)| name + mark)
                });
                let inputs: Vec<_> = inputs.collect();
                let outputs: Vec<_> = action.outputs.keys().cloned().collect();
                let runs = match &action.runs {
                    ActionRuns::Composite(steps) => format!("{} steps", steps.len()),
                    ActionRuns::Script(script) => {
                        let part = |part: &Option<(String, Expression)>| {
                            part.as_ref().map(|(path, condition)| format!(" {path} if {}", condition.text()))
                        };
                        let (pre, post) = (part(&script.pre), part(&script.post));
                        let (pre, post) = (pre.unwrap_or_default(), post.unwrap_or_default());
                        format!("{} {}{pre}{post}", script.node.word(), script.main)
                    }
                    ActionRuns::Container(runs) => {
                        let ContainerRuns { image, entrypoint, args, env, pre, post } = &**runs;
                        let part = |part: &Option<(String, Expression)>| {
                            part.as_ref().map(|(what, condition)| format!("{what} if {}", condition.text()))
                        };
                        let args = args.as_ref().map(Vec::len);
                        format!("{image:?} {entrypoint:?} {args:?} {} {:?} {:?}", env.len(), part(pre), part(post))
                    }
                };
                format!("{} [{}] [{}]", runs, inputs.join(" "), outputs.join(" "))
            }
            None => {
                let texts = reading.errors.iter().map(|error| error.github_text(&reading.sources));
                texts.collect::<Vec<_>>().join("\n")
            }
        };
        assert_eq!(got, expect, "{text}");
    }

    #[test]
    fn actions() {
        check("name: x\n$ { run: a, shell: bash }, { uses: ./b } ] }", "2 steps [] []");
        check(
            "inputs: { a: { required: true }, b: { default: 1 }, c: { deprecationMessage: no, default: '' }, d: {} }\noutputs: { o: { value: '${{ steps.x.outputs.y }}' } }\n$ ] }",
            "0 steps [a! b= c=~ d] [o]",
        );
        check("runs: { using: node20, main: index.js }", "node20 index.js [] []");
        check(
            "runs: { using: Node24, main: a/b.js, pre: p.js, post: ./a/../q.js, post-if: success() && env.A }",
            "node24 a/b.js p.js if always() ./a/../q.js if success() && env.A [] []",
        );
        check("runs: { using: node16, main: m.js, post: q.js }", "node16 m.js q.js if always() [] []");
        check(
            "runs: { using: node20, main: ../m.js, post: /q.js }",
            "action.yml (Line: 1, Col: 30): `main: ../m.js` is outside of the action's repository\naction.yml (Line: 1, Col: 45): `post: /q.js` is outside of the action's repository",
        );
        check(
            "runs: { using: node20, pre: m.js }",
            "action.yml (Line: 1, Col: 7): You are using a JavaScript Action but there is not an entry JavaScript file provided in action.yml. Add `main:` beside `using: node20`.",
        );
        check(
            "runs: { using: node20, main: m.js, post: q.js, post-if: secrets.A }",
            "action.yml (Line: 1, Col: 57): Unrecognized named-value: 'secrets'. Located at position 1 within expression: secrets.A",
        );
        check(
            "runs: { using: node18, main: x }",
            "action.yml (Line: 1, Col: 16): 'using: node18' is not supported, use 'docker', 'node12', 'node16', 'node20' or 'node24' instead.",
        );
        check("runs: { using: docker, image: Dockerfile }", "Dockerfile(\"Dockerfile\") None None 0 None None [] []");
        check(
            "runs: { using: docker, image: 'DOCKER://a:1', entrypoint: /e, args: ['${{ inputs.a }}', b], env: { A: x }, pre-entrypoint: p, post-entrypoint: q, post-if: failure() }",
            "Reference(\"a:1\") Some(\"/e\") Some(2) 1 Some(\"p if always()\") Some(\"q if failure()\") [] []",
        );
        check(
            "runs: { using: docker, image: a/b.Dockerfile, args: ['${{ env.A }}'] }",
            "action.yml (Line: 1, Col: 54): Unrecognized named-value: 'env'. Located at position 1 within expression: env.A",
        );
        check(
            "runs: { using: docker, image: alpine }",
            "action.yml (Line: 1, Col: 31): 'alpine' should be either '[path]/Dockerfile' or 'docker://image[:tag]'.",
        );
        check(
            "runs: { using: docker, image: ../Dockerfile }",
            "action.yml (Line: 1, Col: 31): `image: ../Dockerfile` is outside of the action's repository",
        );
        check(
            "runs: { using: docker, args: [a] }",
            "action.yml (Line: 1, Col: 7): You are using a Container Action but an image is not provided in action.yml.",
        );
        check("name: x", "Top level 'runs:' section is required for action.yml");
        check("name: x\n$ { run: a } ] }", "action.yml (Line: 2, Col: 36): Required property is missing: shell");
        check(
            "name: x\n$ { run: '${{ secrets.A }}', shell: sh } ] }",
            "action.yml (Line: 2, Col: 43): Unrecognized named-value: 'secrets'. Located at position 1 within expression: secrets.A",
        );
        check(
            "name: x\n$ { id: a, run: a, shell: sh }, { id: A, run: a, shell: sh } ] }",
            "action.yml (Line: 2, Col: 72): The identifier 'A' may not be used more than once within the same scope.",
        );
        check(
            "runs: { using: composite }",
            "action.yml (Line: 1, Col: 7): There's not enough info to determine what you meant. Add one of these properties: args, entrypoint, env, image, main, post, post-entrypoint, pre, pre-entrypoint, steps",
        );
        check(
            "runs: { using: nodule, main: x }",
            "action.yml (Line: 1, Col: 16): 'using: nodule' is not supported, use 'docker', 'node12', 'node16', 'node20' or 'node24' instead.",
        );
    }

    /// Actions of one repository share their files: `actions/cache/restore`, `gradle/actions/setup-gradle`.
    #[test]
    fn files_of_other_folders_of_the_repository() {
        check_in(
            "restore",
            "runs: { using: node24, main: ../dist/m.js, post: '..\\dist\\q.js' }",
            "node24 ../dist/m.js ..\\dist\\q.js if always() [] []",
        );
        check_in(
            "a/b",
            "runs: { using: docker, image: ../../docker/Dockerfile }",
            "Dockerfile(\"../../docker/Dockerfile\") None None 0 None None [] []",
        );
        check_in(
            "restore",
            "runs: { using: node24, main: ../../m.js, pre: ../dist/../../p.js }",
            "action.yml (Line: 1, Col: 30): `main: ../../m.js` is outside of the action's repository\naction.yml (Line: 1, Col: 47): `pre: ../dist/../../p.js` is outside of the action's repository",
        );
        check_in(
            "restore",
            "runs: { using: node24, main: /m.js }",
            "action.yml (Line: 1, Col: 30): `main: /m.js` is outside of the action's repository",
        );
    }
}
