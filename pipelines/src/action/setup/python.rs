//! `actions/setup-python` natively. Follows <https://github.com/actions/setup-python#basic-usage>.

use async_trait::async_trait;
use engine::step::{ActionCall, ActionError, BuiltInAction, InputFacts};

use super::super::aws_step::{failed, given};
use super::super::script::{self, Output, Script};
use super::super::{OutputFacts, input};
use super::{Found, Tool, folder_of, of_tool_versions};

/// Its inputs, by the names of the official action.
pub const INPUTS: &[InputFacts] = &[
    input(
        "python-version",
        "",
        "Which: `3.12`, `3.12.1`, `3.x`, `>=3.9 <3.13`; of several, one a line, the last is the one",
    ),
    input(
        "python-version-file",
        "",
        "File that says which: .python-version, .tool-versions, Pipfile or pyproject.toml",
    ),
    input("cache", "", "Not used, which is said: `actions/cache` keeps files of package managers"),
    input("architecture", "", "Not used: it is that of the job"),
    input("check-latest", "false", "Not used: nothing is downloaded"),
    input("token", "", "Not used: nothing is downloaded"),
    input("cache-dependency-path", "", "Not used"),
    input("update-environment", "true", "Whether the steps behind it find it").switch(),
    input("allow-prereleases", "false", "Not used"),
    input("freethreaded", "false", "Not known here"),
    input("pip-version", "", "Not used, which is said"),
    input("pip-install", "", "Not used, which is said"),
];

/// Its outputs.
pub const OUTPUTS: &[OutputFacts] = &[
    OutputFacts::new("python-version", "The version, such as 3.12.1"),
    OutputFacts::new("cache-hit", "`false`: nothing is cached here"),
    OutputFacts::new("python-path", "Its program"),
];

/// Those of the job's PATH, under each name that they have there, and of its tool cache.
const TOOL: Tool = Tool {
    name: "Python",
    inputs: ["python-version", "python-version-file"],
    look: r#"say() {
  if [ -x "$2" ] && said=$("$2" -c 'import platform; print(platform.python_version())' 2>/dev/null); then
    printf '%s\t%s\t%s\n' "$1" "$2" "$said"
  fi
}
if own=$(command -v python); then say image "$own"; fi
if own=$(command -v python3); then say image "$own"; fi
IFS=:
for folder in $PATH; do
  for one in "$folder"/python3.[0-9] "$folder"/python3.[0-9][0-9]; do say image "$one"; done
done
for one in "$RUNNER_TOOL_CACHE"/Python/*/*/bin/python3; do say 'tool cache' "$one"; done
"#,
    example: "`3.12`, `3.12.1` or `>=3.9 <3.13`",
    image: "python:%",
};

/// Makes `python` and `python3` lead to a program that is called otherwise.
const NAMES: &str = r#"mkdir -p "$NAMES"
for name in python python3; do ln -sf "$PROGRAM" "$NAMES/$name"; done
"#;

/// The action.
#[derive(Debug, Clone, Copy, Default)]
pub struct SetupPython;

#[async_trait]
impl BuiltInAction for SetupPython {
    fn name(&self) -> &'static str {
        "actions/setup-python"
    }

    fn stands_in(&self) -> bool {
        true
    }

    fn inputs(&self) -> &'static [InputFacts] {
        INPUTS
    }

    async fn run(&self, call: &mut ActionCall<'_>) -> Result<(), ActionError> {
        let wanted = TOOL.wanted(call, version_of).await?;
        let found = TOOL.found(call).await?;
        let python = match &wanted {
            None => found
                .first()
                .cloned()
                .ok_or_else(|| failed("the job's image has no Python, and no `python-version` is written"))?,
            Some((text, input)) => {
                // Each is set up, and the last one is what `python` means.
                let mut last = None;
                for one in text.lines().map(str::trim).filter(|one| !one.is_empty()) {
                    last = Some(chosen(&found, input, one)?);
                }
                last.ok_or_else(|| failed(format!("`{input}` names no version")))?
            }
        };
        call.log.line(&format!("Found in {}: Python {} ({})", python.place, python.text(), python.program)).await;
        for name in ["cache", "pip-version", "pip-install"] {
            if given(call, name).is_some() {
                call.log.warning(&format!("`{name}` is not used by the built-in actions/setup-python")).await;
            }
        }
        if given(call, "update-environment") != Some("false") {
            found_by_steps(call, &python, found.first()).await?;
        }
        for (name, value) in [
            ("python-version", python.text()),
            ("python-path", python.program.clone()),
            ("cache-hit", "false".to_owned()),
        ] {
            call.outputs.insert(name.to_owned(), value);
        }
        Ok(())
    }
}

