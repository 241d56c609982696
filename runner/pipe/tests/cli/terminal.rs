//! The binary at a real terminal: what it asks there, what is answered, and that the terminal is afterwards as it was before.
//!
//! `setsid` makes the terminal that of the process, so that its keys send signals; `stty` changes its size.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{Termios, tcgetattr};
use nix::unistd::Pid;

use crate::resume::{Going, RELEASE, RULES, docker, nothing_is_left, said, shown, waits_for};
use crate::world::{CI, World};

/// Longest that anything may take.
const PATIENCE: Duration = Duration::from_secs(60);
const CTRL_C: &str = "\u{3}";

/// A terminal with a process at it.
struct Terminal {
    keys: File,
    /// The end that the process has.
    screen: OwnedFd,
    before: Termios,
    child: Child,
    output: Receiver<Vec<u8>>,
    /// What was shown and not looked at.
    shown: String,
}

impl Terminal {
    fn of(command: &Command) -> Self {
        let size = Winsize { ws_row: 31, ws_col: 97, ws_xpixel: 0, ws_ypixel: 0 };
        let pair = openpty(&size, None).unwrap();
        for end in [&pair.master, &pair.slave] {
            fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).unwrap();
        }
        let before = tcgetattr(&pair.slave).unwrap();
        let mut at = Command::new("setsid");
        at.arg("--ctty").arg(command.get_program()).args(command.get_args()).env_clear();
        at.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("TERM", "xterm");
        at.current_dir(command.get_current_dir().unwrap());
        let end = || Stdio::from(pair.slave.try_clone().unwrap());
        let child = at.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        let keys = File::from(pair.master);
        let (sender, output) = channel();
        let mut screen = keys.try_clone().unwrap();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = screen.read(&mut bytes) {
                if sender.send(bytes[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { keys, screen: pair.slave, before, child, output, shown: String::new() }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Until this is shown; gives what was shown before it.
    fn until(&mut self, text: &str) -> String {
        loop {
            if let Some(at) = self.shown.find(text) {
                let before = self.shown[..at].to_owned();
                self.shown.drain(..at + text.len());
                return before;
            }
            let Ok(more) = self.output.recv_timeout(PATIENCE) else { panic!("no `{text}`: {:?}", self.shown) };
            self.shown.push_str(&String::from_utf8_lossy(&more));
        }
    }

    fn settings(&self) -> Termios {
        tcgetattr(&self.screen).unwrap()
    }

    fn resize(&self, rows: u16, columns: u16) {
        let words = ["rows".to_owned(), rows.to_string(), "cols".to_owned(), columns.to_string()];
        let mut stty = Command::new("stty");
        assert!(stty.args(words).stdin(self.screen.try_clone().unwrap()).status().unwrap().success());
    }

    /// How it ended. The terminal is as it was.
    fn end(mut self) -> ExitStatus {
        let status = self.child.wait().unwrap();
        assert_eq!(self.settings(), self.before);
        status
    }
}

const ASKS: &str = "A job waits for a review of production. Let it go on? [y/N]";

fn release() -> World {
    let world = World::repository(&[(CI, RELEASE)]);
    world.write(".pipe.toml", RULES);
    world
}

#[test]
fn who_sits_there_is_asked_one_question_after_another() {
    let world = release();
    let mut terminal = Terminal::of(&world.command(&["run", "--host"]));
    // Typed before there is a question: no answer to one.
    terminal.press("y\n");
    terminal.until(ASKS);
    terminal.press("yes\n");
    let before = terminal.until("A job waits for a review of staging. Let it go on? [y/N]");
    assert!(!before.contains("staged"), "{before}");
    terminal.press("\n");
    assert_eq!(terminal.end().code(), Some(1), "nothing is no");
    let run = shown(&world, "1");
    let review = |key: &str| {
        let job = run["jobs"].as_array().unwrap().iter().find(|job| job["key"] == key).unwrap();
        job["review"]["state"].clone()
    };
    assert_eq!((review("release"), review("stage")), ("approved".into(), "rejected".into()), "{run}");
    nothing_is_left(&world);
}

#[test]
fn keys_end_a_run_that_asks() {
    let world = release();
    let mut terminal = Terminal::of(&world.command(&["run", "--host"]));
    terminal.until(ASKS);
    terminal.press(CTRL_C);
    assert_eq!(terminal.end().code(), Some(130));
    assert_eq!(shown(&world, "1")["conclusion"], "cancelled");
    nothing_is_left(&world);
}

#[test]
fn a_run_that_was_killed_while_it_asked_asks_again() {
    let world = release();
    let mut going = Going::start(&mut world.command(&["run", "--host", "--json", "--on-review", "wait"]));
    going.until(|fact| waits_for(fact, "production"));
    going.kill();
    // At a terminal it is killed as well.
    let mut terminal = Terminal::of(&world.command(&["run", "--resume", "1"]));
    terminal.until(ASKS);
    kill(Pid::from_raw(terminal.child.id().try_into().unwrap()), Signal::SIGKILL).unwrap();
    assert_eq!(terminal.end().signal(), Some(9));
    let mut terminal = Terminal::of(&world.command(&["run", "--resume", "1", "--approve", "staging"]));
    terminal.until(ASKS);
    terminal.press("y\n");
    assert_eq!(terminal.end().code(), Some(0));
    assert_eq!(shown(&world, "1")["conclusion"], "success");
    nothing_is_left(&world);
}

#[test]
fn what_is_answered_elsewhere_is_asked_no_more() {
    // Both wait at once.
    let both = RELEASE.replace("    needs: build\n", "").replace("    needs: release\n", "");
    assert!(!both.contains("needs"));
    let world = World::repository(&[(CI, &both)]);
    world.write(".pipe.toml", RULES);
    let mut terminal = Terminal::of(&world.command(&["run", "--host"]));
    terminal.until("A job waits for a review of ");
    let first = if terminal.until(". Let it go on?") == "production" { "production" } else { "staging" };
    let (code, text) = said(&world, &["approve", "1", first]);
    assert_eq!(code, Some(0), "{text}");
    let other = if first == "production" { "staging" } else { "production" };
    terminal.until(&format!("A job waits for a review of {other}. Let it go on?"));
    // It is an answer to what is asked now.
    terminal.press("y\n");
    assert_eq!(terminal.end().code(), Some(0));
    nothing_is_left(&world);
}

#[test]
fn a_secret_is_typed_unseen() {
    let workflow = "on: push\njobs:\n  one:\n    runs-on: ubuntu-latest\n    steps:\n      \
        - run: test '${{ secrets.TOKEN }}' = correct-horse && echo it is\n";
    let world = World::repository(&[(CI, workflow)]);
    let mut terminal = Terminal::of(&world.command(&["run", "--host", "-s", "TOKEN"]));
    terminal.until("Value of secret TOKEN: ");
    terminal.press("wrong\u{15}correct-horses\u{7f}\n");
    let shown = terminal.until("success");
    assert!(!shown.contains("horse") && !shown.contains("wrong"), "{shown}");
    assert_eq!(terminal.end().code(), Some(0));
    let mut terminal = Terminal::of(&world.command(&["run", "--host", "-s", "TOKEN"]));
    terminal.until("Value of secret TOKEN: ");
    terminal.press("corr");
    terminal.press(CTRL_C);
    assert_eq!(terminal.end().code(), Some(130));
}

const FAILS: &str = "on: push\ndefaults: { run: { shell: sh } }\njobs:\n  one:\n    runs-on: ubuntu-latest\n    steps:\n      \
    - run: echo made > mark\n      - name: Test\n        run: exit 3\n";

/// A shell that is looked into; `size` is the command that tells the size of the terminal.
fn looked_into(mut terminal: Terminal, size: &str) -> Option<i32> {
    // What was typed is shown as well, so it may not be what is waited for.
    terminal.press("echo \"there is $(cat mark)\"\n");
    terminal.until("there is made");
    terminal.press(&format!("echo \"as large as $({size})\"\n"));
    terminal.until("as large as 31 97");
    terminal.resize(40, 120);
    // The shell hears of it a moment later.
    terminal.press(&format!("until test \"$({size})\" = '40 120'; do :; done; echo \"is $((1 + 1)) large\"\n"));
    terminal.until("is 2 large");
    // The keys are the shell's. What says so is what gets them.
    terminal.press("sh -c 'echo \"begins $((1 + 1))\"; exec sleep 600'\n");
    terminal.until("begins 2");
    terminal.press(CTRL_C);
    terminal.press("echo \"goes on $((1 + 1))\"\n");
    terminal.until("goes on 2");
    terminal.press("exit 0\n");
    terminal.end().code()
}

#[test]
fn a_shell_on_this_machine() {
    let world = World::repository(&[(CI, FAILS)]);
    assert_eq!(said(&world, &["run", "--host", "--on-fail", "keep"]).0, Some(1));
    assert_eq!(looked_into(Terminal::of(&world.command(&["shell", "1/one"])), "stty size"), Some(0));
    // At once, in the same terminal.
    let mut terminal = Terminal::of(&world.command(&["run", "--host", "--on-fail", "shell"]));
    terminal.until("`pipe shell 2/one`");
    assert_eq!(looked_into(terminal, "stty size"), Some(1), "the run failed, however the shell ends");
}

#[test]
fn a_shell_in_a_container() {
    let world = World::repository(&[(CI, FAILS)]);
    std::fs::create_dir_all(world.root().join("../home/.local/state")).unwrap();
    let platform = format!("ubuntu-latest={}", docker::IMAGE);
    let run = ["run", "--pull=never", "-P", &platform, "--on-fail", "keep"];
    assert_eq!(docker::command(&world, &run).output().unwrap().status.code(), Some(1));
    let shell = docker::command(&world, &["shell", "1/one"]);
    assert_eq!(looked_into(Terminal::of(&shell), "busybox stty size"), Some(0));
    // What ends it from outside leaves the terminal as it was too.
    let mut terminal = Terminal::of(&shell);
    terminal.press("echo \"begins $((1 + 1))\"\n");
    terminal.until("begins 2");
    assert_ne!(terminal.settings(), terminal.before, "each key goes to the shell");
    kill(Pid::from_raw(terminal.child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    assert_eq!(terminal.end().code(), Some(130));
    assert_eq!(docker::command(&world, &["gc"]).output().unwrap().status.code(), Some(0));
    assert_eq!(docker::left(&world), Vec::<String>::new());
    nothing_is_left(&world);
}
