//! Which objects under a tenant's prefix its HEADs, pins and snapshots reach, and what the others are. Read-only:
//! whoever may read the bucket may run it, whoever owns the data.

mod history;
mod manifests;
mod reached;
mod report;
mod roots;
mod standing;
mod survey;
mod verify;
mod walk;

pub use history::History;
pub use manifests::KnownManifests;
pub(crate) use reached::slot;
pub use report::{Finding, Leftover, PastStream, Report, Tally};
pub use standing::Standing;
pub use survey::{Survey, survey};
pub use walk::{Depth, walk};
pub(crate) use walk::{Pages, Walk};

/// Most objects of one tenant that a walk looks at; more end it with an error rather than with half a report.
pub const MAX_OBJECTS: usize = 5_000_000;
