//! A server whose `[actions]` say where actions of other repositories come from, and the workflows that its own call.

use crate::serve::{Server, pipe};
use crate::world::{CI, World};

const NAME: &str = "acme/shop";

#[test]
fn a_server_takes_actions_and_called_workflows_from_where_its_settings_say() {
    let there = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = there.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let step = "runs:\n  using: composite\n  steps:\n    - run: echo \"said by octo/say\"\n      shell: bash\n";
    write("say/action.yml", step);
    // One that is built in too, which `never` keeps from running.
    write("checkout/action.yml", &step.replace("said by octo/say", "said instead of the built-in one"));
    let called =
        "on: workflow_call\njobs:\n  inner:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: octo/say@v1\n";
    write("flows/.github/workflows/inner.yml", called);
    let workflow = "on: workflow_dispatch\njobs:\n  call:\n    uses: octo/flows/.github/workflows/inner.yml@main\n\
                    \x20 own:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n";
    let world = World::repository(&[(CI, workflow)]);
    let of = |name: &str| there.path().join(name).display().to_string();
    let settings = format!(
        "[labels]\nubuntu-latest = 'host'\n[actions]\noffline = true\nbuiltin-actions = 'never'\n[actions.local-repositories]\n\
         'octo/say@v1' = '{}'\n'octo/flows' = '{}'\n'actions/checkout' = '{}'\n",
        of("say"),
        of("flows"),
        of("checkout"),
    );
    world.write("data/pipe.toml", settings.as_bytes());
    let server = Server::start(&world);
    let url = world.root().display().to_string();
    pipe(&world, &["repo", "add", &url, "--name", NAME, "--data", "data"]);
    pipe(&world, &["dispatch", "ci.yml", "--repo", NAME, "--watch", "--data", "data"]);
    let log = pipe(&world, &["logs", "latest", "--data", "data"]);
    for line in ["said by octo/say", "said instead of the built-in one"] {
        assert!(log.contains(line), "{line}\n{log}");
    }
    server.stop();
}
