//! A scripted Kubernetes API: TokenReview, SubjectAccessReview, lists of Branches, Secrets and EndpointSlices.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use kube::client::Body;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex},
};

/// State of the API server: what it knows, and the reviews that it was asked for.
#[derive(Default)]
pub struct World {
    /// Tokens: audience and user.
    pub tokens: BTreeMap<String, (String, String)>,
    /// Rights: user, verb, resource/name.
    pub rights: Vec<(String, String, String)>,
    /// Branch objects: name, tenant, branchName, reason of Ready.
    pub branches: Vec<(String, String, Option<String>, Option<String>)>,
    /// Lists that watches start from, by the last part of the path.
    pub lists: BTreeMap<String, Vec<Value>>,
    /// Reviews asked for, as posted.
    pub reviews: Vec<Value>,
    /// Answers everything with this status instead.
    pub fails_with: Option<u16>,
}

/// The scripted server; its clones share one world.
#[derive(Clone, Default)]
pub struct Kubernetes(pub Arc<Mutex<World>>);

impl Kubernetes {
    pub fn client(&self) -> kube::Client {
        let this = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let this = this.clone();
            async move { Ok::<_, Infallible>(this.answer(request).await) }
        });
        kube::Client::new(service, "default")
    }

    pub fn token(&self, token: &str, user: &str) {
        self.token_for("roostdb.dev", token, user);
    }

    pub fn token_for(&self, audience: &str, token: &str, user: &str) {
        self.0.lock().unwrap().tokens.insert(token.into(), (audience.into(), user.into()));
    }

    pub fn grant(&self, user: &str, verb: &str, object: &str) {
        self.0.lock().unwrap().rights.push((user.into(), verb.into(), object.into()));
    }

    pub fn branch(&self, object: &str, tenant: &str, branch: Option<&str>, reason: Option<&str>) {
        let branch = (object.into(), tenant.into(), branch.map(Into::into), reason.map(Into::into));
        self.0.lock().unwrap().branches.push(branch);
    }

    pub fn reviews(&self, kind: &str) -> Vec<Value> {
        self.0.lock().unwrap().reviews.iter().filter(|review| review["kind"] == kind).cloned().collect()
    }

    async fn answer(
        &self,
        request: Request<Body>,
    ) -> Response<http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let mut world = self.0.lock().unwrap();
        if let Some(status) = world.fails_with {
            let failure = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "scripted",
                                 "reason": "Scripted", "code": status});
            return reply(status, &failure);
        }
        let kind = head.uri.path().rsplit('/').next().unwrap_or_default();
        let query = head.uri.query().unwrap_or_default();
        if query.contains("watch=") {
            // A watch without events, which stays open.
            let pending = futures::stream::pending::<Result<http_body::Frame<Bytes>, Infallible>>();
            return Response::new(http_body_util::StreamBody::new(pending).boxed_unsync());
        }
        match kind {
            "tokenreviews" => {
                let review = world.record(&body);
                reply(201, &with_status(review.clone(), world.identify(&review)))
            }
            "subjectaccessreviews" => {
                let review = world.record(&body);
                let allowed = world.allows(&review["spec"]);
                reply(201, &with_status(review, json!({"allowed": allowed})))
            }
            "branches" => reply(200, &world.list_branches(query)),
            other => {
                let items = world.lists.get(other).cloned().unwrap_or_default();
                reply(
                    200,
                    &json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": items}),
                )
            }
        }
    }
}

impl World {
    fn record(&mut self, body: &[u8]) -> Value {
        let review: Value = serde_json::from_slice(body).unwrap();
        self.reviews.push(review.clone());
        review
    }

    fn identify(&self, review: &Value) -> Value {
        let asked: Vec<_> = review["spec"]["audiences"].as_array().unwrap().clone();
        match self.tokens.get(review["spec"]["token"].as_str().unwrap()) {
            // An API server without audiences: it says nothing of them.
            Some((audience, user)) if audience == "unknown" => {
                json!({"authenticated": true, "user": {"username": user}})
            }
            Some((audience, user)) if asked.contains(&json!(audience)) => json!({
                "authenticated": true, "audiences": [audience],
                "user": {"username": user, "uid": format!("uid-{user}"), "groups": ["staff"],
                         "extra": {"origin": ["test"]}},
            }),
            _ => json!({"authenticated": false, "error": "invalid bearer token"}),
        }
    }

    fn allows(&self, spec: &Value) -> bool {
        let attributes = &spec["resourceAttributes"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        assert_eq!(attributes["group"], "roostdb.dev");
        assert_eq!(attributes["namespace"], "shop");
        assert!(attributes.get("subresource").is_none());
        let object = format!("{}/{}", text(&attributes["resource"]), text(&attributes["name"]));
        self.rights.contains(&(text(&spec["user"]), text(&attributes["verb"]), object))
    }

    /// A page of them, as the API server gives them.
    fn list_branches(&self, query: &str) -> Value {
        let number =
            |name: &str| query.split('&').find_map(|part| part.strip_prefix(name)?.parse::<usize>().ok());
        let (limit, from) = (number("limit=").unwrap_or(usize::MAX), number("continue=").unwrap_or(0));
        let mut items: Vec<_> = self
            .branches
            .iter()
            .filter(|(_, tenant, ..)| query.contains(&format!("spec.tenantName%3D{tenant}")))
            .map(|(name, tenant, branch, reason)| {
                let mut object = json!({
                    "apiVersion": "roostdb.dev/v1alpha1", "kind": "Branch",
                    "metadata": {"name": name, "namespace": "shop"}, "spec": {"tenantName": tenant},
                });
                if let Some(branch) = branch {
                    object["spec"]["branchName"] = json!(branch);
                }
                if reason.is_none() {
                    let position = json!({"branch": name, "lineage": "0", "epoch": 0, "manifest": 0});
                    object["status"] = json!({"position": position});
                }
                if let Some(reason) = reason {
                    object["status"] = json!({"conditions": [{"type": "Ready", "status": "False", "reason": reason,
                        "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}]});
                }
                object
            })
            .skip(from)
            .collect();
        let metadata =
            if items.len() > limit { json!({"continue": (from + limit).to_string()}) } else { json!({}) };
        items.truncate(limit);
        json!({"apiVersion": "roostdb.dev/v1alpha1", "kind": "BranchList", "metadata": metadata, "items": items})
    }
}

fn with_status(mut review: Value, status: Value) -> Value {
    review["status"] = status;
    review
}

fn reply(
    status: u16,
    body: &Value,
) -> Response<http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>> {
    Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body.to_string())).boxed_unsync())
        .unwrap()
}

/// Something that looks like a ServiceAccount token.
pub fn jwt(claims: &Value) -> String {
    format!("h.{}.s", URL_SAFE_NO_PAD.encode(claims.to_string()))
}
