//! `action.yml`.