/// Lets the steps behind this one find it as `python`. `first`: what they would find.
async fn found_by_steps(call: &mut ActionCall<'_>, python: &Found, first: Option<&Found>) -> Result<(), ActionError> {
    let bin = folder_of(&python.program);
    let root = folder_of(&bin);
    let is_found = first.is_some_and(|first| first == python && python.program.ends_with("/python"));
    if !is_found {
        let temporary = call.env.get("RUNNER_TEMP").cloned().unwrap_or_else(|| call.job.facts().run_directory.clone());
        let names = format!("{temporary}/_python/{}", python.text());
        let env = vec![("NAMES".to_owned(), names.clone()), ("PROGRAM".to_owned(), python.program.clone())];
        let ran = script::run(call, &Script { number: 2, text: NAMES, env }, Output::Log).await?;
        ran.forget();
        if let Some(problem) = ran.problem() {
            return Err(failed(format!("`python` cannot be made to mean {}: that {problem}", python.program)));
        }
        call.paths.push(bin);
        call.paths.push(names);
    }
    for name in ["pythonLocation", "Python_ROOT_DIR", "Python2_ROOT_DIR", "Python3_ROOT_DIR"] {
        call.exports.push((name.to_owned(), root.clone()));
    }
    call.exports.push(("PKG_CONFIG_PATH".to_owned(), format!("{root}/lib/pkgconfig")));
    Ok(())
}

fn chosen(found: &[Found], input: &str, text: &str) -> Result<Found, ActionError> {
    if ["pypy", "graalpy"].iter().any(|other| text.starts_with(other)) || is_freethreaded(text) {
        return Err(failed(format!("`{input}: {text}`: the built-in actions/setup-python knows CPython only")));
    }
    let plain = text.trim_end_matches("-dev");
    let range = TOOL.range(input, plain)?;
    TOOL.chosen(found, text, |version| range.has(version))
}

/// `3.13t`.
fn is_freethreaded(text: &str) -> bool {
    text.strip_suffix('t').is_some_and(|rest| rest.ends_with(|last: char| last.is_ascii_digit()))
}

/// The version that a file names.
fn version_of(name: &str, text: &str) -> Option<String> {
    match name {
        ".tool-versions" => of_tool_versions(text, &["python"]),
        "Pipfile" => of_toml(text, &[&["requires", "python_full_version"], &["requires", "python_version"]]),
        name if name.ends_with(".toml") => {
            of_toml(text, &[&["project", "requires-python"], &["tool", "poetry", "dependencies", "python"]])
        }
        _ => {
            let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
            let wanted: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
            (!wanted.is_empty()).then(|| wanted.join("\n"))
        }
    }
}

/// The first of these that a file of TOML has: a text, or what poetry writes in its place, a table with `version`.
fn of_toml(text: &str, paths: &[&[&str]]) -> Option<String> {
    let file: toml::Table = text.parse().ok()?;
    let found = |path: &&[&str]| {
        let (last, tables) = path.split_last()?;
        let mut table = &file;
        for name in tables {
            table = table.get(*name)?.as_table()?;
        }
        let value = table.get(*last)?;
        value.as_str().or_else(|| value.get("version")?.as_str()).map(str::to_owned)
    };
    paths.iter().find_map(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_name_versions() {
        for (name, text, expect) in [
            (".python-version", "3.12.1\n", Some("3.12.1")),
            (".python-version", "# ours\n3.12\n3.11\n", Some("3.12\n3.11")),
            (".tool-versions", "nodejs 20\npython 3.12.1\n", Some("3.12.1")),
            ("pyproject.toml", "[project]\nrequires-python = \">=3.9,<3.13\"\n", Some(">=3.9,<3.13")),
            ("Pipfile", "[requires]\npython_version = \"3.11\"\n", Some("3.11")),
            ("Pipfile", "[requires]\npython_version = '3.11'\npython_full_version = '3.11.2'\n", Some("3.11.2")),
            ("pyproject.toml", "[project]\nrequires-python = '>=3.9' # \"ours\"\n", Some(">=3.9")),
            ("pyproject.toml", "[tool.poetry.dependencies]\npython = \"^3.9\"\n", Some("^3.9")),
            ("pyproject.toml", "[tool.poetry.dependencies]\npython = { version = \"^3.11\" }\n", Some("^3.11")),
            (
                "pyproject.toml",
                "[tool.poetry.dependencies.python]\nversion = '~3.11'\noptional = false\n",
                Some("~3.11"),
            ),
            (
                "pyproject.toml",
                "[project]\nname = 'a'\n[tool.poetry.dependencies]\npython.version = '3.12.*'\n",
                Some("3.12.*"),
            ),
            ("pyproject.toml", "[tool.poetry.dependencies]\npython = { path = \"../python\" }\n", None),
            ("pyproject.toml", "[tool.pyright]\npython = \"3.8\"\n", None),
            ("pyproject.toml", "[project]\nrequires-python = \n", None),
            ("pyproject.toml", "[project]\n", None),
        ] {
            assert_eq!(version_of(name, text).as_deref(), expect, "{name} {text}");
        }
    }
}
