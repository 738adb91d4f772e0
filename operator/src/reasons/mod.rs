//! Why an object is as it is: the fault that keeps its spec from being realised, found in the bucket, in the ends of its
//! pods and in failed wakes, and which of several is shown. What each reason says about the conditions is a row of
//! [`roost_crds::reasons`].

pub mod bad_ends;
mod codes;
mod fault;
mod store;
pub mod verdict;
pub mod wake_failure;

pub use bad_ends::BadEndsByBranch;
pub use codes::code;
pub use fault::Fault;
pub use store::{of_folder, of_open, of_probe, of_tenant, problem_of_open, problem_of_step};
