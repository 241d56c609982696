//! Workflow and event to a plan.
