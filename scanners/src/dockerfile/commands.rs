//! Rules about what `RUN` does, save for package managers.

use super::shell::{Command, commands};
use super::{Broken, Instruction, Rule};
use crate::finding::Severity::{High, Low, Medium};

static SUDO: Rule = Rule::new("docker-sudo", &["DL3004", "DS010", "DS-0010"], High);
static CD: Rule = Rule::new("docker-cd", &["DL3003", "DS013", "DS-0013"], Low);
static PIPE: Rule = Rule::new("docker-pipe-without-pipefail", &["DL4006"], Low);
static TO_SHELL: Rule = Rule::new("docker-download-to-shell", &[], High);
static UNCHECKED: Rule = Rule::new("docker-unchecked-tls", &[], High);
static ALL_MAY_WRITE: Rule = Rule::new("docker-chmod-777", &[], Medium);
static ODD_PROGRAM: Rule = Rule::new("docker-program-of-a-machine", &["DL3001"], Low);

const SHELLS: [&str; 7] = ["sh", "bash", "ash", "dash", "zsh", "python", "python3"];

pub(super) fn check(instructions: &[Instruction]) -> Vec<Broken> {
    let mut broken = Vec::new();
    // A SHELL with pipefail counts to the end of its stage.
    let mut pipefail_in = None;
    for one in instructions {
        match one.keyword.as_str() {
            "SHELL" => pipefail_in = one.stage.filter(|_| one.rest.contains("pipefail") || one.rest.contains("pwsh")),
            "RUN" => run(one, pipefail_in == one.stage && one.stage.is_some(), &mut broken),
            _ => {}
        }
    }
    broken
}

fn run(one: &Instruction, has_pipefail: bool, broken: &mut Vec<Broken>) {
    let commands = commands(one);
    if commands.iter().any(|command| command.words.first().is_some_and(|word| word == "sudo")) {
        broken.push(SUDO.at(one, "sudo has no use in a build; set USER"));
    }
    if commands.len() > 1 && commands.iter().take(1).any(|command| command.program() == "cd") {
        broken.push(CD.at(one, "cd is forgotten after this RUN; set WORKDIR"));
    }
    let sets_pipefail = commands.iter().any(|command| command.program() == "set" && command.has(&["pipefail"]));
    if !has_pipefail && !sets_pipefail && commands.iter().any(|command| command.is_piped) {
        broken.push(PIPE.at(one, "only the last command of the pipe is looked at; set SHELL with -o pipefail"));
    }
    for (number, command) in commands.iter().enumerate() {
        let before = number.checked_sub(1).map(|before| commands[before].program());
        if command.is_piped && SHELLS.contains(&command.program()) && matches!(before, Some("curl" | "wget")) {
            broken.push(TO_SHELL.at(one, "what is downloaded is run unseen; download, compare a digest, then run"));
        }
        if let Some(words) = unchecked(command) {
            broken.push(UNCHECKED.at(one, words));
        }
        if command.program() == "chmod"
            && command.operands().any(|word| matches!(word, "777" | "0777" | "a+rwx" | "ugo+rwx"))
        {
            broken.push(ALL_MAY_WRITE.at(one, "everybody may write to it"));
        }
        let odd = ["ssh", "vim", "shutdown", "service", "ps", "free", "top", "kill", "mount", "ifconfig"];
        if odd.contains(&command.program()) && !command.is_piped {
            broken.push(ODD_PROGRAM.at(one, format!("`{}` makes little sense in a container", command.program())));
        }
    }
}

/// A download or installation that believes whoever answers.
fn unchecked(command: &Command) -> Option<String> {
    let words = |option: &str| Some(format!("`{option}` believes whoever answers; install the certificate instead"));
    match command.program() {
        "curl" if command.has(&["--insecure"]) || command.has_letter('k') => words("curl --insecure"),
        "wget" if command.has(&["--no-check-certificate"]) => words("wget --no-check-certificate"),
        "pip" | "pip3" if command.has(&["--trusted-host"]) => words("pip --trusted-host"),
        "npm" | "yarn" if command.has(&["strict-ssl"]) && command.words.iter().any(|word| word.ends_with("false")) => {
            words("strict-ssl false")
        }
        "git"
            if command.words.iter().any(|word| word == "http.sslVerify=false" || word == "http.sslVerify")
                && command.words.iter().any(|word| word.ends_with("false")) =>
        {
            words("http.sslVerify false")
        }
        "apt-get" | "apt" if command.has(&["--allow-unauthenticated", "--force-yes"]) => {
            words("--allow-unauthenticated")
        }
        "yum" | "dnf" if command.has(&["--nogpgcheck"]) => words("--nogpgcheck"),
        "apk" if command.has(&["--allow-untrusted"]) => words("--allow-untrusted"),
        _ => None,
    }
}
