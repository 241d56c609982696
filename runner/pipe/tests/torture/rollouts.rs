//! The crash matrix of a rollout: the server that carries it is killed at each effect, before it reaches anybody, after it was
//! answered and before that was kept, and after its result was kept. Each effect happens once, and no user notices.
//!
//! The same on a virtual clock: `pipelines/src/rollout/tests/crash.rs`.

use std::fmt::Write as _;

use crate::gate::{Death, Seen};
use crate::image::image;
use crate::is_long;
use crate::load::{Load, get};
use crate::server::wait_for;
use crate::stage::{Proxy, Stage};
use crate::world::docker_works;

/// Users who ask all the time.
const USERS: usize = 3;

/// How the second version fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Story {
    Good,
    /// Its script fails once it has all of the traffic.
    Bad,
}

/// All that can be told of a rollout afterwards.
#[derive(Debug, PartialEq, Eq)]
struct Lived {
    outcome: String,
    /// Each with how often it was begun and ended.
    effects: Vec<String>,
    /// Requests that had an effect at the engine or the proxy.
    requests: Vec<String>,
    /// What scripts did, as often as they did it.
    told: Vec<String>,
    /// In order of age, with their states.
    containers: Vec<String>,
    /// Generations of the proxy's table that the service took.
    generations: u64,
    colours: Vec<String>,
    /// What users get.
    version: Result<String, String>,
    lock: Option<u64>,
    run_ended_well: bool,
    went_wrong: Vec<String>,
}

fn workflow(stage: &Stage, service: &str, story: Story) -> String {
    let mut more = "steps: |\n  - { weight: 50, for: 300ms }\n  - { weight: 100 }\nhooks: |\n".to_owned();
    let then = if story == Story::Bad { "exit 3" } else { "true" };
    for (hook, then) in [("AfterAllowTestTraffic", "true"), ("AfterAllowTraffic", then), ("OnRollback", "true")] {
        writeln!(more, "  {hook}: |\n    {}", stage.ring(hook, then)).unwrap();
    }
    stage.workflow(service, &more)
}

/// One rollout from beginning to end, with a death.
fn live(stage: &mut Stage, number: usize, story: Story, death: Option<Death>) -> (Lived, bool) {
    let service = format!("s{number}");
    // Without a proxy yet there is no table.
    let generation = |stage: &Stage| stage.table()["generation"].as_u64().unwrap_or(0);
    let before = generation(stage);
    stage.watch.begin(&service, death);
    let run = stage.push(&workflow(stage, &service, story));
    let mut looks = 0;
    wait_for("the second rollout", || {
        looks += 1;
        stage.follow();
        stage.ledger.facts(&service).is_some() || (looks % 200 == 0 && stage.world.is_over(run, "deploy"))
    });
    assert!(stage.ledger.facts(&service).is_some(), "it ended before: {}", stage.log(run));
    let load = Load::begin(stage.ports[0], &format!("/{service}/health"), USERS);
    let has_ended = |stage: &mut Stage| {
        let closed = stage.ledger.newest(&service).is_some_and(|(state, _)| state == "closed");
        let blade = stage.blade.clone();
        closed && stage.world.watch(run, || blade.has_struck())
    };
    wait_for("the rollout and its run to end", || {
        // While it is down nobody is asked: a verb on its folder would take it up.
        stage.follow();
        has_ended(stage)
    });
    // What dies at its very end is followed too.
    let killed = stage.watch.has_died();
    stage.follow();
    let output = stage.world.pipe(&["watch", &run.to_string(), "--data", &stage.world.data().display().to_string()]);
    let run_ended_well = output.status.success();
    let (asked, wrong) = load.end();
    assert!(asked > 0, "nobody asked anything");
    let Seen { requests, told, containers } = stage.watch.end();
    let name = |name: &str| {
        containers.iter().position(|known| known == name).map_or_else(|| name.to_owned(), |at| at.to_string())
    };
    let mut left: Vec<_> =
        stage.containers(&service).iter().map(|(of, state)| format!("{} {state}", name(of))).collect();
    left.sort();
    let table = stage.table();
    let route = table["routes"].as_array().unwrap().iter().find(|route| route["service"] == *service);
    let colours = route.map_or_else(Vec::new, |route| {
        let all = route["colours"].as_array().unwrap().iter();
        all.map(|colour| format!("{} {}", colour["name"].as_str().unwrap(), colour["weight"])).collect()
    });
    let lived = Lived {
        outcome: stage.ledger.newest(&service).unwrap().1["outcome"].as_str().unwrap_or_default().to_owned(),
        effects: stage.ledger.facts(&service).unwrap().effects(),
        requests,
        told,
        containers: left,
        generations: generation(stage) - before,
        colours,
        version: get(stage.ports[0], &format!("/{service}/cgi-bin/version")),
        lock: stage.ledger.holder(&service),
        run_ended_well,
        went_wrong: wrong.into_iter().map(|wrong| wrong.what).collect(),
    };
    stage.clear(&service);
    (lived, killed)
}

