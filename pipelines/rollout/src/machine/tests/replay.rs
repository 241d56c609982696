//! A rollout is nothing but its facts.

use super::{GREEN, Story};
use crate::fact::Outcome;
use crate::machine::Rollout;
use crate::order::Order;
use crate::tests::plan;

#[test]
fn each_prefix_of_the_log_gives_the_same_state_again() {
    for is_bad in [false, true] {
        let mut story = Story::new(plan());
        story.world.rate = 20;
        if is_bad {
            story.world.next.errors = 100;
        }
        story.play(vec![
            (50, Box::new(|story| story.order(Order::Pause))),
            (60, Box::new(|story| story.order(Order::Resume))),
        ]);
        let expected = if is_bad { Outcome::RolledBack } else { Outcome::Succeeded };
        assert_eq!(story.rollout.outcome(), Some(expected), "{}", story.told());
        let mut growing: Option<Rollout> = None;
        for (count, (at, fact)) in (1..).zip(&story.log) {
            match &mut growing {
                None => growing = Some(Rollout::new(GREEN, *at, fact).unwrap()),
                Some(rollout) => rollout.apply(*at, fact).unwrap(),
            }
            let Some(rollout) = &growing else { continue };
            assert_eq!(rollout.facts(), count);
            // Each is long; the places where something happens are all there.
            if count % 7 != 1 && matches!(fact, crate::Fact::Observed(_)) {
                continue;
            }
            let length = usize::try_from(count).unwrap();
            let again = Rollout::replay(GREEN, &story.log[..length]).unwrap();
            assert_eq!(again.decide(*at), rollout.decide(*at), "after {count}");
            assert_eq!(again.view(*at), rollout.view(*at), "after {count}");
        }
    }
}
