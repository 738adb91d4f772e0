//! Authentication: who gets in, as what, and what becomes of their token.

use crate::{
    client::Call,
    harness::{Setting, ok, route},
    kubernetes::jwt,
};
use http::Method;
use roost_protocol::{problem::ErrorCode, session::Role};
use serde_json::json;

#[tokio::test]
async fn only_who_has_a_right_gets_in_and_as_what_it_says() {
    let setting = Setting::new();
    let kubernetes = &setting.kubernetes;
    let for_server = jwt(&json!({"aud": ["https://kubernetes.default.svc"], "sub": "alice"}));
    kubernetes.token_for("https://kubernetes.default.svc", &for_server, "alice");
    kubernetes.token_for("unknown", "no-audience-token", "alice");
    for user in ["bob", "carol"] {
        kubernetes.token(&format!("{user}-token"), user);
    }
    kubernetes.grant("bob", "read", "tenants/acme");
    kubernetes.grant("carol", "connect", "tenants/other");
    let runtime = setting.runtime("rt-1", ok).await;
    let operator = setting.operator_naming(vec![route("rt-1", runtime.address)]).await;
    let gateway = setting.gateway(&[operator.address], &[]).await;

    for (authorization, expected) in [
        (Some("Bearer alice-token"), Ok(("alice", Role::ReadWrite))),
        (Some("bearer alice-token"), Ok(("alice", Role::ReadWrite))),
        (Some("Bearer bob-token"), Ok(("bob", Role::ReadOnly))),
        (Some("Bearer carol-token"), Err((ErrorCode::Forbidden, "carol has neither"))),
        (Some("Bearer forged"), Err((ErrorCode::Unauthenticated, "not valid here"))),
        (Some("Bearer no-audience-token"), Err((ErrorCode::Unauthenticated, "not valid here"))),
        (Some(format!("Bearer {for_server}").as_str()), Err((ErrorCode::Unauthenticated, "not for Roost"))),
        (Some("Basic YWxpY2U6eA=="), Err((ErrorCode::Unauthenticated, "Bearer TOKEN"))),
        (None, Err((ErrorCode::Unauthenticated, "no Authorization header"))),
    ] {
        let reached = runtime.seen().len();
        let mut call = Call::query("SELECT 1");
        if let Some(authorization) = authorization {
            call = call.header("authorization", authorization);
        }
        let answer = gateway.send(call).await;
        match expected {
            Ok((user, role)) => {
                assert_eq!(answer.status, 200, "{authorization:?}");
                let session = setting.session(&runtime.seen()[reached]);
                assert_eq!((session.user.as_str(), session.role), (user, role));
                assert_eq!((session.tenant_uid.as_str(), session.branch.as_str()), ("tenant-uid", "main"));
            }
            Err((code, detail)) => {
                let problem = answer.problem();
                assert_eq!(problem.code, code, "{authorization:?}");
                assert!(problem.detail.contains(detail), "{}", problem.detail);
                assert_eq!(runtime.seen().len(), reached, "nothing reaches the runtime");
                if code == ErrorCode::Unauthenticated {
                    assert!(problem.detail.contains("kubectl create token NAME --audience=roostdb.dev"));
                    assert!(problem.detail.contains("projected"));
                    assert!(answer.headers.contains_key("www-authenticate"));
                }
            }
        }
    }
}

#[tokio::test]
async fn the_api_server_is_asked_precisely_and_seldom() {
    let setting = Setting::new();
    let runtime = setting.runtime("rt-1", ok).await;
    let operator = setting.operator_naming(vec![route("rt-1", runtime.address)]).await;
    let gateway = setting.gateway(&[operator.address], &[]).await;
    for _ in 0..3 {
        assert_eq!(gateway.query().await.status, 200);
    }
    let tokens = setting.kubernetes.reviews("TokenReview");
    assert_eq!(tokens.len(), 1);
    assert_eq!(tokens[0]["spec"], json!({"token": "alice-token", "audiences": ["roostdb.dev"]}));
    let access = setting.kubernetes.reviews("SubjectAccessReview");
    assert_eq!(access.len(), 1);
    assert_eq!(
        access[0]["spec"],
        json!({
            "user": "alice", "uid": "uid-alice", "groups": ["staff"], "extra": {"origin": ["test"]},
            "resourceAttributes": {"group": "roostdb.dev", "version": "v1alpha1", "namespace": "shop",
                                   "resource": "tenants", "name": "acme", "verb": "connect"},
        })
    );
}

