//! The stand-in for `sudo`, and the agent's other small parts.

use std::process::Command;

use agent::protocol::{Cause, ExecRequest};

use crate::world::{BINARY, agent_and_client, shell};

#[test]
fn sudo_runs_its_command() {
    if !nix::unistd::Uid::effective().is_root() {
        eprintln!("SKIPPED sudo_runs_its_command: only root may");
        return;
    }
    let (agent, mut world) = agent_and_client();
    std::fs::create_dir(agent.path("last")).unwrap();
    std::os::unix::fs::symlink(BINARY, agent.path("last/sudo")).unwrap();
    let path = format!("/usr/bin:/bin:{}", agent.path("last").display());
    let sudo = agent.path("last/sudo").display().to_string();
    let cases = [
        ("SUDO id -u", "0\n"),
        ("SUDO -n -E -- echo a b", "a b\n"),
        ("SUDO -u nobody id -un", "nobody\n"),
        ("SUDO -u '#12345' id -u", "12345\n"),
        ("SUDO A=1 sh -c 'echo $A'", "1\n"),
        ("SUDO -H sh -c 'echo $HOME'", "/root\n"),
        ("HOME=/x SUDO -E sh -c 'echo $HOME'", "/x\n"),
        ("SUDO -s echo 'two  spaces'", "two  spaces\n"),
        ("SUDO -i pwd", "/root\n"),
        ("SUDO -v && SUDO -l && echo yes", "yes\n"),
        ("echo piped | SUDO tee /dev/null", "piped\n"),
        ("SUDO sh -c 'exit 9'; echo $?", "9\n"),
        ("SUDO no-such-thing || echo $?", "sudo: no program `no-such-thing` in PATH (PATHS)\n126\n"),
        ("SUDO -u ghost id || echo $?", "sudo: no user `ghost` in /etc/passwd\n126\n"),
    ];
    for (id, (script, expect)) in (1..).zip(cases) {
        let script = script.replace("SUDO", &sudo);
        let env = vec![("PATH".to_owned(), path.clone())];
        let outcome = world.run(ExecRequest { env, ..shell(id, &script) });
        assert_eq!(outcome.text(), expect.replace("PATHS", &path), "{script}");
    }
    let script = format!("{sudo} id");
    let refused = world.run(ExecRequest { user: Some("12345:12345".into()), ..shell(99, &script) });
    // The directory of the test is root's own: either way there is no way to root.
    assert_ne!(refused.report.cause, Cause::Exited(0));
}

#[test]
fn init_copy_puts_the_agent_elsewhere() {
    let directory = tempfile::tempdir().unwrap();
    for destination in [directory.path().to_owned(), directory.path().join("named")] {
        assert!(Command::new(BINARY).arg("init-copy").arg(&destination).status().unwrap().success());
    }
    for name in ["pipe-agent", "named"] {
        let output = Command::new(directory.path().join(name)).arg("--version").output().unwrap();
        assert!(output.stdout.starts_with(b"pipe-agent "));
    }
}

#[test]
fn a_wrong_command_line_is_explained() {
    let output = Command::new(BINARY).arg("--dial").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stderr.starts_with(b"pipe-agent: unknown argument --dial\nusage: pipe-agent --socket PATH"));
    let output = Command::new(BINARY).args(["--socket", "/no/such/place.sock"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("pipe-agent: cannot listen on /no/such/place.sock:"));
}
