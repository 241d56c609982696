//! A stand-in for the part of AWS that deployments use: CodeDeploy, ECS, ELBv2, ECR, CloudWatch, STS, and a little of IAM,
//! Secrets Manager, SSM, SNS and Logs, on one port of this machine. For tests only; nothing of the product knows it.
//!
//! What AWS documents is kept: state machines, rules, refusals, the forms of requests and answers. Time is a virtual clock
//! that tests put forward or let run faster. With containers, tasks are real ones, targets are really asked for their health,
//! and listeners carry real requests by our own proxy, whose counters become metrics. Calls may be made to fail, or to take
//! effect without their callers hearing of it, and all are in a journal.
//!
//! A module uses those of its own line and of lines above it:
//!
//! | | |
//! |---|---|
//! | words | `value`, `ids`, `error`, `clock` |
//! | calls as bytes, and AWS's models of them | `wire`, `botocore`, `model` |
//! | the world, which is pure | `hooks`, `sts`, `ecr`, `elb`, `cloudwatch`, `ecs`, `codedeploy`, `small`, `world` |
//! | what is shared | `faults`, `inner` |
//! | what acts | `fetch`, `actors`, `control`, `server`, `fake` |

mod actors;
mod botocore;
mod clock;
mod cloudwatch;
mod codedeploy;
mod control;
mod ecr;
mod ecs;
mod elb;
mod error;
mod fake;
mod faults;
mod fetch;
mod hooks;
mod ids;
mod inner;
mod model;
mod server;
mod small;
mod sts;
mod value;
mod wire;
mod world;

pub use botocore::{botocore, python};
pub use fake::{ACCESS_KEY, Fake, Options, SECRET_KEY};
pub use faults::{Call, Fault};
