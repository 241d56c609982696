//! `actions/setup-node` natively. Follows <https://github.com/actions/setup-node#usage>.

use std::collections::BTreeSet;

use async_trait::async_trait;
use bytes::Bytes;
use engine::step::{ActionCall, ActionError, BuiltInAction, InputFacts};
use serde_json::Value;

use super::super::aws_step::{failed, given};
use super::super::{OutputFacts, input};
use super::{Found, Tool, folder_of, of_tool_versions};

/// Its inputs, by the names of the official action.
pub const INPUTS: &[InputFacts] = &[
    input(
        "node-version",
        "",
        "Which: `20`, `20.11.1`, `>=18`, `lts/*`, `lts/iron`, `lts/-1` (the one before the newest), `latest`; empty: that of the image",
    ),
    input("node-version-file", "", "File that says which: .nvmrc, .node-version, .tool-versions or package.json"),
    input("architecture", "", "Not used: it is that of the job"),
    input("check-latest", "false", "Not used: nothing is downloaded"),
    input("registry-url", "", "Registry of packages, for an .npmrc of the job"),
    input("scope", "", "Scope of packages that the registry is for"),
    input("token", "", "Not used: nothing is downloaded"),
    input("cache", "", "Not used, which is said: `actions/cache` keeps files of package managers"),
    input("package-manager-cache", "true", "Not used"),
    input("cache-dependency-path", "", "Not used"),
    input("cache-write", "true", "Not used"),
    input("mirror", "", "Not used: nothing is downloaded"),
    input("mirror-token", "", "Not used: nothing is downloaded"),
    input("always-auth", "", "Not used any more"),
];

/// Its outputs.
pub const OUTPUTS: &[OutputFacts] = &[
    OutputFacts::new("cache-hit", "`false`: nothing is cached here"),
    OutputFacts::new("node-version", "The version, such as v20.11.1"),
];

