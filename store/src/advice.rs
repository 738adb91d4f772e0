//! What the caller of a failed step should do next.

/// One answer for every public error of this crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// Nothing was decided against the caller: the same call may succeed later.
    Retry,
    /// The request itself is wrong; changing it helps, repeating it does not.
    FixInput,
    /// This process has no further right or certainty: stop serving and exit.
    GiveUp,
    /// A person must look at the bucket, its rights or its content.
    AskOperator,
}
