//! One tenant as its clients meet it: who may ask, who is in, what answers.

use crate::{
    access::Access, admission::Admission, damage::Damage, metrics::Metrics, prover::Prover, shipper::Shipper,
};
use roost_engine::Engine;
use roost_protocol::{BranchKey, durability::Terms, time::UnixMillis};
use roost_store::Environment;
use std::{sync::Arc, time::Duration};

/// What the query API needs of a served tenant.
pub struct Site {
    /// Its name.
    pub name: BranchKey,
    /// Who may ask.
    pub access: Access,
    /// Who is in.
    pub admission: Arc<Admission>,
    /// What answers.
    pub engine: Engine,
    /// Whether it may answer.
    pub prover: Arc<Prover>,
    /// Whether what it tells is durable.
    pub shipper: Arc<Shipper>,
    /// Why it can answer no more.
    pub damage: Damage,
    /// What answers wait for.
    pub durability: Terms,
    /// Longest time of one request.
    pub statement_timeout: Duration,
    /// Metrics.
    pub metrics: Metrics,
    /// Clock.
    pub environment: Environment,
}

impl Site {
    /// Wall-clock time.
    pub fn now(&self) -> UnixMillis {
        unix_millis(self.environment.clock.now())
    }

    /// Monotonic time.
    pub fn monotonic(&self) -> Duration {
        self.environment.clock.monotonic()
    }
}

/// A moment as it travels between processes.
pub fn unix_millis(moment: jiff::Timestamp) -> UnixMillis {
    UnixMillis(u64::try_from(moment.as_millisecond()).unwrap_or(0))
}
