//! Turns and places of runs in one process and among several.

use super::*;

#[test]
fn a_run_that_nobody_carries_hears_of_its_turn_when_it_comes_back() {
    let (sender, mut absent) = mpsc::unbounded_channel();
    let groups = SharedGroups::of_service(sender);
    let (one, two, three) = (RunId(1), RunId(2), RunId(3));
    groups.restore(one, &None, "g", true);
    groups.restore(two, &None, "g", false);
    groups.restore(three, &None, "h", false);
    let acquired = |group: &str| GroupNews { group: group.into(), change: GroupChange::Acquired(None), by: None };
    assert_eq!(groups.join(three).try_recv(), Ok(acquired("h")), "who held it had left");
    groups.leave(one);
    assert_eq!(absent.try_recv(), Ok(two));
    let mut news = groups.join(two);
    assert!(!groups.put_aside(two, &news));
    assert_eq!(news.try_recv(), Ok(acquired("g")));
    assert!(groups.put_aside(two, &news));
    assert_eq!(groups.request(two, &None, "g", false, QueueMode::Single), [], "it has it");
}

#[tokio::test]
async fn another_process_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let (here, there) =
        (SharedGroups::across(folder.path().into(), |_| ()), SharedGroups::across(folder.path().into(), |_| ()));
    let (one, two, three) = (RunId(1), RunId(2), RunId(3));
    let acquired = || GroupNews { group: "g".into(), change: GroupChange::Acquired(None), by: None };
    let group = of_repository("o/r", "g");
    let _news_of_one = here.join(one);
    let mut news_of_two = here.join(two);
    let mut news_of_three = there.join(three);
    assert_eq!(here.request(one, &None, &group, false, QueueMode::Max), [acquired()]);
    assert_eq!(there.request(three, &None, &group, false, QueueMode::Max), []);
    assert_eq!(here.request(two, &None, &group, false, QueueMode::Max), []);
    assert_eq!(there.request(three, &None, &of_repository("o/x", "g"), false, QueueMode::Max), [acquired()]);
    // It stays in the process that has it as long as somebody there wants it.
    here.leave(one);
    assert_eq!(news_of_two.try_recv(), Ok(acquired()));
    assert!(news_of_three.try_recv().is_err());
    here.leave(two);
    assert_eq!(news_of_three.recv().await, Some(acquired()));
    // One that left while it waited gets nothing, and keeps it from nobody.
    assert_eq!(here.request(one, &None, &group, false, QueueMode::Max), []);
    here.leave(one);
    there.leave(three);
    let mut news_of_two = here.join(two);
    if here.request(two, &None, &group, false, QueueMode::Max).is_empty() {
        assert_eq!(news_of_two.recv().await, Some(acquired()));
    }
}

#[tokio::test]
async fn another_process_takes_the_place_of_this_one() {
    let folder = tempfile::tempdir().unwrap();
    let process = || SharedGroups::across(folder.path().into(), |_| ());
    let (here, there, third) = (process(), process(), process());
    let (one, two, three) = (RunId(1), RunId(2), RunId(3));
    let group = of_repository("o/r", "Prod");
    let news = |change, by: Option<u64>| GroupNews { group: "Prod".into(), change, by: by.map(RunId) };
    let (acquired, cancel) = (GroupChange::Acquired(None), GroupChange::Cancel(None));
    let (mut of_one, mut of_two, mut of_three) = (here.join(one), there.join(two), third.join(three));
    assert_eq!(here.request(one, &None, &group, true, QueueMode::Single), [news(acquired.clone(), None)]);
    // One that waits is replaced, one that has it is not.
    assert_eq!(there.request(two, &None, &group, false, QueueMode::Single), []);
    assert_eq!(third.request(three, &None, &group, false, QueueMode::Single), []);
    assert_eq!(of_two.recv().await, Some(news(cancel.clone(), Some(3))));
    assert!(of_one.try_recv().is_err());
    there.leave(two);
    // Unless the newer one wants that too: then all are.
    let mut of_two = there.join(two);
    assert_eq!(there.request(two, &None, &group, true, QueueMode::Single), []);
    assert_eq!(of_one.recv().await, Some(news(cancel.clone(), Some(2))));
    assert_eq!(of_three.recv().await, Some(news(cancel, Some(2))));
    third.leave(three);
    here.leave(one);
    // Nobody is before it, and asking once more changes nothing for others.
    assert_eq!(of_two.recv().await, Some(news(acquired, None)));
    assert_eq!(there.request(two, &None, &group, true, QueueMode::Single), []);
    there.leave(two);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left");
}

#[tokio::test]
async fn turns_of_processes_come_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let group = of_repository("o/r", "g");
    let mut all: Vec<_> = (1..=5)
        .map(|number| {
            let groups = SharedGroups::across(folder.path().into(), |_| ());
            let news = groups.join(RunId(number));
            let is_first = !groups.request(RunId(number), &None, &group, false, QueueMode::Max).is_empty();
            assert_eq!(is_first, number == 1);
            (RunId(number), groups, news)
        })
        .collect();
    // One in the middle does not wait any longer, and a process is gone without a word.
    let (run, groups, _) = all.remove(2);
    groups.leave(run);
    drop(all.remove(2));
    let (first, groups, _) = all.remove(0);
    groups.leave(first);
    for (run, groups, mut news) in all {
        let acquired = GroupNews { group: "g".into(), change: GroupChange::Acquired(None), by: None };
        assert_eq!(news.recv().await, Some(acquired), "{run}");
        groups.leave(run);
    }
}

