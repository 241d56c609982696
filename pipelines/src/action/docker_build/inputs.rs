//! Inputs of `pipe/docker-build`, named as those of docker/build-push-action, checked.
//! Follows <https://github.com/docker/build-push-action#inputs>.

use std::collections::HashMap;
use std::path::PathBuf;

use engine::step::{ActionCall, InputFacts};
use workflow::catalogue::Form;
use workflow::secret::Secret;

use super::super::paths::below;
use super::super::{OutputFacts, input};

/// `true` or `false`, as that action takes them.
pub(super) const SWITCH: Form = Form::AnyCase(workflow::catalogue::SWITCH);

/// Its inputs.
pub const INPUTS: &[InputFacts] = &[
    input("context", ".", "Folder of the files for the build, in the workspace"),
    input("file", "", "Path of the Dockerfile in the workspace; `Dockerfile` in the context where it is empty"),
    input("tags", "", "Names of the image, one a line"),
    input("build-args", "", "NAME=value, one a line; never secrets"),
    input("target", "", "Stage to build"),
    input("platforms", "", "One platform, such as linux/arm64; that of the engine where it is empty"),
    input("secrets", "", "ID=value, one a line, for `RUN --mount=type=secret,id=ID`"),
    input("secret-files", "", "ID=path in the workspace, one a line"),
    input("labels", "", "NAME=value, one a line"),
    input("no-cache", "false", "Whether every step is done anew").form(SWITCH),
    input("pull", "false", "Whether base images are looked up in their registry although they are here").form(SWITCH),
    input("load", "true", "The image is always there for `docker run` afterwards").form(SWITCH),
    input("push", "false", "Not in this version").form(SWITCH),
    input("add-hosts", "", "name:address, one a line"),
    input("network", "", "Network of `RUN`: default, none or host"),
    input("shm-size", "", "Ignored with a warning"),
    input("cache-from", "", "Images to take layers from; `type=` caches are ignored with a warning"),
    input("cache-to", "", "`type=inline` or nothing; others are ignored with a warning"),
    input("provenance", "false", "Ignored with a warning"),
    input("sbom", "false", "Ignored with a warning"),
];

/// Its outputs.
pub const OUTPUTS: &[OutputFacts] = &[
    OutputFacts::new("imageid", "Id of the image"),
    OutputFacts::new("digest", "Digest of the image; equals its id as long as it is not pushed"),
    OutputFacts::new("metadata", "JSON with `containerimage.config.digest`, `containerimage.digest` and `image.name`"),
];

/// A build to do.
pub(super) struct Order {
    /// Whether it is of the repository's files and not of the workspace's.
    pub(super) of_repository: bool,
    /// A folder of those.
    pub(super) context: PathBuf,
    /// The Dockerfile among those.
    pub(super) file: PathBuf,
    /// Whether the Dockerfile is one of the workspace all the same.
    pub(super) file_of_workspace: bool,
    pub(super) tags: Vec<String>,
    pub(super) build_args: HashMap<String, String>,
    pub(super) target: String,
    pub(super) platform: String,
    pub(super) secrets: HashMap<String, Vec<u8>>,
    pub(super) secret_files: Vec<(String, PathBuf)>,
    pub(super) labels: HashMap<String, String>,
    pub(super) no_cache: bool,
    pub(super) pull: bool,
    pub(super) hosts: Vec<String>,
    pub(super) network: String,
    pub(super) cache_from: Vec<String>,
    pub(super) push: bool,
    pub(super) warnings: Vec<String>,
}

/// Secrets shorter than this are found in any text and prove nothing.
const SECRET_LENGTH_MIN: usize = 4;

