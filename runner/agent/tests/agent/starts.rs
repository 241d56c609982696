//! What a step finds when it starts, and why it does not start.

use agent::protocol::{Cause, ExecRequest};

use crate::world::{agent_and_client, check_cause, path, shell, words};

#[test]
fn codes_and_signals() {
    let cases = [
        ("exit 0", Cause::Exited(0)),
        ("exit 3", Cause::Exited(3)),
        ("exit 255", Cause::Exited(255)),
        ("sh -c 'kill -9 $$'", Cause::Exited(137)),
        ("kill -9 $$", Cause::Signalled(9)),
        ("kill -15 $$", Cause::Signalled(15)),
        ("kill -34 $$", Cause::Signalled(34)),
        ("yes | head -n 1", Cause::Exited(0)),
    ];
    for (script, expect) in cases {
        check_cause(shell(1, script), expect);
    }
}

#[test]
fn the_environment_is_exactly_what_was_asked_for() {
    let (_agent, mut world) = agent_and_client();
    let env = vec![("B".to_owned(), "2 \u{e4}\n3".to_owned()), ("A".to_owned(), String::new())];
    let request = ExecRequest { id: 1, argv: words(&["/usr/bin/env"]), env, ..ExecRequest::default() };
    let text = world.run(request.clone()).text();
    let (mark, rest) = text.split_once('\n').unwrap();
    assert!(mark.starts_with("RUNNER_TRACKING_ID=pipe_"), "{mark}");
    assert_eq!(rest, "B=2 \u{e4}\n3\nA=\n");
    let inherited = world.run(ExecRequest { id: 2, inherit_env: true, ..request }).text();
    assert!(inherited.contains("PATH=") && inherited.ends_with("B=2 \u{e4}\n3\nA=\n"), "{inherited}");
}

#[test]
fn stdin_is_empty_and_stderr_comes_in_order() {
    let (_agent, mut world) = agent_and_client();
    let script = "cat; for i in 1 2 3; do echo out $i; echo err $i >&2; done; readlink /proc/self/fd/0; ls /proc/self/fd | wc -l";
    let expect = "out 1\nerr 1\nout 2\nerr 2\nout 3\nerr 3\n/dev/null\n4\n";
    assert_eq!(world.run(shell(1, script)).text(), expect);
}

#[test]
fn a_step_leads_a_session_with_default_signals() {
    let (_agent, mut world) = agent_and_client();
    let script = "read pid rest < /proc/$$/stat; set -- $(sed 's/.*) //' /proc/$$/stat); echo $pid $3 $4; \
                  grep -E 'Sig(Blk|Ign)' /proc/$$/status";
    let text = world.run(ExecRequest { argv: words(&["bash", "-c", script]), ..shell(1, "") }).text();
    let ids: Vec<&str> = text.lines().next().unwrap().split(' ').collect();
    assert!(ids[0] == ids[1] && ids[1] == ids[2], "{text}");
    for line in text.lines().skip(1) {
        let mask = u64::from_str_radix(line.split_whitespace().next_back().unwrap(), 16).unwrap();
        // 32 and 33 are the C library's own.
        assert_eq!(mask & !(0b11 << 31), 0, "{text}");
    }
}

#[test]
fn the_working_directory() {
    let (agent, mut world) = agent_and_client();
    let directory = agent.directory.path().to_str().unwrap();
    let inside = ExecRequest { cwd: Some(directory.to_owned()), ..shell(1, "pwd -P") };
    assert_eq!(world.run(inside).text().trim(), directory);
    // The agent itself has not moved.
    let own = std::env::current_dir().unwrap();
    assert_eq!(world.run(shell(2, "pwd -P")).text().trim(), own.to_str().unwrap());
    // A relative program is found from there.
    std::os::unix::fs::symlink("/bin/echo", agent.path("here")).unwrap();
    let argv = words(&["./here", "found"]);
    let request = ExecRequest { id: 3, argv, cwd: Some(directory.to_owned()), ..ExecRequest::default() };
    assert_eq!(world.run(request).text(), "found\n");
}

