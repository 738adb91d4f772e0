//! Right to ask for wakes: the gateway's ServiceAccount alone has it, proven by a token of the operator's own audience.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use kube::{Api, api::PostParams};
use roost_protocol::{
    names::OPERATOR_AUDIENCE,
    problem::{ErrorCode, Problem},
};

use crate::context::Context;

/// Time for which an accepted token is not reviewed again.
const ACCEPTED_FOR: Duration = Duration::from_mins(1);
/// Accepted tokens remembered: the gateway has a few replicas.
const MAX_ACCEPTED: u64 = 256;
/// Longest token that is looked at.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// Reviews tokens.
pub struct Authenticator {
    context: Arc<Context>,
    /// By hash, so that no token stays in memory.
    accepted: moka::future::Cache<blake3::Hash, ()>,
}

impl Authenticator {
    /// Asks the API server.
    pub fn new(context: Arc<Context>) -> Self {
        let accepted =
            moka::future::Cache::builder().max_capacity(MAX_ACCEPTED).time_to_live(ACCEPTED_FOR).build();
        Self { context, accepted }
    }

    /// Accepts the gateway's token and nothing else.
    /// Errors: `unauthenticated`, `busy`.
    pub async fn check(&self, authorization: Option<&str>) -> Result<(), Problem> {
        let refused = |why: &str| Problem::new(ErrorCode::Unauthenticated, why.to_owned());
        let token = authorization
            .and_then(|value| value.strip_prefix("Bearer "))
            .filter(|token| !token.is_empty() && token.len() <= MAX_TOKEN_BYTES)
            .ok_or_else(|| refused("send the gateway's ServiceAccount token as a bearer token"))?;
        let hash = blake3::hash(token.as_bytes());
        if self.accepted.contains_key(&hash) {
            return Ok(());
        }
        let review = TokenReview {
            spec: TokenReviewSpec {
                audiences: Some(vec![OPERATOR_AUDIENCE.into()]),
                token: Some(token.to_owned()),
            },
            ..TokenReview::default()
        };
        let api: Api<TokenReview> = Api::all(self.context.client.clone());
        let review = api.create(&PostParams::default(), &review).await.map_err(|error| {
            tracing::warn!(%error, "a token could not be reviewed");
            Problem::new(ErrorCode::Busy, "the token cannot be checked now; try again").retry_after(1)
        })?;
        let status = review.status.unwrap_or_default();
        verdict(&status, &self.context.config.gateway_user()).map_err(|why| refused(&why))?;
        self.accepted.insert(hash, ()).await;
        Ok(())
    }
}

/// The verdict of a review on a token that should be `user`'s.
fn verdict(
    status: &k8s_openapi::api::authentication::v1::TokenReviewStatus,
    user: &str,
) -> Result<(), String> {
    if status.authenticated != Some(true) {
        return Err("the token is not valid".to_owned());
    }
    if !status.audiences.iter().flatten().any(|audience| audience == OPERATOR_AUDIENCE) {
        return Err(format!("the token is not meant for {OPERATOR_AUDIENCE}"));
    }
    let name = status.user.as_ref().and_then(|user| user.username.as_deref()).unwrap_or_default();
    if name == user { Ok(()) } else { Err(format!("{name} may not ask for wakes; only {user} may")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_the_gateway_with_the_right_audience() {
        let gateway = "system:serviceaccount:roost-system:roost-gateway";
        let ours = json!([OPERATOR_AUDIENCE]);
        let table = [
            (json!({"authenticated": true, "audiences": ours, "user": {"username": gateway}}), None),
            (
                json!({"authenticated": false, "audiences": ours, "user": {"username": gateway}}),
                Some("not valid"),
            ),
            (json!({"audiences": ours, "user": {"username": gateway}}), Some("not valid")),
            (
                json!({"authenticated": true, "audiences": ["roostdb.dev"], "user": {"username": gateway}}),
                Some("meant"),
            ),
            (json!({"authenticated": true, "user": {"username": gateway}}), Some("meant")),
            (
                json!({"authenticated": true, "audiences": ours, "user": {"username": "system:admin"}}),
                Some("may not"),
            ),
            (json!({"authenticated": true, "audiences": ours}), Some("may not")),
        ];
        for (status, refusal) in table {
            let verdict = verdict(&serde_json::from_value(status.clone()).unwrap(), gateway);
            match refusal {
                None => verdict.unwrap(),
                Some(part) => assert!(verdict.unwrap_err().contains(part), "{status}"),
            }
        }
    }
}
