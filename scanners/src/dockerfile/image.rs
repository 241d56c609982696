//! Rules about the image that an instruction makes: where it comes from, who it runs as, what lies in its settings.

use std::collections::BTreeSet;

use super::shell::without_options;
use super::{Broken, Instruction, Rule};
use crate::finding::Severity::{High, Low, Medium};

static UNTAGGED: Rule = Rule::new("docker-untagged-base", &["DL3006"], Medium);
static LATEST: Rule = Rule::new("docker-latest-base", &["DL3007", "DS001", "DS-0001"], Medium);
static ROOT: Rule = Rule::new("docker-root", &["DL3002", "DS002", "DS-0002"], High);
static RELATIVE: Rule = Rule::new("docker-relative-workdir", &["DL3000", "DS009", "DS-0009"], Low);
static ADD: Rule = Rule::new("docker-add", &["DL3020", "DS005", "DS-0005"], Low);
static ADD_URL: Rule = Rule::new("docker-add-unchecked-url", &["DL3020"], Medium);
static SHELL_FORM: Rule = Rule::new("docker-shell-form", &["DL3025"], Low);
static MAINTAINER: Rule = Rule::new("docker-maintainer", &["DL4000", "DS022", "DS-0022"], Low);
static SEVERAL: Rule = Rule::new("docker-several-commands", &["DL4003", "DL4004", "DS016", "DS-0016"], Medium);
static SECRET: Rule = Rule::new("docker-secret-in-image", &["SecretsUsedInArgOrEnv", "DS031", "DS-0031"], High);
static PORT: Rule = Rule::new("docker-port", &["DL3011", "DS008", "DS-0008"], Medium);
static SSH: Rule = Rule::new("docker-ssh-port", &["DS004", "DS-0004"], Medium);
static UNKNOWN_STAGE: Rule = Rule::new("docker-unknown-stage", &["DL3022"], Low);
static OWN_STAGE: Rule = Rule::new("docker-copy-from-itself", &["DL3023", "DS006", "DS-0006"], Medium);
static SAME_NAME: Rule = Rule::new("docker-stage-twice", &["DL3024", "DS012", "DS-0012"], Medium);
static COPY_MANY: Rule = Rule::new("docker-copy-many", &["DL3021", "DS011", "DS-0011"], Medium);
static OWN_VARIABLE: Rule = Rule::new("docker-env-of-itself", &["DL3044"], Low);
static EARLY: Rule = Rule::new("docker-before-from", &["DL3061"], Medium);
static UNKNOWN: Rule = Rule::new("docker-unknown-instruction", &["DL1000"], High);

const INSTRUCTIONS: [&str; 18] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

struct Stage<'a> {
    from: &'a Instruction,
    base: &'a str,
    name: Option<String>,
}

pub(super) fn check(instructions: &[Instruction]) -> Vec<Broken> {
    let mut broken = Vec::new();
    let stages: Vec<Stage<'_>> = instructions.iter().filter(|one| one.keyword == "FROM").map(stage).collect();
    for (number, stage) in stages.iter().enumerate() {
        from(stage, &stages[..number], &mut broken);
    }
    for one in instructions {
        each(one, &stages, &mut broken);
    }
    for stage in 0..stages.len() {
        let own = |keyword: &'static str| {
            instructions.iter().filter(move |one| one.stage == Some(stage) && one.keyword == keyword)
        };
        for keyword in ["CMD", "ENTRYPOINT"] {
            let count = own(keyword).count();
            let earlier = own(keyword).take(count.saturating_sub(1));
            broken.extend(earlier.map(|one| SEVERAL.at(one, format!("a later {keyword} takes the place of this one"))));
        }
    }
    broken.extend(user(instructions, &stages));
    broken
}

fn stage(from: &Instruction) -> Stage<'_> {
    let words: Vec<&str> = without_options(&from.rest).split_whitespace().collect();
    let is_named = words.get(1).is_some_and(|word| word.eq_ignore_ascii_case("as"));
    let name = words.get(2).filter(|_| is_named).map(|name| name.to_ascii_lowercase());
    Stage { from, base: words.first().copied().unwrap_or_default(), name }
}

