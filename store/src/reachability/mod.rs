//! Which objects under a tenant's prefix its HEADs, pins and snapshots reach, and what the others are. Read-only:
//! whoever may read the bucket may run it, whoever owns the data.

mod report;
mod standing;
mod survey;
mod walk;

pub use report::{Finding, Leftover, Report, Tally};
pub use standing::Standing;
pub use survey::{Survey, survey};
pub use walk::walk;

/// Most objects of one tenant that a walk looks at; more end it with an error rather than with half a report.
pub const MAX_OBJECTS: usize = 5_000_000;