fn undisturbed(stage: &mut Stage, story: Story) -> Lived {
    let (lived, _) = live(stage, 0, story, None);
    println!("{lived:#?}");
    let is_good = story == Story::Good;
    assert_eq!(lived.outcome, if is_good { "succeeded" } else { "rolled-back" }, "{lived:#?}");
    assert_eq!(lived.run_ended_well, is_good);
    let (version, containers): (_, &[&str]) =
        if is_good { ("v2", &["0 exited", "1 running"]) } else { ("v1", &["0 running"]) };
    assert_eq!((lived.version.as_deref(), lived.colours.as_slice()), (Ok(version), &["blue 1000".to_owned()][..]));
    assert_eq!((lived.containers.as_slice(), lived.lock), (strings(containers).as_slice(), None));
    let told: &[&str] = if is_good {
        &["AfterAllowTestTraffic", "AfterAllowTraffic"]
    } else {
        &["AfterAllowTestTraffic", "AfterAllowTraffic", "OnRollback"]
    };
    assert_eq!(lived.told, told);
    assert!(lived.went_wrong.is_empty(), "{:?}", lived.went_wrong);
    let once = |effect: &String| effect.contains("begun 1 done 1 failed 0");
    assert_eq!(
        lived.effects.iter().filter(|effect| !once(effect)).count(),
        usize::from(!is_good),
        "{:#?}",
        lived.effects
    );
    lived
}

fn strings(all: &[&str]) -> Vec<String> {
    all.iter().map(|text| (*text).to_owned()).collect()
}

/// Each moment at which it can die, from this effect on.
fn moments(lived: &Lived, from: u64) -> Vec<Death> {
    let mut all = Vec::new();
    for (effect, words) in (from..).zip(&lived.effects[usize::try_from(from).unwrap()..]) {
        all.push(Death::BeforeCall(effect));
        let of = |request: &String| request.split(' ').next() == Some(effect.to_string().as_str());
        let requests = lived.requests.iter().enumerate().filter(|(_, request)| of(request));
        all.extend(requests.map(|(request, _)| Death::AfterRequest(request)));
        if words.contains(" hook ") {
            all.push(Death::InScript(effect));
        }
        all.push(Death::AfterResult(effect));
    }
    all
}

fn killed_at(story: Story, choose: impl Fn(&Lived) -> Vec<Death>) {
    let mut stage = Stage::new(Proxy::Gated);
    let expected = undisturbed(&mut stage, story);
    let deaths = choose(&expected);
    let (mut killed, mut failed) = (0, Vec::new());
    for (number, death) in (1..).zip(&deaths) {
        let begun = std::time::Instant::now();
        let lived =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| live(&mut stage, number, story, Some(*death))));
        match lived {
            Ok((lived, was_killed)) => {
                println!("{story:?} {death:?}: {:.1} s, killed: {was_killed}", begun.elapsed().as_secs_f64());
                killed += usize::from(was_killed);
                if lived != expected || !was_killed {
                    failed.push(format!("{death:?}, killed: {was_killed}: {lived:#?}"));
                }
            }
            Err(_said) => {
                failed.push(format!("{death:?}: see above\n{}", stage.world.server_log()));
                stage = Stage::new(Proxy::Gated);
            }
        }
    }
    println!("{story:?}: killed at {killed} of {} moments; effects {:#?}", deaths.len(), expected.effects);
    assert!(failed.is_empty(), "{} of {}: {}", failed.len(), deaths.len(), failed.join("\n"));
}

fn works() -> bool {
    docker_works() && image().is_some()
}

/// The effect that these words begin.
fn effect(lived: &Lived, words: &str) -> u64 {
    lived.effects.iter().position(|effect| effect.contains(words)).unwrap().try_into().unwrap()
}

#[test]
fn a_rollout_that_is_killed_at_some_effects() {
    if !works() {
        return;
    }
    killed_at(Story::Good, |lived| {
        let (shift, script) = (effect(lived, "set-weight"), effect(lived, "hook"));
        let of = |request: &&String| request.starts_with(&format!("{shift} "));
        let request = lived.requests.iter().position(|request| of(&request)).unwrap();
        vec![Death::AfterRequest(request), Death::InScript(script)]
    });
}

#[test]
fn a_rollout_that_is_killed_at_every_effect() {
    if is_long() && works() {
        killed_at(Story::Good, |lived| moments(lived, 0));
    }
}

#[test]
fn a_rollout_that_is_killed_at_every_effect_of_its_way_back() {
    if is_long() && works() {
        killed_at(Story::Bad, |lived| moments(lived, effect(lived, "failed 1")));
    }
}

/// Its first deployment starts the proxy; the process that does may die before it is there, and before it is known to be.
#[test]
fn a_server_that_is_killed_while_it_starts_the_proxy() {
    if !works() {
        return;
    }
    for file in ["started.json", "control.sock"] {
        let mut stage = Stage::new(Proxy::StartedByDeployment);
        let (path, blade) = (stage.folder().join(file), stage.blade.clone());
        let killer = std::thread::spawn(move || {
            wait_for("the proxy to be started", || path.exists());
            blade.strike();
        });
        let (lived, _) = live(&mut stage, 0, Story::Good, None);
        killer.join().unwrap();
        assert_eq!(
            (lived.outcome.as_str(), lived.version.as_deref(), lived.lock),
            ("succeeded", Ok("v2"), None),
            "{lived:#?}"
        );
        assert_eq!(lived.told, ["AfterAllowTestTraffic", "AfterAllowTraffic"]);
        assert!(lived.run_ended_well && lived.went_wrong.is_empty(), "{lived:#?}");
        let folder = stage.folder().display().to_string();
        let proxies: Vec<_> =
            stage.world.processes().into_iter().filter(|(_, words)| words.contains(&folder)).collect();
        assert_eq!(proxies.len(), 1, "{proxies:?}");
    }
}
