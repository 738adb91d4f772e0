//! The gateway's questions to the API server: who owns a token, and what they may do.

use super::{bearer::BearerToken, remembered::Verdict, unanswered::ReviewError};
use crate::clock;
use k8s_openapi::api::{
    authentication::v1::{TokenReview, TokenReviewSpec, UserInfo},
    authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec},
};
use kube::{
    Api, Client,
    api::{ListParams, PostParams},
};
use roost_crds::{Branch, GROUP, Reason, VERSION};
use roost_protocol::{
    BranchKey,
    names::CLIENT_AUDIENCE,
    problem::{ErrorCode, Problem},
    session::Role,
};
use std::{sync::Arc, time::Duration};
use tokio::{sync::Semaphore, time::timeout};

/// Longest time for one answer of the API server.
const REVIEW_TIMEOUT: Duration = Duration::from_secs(5);
/// Most questions to the API server at once; more wait for their turn within their time.
const MAX_CONCURRENT_REVIEWS: usize = 64;
/// Branch objects of one tenant that are listed at a time.
const BRANCHES_AT_A_TIME: u32 = 500;

pub struct Reviews {
    client: Client,
    turns: Semaphore,
}

impl Reviews {
    pub fn new(client: Client) -> Self {
        Self { client, turns: Semaphore::new(MAX_CONCURRENT_REVIEWS) }
    }

    /// The owner of the token, by TokenReview for our audience and no other.
    pub async fn identify(&self, token: &BearerToken) -> Result<Verdict<Arc<UserInfo>>, ReviewError> {
        let review = TokenReview {
            spec: TokenReviewSpec {
                token: Some(token.expose().into()),
                audiences: Some(vec![CLIENT_AUDIENCE.into()]),
            },
            ..TokenReview::default()
        };
        let api: Api<TokenReview> = Api::all(self.client.clone());
        let status = self.ask(api.create(&PostParams::default(), &review)).await?.status.unwrap_or_default();
        // An API server that does not know audiences leaves them out: then the token is for itself.
        let ours = status.audiences.unwrap_or_default().iter().any(|audience| audience == CLIENT_AUDIENCE);
        Ok(match status.user {
            Some(user)
                if ours
                    && status.authenticated == Some(true)
                    && user.username.as_deref().is_some_and(|name| !name.is_empty()) =>
            {
                Verdict::Granted { value: Arc::new(user), for_at_most: remaining(token) }
            }
            _ => Verdict::Denied(token.explain_refusal()),
        })
    }

    /// The user's role on the branch. Verb `connect` reads and writes, `read` reads.
    pub async fn authorize(
        &self,
        token: &BearerToken,
        user: &UserInfo,
        key: &BranchKey,
    ) -> Result<Verdict<Role>, ReviewError> {
        let (resource, claims) = if key.is_main() {
            ("tenants", vec![Claim { object: key.tenant.clone(), made: true }])
        } else {
            ("branches", self.claims(key).await?)
        };
        let objects: Vec<_> = claims.iter().map(|claim| claim.object.clone()).collect();
        // Someone without rights is not told whether the branch exists.
        let probed = if objects.is_empty() { vec![key.branch.clone()] } else { objects.clone() };
        let mut role = Role::ReadWrite;
        for object in &probed {
            role = match self.role_on(user, &key.namespace, resource, object, role).await? {
                Some(role) => role,
                None => return Ok(Verdict::Denied(forbidden(user, &key.namespace, resource, object))),
            };
        }
        if objects.is_empty() {
            return Ok(Verdict::Denied(Problem::new(
                ErrorCode::NotFound,
                format!(
                    "namespace {} has no Branch object of tenant {} with branchName {}",
                    key.namespace, key.tenant, key.branch
                ),
            )));
        }
        // A pod of an earlier object may still serve: it is not that of an object that has no branch yet.
        if claims.iter().all(|claim| !claim.made) {
            let waits = format!("{key} is not made yet: see the Branch object {}", objects.join(", "));
            return Ok(Verdict::Denied(Problem::new(ErrorCode::TenantNotReady, waits)));
        }
        Ok(Verdict::Granted { value: role, for_at_most: remaining(token) })
    }

