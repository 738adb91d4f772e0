//! Authentication and authorization. Kubernetes is the authority: a TokenReview says who asks, a SubjectAccessReview
//! what they may do.

mod bearer;
mod remembered;
mod reviews;
mod unanswered;

pub use bearer::{BearerToken, TokenError, refusal};
pub use unanswered::ReviewError;

use crate::metrics::Metrics;
use bearer::TokenHash;
use k8s_openapi::api::authentication::v1::UserInfo;
use remembered::{Memory, Remembered};
use reviews::Reviews;
use roost_protocol::{
    BranchKey,
    problem::{ErrorCode, Problem},
    session::Role,
};
use std::{sync::Arc, time::Duration};

/// Time for which a grant is believed without asking again.
pub const FRESH: Duration = Duration::from_mins(1);
/// Time for which a denial is believed without asking again.
pub const DENIAL_MEMORY: Duration = Duration::from_secs(5);
/// Greatest age of a grant while the API server does not answer.
pub const STALE: Duration = Duration::from_mins(5);
/// After the API server failed to answer, how long it is not asked again for the same thing.
pub const FAILURE_MEMORY: Duration = Duration::from_secs(1);
/// Most identities and most grants that are remembered.
pub const MAX_REMEMBERED: u64 = 20_000;

/// A caller's rights on a branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Kubernetes user name.
    pub user: String,
    /// The greatest role that they give.
    pub role: Role,
}

/// Authenticator and authorizer; remembers both answers for a moment.
pub struct Authenticator {
    reviews: Reviews,
    identities: Remembered<TokenHash, Arc<UserInfo>>,
    roles: Remembered<(TokenHash, BranchKey), Role>,
    metrics: Arc<Metrics>,
}

impl Authenticator {
    /// Asks the API server that `client` reaches.
    pub fn new(client: kube::Client, metrics: Arc<Metrics>) -> Self {
        let memory = Memory {
            fresh: FRESH,
            denial: DENIAL_MEMORY,
            stale: STALE,
            failure: FAILURE_MEMORY,
            capacity: MAX_REMEMBERED,
        };
        Self {
            reviews: Reviews::new(client),
            identities: Remembered::new(memory),
            roles: Remembered::new(memory),
            metrics,
        }
    }

    /// The user who shows this token.
    /// Errors: `unauthenticated`, `access-unknown`, `internal`.
    pub async fn identify(&self, token: &BearerToken) -> Result<Arc<UserInfo>, Problem> {
        let result = self.identities.get(token.hash(), || self.reviews.identify(token)).await;
        self.count(result)
    }

    /// The rights of this token's owner on the branch; [`ErrorCode::Forbidden`] when there are none.
    /// Errors: `forbidden`, `not-found`, `tenant-not-ready`, `access-unknown`, `internal`.
    pub async fn authorize(
        &self,
        token: &BearerToken,
        user: &UserInfo,
        key: &BranchKey,
    ) -> Result<Access, Problem> {
        let result =
            self.roles.get((token.hash(), key.clone()), || self.reviews.authorize(token, user, key)).await;
        let role = self.count(result)?;
        Ok(Access { user: user.username.clone().unwrap_or_default(), role })
    }

    fn count<T>(&self, result: Result<T, Problem>) -> Result<T, Problem> {
        if let Err(problem) = &result {
            self.metrics.denied(problem.code);
            if problem.code == ErrorCode::AccessUnknown {
                tracing::warn!(problem = %problem.detail, "access cannot be checked");
            }
        }
        result
    }
}
