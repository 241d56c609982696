//! Advisories end to end: from files to an index to findings, what is damaged or old, and updates.

#[path = "advisory/damage.rs"]
mod damage;
#[path = "advisory/pairs.rs"]
mod pairs;
#[path = "advisory/real.rs"]
mod real;
#[path = "advisory/stand_ins.rs"]
mod stand_ins;
#[path = "advisory/updates.rs"]
mod updates;
#[path = "advisory/world.rs"]
mod world;