#[test]
fn another_run_is_told_of_its_turn_and_of_its_end() {
    let groups = SharedGroups::default();
    let (one, two, three) = (RunId(1), RunId(2), RunId(3));
    let mut news_of_one = groups.join(one);
    let mut news_of_two = groups.join(two);
    let _news_of_three = groups.join(three);
    let acquired = vec![GroupNews { group: "g".into(), change: GroupChange::Acquired(None), by: None }];
    let cancel = |by: u64| GroupNews { group: "G".into(), change: GroupChange::Cancel(None), by: Some(RunId(by)) };
    assert_eq!(groups.request(one, &None, "g", false, QueueMode::Single), acquired);
    assert_eq!(groups.request(two, &None, "G", true, QueueMode::Single), []);
    assert_eq!(news_of_one.try_recv(), Ok(cancel(2)));
    assert_eq!(groups.request(three, &None, "G", false, QueueMode::Single), []);
    assert_eq!(news_of_two.try_recv(), Ok(cancel(3)));
    groups.leave(two);
    groups.leave(one);
    // It has the group now: nobody else is told.
    assert_eq!(groups.release(three, &None, "g"), []);
    assert_eq!(groups.request(RunId(4), &None, "g", false, QueueMode::Single), acquired);
}

#[test]
fn x16_a_run_that_came_late_gives_way_to_newer_ones() {
    let groups = SharedGroups::default();
    let news = |change, by: Option<u64>| GroupNews { group: "g".into(), change, by: by.map(RunId) };
    let (acquired, cancel) = (GroupChange::Acquired(None), GroupChange::Cancel(None));
    let group = of_repository("o/r", "g");
    let (newer, late, other) = (RunId(1), RunId(2), RunId(3));
    let mut of_newer = groups.join(newer);
    let _of_late = groups.join(late);
    assert_eq!(groups.request(newer, &None, &group, true, QueueMode::Single), [news(acquired.clone(), None)]);
    groups.came_late(late, Newer { runs: vec![newer], asked: Vec::new() });
    assert_eq!(groups.request(late, &None, &group, true, QueueMode::Single), [news(cancel.clone(), Some(1))]);
    // In a queue it has its turn, but ends nobody's.
    assert_eq!(groups.request(late, &None, &group, true, QueueMode::Max), []);
    assert!(of_newer.try_recv().is_err(), "the newer one goes on");
    groups.leave(late);
    // Also where the newer one is over already, and where it waits behind somebody.
    groups.leave(newer);
    groups.came_late(late, Newer { runs: vec![newer], asked: vec![(newer, "G".into())] });
    assert_eq!(groups.request(late, &None, &group, false, QueueMode::Single), [news(cancel.clone(), Some(1))]);
    let elsewhere = groups.request(late, &None, &of_repository("o/r", "h"), false, QueueMode::Single);
    assert_eq!(elsewhere[0].change, acquired, "the newer one has nothing to do with that group");
    let _of_other = groups.join(other);
    assert_eq!(groups.request(other, &None, &group, false, QueueMode::Single), [news(acquired.clone(), None)]);
    assert_eq!(groups.request(newer, &None, &group, false, QueueMode::Single), []);
    groups.leave(late);
    groups.came_late(late, Newer { runs: vec![newer], asked: Vec::new() });
    assert_eq!(groups.request(late, &None, &group, false, QueueMode::Single), [news(cancel, Some(1))]);
    groups.leave(other);
    assert_eq!(groups.request(newer, &None, &group, false, QueueMode::Single), [], "it has it");
}

/// Runs that were made one after the other ask in any order: the latest stays.
#[test]
fn who_asks_before_an_earlier_run_has_not_come_before_it() {
    let (one, two, three) = (RunId(1), RunId(2), RunId(3));
    let acquired = || GroupNews { group: "g".into(), change: GroupChange::Acquired(None), by: None };
    let away = |by| GroupNews { group: "g".into(), change: GroupChange::Cancel(None), by: Some(by) };
    let single = |groups: &SharedGroups, run, cancel| groups.request_at_once(run, "g", cancel, QueueMode::Single);

    let groups = SharedGroups::default();
    let mut news_of_two = groups.join(two);
    assert_eq!(single(&groups, two, true), [acquired()]);
    assert_eq!(single(&groups, one, true), [away(two)], "what a later one has is not taken from it");
    assert!(news_of_two.try_recv().is_err());
    assert_eq!(single(&groups, two, true), [], "it has it");

    // Without `cancel-in-progress` both run, one after the other; a place to wait is the latest one's.
    let groups = SharedGroups::default();
    let _news = [one, two, three].map(|run| groups.join(run));
    assert_eq!(single(&groups, two, false), [acquired()]);
    assert_eq!(single(&groups, one, false), []);
    let groups = SharedGroups::default();
    let _news = [one, two, three].map(|run| groups.join(run));
    assert_eq!(single(&groups, two, false), [acquired()]);
    assert_eq!(single(&groups, three, false), []);
    assert_eq!(single(&groups, one, false), [away(three)]);

    // A later run whose event is older takes nobody's place.
    let groups = SharedGroups::default();
    let mut news_of_two = groups.join(two);
    groups.came_late(two, Newer { runs: vec![one], asked: Vec::new() });
    assert_eq!(single(&groups, two, true), [acquired()]);
    assert_eq!(single(&groups, one, true), []);
    assert_eq!(news_of_two.try_recv(), Ok(away(one)));

    // A queue has all of them.
    let groups = SharedGroups::default();
    assert_eq!(groups.request_at_once(two, "g", false, QueueMode::Max), [acquired()]);
    assert_eq!(groups.request_at_once(one, "g", false, QueueMode::Max), []);
}