#[test]
fn why_not() {
    let (agent, mut world) = agent_and_client();
    let script = |name: &str, text: &str, mode: u32| {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::write(agent.path(name), text).unwrap();
        std::fs::set_permissions(agent.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
        agent.path(name).to_str().unwrap().to_owned()
    };
    let plain = script("plain", "#!/bin/sh\n", 0o644);
    let windows = script("windows", "#!/bin/sh\r\necho\r\n", 0o755);
    let no_script = script("no-script", "echo\n", 0o755);
    let argv = |program: &str| ExecRequest { argv: words(&[program]), env: path(), ..ExecRequest::default() };
    let shell = || argv("true");
    let cases = [
        (ExecRequest::default(), "no program is named".to_owned()),
        (argv(""), "the name of the program is empty".to_owned()),
        (argv("no-such-thing"), "no program `no-such-thing` in PATH (/usr/sbin:/usr/bin:/sbin:/bin)".to_owned()),
        (argv("/no/such"), "no program `/no/such`: No such file or directory (os error 2)".to_owned()),
        (argv("/tmp"), "`/tmp` is a directory".to_owned()),
        (argv(&plain), format!("`{plain}` is not executable")),
        (argv(&windows), format!("`{windows}` names the interpreter `/bin/sh\\r`, which is not there")),
        (
            argv(&no_script),
            format!("`{no_script}` is neither a program for this machine (x86_64) nor a script that begins with `#!`"),
        ),
        (
            ExecRequest { cwd: Some("/no/such".into()), ..shell() },
            "the working directory `/no/such` does not exist".into(),
        ),
        (
            ExecRequest { cwd: Some("/etc/passwd".into()), ..shell() },
            "the working directory `/etc/passwd` is not a directory".into(),
        ),
        (ExecRequest { user: Some("ghost".into()), ..shell() }, "no user `ghost` in /etc/passwd".into()),
        (
            ExecRequest { env: vec![(String::new(), String::new())], ..shell() },
            "`` cannot be the name of a variable".into(),
        ),
        (ExecRequest { env: vec![("A".into(), "\0".into())], ..shell() }, "the variable `A` holds a NUL byte".into()),
        (ExecRequest { argv: words(&["true", "\0"]), ..shell() }, "an argument holds a NUL byte".into()),
        (
            ExecRequest { argv: words(&["true", &"x".repeat(200_000)]), ..shell() },
            "arguments and environment together are too long for the kernel".into(),
        ),
    ];
    for (id, (request, expect)) in (1..).zip(cases) {
        let outcome = world.run(ExecRequest { id, ..request });
        assert_eq!(outcome.report.cause, Cause::StartFailed(expect));
    }
    assert_eq!(world.run(ExecRequest { id: 99, ..shell() }).report.cause, Cause::Exited(0), "and the agent goes on");
}

#[test]
fn another_user() {
    if !nix::unistd::Uid::effective().is_root() {
        eprintln!("SKIPPED another_user: only root can become someone else");
        return;
    }
    let (_agent, mut world) = agent_and_client();
    let as_user = |id, user: &str, script| ExecRequest { user: Some(user.to_owned()), ..shell(id, script) };
    assert_eq!(world.run(as_user(1, "12345:54321", "id -u; id -g; id -G")).text(), "12345\n54321\n54321\n");
    assert_eq!(world.run(as_user(2, "nobody", "id -un; echo mine > /dev/stderr")).text(), "nobody\nmine\n");
    assert_eq!(world.run(as_user(3, "root", "id -u")).text(), "0\n");
    assert_eq!(world.run(as_user(4, "12345:0", "exit 7")).report.cause, Cause::Exited(7));
}

#[test]
fn what_a_step_used() {
    let (_agent, mut world) = agent_and_client();
    let report = world.run(shell(1, "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done")).report;
    assert!(report.user_ms > 0 && report.max_rss_kib > 100 && report.wall_ms >= report.user_ms, "{report:?}");
    assert_eq!(report.oom_kills, 0);
}