impl Order {
    /// `official`: by the inputs of docker/build-push-action, which may push.
    pub(super) fn of(call: &ActionCall<'_>, official: bool) -> Result<Self, String> {
        let text = |name: &str| call.inputs.get(name).map_or("", |value| value.trim());
        let Place { of_repository, context, file, file_of_workspace } =
            Place::of(text("context"), text("file"), &call.workspace.inside, official)?;
        let platforms = list(text("platforms"));
        if platforms.len() > 1 {
            return Err(format!(
                "`platforms` takes one platform in this version, not {}; use a matrix",
                platforms.join(", ")
            ));
        }
        let push = boolean("push", text("push"))?;
        if push && !official {
            return Err("`push: true` cannot be done by this action: it builds images for this machine's Docker. Push in a step of its own".into());
        }
        let mut warnings = Vec::new();
        if !boolean("load", text("load"))? && !official {
            warnings.push("`load: false` is ignored: the image is always loaded".to_owned());
        }
        let build_args = pairs("build-args", text("build-args"))?;
        refuse_secrets(&build_args, call.secrets)?;
        let mut labels = pairs("labels", text("labels"))?;
        if !call.run.sha.is_empty() {
            labels.entry("org.opencontainers.image.revision".to_owned()).or_insert_with(|| call.run.sha.clone());
        }
        let secrets = secrets(text("secrets"))?;
        let secret_files = pairs("secret-files", text("secret-files"))?
            .into_iter()
            .map(|(id, path)| Ok((id, inside("secret-files", &path, &call.workspace.inside)?)))
            .collect::<Result<_, String>>()?;
        let cache_from = cache_from(text("cache-from"), &mut warnings);
        for name in ["cache-to", "provenance", "sbom", "shm-size"] {
            if !matches!(text(name), "" | "false" | "type=inline") {
                warnings.push(format!("`{name}: {}` is ignored by this version", text(name)));
            }
        }
        let tags = list(text("tags"));
        if let Some(bad) = tags
            .iter()
            .find(|tag| tag.contains(char::is_whitespace) || tag.chars().any(char::is_uppercase) && !tag.contains(':'))
        {
            return Err(format!("`tags`: `{bad}` is no name of an image: names are in lower case and have no spaces"));
        }
        Ok(Self {
            of_repository,
            context,
            file,
            file_of_workspace,
            tags,
            build_args,
            target: text("target").to_owned(),
            platform: platforms.into_iter().next().unwrap_or_default(),
            secrets,
            secret_files,
            labels,
            no_cache: boolean("no-cache", text("no-cache"))?,
            pull: boolean("pull", text("pull"))?,
            hosts: list(text("add-hosts")),
            network: text("network").to_owned(),
            cache_from,
            push,
            warnings,
        })
    }
}

/// Where a build's files are; as in [`Order`].
struct Place {
    of_repository: bool,
    context: PathBuf,
    file: PathBuf,
    file_of_workspace: bool,
}

impl Place {
    fn of(context: &str, file: &str, workspace: &str, official: bool) -> Result<Self, String> {
        let below_repository = if official { of_repository(context) } else { None };
        let context = match below_repository {
            Some(folder) => in_repository("context", folder)?,
            None => inside("context", context, workspace)?,
        };
        let of_repository = below_repository.is_some();
        let file_of_workspace = of_repository && file.starts_with('/');
        let file = match file {
            "" => context.join("Dockerfile"),
            file if of_repository && !file_of_workspace => context.join(in_repository("file", file)?),
            file => inside("file", file, workspace)?,
        };
        Ok(Self { of_repository, context, file, file_of_workspace })
    }
}

/// A build argument stays in the image's history, where everybody who has the image reads it.
fn refuse_secrets(arguments: &HashMap<String, String>, secrets: &[Secret]) -> Result<(), String> {
    let mut names: Vec<_> = arguments.iter().collect();
    names.sort();
    for (name, value) in names {
        if secrets.iter().any(|secret| secret.expose().len() >= SECRET_LENGTH_MIN && value.contains(secret.expose())) {
            return Err(format!(
                "`build-args`: `{name}` holds a secret, and build arguments can be read from the image. Give it in `secrets: {name}=…` \
                 and use it in the Dockerfile by `RUN --mount=type=secret,id={name} …`"
            ));
        }
    }
    Ok(())
}

fn cache_from(text: &str, warnings: &mut Vec<String>) -> Vec<String> {
    let mut images = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let registry = line.split(',').any(|part| part == "type=registry");
        match line.split(',').find_map(|part| part.strip_prefix("ref=")) {
            Some(image) if registry => images.push(image.to_owned()),
            Some(_) | None if line.contains("type=") => {
                warnings.push(format!("`cache-from: {line}` is ignored: this machine's own build cache is used"));
            }
            Some(_) | None => images.push(line.to_owned()),
        }
    }
    images
}

/// Lines, or a list with commas.
pub(super) fn list(text: &str) -> Vec<String> {
    text.split(['\n', ',']).map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

fn pairs(input: &str, text: &str) -> Result<HashMap<String, String>, String> {
    let mut pairs = HashMap::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once('=').ok_or_else(|| format!("`{input}`: `{line}` is not NAME=value"))?;
        pairs.insert(name.trim().to_owned(), value.to_owned());
    }
    Ok(pairs)
}

