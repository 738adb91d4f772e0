//! Breaking rules of the engine's boundary on purpose, to see that tests notice. Only with the feature `test-mutations`:
//! without it every question here is answered at compile time.

/// A rule that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Mutation {
    /// A transaction gives the write gate back after each statement.
    GatePerStatement = 1,
    /// The gate counts as closed while transactions still hold it.
    PublishWithoutTheGate,
    /// The gate opens again after the last freeze, before HEAD is sealed.
    OpenTheGateBeforeSealing,
    /// DuckDB is told that there is no WAL.
    TheWalIsMissing,
    /// A commit that replay is not proven for is left to it all the same. The connections that DuckDB opens to replay it
    /// are not placed in the tenant's database either: there they replay more (a column that becomes an enum).
    ShipWhatIsNotProven,
}

impl Mutation {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::GatePerStatement,
        Self::PublishWithoutTheGate,
        Self::OpenTheGateBeforeSealing,
        Self::TheWalIsMissing,
        Self::ShipWhatIsNotProven,
    ];
}

/// The rule that is broken in this process; 0: none.
#[cfg(feature = "test-mutations")]
static ACTIVE: std::sync::atomic::AtomicU8 = std::sync::atomic::AtomicU8::new(0);

/// Whether this rule is broken in this process.
#[cfg(feature = "test-mutations")]
pub fn broken(mutation: Mutation) -> bool {
    ACTIVE.load(std::sync::atomic::Ordering::SeqCst) == mutation as u8
}

/// Whether this rule is broken: never.
#[cfg(not(feature = "test-mutations"))]
pub const fn broken(_: Mutation) -> bool {
    false
}

/// Breaks a rule in this process, until what this returns is dropped. Engines run on threads of their own, so all tests
/// of a program that does this must take turns.
#[cfg(feature = "test-mutations")]
pub fn begin(mutation: Mutation) -> Broken {
    ACTIVE.store(mutation as u8, std::sync::atomic::Ordering::SeqCst);
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
        ACTIVE.store(0, std::sync::atomic::Ordering::SeqCst);
    }
}
