//! Questions that the API server does not answer, and the problem that a client gets for it.

use roost_protocol::problem::{ErrorCode, Problem};

/// Reason why access could not be checked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReviewError {
    /// The API server does not answer, or says that it cannot now.
    #[error("the API server does not answer: {0}")]
    Unavailable(String),
    /// The API server answers that the gateway may not ask.
    #[error("the API server refuses the question: {0}")]
    Misconfigured(String),
}

/// Answers that another try may change: a timeout, a list that is too old to be gone on with, too many questions.
const PASSING: [u16; 3] = [408, 410, 429];

impl From<kube::Error> for ReviewError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) if status.code < 500 && !PASSING.contains(&status.code) => {
                Self::Misconfigured(status.message.clone())
            }
            other => Self::Unavailable(other.to_string()),
        }
    }
}

impl From<ReviewError> for Problem {
    fn from(error: ReviewError) -> Self {
        match error {
            ReviewError::Unavailable(why) => Self::new(
                ErrorCode::AccessUnknown,
                format!("the Kubernetes API server does not answer: {why}"),
            )
            .retry_after(2),
            ReviewError::Misconfigured(why) => Self::new(
                ErrorCode::Internal,
                format!("the gateway may not ask the Kubernetes API server about access: {why}"),
            ),
        }
    }
}
