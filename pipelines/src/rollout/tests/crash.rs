//! The crash matrix: a process that is killed at each point of a rollout, and the one that takes it up.

use std::sync::Arc;

use jiff::SignedDuration;
use rollout::plan::Stage;
use rollout::plan::{Deed, Hook};
use rollout::{Call, Outcome, Plan};

use super::super::simulated::{Death, Faults, Shared, locked};
use super::{BLUE, Event, GREEN, at, plan, play, revision};

/// A rollout to be killed.
struct Story {
    name: &'static str,
    outcome: Outcome,
    plan: fn() -> Plan,
    world: fn(&Shared),
    events: fn() -> Vec<Event>,
}

fn with_scripts() -> Plan {
    let hooks = Stage::ALL.into_iter().map(|stage| Hook { stage, deed: Deed::Script("true".to_owned()) }).collect();
    Plan { hooks, ..plan() }
}

fn taking_back() -> Plan {
    Plan { rollback_of: Some(BLUE), reuse: Some(revision(7, "v0")), ..plan() }
}

const STORIES: &[Story] = &[
    Story { name: "a good one", outcome: Outcome::Succeeded, plan: with_scripts, world: |_| {}, events: Vec::new },
    Story {
        name: "a bad one",
        outcome: Outcome::RolledBack,
        plan: with_scripts,
        world: |shared| locked(&shared.world).next.errors = 1_000,
        events: Vec::new,
    },
    Story {
        name: "taken back by a person at 50 %",
        outcome: Outcome::RolledBack,
        plan,
        world: |_| {},
        events: || vec![at(27, |shared| shared.order(GREEN, rollout::Order::Rollback))],
    },
    Story {
        name: "never healthy",
        outcome: Outcome::Rejected,
        plan: || Plan { start_timeout: SignedDuration::from_secs(6), ..plan() },
        world: |shared| locked(&shared.world).next.healthy_after = None,
        events: Vec::new,
    },
    Story {
        name: "back to what is warm",
        outcome: Outcome::Succeeded,
        plan: taking_back,
        world: |shared| {
            let mut world = locked(&shared.world);
            world.perform((0, 0), &Call::StartGreen, None, &revision(7, "v0"), None).unwrap();
            world.effects.clear();
            world.green = None;
        },
        events: Vec::new,
    },
];

fn begin(story: &Story) -> Arc<Shared> {
    let shared = Shared::new(Some(revision(BLUE, "v1")));
    locked(&shared.world).rate = 250;
    (story.world)(&shared);
    shared.plan(GREEN, (story.plan)());
    shared
}

/// What has to be true however often it died.
fn check(shared: &Shared, story: &Story, calls: &[Call], what: &str) {
    let view = shared.view(GREEN);
    let told = format!("{}, {what}: {:#?}", story.name, view.timeline);
    assert_eq!(view.outcome, Some(story.outcome), "{told}");
    let world = shared.world();
    let mut effects: Vec<u32> = world.effects.iter().map(|(_, effect, _)| *effect).collect();
    let count = effects.len();
    effects.dedup();
    assert_eq!(effects.len(), count, "each call had one effect; {told}");
    let made: Vec<Call> = world.effects.iter().map(|(_, _, call)| call.clone()).collect();
    assert_eq!(made, calls, "{told}");
    let mut scripts = locked(&shared.stored).scripts.clone();
    let began = scripts.len();
    scripts.dedup();
    // A script that was killed before its end is run again; that is all that a script can be promised.
    assert!(began - scripts.len() <= 1, "{told}");
    let new = (story.plan)().reuse.map_or(GREEN, |reuse| reuse.id);
    let stands = if story.outcome == Outcome::Succeeded { new } else { BLUE };
    assert_eq!((world.primary, world.alive(), world.weight.0), (Some(stands), vec![stands], 0), "{told}");
    assert_eq!((world.lost, world.refused.len()), (0, 0), "no request is lost; {told}");
    assert!(world.answered > 0 && locked(&shared.stored).holder.is_none(), "the lock is given back; {told}");
}

async fn reference(story: &Story) -> (Vec<Call>, u64) {
    let shared = begin(story);
    play(&shared, GREEN, (story.events)()).await;
    let calls: Vec<Call> = shared.world().effects.iter().map(|(_, _, call)| call.clone()).collect();
    check(&shared, story, &calls, "nobody died");
    let facts = locked(&shared.stored).facts[&GREEN].len() as u64;
    (calls, facts)
}

#[tokio::test]
async fn killed_at_each_effect_it_has_each_effect_once() {
    let mut cases = 0;
    for story in STORIES {
        let (calls, _) = reference(story).await;
        for effect in 0..u32::try_from(calls.len()).unwrap() {
            for death in [Death::BeforeCall(effect), Death::AfterCall(effect), Death::AfterResult(effect)] {
                let shared = begin(story);
                locked(&shared.faults).death = Some(death);
                let lives = play(&shared, GREEN, (story.events)()).await;
                assert_eq!(lives, 2, "{}, {death:?}", story.name);
                check(&shared, story, &calls, &format!("{death:?}"));
                cases += 1;
            }
        }
    }
    assert!(cases >= 3 * 40, "{cases}");
}

#[tokio::test]
async fn killed_at_each_write_it_ends_the_same() {
    for story in STORIES {
        let (calls, facts) = reference(story).await;
        for fact in 1..facts {
            for death in [Death::BeforeFact(fact), Death::AfterFact(fact)] {
                let shared = begin(story);
                locked(&shared.faults).death = Some(death);
                play(&shared, GREEN, (story.events)()).await;
                check(&shared, story, &calls, &format!("{death:?}"));
            }
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_is_looked_up() {
    for story in STORIES {
        let (calls, _) = reference(story).await;
        for effect in 0..u32::try_from(calls.len()).unwrap() {
            let shared = begin(story);
            *locked(&shared.faults) = Faults { lost_answers: [effect].into(), ..Faults::default() };
            play(&shared, GREEN, (story.events)()).await;
            check(&shared, story, &calls, &format!("the answer of {effect} was lost"));
        }
    }
}

#[tokio::test]
async fn what_fails_for_a_while_is_tried_again() {
    for story in STORIES {
        let (calls, _) = reference(story).await;
        for effect in 0..u32::try_from(calls.len()).unwrap() {
            let shared = begin(story);
            *locked(&shared.faults) = Faults { hiccups: [(effect, 3)].into(), ..Faults::default() };
            play(&shared, GREEN, (story.events)()).await;
            let world = shared.world();
            assert_eq!(shared.view(GREEN).outcome, Some(story.outcome), "{} {effect}", story.name);
            assert_eq!((world.lost, world.refused.len()), (0, 0), "{} {effect}", story.name);
            drop(world);
            let made: Vec<Call> = shared.world().effects.iter().map(|(_, _, call)| call.clone()).collect();
            assert_eq!(made, calls, "{} {effect}", story.name);
        }
    }
}
