//! Jobs that worker pods do, beside what a kind's own reconciler asks of them.

pub mod replay_check;
#[cfg(test)]
pub mod samples;
