//! What happened in the repository.
