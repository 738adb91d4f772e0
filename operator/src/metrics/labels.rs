//! Labels and buckets that several parts use.

use prometheus_client::encoding::EncodeLabelSet;

/// Seconds at which a wake's or reconcile's duration is counted.
pub(super) const BUCKETS: [f64; 12] = [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 120.0];

/// Label `outcome`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OutcomeLabel {
    pub(super) outcome: String,
}
