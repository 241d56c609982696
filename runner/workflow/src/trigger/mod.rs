//! `on:` against an event.