    /// The greatest role on one object that is not above `at_most`.
    async fn role_on(
        &self,
        user: &UserInfo,
        namespace: &str,
        resource: &str,
        object: &str,
        at_most: Role,
    ) -> Result<Option<Role>, ReviewError> {
        if at_most == Role::ReadWrite && self.may(user, namespace, resource, object, "connect").await? {
            return Ok(Some(Role::ReadWrite));
        }
        // Whoever may connect may also read.
        let verbs: &[&str] = if at_most == Role::ReadWrite { &["read"] } else { &["read", "connect"] };
        for verb in verbs {
            if self.may(user, namespace, resource, object, verb).await? {
                return Ok(Some(Role::ReadOnly));
            }
        }
        Ok(None)
    }

    async fn may(
        &self,
        user: &UserInfo,
        namespace: &str,
        resource: &str,
        object: &str,
        verb: &str,
    ) -> Result<bool, ReviewError> {
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: user.username.clone(),
                groups: user.groups.clone(),
                uid: user.uid.clone(),
                extra: user.extra.clone(),
                resource_attributes: Some(ResourceAttributes {
                    group: Some(GROUP.into()),
                    version: Some(VERSION.into()),
                    namespace: Some(namespace.into()),
                    resource: Some(resource.into()),
                    name: Some(object.into()),
                    verb: Some(verb.into()),
                    ..ResourceAttributes::default()
                }),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let api: Api<SubjectAccessReview> = Api::all(self.client.clone());
        let status = self.ask(api.create(&PostParams::default(), &review)).await?.status.unwrap_or_default();
        Ok(status.allowed && status.denied != Some(true))
    }

    /// The Branch objects that stand for this branch: normally one. An object that lost the name to another
    /// one does not stand for it; should there be more for a moment, rights on all of them are needed.
    async fn claims(&self, key: &BranchKey) -> Result<Vec<Claim>, ReviewError> {
        let api: Api<Branch> = Api::namespaced(self.client.clone(), &key.namespace);
        let selector = format!("spec.tenantName={}", key.tenant);
        let mut params = ListParams::default().fields(&selector).limit(BRANCHES_AT_A_TIME);
        let mut claims = Vec::new();
        loop {
            let page = self.ask(api.list(&params)).await?;
            claims.extend(page.items.into_iter().filter_map(|branch| claim(branch, key)));
            match page.metadata.continue_.filter(|rest| !rest.is_empty()) {
                Some(rest) => params = params.continue_token(&rest),
                None => return Ok(claims),
            }
        }
    }

    async fn ask<T>(&self, question: impl Future<Output = kube::Result<T>>) -> Result<T, ReviewError> {
        let turn = async {
            let _turn = self.turns.acquire().await;
            question.await
        };
        match timeout(REVIEW_TIMEOUT, turn).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(ReviewError::Unavailable(format!("no answer within {REVIEW_TIMEOUT:?}"))),
        }
    }
}

/// An object that stands for a branch.
struct Claim {
    /// Its name: what rights are asked on.
    object: String,
    /// Whether it has the branch already.
    made: bool,
}

/// The claim of an object, if it stands for this branch.
fn claim(branch: Branch, key: &BranchKey) -> Option<Claim> {
    if branch.spec.tenant_name != key.tenant || lost_its_name(&branch) {
        return None;
    }
    let made = branch.status.is_some_and(|status| status.position.is_some());
    let object = branch.metadata.name?;
    let named = branch.spec.branch_name.as_ref().unwrap_or(&object) == &key.branch;
    named.then_some(Claim { object, made })
}

fn lost_its_name(branch: &Branch) -> bool {
    let conditions = branch.status.as_ref().map_or(&[][..], |status| &status.conditions);
    conditions.iter().any(|c| c.type_ == "Ready" && c.reason == Reason::BranchNameTaken.as_str())
}

fn remaining(token: &BearerToken) -> Option<Duration> {
    token.claimed_expiry().map(|expiry| expiry.since(clock::now()))
}

fn forbidden(user: &UserInfo, namespace: &str, resource: &str, object: &str) -> Problem {
    let user = user.username.as_deref().unwrap_or_default();
    Problem::new(
        ErrorCode::Forbidden,
        format!(
            "{user} has neither verb `connect` nor `read` on {resource}.{GROUP}/{object} in namespace {namespace}: \
             ask for a RoleBinding of ClusterRole roost-connect or roost-read there"
        ),
    )
}