/// Those of the job's PATH, of its tool cache, and of what is kept for actions.
const TOOL: Tool = Tool {
    name: "Node.js",
    inputs: ["node-version", "node-version-file"],
    look: r#"say() { if [ -x "$2" ] && said=$("$2" --version 2>/dev/null); then printf '%s\t%s\t%s\n' "$1" "$2" "$said"; fi; }
if own=$(command -v node); then say image "$own"; fi
for one in "$RUNNER_TOOL_CACHE"/node/*/*/bin/node; do say 'tool cache' "$one"; done
for one in /__e/*/bin/node; do say kept "$one"; done
"#,
    example: "`20`, `20.11.1` or `>=18 <21`",
    image: "node:%",
};

/// Long-term releases by their names, see <https://github.com/nodejs/Release/blob/main/CODENAMES.md>.
const NAMED: [(&str, u64); 12] = [
    ("argon", 4),
    ("boron", 6),
    ("carbon", 8),
    ("dubnium", 10),
    ("erbium", 12),
    ("fermium", 14),
    ("gallium", 16),
    ("hydrogen", 18),
    ("iron", 20),
    ("jod", 22),
    ("krypton", 24),
    ("lithium", 26),
];

/// From this one on each release becomes a long-term one; before, those with an even number did.
const EACH_FROM: u64 = 27;

/// What may be read of it by all.
const MODE: u32 = 0o600;

/// The action.
#[derive(Debug, Clone, Copy, Default)]
pub struct SetupNode;

#[async_trait]
impl BuiltInAction for SetupNode {
    fn name(&self) -> &'static str {
        "actions/setup-node"
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
        let node = match &wanted {
            None => found
                .first()
                .cloned()
                .ok_or_else(|| failed("the job's image has no Node.js, and no `node-version` is written"))?,
            Some((text, input)) => chosen(&found, input, text)?,
        };
        if node.place == "kept" {
            call.log.warning("this Node.js is the one that actions run with: it has no npm").await;
        }
        call.log.line(&format!("Found in {}: Node.js {} ({})", node.place, node.text(), node.program)).await;
        call.paths.push(folder_of(&node.program));
        call.outputs.insert("node-version".to_owned(), format!("v{}", node.text()));
        call.outputs.insert("cache-hit".to_owned(), "false".to_owned());
        if let Some(manager) = given(call, "cache") {
            let text = format!("`cache: {manager}` is not used: `actions/cache` keeps files of package managers");
            call.log.warning(&text).await;
        }
        match given(call, "registry-url").map(str::to_owned) {
            Some(url) => registry(call, &url).await,
            None => Ok(()),
        }
    }
}

fn chosen(found: &[Found], input: &str, text: &str) -> Result<Found, ActionError> {
    let plain = text.trim().trim_start_matches("node/");
    if matches!(plain, "latest" | "node" | "current") {
        return TOOL.chosen(found, text, |_| true);
    }
    if let Some(name) = plain.strip_prefix("lts/") {
        return long_term(found, input, name);
    }
    let range = TOOL.range(input, plain)?;
    TOOL.chosen(found, text, |version| range.has(version))
}

/// The newest of those that are here (`*`), one by its name, or one by how many came after it (`-1`). The last are counted from
/// the newest that is known or here, since what came out meanwhile is not asked for.
fn long_term(found: &[Found], input: &str, name: &str) -> Result<Found, ActionError> {
    if name == "*" {
        return TOOL.chosen(found, "lts/*", |(major, ..)| is_long_term(major));
    }
    let Some(back) = name.strip_prefix('-').and_then(|back| back.parse::<usize>().ok()).filter(|back| *back > 0) else {
        let major = NAMED.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, major)| *major);
        let major = major.ok_or_else(|| {
            let known = NAMED.map(|(known, _)| format!("`lts/{known}`")).join(", ");
            failed(format!("`{input}`: no long-term release is called `{name}`; write {known}, `lts/-1` or `lts/*`"))
        })?;
        return TOOL.chosen(found, &major.to_string(), |version| version.0 == major);
    };
    let known = NAMED.iter().map(|(_, major)| *major);
    let here = found.iter().map(|one| one.version.0).filter(|major| is_long_term(*major));
    let all: BTreeSet<u64> = known.chain(here).collect();
    let counted = format!("counted from {}, the newest long-term release that is known here", all.last().unwrap_or(&0));
    let Some(major) = all.iter().rev().nth(back).copied() else {
        let most = all.len() - 1;
        return Err(failed(format!("`{input}`: there is no `lts/{name}`: {counted}, it goes back to `lts/-{most}`")));
    };
    let chosen = TOOL.chosen(found, &major.to_string(), |version| version.0 == major);
    chosen.map_err(|error| failed(format!("`lts/{name}` is Node.js {major}, {counted}: {error}")))
}

fn is_long_term(major: u64) -> bool {
    major.is_multiple_of(2) || major >= EACH_FROM
}

/// The version that a file names.
fn version_of(name: &str, text: &str) -> Option<String> {
    if name == "package.json" {
        let json: Value = serde_json::from_str(text).ok()?;
        let at = |path: &str| json.pointer(path).and_then(Value::as_str).map(str::to_owned);
        return at("/volta/node").or_else(|| at("/devEngines/runtime/version")).or_else(|| at("/engines/node"));
    }
    if name == ".tool-versions" {
        return of_tool_versions(text, &["nodejs", "node"]);
    }
    let line =
        text.lines().map(|line| line.split('#').next().unwrap_or_default().trim()).find(|line| !line.is_empty())?;
    Some(line.trim_start_matches('v').to_owned())
}

/// An `.npmrc` of the job, with a variable in the place of a token, as the official action writes it.
async fn registry(call: &mut ActionCall<'_>, url: &str) -> Result<(), ActionError> {
    let url = if url.ends_with('/') { url.to_owned() } else { format!("{url}/") };
    let Some((_, bare)) = url.split_once(':').filter(|(scheme, _)| matches!(*scheme, "http" | "https")) else {
        return Err(failed(format!(
            "`registry-url: {url}` is no address of a registry, such as https://registry.npmjs.org/"
        )));
    };
    let scope = match given(call, "scope") {
        Some(scope) => format!("@{}:", scope.trim_start_matches('@').to_lowercase()),
        None => String::new(),
    };
    let folder = call.env.get("RUNNER_TEMP").cloned().unwrap_or_else(|| call.run.home.clone());
    let path = format!("{folder}/.npmrc");
    let text = format!("{bare}:_authToken=${{NODE_AUTH_TOKEN}}\n{scope}registry={url}\n");
    let written = call.job.write_file(&path, Bytes::from(text), MODE).await;
    written.map_err(|error| failed(format!("{path} of the job cannot be written: {error}")))?;
    call.exports.push(("NPM_CONFIG_USERCONFIG".to_owned(), path));
    if !call.env.contains_key("NODE_AUTH_TOKEN") {
        call.exports.push(("NODE_AUTH_TOKEN".to_owned(), "XXXXX-XXXXX-XXXXX-XXXXX".to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_name_versions() {
        for (name, text, expect) in [
            (".nvmrc", "v20.11.1\n", Some("20.11.1")),
            (".nvmrc", "# ours\nlts/iron # iron\n", Some("lts/iron")),
            (".node-version", "22\n", Some("22")),
            (".tool-versions", "python 3.12\nnodejs 20.11.1\n", Some("20.11.1")),
            (".tool-versions", "python 3.12\n", None),
            ("package.json", r#"{"engines":{"node":">=18"},"volta":{"node":"20.1.0"}}"#, Some("20.1.0")),
            ("package.json", r#"{"engines":{"node":">=18"}}"#, Some(">=18")),
            ("package.json", "{}", None),
            (".nvmrc", "\n", None),
        ] {
            assert_eq!(version_of(name, text).as_deref(), expect, "{name} {text}");
        }
    }
}
