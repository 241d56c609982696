//! What a rollout wants done, as a value.

use jiff::Timestamp;

use crate::call::Call;
use crate::fact::Fact;

/// A call whose outcome is not known yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// Its number.
    pub number: u32,
    /// What.
    pub call: Call,
    /// When it was written down.
    pub since: Timestamp,
}

/// Which claim on the lock is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockWish {
    /// To go on, by [`crate::lock::turn`].
    Turn,
    /// To clear away, by [`crate::lock::background_turn`].
    Background,
}

/// What is to be done now.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decision {
    /// To be kept and applied, before anything else; then it is to be asked again.
    pub facts: Vec<Fact>,
    /// The call that is to be performed, or goes on being performed.
    pub call: Option<Effect>,
    /// That call is not wanted any more: it is to be dropped, and looked up.
    pub give_up: bool,
    /// The lock is wanted.
    pub lock: Option<LockWish>,
    /// The lock is to be given back, if it is still held.
    pub release: bool,
    /// Both colours are to be looked at now.
    pub observe: bool,
    /// When to ask again if nothing happens before.
    pub wake_at: Option<Timestamp>,
    /// Nothing is left to do.
    pub is_over: bool,
}
