//! Killed while an action of an image runs, or while its image is built.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::docker::{IMAGE, command, docker, left};
use super::{Going, nothing_is_left, text};
use crate::world::{CI, World};

/// The image of the action, gone with this value.
struct Scene {
    world: World,
    label: String,
}

impl Scene {
    /// `action` is what a step uses; `box` has a Dockerfile of which a step says `slow` and then takes some seconds.
    fn new(name: &str, action: &str, seconds: u32) -> Self {
        let label = format!("dev.pipe.test={name}-{}", std::process::id());
        let workflow = format!(
            "on: push\ndefaults: {{ run: {{ shell: sh }} }}\njobs:\n  one:\n    runs-on: ubuntu-latest\n    steps:\n      \
             - uses: actions/checkout@v4\n      - run: test ! -e mark && touch mark\n      - name: Box\n        uses: {action}\n        with: {{ entrypoint: sh, args: '-c \"{SAY}\"' }}\n      \
             - run: test -e mark\n"
        );
        let dockerfile = format!(
            "FROM {IMAGE}\nLABEL {label}\nVOLUME /data\nCOPY file /file\nRUN echo slow && sleep {seconds}\nRUN cat file\n"
        );
        let world =
            World::repository(&[(CI, &workflow), ("box/Dockerfile", &dockerfile), ("box/file", "of the action\n")]);
        std::fs::create_dir_all(world.root().join("../home/.local/state")).unwrap();
        Self { world, label }
    }

    /// Begins it, and kills it as soon as a step says so.
    fn killed_at(&self, said: &str, then: impl FnOnce()) {
        let platform = format!("ubuntu-latest={IMAGE}");
        let mut going = Going::start(&mut command(&self.world, &["run", "--json", "--pull=never", "-P", &platform]));
        going.until(|fact| fact["type"] == "log" && fact["text"] == said);
        then();
        going.kill();
    }

    /// Its run goes on, or another one is begun; nothing of either is left.
    fn goes_on(&self, arguments: &[&str]) {
        let platform = format!("ubuntu-latest={IMAGE}");
        let more: &[&str] = if arguments.is_empty() { &["--pull=never", "-P", &platform] } else { arguments };
        let output = command(&self.world, &[&["run", "--env", "GO=1"], more].concat()).output().unwrap();
        assert!(output.status.success() && text(&output).contains("said at the end"), "{}", text(&output));
        self.nothing_is_left();
    }

    fn nothing_is_left(&self) {
        assert_eq!(left(&self.world), Vec::<String>::new());
        nothing_is_left(&self.world);
        // The engine ends a build when it sees that nobody listens any more.
        let begun = Instant::now();
        while !self.labelled(&["ps", "--all"]).is_empty() {
            assert!(begun.elapsed() < PATIENCE, "{}", self.labelled(&["ps", "--all", "--no-trunc"]));
        }
    }

    /// What was made of its Dockerfile.
    fn labelled(&self, kind: &[&str]) -> String {
        let filter = format!("label={}", self.label);
        docker(&[kind, &["--quiet", "--filter", &filter]].concat())
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        for image in self.labelled(&["images"]).lines() {
            let _gone = std::process::Command::new("docker").args(["rmi", "--force", image]).output();
        }
    }
}

/// Longest that the engine may take to see that a client is gone.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the container does: waits until it is killed, the first time.
const SAY: &str = "echo waiting; test -n \\\"$GO\\\" || sleep 600; echo said at the end";

/// The anonymous volumes of a container.
fn volumes(container: &str) -> Vec<String> {
    let names = docker(&["inspect", "--format", "{{range .Mounts}}{{.Name}} {{end}}", container]);
    names.split_whitespace().map(str::to_owned).collect()
}

fn all_volumes() -> HashSet<String> {
    docker(&["volume", "ls", "--quiet"]).lines().map(str::to_owned).collect()
}

#[test]
fn killed_while_the_image_of_an_action_is_built() {
    for (name, again) in [("built-resumed", &["--resume", "1"][..]), ("built-anew", &[])] {
        let action = Scene::new(name, "./box", 2);
        action.killed_at("slow", || assert_ne!(action.labelled(&["ps"]), "", "the build has a container"));
        assert_eq!(action.labelled(&["images", "--filter", "dangling=false"]), "", "it is not built");
        action.goes_on(again);
        assert_eq!(action.labelled(&["images", "--filter", "dangling=true"]), "", "no part of an image");
        assert_eq!(action.labelled(&["images", "--filter", "reference=pipe-action"]).lines().count(), 1);
    }
}

#[test]
fn a_build_that_was_killed_ends_and_leaves_no_container() {
    let action = Scene::new("built-never", "./box", 600);
    action.killed_at("slow", || {});
    // The next command, whichever it is.
    assert_eq!(command(&action.world, &["list"]).output().unwrap().status.code(), Some(0));
    action.nothing_is_left();
}

#[test]
fn killed_while_the_container_of_an_action_runs() {
    let pulled = format!("docker://{IMAGE}");
    for (name, uses, again) in [
        ("runs-resumed", "./box", &["--resume", "1"][..]),
        ("runs-anew", "./box", &[]),
        ("pulled-resumed", &pulled, &["--resume", "1"]),
        ("pulled-anew", &pulled, &[]),
    ] {
        let action = Scene::new(name, uses, 0);
        let mut anonymous = Vec::new();
        action.killed_at("waiting", || {
            let running = left(&action.world);
            assert!(running.len() >= 2, "one of the job and one of its action: {running:?}");
            anonymous.extend(action.labelled(&["ps"]).lines().flat_map(volumes));
        });
        assert_eq!(anonymous.is_empty(), uses == pulled, "{anonymous:?}");
        action.goes_on(again);
        let volumes = all_volumes();
        assert!(anonymous.iter().all(|volume| !volumes.contains(volume)), "{anonymous:?}");
    }
}
