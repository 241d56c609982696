//! Who comes next where several rollouts want one service of one environment.
//!
//! The lock itself, with its fencing token, is whoever keeps it; here is only the rule, so that all say the same. It is asked after
//! approval: a rollout that waits for people keeps nobody waiting.

use crate::plan::OnActive;

/// Another rollout of the same environment and service that is open, or has the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rival {
    /// Its number: a lower one came before.
    pub id: u64,
    /// It has the lock.
    pub has_lock: bool,
    /// It waits for the lock ([`Phase::Waiting`](crate::view::Phase::Waiting)).
    pub is_waiting: bool,
    /// What it does while another goes on.
    pub on_active: OnActive,
}

/// What a rollout that wants the lock does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It takes the lock.
    Take,
    /// It waits.
    Wait {
        /// For this one first.
        behind: u64,
    },
    /// A newer one took its place.
    Superseded {
        /// Which.
        by: u64,
    },
    /// Another goes on, and it was asked not to wait.
    Busy {
        /// Which.
        behind: u64,
    },
}

/// Whose turn it is, for the rollout `id`.
#[must_use]
pub fn turn(id: u64, on_active: OnActive, rivals: &[Rival]) -> Turn {
    let newer = rivals.iter().filter(|rival| rival.id > id && rival.is_waiting);
    if let Some(by) = newer.filter(|rival| rival.on_active == OnActive::Supersede).map(|rival| rival.id).max() {
        return Turn::Superseded { by };
    }
    let holder = rivals.iter().find(|rival| rival.has_lock);
    // Those it supersedes do not keep it waiting: they end by themselves.
    let before = rivals
        .iter()
        .filter(|rival| rival.is_waiting && rival.id < id && on_active != OnActive::Supersede)
        .min_by_key(|rival| rival.id);
    match (holder.or(before), on_active) {
        (None, _) => Turn::Take,
        (Some(rival), OnActive::Fail) => Turn::Busy { behind: rival.id },
        (Some(rival), OnActive::Wait | OnActive::Supersede) => Turn::Wait { behind: rival.id },
    }
}

/// Whose turn it is where only something is to be cleared away: anybody else comes first.
#[must_use]
pub fn background_turn(rivals: &[Rival]) -> Turn {
    match rivals.iter().find(|rival| rival.has_lock || rival.is_waiting) {
        Some(rival) => Turn::Wait { behind: rival.id },
        None => Turn::Take,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rival(id: u64, state: char, on_active: OnActive) -> Rival {
        Rival { id, has_lock: state == 'L', is_waiting: state == 'w', on_active }
    }

    #[test]
    fn the_first_to_come_goes_first() {
        use OnActive::{Fail, Supersede, Wait};
        let table: &[(&str, OnActive, &[Rival], Turn)] = &[
            ("alone", Wait, &[], Turn::Take),
            ("one holds", Wait, &[rival(3, 'L', Wait)], Turn::Wait { behind: 3 }),
            ("an older one waits", Wait, &[rival(4, 'w', Wait)], Turn::Wait { behind: 4 }),
            ("the oldest of two", Wait, &[rival(5, 'w', Wait), rival(4, 'w', Wait)], Turn::Wait { behind: 4 }),
            ("a newer one waits", Wait, &[rival(11, 'w', Wait)], Turn::Take),
            ("a newer one supersedes", Wait, &[rival(11, 'w', Supersede)], Turn::Superseded { by: 11 }),
            (
                "the newest supersedes",
                Supersede,
                &[rival(11, 'w', Supersede), rival(12, 'w', Supersede)],
                Turn::Superseded { by: 12 },
            ),
            ("those superseded are not waited for", Supersede, &[rival(4, 'w', Wait)], Turn::Take),
            ("what goes on is", Supersede, &[rival(3, 'L', Wait), rival(4, 'w', Wait)], Turn::Wait { behind: 3 }),
            ("not to wait", Fail, &[rival(3, 'L', Wait)], Turn::Busy { behind: 3 }),
            ("not to wait for those before", Fail, &[rival(4, 'w', Wait)], Turn::Busy { behind: 4 }),
            ("keeps blue warm only", Fail, &[rival(3, ' ', Wait)], Turn::Take),
        ];
        for (name, on_active, rivals, expected) in table {
            assert_eq!(turn(10, *on_active, rivals), *expected, "{name}");
        }
        assert_eq!(background_turn(&[rival(11, 'w', Wait)]), Turn::Wait { behind: 11 });
        assert_eq!(background_turn(&[rival(11, ' ', Wait)]), Turn::Take);
    }
}
