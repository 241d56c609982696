//! Rules about package managers: what is not asked for, what is left behind, what is another version tomorrow.

use super::shell::{Command, commands};
use super::{Broken, Instruction, Rule};
use crate::finding::Severity::{Low, Medium};

static UPDATE_ALONE: Rule = Rule::new("docker-update-alone", &["DS017", "DS-0017"], Medium);
static RECOMMENDS: Rule = Rule::new("docker-apt-recommends", &["DL3015", "DS029", "DS-0029"], Low);
static LISTS: Rule = Rule::new("docker-apt-lists", &["DL3009"], Low);
static YES: Rule = Rule::new("docker-install-asks", &["DL3014", "DL3030", "DL3038", "DS021", "DS-0021"], Medium);
static APT: Rule = Rule::new("docker-apt", &["DL3027"], Low);
static UPGRADE: Rule = Rule::new("docker-dist-upgrade", &["DL3005", "DS024", "DS-0024"], Low);
static UNPINNED: Rule =
    Rule::new("docker-unpinned-package", &["DL3008", "DL3013", "DL3016", "DL3018", "DL3028", "DL3033", "DL3041"], Low);
static CACHE: Rule =
    Rule::new("docker-package-cache", &["DL3019", "DL3032", "DL3040", "DL3042", "DL3060", "DS025", "DS-0025"], Low);

pub(super) fn check(instructions: &[Instruction]) -> Vec<Broken> {
    let mut broken = Vec::new();
    for one in instructions.iter().filter(|one| one.keyword == "RUN") {
        let commands = commands(one);
        apt(one, &commands, &mut broken);
        others(one, &commands, &mut broken);
        unpinned(one, &commands, &mut broken);
    }
    broken
}

fn does(command: &Command, programs: &[&str], verbs: &[&str]) -> bool {
    programs.contains(&command.program()) && command.operands().any(|word| verbs.contains(&word))
}

/// Whether a cache is mounted, so that nothing of it is left in the image.
fn has_mount(one: &Instruction) -> bool {
    one.rest.contains("--mount=type=cache")
}

fn apt(one: &Instruction, commands: &[Command], broken: &mut Vec<Broken>) {
    let apt = ["apt-get", "apt", "aptitude"];
    let installs = |command: &&Command| does(command, &apt, &["install"]);
    let updates = commands.iter().any(|command| does(command, &apt, &["update"]));
    if updates
        && !commands
            .iter()
            .any(|command| does(command, &apt, &["install", "upgrade", "dist-upgrade", "full-upgrade", "build-dep"]))
    {
        broken
            .push(UPDATE_ALONE.at(one, "an update in a layer of its own is cached, and old by the time of an install"));
    }
    if commands.iter().any(|command| command.program() == "apt") {
        broken.push(APT.at(one, "apt is for people, and changes; use apt-get"));
    }
    if commands.iter().any(|command| does(command, &apt, &["dist-upgrade", "full-upgrade"])) {
        broken.push(UPGRADE.at(one, "upgrade by a newer base image"));
    }
    let Some(install) = commands.iter().find(installs) else { return };
    let is_quiet = install.has(&["--yes", "--assume-yes", "-qq"]) || install.has_letter('y');
    if !is_quiet && !install.words.windows(2).any(|pair| pair[0] == "-q" && pair[1] == "2") {
        broken.push(YES.at(one, "the installation asks, and nobody answers; add -y"));
    }
    let text = &one.rest;
    if !install.has(&["--no-install-recommends"])
        && !text.contains("Install-Recommends=0")
        && !text.contains("Install-Recommends=false")
    {
        broken.push(RECOMMENDS.at(one, "what is only recommended comes too; add --no-install-recommends"));
    }
    let removes = |command: &Command| {
        command.program() == "rm" && command.words.iter().any(|word| word.starts_with("/var/lib/apt"))
    };
    if updates && !has_mount(one) && !commands.iter().any(removes) {
        broken.push(LISTS.at(one, "lists of packages stay in the layer; end with rm -rf /var/lib/apt/lists/*"));
    }
}

fn others(one: &Instruction, commands: &[Command], broken: &mut Vec<Broken>) {
    for command in commands {
        let program = command.program();
        let rpm = ["yum", "dnf", "microdnf"];
        if does(command, &rpm, &["install"]) {
            if !command.has(&["--assumeyes"]) && !command.has_letter('y') {
                broken.push(YES.at(one, "the installation asks, and nobody answers; add -y"));
            }
            let cleans = |command: &Command| does(command, &rpm, &["clean"]) || command.program() == "rm";
            if !has_mount(one) && !commands.iter().any(cleans) {
                broken.push(
                    CACHE
                        .at(one, format!("what {program} downloaded stays in the layer; end with {program} clean all")),
                );
            }
        }
        let removes_cache =
            commands.iter().any(|command| command.words.iter().any(|word| word.starts_with("/var/cache/apk")));
        if does(command, &["apk"], &["add"]) && !command.has(&["--no-cache"]) && !has_mount(one) && !removes_cache {
            broken.push(CACHE.at(one, "what apk downloaded stays in the layer; add --no-cache"));
        }
        let is_pip = does(command, &["pip", "pip3"], &["install"])
            || program.starts_with("python")
                && does(command, &[program], &["pip"])
                && does(command, &[program], &["install"]);
        let without_cache = command.has(&["--no-cache-dir"]) || one.rest.contains("PIP_NO_CACHE_DIR");
        if is_pip && !without_cache && !has_mount(one) {
            broken.push(CACHE.at(one, "what pip downloaded stays in the layer; add --no-cache-dir"));
        }
    }
}

fn unpinned(one: &Instruction, commands: &[Command], broken: &mut Vec<Broken>) {
    for command in commands {
        let (verb, separators): (&[&str], &[&str]) = match command.program() {
            "apt-get" | "apt" | "aptitude" => (&["install"], &["="]),
            "apk" => (&["add"], &["=", "<", ">", "~"]),
            "pip" | "pip3" => (&["install"], &["==", "@", ">=", "~=", "<", "/", ".whl", ".txt"]),
            "npm" => (&["install", "i", "add"], &["@", "/"]),
            "gem" => (&["install"], &[":"]),
            _ => continue,
        };
        let mut behind = command.operands().skip_while(|word| !verb.contains(word)).skip(1).peekable();
        if behind.peek().is_none() {
            continue;
        }
        let is_file = command.has_letter('r')
            || command.has(&["--requirement", "--editable"])
            || command.has_letter('v') && command.program() == "gem";
        let is_fixed = |word: &str| {
            let name = word.strip_prefix('@').unwrap_or(word);
            word.contains('$')
                || word.starts_with('.')
                || word.contains(">/")
                || separators.iter().any(|one| name.contains(one))
        };
        if let Some(word) = behind.find(|word| !is_fixed(word)).filter(|_| !is_file || command.program() == "apt-get") {
            broken.push(UNPINNED.at(one, format!("`{word}` is another version tomorrow; name one")));
        }
    }
}