fn from(stage: &Stage<'_>, before: &[Stage<'_>], broken: &mut Vec<Broken>) {
    let is_stage = |name: &str| before.iter().any(|one| one.name.as_deref() == Some(&name.to_ascii_lowercase()));
    if let Some(name) = stage.name.as_deref().filter(|name| is_stage(name)) {
        broken.push(SAME_NAME.at(stage.from, format!("there is a stage `{name}` already")));
    }
    let base = stage.base;
    if base.is_empty() || base == "scratch" || base.contains('$') || base.contains('@') || is_stage(base) {
        return;
    }
    let last = base.rsplit('/').next().unwrap_or(base);
    match last.split_once(':') {
        None => broken.push(UNTAGGED.at(stage.from, format!("`{base}` has no tag, so it is another image tomorrow"))),
        Some((_, "latest")) => {
            broken.push(LATEST.at(stage.from, format!("`{base}` is another image tomorrow; name a version")));
        }
        Some(_) => {}
    }
}

/// The user of the last stage, or of the stages that it is built on.
fn user(instructions: &[Instruction], stages: &[Stage<'_>]) -> Option<Broken> {
    let mut number = stages.len().checked_sub(1)?;
    let last = stages.last()?;
    loop {
        let mut users = instructions.iter().filter(|one| one.stage == Some(number) && one.keyword == "USER");
        if let Some(user) = users.next_back() {
            let name = user.rest.split(':').next().unwrap_or_default().trim();
            return matches!(name, "root" | "0")
                .then(|| ROOT.at(user, "the image runs as root; end with another USER"));
        }
        let base = stages[number].base.to_ascii_lowercase();
        match stages[..number].iter().rposition(|stage| stage.name.as_deref() == Some(&base)) {
            Some(before) => number = before,
            // Whoever made a distroless or unprivileged image has said so in its name.
            None if ["nonroot", "unprivileged", "rootless"].iter().any(|word| base.contains(word)) => return None,
            None => {
                return Some(
                    ROOT.at(last.from, "no USER is set, so that the image runs as root unless its base says else"),
                );
            }
        }
    }
}

fn each(one: &Instruction, stages: &[Stage<'_>], broken: &mut Vec<Broken>) {
    if !INSTRUCTIONS.contains(&one.keyword.as_str()) {
        let near = workflow::diagnostic::suggest(&one.keyword, INSTRUCTIONS);
        let help = near.map_or(String::new(), |near| format!("; did you mean {near}?"));
        broken.push(UNKNOWN.at(one, format!("`{}` is no instruction{help}", one.keyword)));
        return;
    }
    if one.stage.is_none() && one.keyword != "ARG" {
        broken.push(EARLY.at(one, format!("{} stands before the first FROM", one.keyword)));
    }
    match one.keyword.as_str() {
        "WORKDIR" => {
            let path = one.rest.trim_matches(['"', '\'']);
            if !path.starts_with(['/', '$']) && !path.contains(':') {
                broken
                    .push(RELATIVE.at(one, format!("`{path}` depends on what WORKDIR was before; write it from `/`")));
            }
        }
        "ADD" => add(one, broken),
        "COPY" => copy(one, stages, broken),
        "CMD" | "ENTRYPOINT" if !one.rest.trim_start().starts_with('[') && !one.rest.is_empty() => {
            let words = format!(
                "{} in shell form: signals go to a shell and not to the program; write a JSON list",
                one.keyword
            );
            broken.push(SHELL_FORM.at(one, words));
        }
        "MAINTAINER" => broken.push(MAINTAINER.at(one, "MAINTAINER is out of use; write a LABEL")),
        "EXPOSE" => expose(one, broken),
        "ENV" | "ARG" => variables(one, broken),
        _ => {}
    }
}

fn add(one: &Instruction, broken: &mut Vec<Broken>) {
    let words: Vec<&str> = without_options(&one.rest).split_whitespace().collect();
    let is_archive = |word: &str| {
        [".tar", ".tgz", ".tbz", ".txz", ".tzst", ".gz", ".bz2", ".xz", ".zst", ".git"]
            .iter()
            .any(|end| word.ends_with(end))
            || word.contains(".tar.")
    };
    let sources = words.split_last().map_or(&[][..], |(_, sources)| sources);
    let is_remote = |word: &&&str| word.starts_with("http://") || word.starts_with("https://");
    if let Some(address) = sources.iter().find(is_remote).filter(|address| !address.ends_with(".git")) {
        if !one.rest.contains("--checksum=") {
            broken.push(ADD_URL.at(one, format!("`{address}` is added without --checksum, whatever it is by then")));
        }
    } else if !sources.is_empty()
        && !sources.iter().any(|source| is_archive(source) || source.contains(['$', '@', '<']))
    {
        broken.push(ADD.at(one, "ADD of files of the context; COPY does it without ADD's surprises"));
    }
}

fn copy(one: &Instruction, stages: &[Stage<'_>], broken: &mut Vec<Broken>) {
    let option = one.rest.split_whitespace().find_map(|word| word.strip_prefix("--from="));
    if let Some(from) = option.filter(|from| !from.contains('$')) {
        let before = one.stage.unwrap_or(0);
        let name = from.to_ascii_lowercase();
        let found = stages.iter().position(|stage| stage.name.as_deref() == Some(&name));
        match found.or_else(|| from.parse().ok()) {
            Some(stage) if stage == before => broken.push(OWN_STAGE.at(one, "it copies from the stage that it is in")),
            Some(stage) if stage < before => {}
            Some(_) => broken.push(UNKNOWN_STAGE.at(one, format!("the stage `{from}` comes later"))),
            None if from.contains(['/', ':', '@', '.']) => {}
            None => broken
                .push(UNKNOWN_STAGE.at(one, format!("there is no stage `{from}`; an image needs a tag or digest"))),
        }
    }
    let rest = without_options(&one.rest);
    let words: Vec<&str> = rest.split_whitespace().collect();
    let is_plain = !rest.starts_with('[') && !rest.contains("<<");
    if let Some((target, sources)) = words.split_last().filter(|_| is_plain)
        && sources.len() > 1
        && !target.ends_with('/')
        && !target.contains('$')
        && *target != "."
    {
        broken.push(COPY_MANY.at(one, format!("several files go to `{target}`, which has to end with `/`")));
    }
}

fn expose(one: &Instruction, broken: &mut Vec<Broken>) {
    for word in one.rest.split_whitespace().filter(|word| !word.contains('$')) {
        let ports = word.split('/').next().unwrap_or(word);
        for port in ports.split('-') {
            match port.parse::<u32>() {
                Ok(22) => broken.push(SSH.at(one, "port 22 is for SSH, which an image should not need")),
                Ok(0..=65_535) => {}
                Ok(_) | Err(_) => broken.push(PORT.at(one, format!("`{word}` is no port from 0 to 65535"))),
            }
        }
    }
}

/// Names that hold secrets: what is set here is in the image, or its history, for whoever can pull it.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let parts: BTreeSet<&str> = name.split(['_', '-']).collect();
    let is_public =
        ["PUBLIC", "FILE", "PATH", "NAME", "URL", "ID", "TTL", "LENGTH"].iter().any(|word| parts.contains(word));
    let words = ["PASSWORD", "PASSWD", "SECRET", "TOKEN", "APIKEY", "CREDENTIALS", "PRIVATEKEY"];
    let is_pair = ["API_KEY", "PRIVATE_KEY", "ACCESS_KEY", "AUTH_KEY"].iter().any(|pair| name.contains(pair));
    (words.iter().any(|word| parts.contains(word)) || is_pair) && !is_public
}

fn variables(one: &Instruction, broken: &mut Vec<Broken>) {
    let mut set = BTreeSet::new();
    let words: Vec<&str> = one.rest.split_whitespace().collect();
    let is_old_form = one.keyword == "ENV" && words.first().is_some_and(|word| !word.contains('='));
    let pairs: Vec<(&str, &str)> = if is_old_form {
        one.rest.split_once(char::is_whitespace).into_iter().collect()
    } else {
        words.iter().map(|word| word.split_once('=').unwrap_or((word, ""))).collect()
    };
    for (name, value) in pairs {
        let value = value.trim().trim_matches(['"', '\'']);
        if is_secret(name) && (one.keyword == "ARG" || !value.is_empty()) && !value.starts_with('$') {
            let words =
                format!("{} `{name}` stays in the image's history; mount it: RUN --mount=type=secret", one.keyword);
            broken.push(SECRET.at(one, words));
        }
        let refers = |other: &&&str| value.contains(&format!("${other}")) || value.contains(&format!("${{{other}}}"));
        if one.keyword == "ENV" && set.iter().any(|other: &&str| refers(&other)) {
            broken.push(
                OWN_VARIABLE
                    .at(one, format!("`{name}` is made of what the same ENV sets, which has its old value here")),
            );
        }
        set.insert(name);
    }
}
