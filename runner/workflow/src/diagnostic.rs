//! What a user did wrong, where, and what to do.
