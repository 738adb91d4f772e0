//! Metrics of each query, from its admission to its end.

use crate::admission::Ticket;
use crate::metrics::QueryMetrics;
use roost_protocol::problem::ErrorCode;
use tokio::time::Instant;

/// A query from its admission to its end, however it ends.
pub struct Accounting {
    metrics: QueryMetrics,
    since: Instant,
    error: Option<ErrorCode>,
    /// Keeps the tenant awake and the id taken.
    ticket: Ticket,
}

impl Accounting {
    /// Begins.
    pub fn new(metrics: QueryMetrics, ticket: Ticket) -> Self {
        metrics.started();
        // A query that nobody waits for any more ends without anybody saying how.
        Self { metrics, since: Instant::now(), error: Some(ErrorCode::Cancelled), ticket }
    }

    /// The query's place among those under way.
    pub const fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    /// The query ended well, or with this error.
    pub fn ended(&mut self, error: Option<ErrorCode>) {
        self.error = error;
    }

    /// Rows and bytes were handed to the connection.
    pub fn sent(&self, rows: usize, bytes: usize) {
        self.metrics.sent(rows, bytes);
    }
}

impl Drop for Accounting {
    fn drop(&mut self) {
        self.metrics.ended(self.error, self.since.elapsed());
    }
}