/// `ID=value` lines; a value in double quotes may go over several lines, with `""` for a quote, as in build-push-action.
fn secrets(text: &str) -> Result<HashMap<String, Vec<u8>>, String> {
    let mut found = HashMap::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim().is_empty() {
            continue;
        }
        let mut whole = line.trim_start().to_owned();
        // The value itself is never put into a message.
        while whole.matches('"').count() % 2 == 1 {
            let next = lines.next().ok_or("`secrets`: a value begins with `\"` and does not end")?;
            whole.push('\n');
            whole.push_str(next);
        }
        let unquoted = whole.strip_prefix('"').and_then(|rest| rest.trim_end().strip_suffix('"'));
        let whole = unquoted.map_or(whole.clone(), |inner| inner.replace("\"\"", "\""));
        let (id, value) = whole.split_once('=').ok_or("`secrets`: a line is not ID=value")?;
        let value = value
            .strip_prefix('"')
            .and_then(|rest| rest.trim_end().strip_suffix('"'))
            .map_or_else(|| value.to_owned(), |inner| inner.replace("\"\"", "\""));
        found.insert(id.trim().to_owned(), value.into_bytes());
    }
    Ok(found)
}

fn boolean(name: &str, text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" | "" => Ok(false),
        other => Err(format!("`{name}` must be true or false, not `{other}`")),
    }
}

/// The folder of the repository that a context is: nothing, or what docker/build-push-action puts the repository's address in the
/// place of (`{{defaultContext}}:docker`). `None`: it is one of the workspace.
fn of_repository(context: &str) -> Option<&str> {
    if context.is_empty() {
        return Some("");
    }
    let (name, rest) = context.strip_prefix("{{")?.split_once("}}")?;
    let folder = if rest.is_empty() { Some("") } else { rest.strip_prefix(':') };
    folder.filter(|_| name.trim() == "defaultContext")
}

/// A path relative to the repository, or to a folder of it.
fn in_repository(input: &str, text: &str) -> Result<PathBuf, String> {
    below(input, text, "").map_err(|_| format!("`{input}: {text}` leads out of the repository"))
}

/// A path relative to the workspace.
pub(super) fn inside(input: &str, text: &str, workspace: &str) -> Result<PathBuf, String> {
    if text.contains("://") || text.starts_with("git@") {
        return Err(format!(
            "`{input}: {text}`: only folders of the workspace can be built from; check the repository out first"
        ));
    }
    below(input, text, workspace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_lines() {
        let check = |text: &str, expect: &[(&str, &str)]| {
            let found = secrets(text).unwrap();
            let expect = expect.iter().map(|(id, value)| ((*id).to_owned(), value.as_bytes().to_vec())).collect();
            assert_eq!(found, expect, "{text}");
        };
        check("a=1\n\nb=x=y\n", &[("a", "1"), ("b", "x=y")]);
        check("\"key=line 1\nline \"\"2\"\"\"\nb=2", &[("key", "line 1\nline \"2\""), ("b", "2")]);
        check("key=\"one\ntwo\"", &[("key", "one\ntwo")]);
        assert!(secrets("nothing").unwrap_err().contains("not ID=value"));
        assert!(!secrets("hush").unwrap_err().contains("hush"));
    }

    #[test]
    fn contexts_of_the_repository() {
        for (context, expect) in [
            ("", Some("")),
            ("{{defaultContext}}", Some("")),
            ("{{ defaultContext }}:docker/app", Some("docker/app")),
            (".", None),
            ("app", None),
            ("{{other}}", None),
            ("{{defaultContext}}#main", None),
        ] {
            assert_eq!(of_repository(context), expect, "{context}");
        }
        assert_eq!(in_repository("file", "./a/../b"), Ok(PathBuf::from("b")));
        assert!(in_repository("file", "../b").unwrap_err().contains("leads out of the repository"));
    }

    #[test]
    fn paths_and_secrets() {
        assert_eq!(inside("context", "./a/../b", "/w"), Ok(PathBuf::from("b")));
        assert_eq!(inside("context", "/w/b", "/w"), Ok(PathBuf::from("b")));
        assert!(inside("context", "..", "/w").unwrap_err().contains("is outside of the workspace"));
        assert!(
            inside("context", "https://github.com/a/b.git", "/w").unwrap_err().contains("check the repository out")
        );
        let arguments = HashMap::from([("TOKEN".to_owned(), "x-s3cr3t-y".to_owned())]);
        let error = refuse_secrets(&arguments, &["s3cr3t".into()]).unwrap_err();
        assert!(error.contains("`TOKEN` holds a secret") && !error.contains("s3cr3t"), "{error}");
        assert_eq!(refuse_secrets(&arguments, &["s".into(), "other".into()]), Ok(()));
    }
}
