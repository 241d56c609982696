//! What cannot follow is refused, and nothing is stopped that carries traffic.

use super::{GREEN, Story, value};
use crate::call::Call;
use crate::cause::Cause;
use crate::fact::{Fact, Outcome};
use crate::machine::{Illegal, Rollout, Station};
use crate::order::Order;
use crate::plan::Weight;
use crate::tests::plan;

/// Until green has this share.
fn at(weight: Weight) -> Story {
    let mut story = Story::new(plan());
    for _ in 0..10_000 {
        if story.rollout.stands() == Some(weight) && story.rollout.pending().is_none() {
            return story;
        }
        let decision = story.rollout.decide(story.now);
        if let Some(fact) = decision.facts.into_iter().next() {
            story.fact(fact);
        } else if decision.lock.is_some() {
            story.fact(Fact::Locked { token: 7 });
        } else if decision.observe {
            story.look();
        } else if let Some(effect) = decision.call {
            story.perform(&effect);
        } else {
            story.now = decision.wake_at.unwrap();
            story.world.advance(story.now);
        }
    }
    panic!("{}", story.told());
}

#[test]
fn nothing_destructive_hits_what_carries_traffic() {
    for weight in [Weight(100), Weight(500), Weight::ALL] {
        let story = at(weight);
        assert!(!story.rollout.may_destroy(&Call::StopGreen), "{weight}");
        assert_eq!(story.rollout.may_destroy(&Call::StopBlue), weight == Weight::ALL, "{weight}");
        // A bug that skipped the way back would be caught here.
        let mut broken = story.rollout.clone();
        broken.station = Station::BackStop;
        let stop = Fact::Intent { effect: broken.effects, call: Call::StopGreen };
        let refused = Illegal::CarriesTraffic { call: Call::StopGreen, stands: Some(weight) };
        assert_eq!(broken.apply(story.now, &stop), Err(refused));
        let decision = broken.decide(story.now);
        let [Fact::Ended { outcome: Outcome::Stuck, words }] = decision.facts.as_slice() else {
            panic!("{decision:?}");
        };
        assert!(words.contains("nobody knows which share of the traffic green has"), "{words}");
    }
    let story = at(Weight(100));
    let mut broken = story.rollout.clone();
    (broken.station, broken.stands) = (Station::BackStop, None);
    let stop = Fact::Intent { effect: broken.effects, call: Call::StopGreen };
    assert!(
        matches!(broken.apply(story.now, &stop), Err(Illegal::CarriesTraffic { stands: None, .. })),
        "nobody knows"
    );
    broken.station = Station::Keep;
    let stop = Fact::Intent { effect: broken.effects, call: Call::StopBlue };
    assert!(matches!(broken.apply(story.now, &stop), Err(Illegal::CarriesTraffic { .. })));
}

#[test]
fn what_cannot_follow_is_refused() {
    let story = at(Weight(100));
    let effect = story.rollout.effects;
    let planned = story.log[0].1.clone();
    let weight = |weight| Fact::Intent { effect, call: Call::SetWeight { weight } };
    let table = [
        ("the beginning again", planned),
        ("a token that is not newer", Fact::Locked { token: 7 }),
        ("a share that is not next", weight(Weight::ALL)),
        ("the same share again", weight(Weight(100))),
        ("another number", Fact::Intent { effect: effect + 1, call: Call::SetWeight { weight: Weight(500) } }),
        ("green is started again", Fact::Intent { effect, call: Call::StartGreen }),
        ("blue is stopped", Fact::Intent { effect, call: Call::StopBlue }),
        ("an end of no call", Fact::Done { effect: effect - 1, result: value(Weight(100)) }),
        ("a failure of no call", Fact::Failed { effect, reason: String::new() }),
        ("another step", Fact::Passed { step: 1, words: String::new() }),
        ("waiting", Fact::Waits { behind: 1 }),
        ("closed", Fact::Closed),
    ];
    for (name, fact) in table {
        let mut rollout = story.rollout.clone();
        let refused = rollout.apply(story.now, &fact);
        assert!(matches!(refused, Err(Illegal::OutOfOrder { .. })), "{name}: {refused:?}");
        assert_eq!(rollout.facts(), story.rollout.facts(), "{name}");
    }
    let mut rollout = story.rollout.clone();
    let ordered = |number| Fact::Ordered { order: Order::Pause, by: String::new(), comment: String::new(), number };
    rollout.apply(story.now, &ordered(5)).unwrap();
    assert!(rollout.apply(story.now, &ordered(5)).is_err(), "an order is taken once");
    let back = Fact::TurnsBack { cause: Cause::Ordered, words: "anna".to_owned() };
    rollout.apply(story.now, &back).unwrap();
    assert!(rollout.apply(story.now, &back).is_err(), "it goes back once");
    assert!(Rollout::new(GREEN, story.now, &Fact::Closed).is_err());
    assert!(Rollout::replay(GREEN, &[]).is_err());
}
