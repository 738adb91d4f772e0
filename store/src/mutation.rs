//! Breaking the protocol on purpose, to see that tests notice. Only with the feature `test-mutations`: without it every
//! question here is answered at compile time.

/// A rule that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    /// A new owner puts no seal at the end of the stream that it found.
    SkipTheSeal,
    /// A segment counts as durable after its first PUT, whatever that answered.
    AcknowledgeEarly,
    /// A segment takes WAL beyond its last commit.
    ShipPastTheBoundary,
    /// Segments carry no chunks.
    DropCarriedChunks,
    /// Commits that follow a freeze count as durable before HEAD names their stream.
    AcknowledgeTheNextStream,
    /// A failed publish forgets what it froze, and the next one freezes again.
    FreezeTwice,
    /// A retry is a write of its own: what an earlier attempt of it left is somebody else's.
    NewPutIdOnRetry,
    /// Objects that nothing reaches are collected, whether or not their attempts ended.
    CollectByAge,
    /// Collections do not look again before they delete.
    CollectAtOnce,
    /// Collections delete seals.
    CollectSeals,
    /// The times of commits are those of the clock, also where it went back.
    TimeFromTheClock,
    /// An owner believes that it still is one.
    SkipTheProof,
}

impl Mutation {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::SkipTheSeal,
        Self::AcknowledgeEarly,
        Self::ShipPastTheBoundary,
        Self::DropCarriedChunks,
        Self::AcknowledgeTheNextStream,
        Self::FreezeTwice,
        Self::NewPutIdOnRetry,
        Self::CollectByAge,
        Self::CollectAtOnce,
        Self::CollectSeals,
        Self::TimeFromTheClock,
        Self::SkipTheProof,
    ];
}

#[cfg(feature = "test-mutations")]
thread_local! {
    static ACTIVE: std::cell::Cell<Option<Mutation>> = const { std::cell::Cell::new(None) };
}

/// Whether this rule is broken on this thread.
#[cfg(feature = "test-mutations")]
pub(crate) fn broken(mutation: Mutation) -> bool {
    ACTIVE.with(|active| active.get() == Some(mutation))
}

/// Whether this rule is broken: never.
#[cfg(not(feature = "test-mutations"))]
pub(crate) const fn broken(_: Mutation) -> bool {
    false
}

/// Breaks a rule on this thread, until what this returns is dropped.
#[cfg(feature = "test-mutations")]
pub fn begin(mutation: Mutation) -> Broken {
    ACTIVE.with(|active| active.set(Some(mutation)));
    Broken(())
}

/// A rule is broken.
#[cfg(feature = "test-mutations")]
#[must_use]
#[derive(Debug)]
pub struct Broken(());

#[cfg(feature = "test-mutations")]
impl Drop for Broken {
    fn drop(&mut self) {
        ACTIVE.with(|active| active.set(None));
    }
}
