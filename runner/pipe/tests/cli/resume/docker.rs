//! With a container in place of a process: the machine's own static busybox.

use std::process::Command;

use super::{Going, nothing_is_left, state, text};
use crate::world::{CI, World};

pub(crate) const IMAGE: &str = "pipe-test/resume:1";

pub(super) fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().unwrap();
    assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn image() {
    if Command::new("docker").args(["image", "inspect", IMAGE]).output().unwrap().status.success() {
        return;
    }
    let tree = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(tree.path().join("bin")).unwrap();
    std::fs::create_dir_all(tree.path().join("tmp")).unwrap();
    std::fs::copy("/bin/busybox", tree.path().join("bin/busybox")).unwrap();
    for name in ["sh", "sleep", "test", "touch", "echo", "cat"] {
        std::os::unix::fs::symlink("busybox", tree.path().join("bin").join(name)).unwrap();
    }
    let import = format!("tar -C \"$0\" -c . | docker import --change 'ENV PATH=/bin' - {IMAGE}");
    assert!(Command::new("sh").args(["-c", &import]).arg(tree.path()).output().unwrap().status.success());
}

/// Containers, networks and volumes of an installation.
pub(crate) fn left(world: &World) -> Vec<String> {
    let state = state(world).canonicalize().unwrap();
    let owner = engine::placement::Owner::new(&state).installation().to_owned();
    let label = format!("label=dev.pipe.owner={owner}");
    let mut left = Vec::new();
    for kind in [&["ps", "-aq"][..], &["network", "ls", "-q"], &["volume", "ls", "-q"]] {
        left.extend(docker(&[kind, &["--filter", &label]].concat()).lines().map(str::to_owned));
    }
    left
}

pub(crate) fn command(world: &World, arguments: &[&str]) -> Command {
    image();
    let mut command = world.command(arguments);
    command
        .env_remove("DOCKER_HOST")
        .env("XDG_STATE_HOME", world.root().join("../home/.local/state").canonicalize().unwrap());
    command
}

#[test]
fn killed_in_a_step_in_a_container() {
    let workflow = "on: push\ndefaults: { run: { shell: sh } }\njobs:\n  one:\n    runs-on: ubuntu-latest\n    \
        services: { side: { image: IMAGE, entrypoint: sleep, command: '600' } }\n    \
        steps:\n      - run: test ! -e mark && touch mark\n      - name: Wait\n        \
        run: |\n          echo waiting\n          test -n \"$GO\" || sleep 600\n      - run: test -e mark\n";
    let world = World::repository(&[(CI, &workflow.replace("IMAGE", IMAGE))]);
    std::fs::create_dir_all(world.root().join("../home/.local/state")).unwrap();
    let platform = format!("ubuntu-latest={IMAGE}");
    let run = ["run", "--json", "--pull=never", "-P", &platform];
    let mut going = Going::start(&mut command(&world, &run));
    going.until_step("Wait");
    assert!(left(&world).len() >= 3, "a container, a service and their network: {:?}", left(&world));
    going.kill();
    let output = command(&world, &["run", "--resume", "1", "--env", "GO=1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert_eq!(left(&world), Vec::<String>::new());
    nothing_is_left(&world);
}