#[tokio::test]
async fn while_the_api_server_is_away_only_the_known_get_in() {
    let setting = Setting::new();
    setting.kubernetes.token("bob-token", "bob");
    let runtime = setting.runtime("rt-1", ok).await;
    let operator = setting.operator_naming(vec![route("rt-1", runtime.address)]).await;
    let gateway = setting.gateway(&[operator.address], &[]).await;
    assert_eq!(gateway.query().await.status, 200);
    setting.kubernetes.0.lock().unwrap().fails_with = Some(503);
    assert_eq!(gateway.query().await.status, 200);
    let answer = gateway.send(Call::query("SELECT 1").token("bob-token")).await;
    assert_eq!(answer.code(), Some(ErrorCode::AccessUnknown));
    assert!(answer.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn a_branch_needs_a_right_on_the_object_that_stands_for_it() {
    let setting = Setting::new();
    let kubernetes = &setting.kubernetes;
    // Two tenants with a branch `dev` each; a third object that lost the name `dev` to the first.
    kubernetes.branch("dev", "acme", None, None);
    kubernetes.branch("other-dev", "other", Some("dev"), None);
    kubernetes.branch("late", "acme", Some("dev"), Some("BranchNameTaken"));
    // Its branch is that of an object that was deleted, whose pod may still serve.
    kubernetes.branch("heir", "acme", Some("left"), Some("Initializing"));
    for (user, verb, object) in [
        ("heir-owner", "connect", "branches/heir"),
        ("owner", "connect", "branches/dev"),
        ("reader", "read", "branches/dev"),
        ("late-owner", "connect", "branches/late"),
        ("other-owner", "connect", "branches/other-dev"),
        ("ghost-owner", "connect", "branches/ghost"),
    ] {
        kubernetes.token(user, user);
        kubernetes.grant(user, verb, object);
    }
    let runtime = setting.runtime("rt-1", ok).await;
    let operator = setting.operator_naming(vec![route("rt-1", runtime.address)]).await;
    let gateway = setting.gateway(&[operator.address], &[]).await;
    for (token, tenant, branch, expected) in [
        ("owner", "acme", "dev", Ok(Role::ReadWrite)),
        ("reader", "acme", "dev", Ok(Role::ReadOnly)),
        ("other-owner", "other", "dev", Ok(Role::ReadWrite)),
        // The right on object `dev` is not one on the other tenant's branch of that name.
        ("owner", "other", "dev", Err(ErrorCode::Forbidden)),
        ("other-owner", "acme", "dev", Err(ErrorCode::Forbidden)),
        ("late-owner", "acme", "dev", Err(ErrorCode::Forbidden)),
        ("alice-token", "acme", "dev", Err(ErrorCode::Forbidden)),
        // Whether a branch exists is told only to who could use it.
        ("owner", "acme", "ghost", Err(ErrorCode::Forbidden)),
        ("ghost-owner", "acme", "ghost", Err(ErrorCode::NotFound)),
        ("heir-owner", "acme", "left", Err(ErrorCode::TenantNotReady)),
        ("owner", "acme", "left", Err(ErrorCode::Forbidden)),
        // Main is the tenant itself.
        ("alice-token", "acme", "main", Ok(Role::ReadWrite)),
        ("owner", "acme", "main", Err(ErrorCode::Forbidden)),
    ] {
        let path = format!("/v1/namespaces/shop/tenants/{tenant}/branches/{branch}/query");
        let answer =
            gateway.send(Call::new(Method::POST, &path).token(token).body("{\"sql\":\"SELECT 1\"}")).await;
        let got = match answer.code() {
            Some(code) => Err(code),
            None => Ok(setting.session(runtime.seen().last().unwrap()).role),
        };
        assert_eq!(got, expected, "{token} {tenant} {branch}");
    }
}

#[tokio::test]
async fn all_objects_are_looked_through_however_many_there_are() {
    let setting = Setting::new();
    let kubernetes = &setting.kubernetes;
    for number in 0..1_100 {
        kubernetes.branch(&format!("b{number}"), "acme", None, None);
    }
    // Two stand for one branch for a moment: rights on both are needed.
    kubernetes.branch("last", "acme", Some("b7"), None);
    for (user, objects) in [("one", &["b7"][..]), ("both", &["b7", "last"]), ("late", &["b1099"])] {
        kubernetes.token(user, user);
        for object in objects {
            kubernetes.grant(user, "connect", &format!("branches/{object}"));
        }
    }
    let runtime = setting.runtime("rt-1", ok).await;
    let operator = setting.operator_naming(vec![route("rt-1", runtime.address)]).await;
    let gateway = setting.gateway(&[operator.address], &[]).await;
    for (token, branch, expected) in
        [("one", "b7", Some(ErrorCode::Forbidden)), ("both", "b7", None), ("late", "b1099", None)]
    {
        let path = format!("/v1/namespaces/shop/tenants/acme/branches/{branch}/query");
        let call = Call::new(Method::POST, &path).token(token).body("{\"sql\":\"SELECT 1\"}");
        assert_eq!(gateway.send(call).await.code(), expected, "{token} {branch}");
    }
}
