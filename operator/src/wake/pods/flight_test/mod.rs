//! Wakes against a scripted world: time is tokio's paused clock.

mod ceiling;
mod pods;
mod refusals;
mod sharing;
mod world;
