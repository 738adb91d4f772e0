//! Health of an object as GitOps tools see it: Argo CD by its health check (a Lua script among the samples), Flux and
//! others by kstatus' rules. Tested on the conditions that each reason gives, and on objects as the operator wrote
//! them.

#![allow(clippy::unwrap_used, reason = "a test that cannot read its input has failed")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use mlua::{Lua, LuaOptions, LuaSerdeExt, StdLib};
use roost_crds::{
    Reason,
    conditions::{Serves, report},
    reasons::Truth,
};
use roost_tests::{Roost, tenant::find_condition};
use serde_json::{Value, json};

/// Asks the script as Argo CD does: the object is the global `obj`; of the libraries, only the basic one is used.
fn health(object: &Value) -> (String, String) {
    let lua = Lua::new_with(StdLib::NONE, LuaOptions::default()).unwrap();
    lua.globals().set("obj", lua.to_value(object).unwrap()).unwrap();
    let script = include_str!("../../deploy/samples/gitops/argocd/health.lua");
    let answer: mlua::Table = lua.load(script).eval().unwrap();
    (answer.get("status").unwrap(), answer.get("message").unwrap())
}

/// Gives the status that kstatus (sigs.k8s.io/cli-utils) makes of a custom resource with conditions.
fn kstatus(object: &Value) -> &'static str {
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let is = |kind: &str, status: &str| conditions.iter().any(|c| c["type"] == kind && c["status"] == status);
    if !object["metadata"]["deletionTimestamp"].is_null() {
        return "Terminating";
    }
    let seen = &object["status"]["observedGeneration"];
    if !seen.is_null() && *seen != object["metadata"]["generation"] {
        return "InProgress";
    }
    if is("Reconciling", "True") {
        "InProgress"
    } else if is("Stalled", "True") {
        "Failed"
    } else if is("Ready", "True") {
        "Current"
    } else {
        "InProgress"
    }
}

/// An object of generation 3 whose status was reported for the generation `seen`.
fn reported(serves: Serves, reason: Reason, seen: i64) -> Value {
    let now = Time("2026-01-01T00:00:00Z".parse().unwrap());
    let conditions = report(&[], serves, reason, "as it is", seen, &now);
    json!({"metadata": {"name": "acme", "generation": 3}, "status": {"conditions": conditions}})
}

fn expected(reason: Reason) -> &'static str {
    let row = reason.row();
    match (reason, row.ready) {
        (Reason::Suspended, _) => "Suspended",
        (_, Truth::True) => "Healthy",
        (_, Truth::False) if row.stalled => "Degraded",
        (_, Truth::False) => "Progressing",
    }
}

#[test]
fn every_reason_has_its_health() {
    for &reason in Reason::ALL {
        for serves in [Serves::Connections, Serves::Nothing] {
            let (status, message) = health(&reported(serves, reason, 3));
            assert_eq!(status, expected(reason), "{reason}");
            assert_eq!(message, format!("{reason}: as it is"));
        }
    }
    assert_eq!(expected(Reason::Idle), "Healthy");
    assert_eq!(expected(Reason::PublishFailing), "Progressing");
    assert_eq!(expected(Reason::StorageChangeRefused), "Degraded");
}

#[test]
fn a_spec_that_was_not_looked_at_is_progressing() {
    let unseen = [
        json!({"metadata": {"name": "acme", "generation": 1}}),
        json!({"metadata": {"name": "acme", "generation": 1}, "status": {}}),
        json!({"metadata": {"name": "acme", "generation": 1}, "status": {"conditions": []}}),
        reported(Serves::Connections, Reason::Idle, 2),
        reported(Serves::Connections, Reason::InvalidSpec, 2),
    ];
    for object in unseen {
        assert_eq!(health(&object).0, "Progressing", "{object}");
    }
}

#[test]
fn what_is_being_deleted_is_progressing_until_it_needs_a_person() {
    for (reason, status) in [(Reason::Idle, "Progressing"), (Reason::DeletionFailed, "Degraded")] {
        let mut object = reported(Serves::Connections, reason, 3);
        object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert_eq!(health(&object).0, status);
    }
}

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn live_objects_have_the_health_of_their_reason() -> anyhow::Result<()> {
    let roost = Roost::connect().await?;
    let class = roost.class("health", "10m", |_| ()).await?;
    let shop = roost.namespace("health").await?;
    shop.apply("Tenant", "idle", json!({"className": class})).await?;
    shop.apply("Tenant", "serving", json!({"className": class})).await?;
    shop.apply("Tenant", "suspended", json!({"className": class, "operatingMode": "Suspended"})).await?;
    shop.apply("Tenant", "waiting", json!({"className": "nowhere"})).await?;
    shop.condition("Tenant", "serving", "Ready", "True", None).await?;
    shop.run("serving", "SELECT 1").await?;
    let spec = json!({"tenantName": "serving", "branchName": "dev"});
    shop.apply("Branch", "dev", spec.clone()).await?;
    shop.condition("Branch", "dev", "Ready", "True", None).await?;
    shop.apply("Branch", "stalled", spec).await?;
    let table = [
        ("Tenant", "idle", "True", Reason::Idle, "Healthy", "Current"),
        ("Tenant", "serving", "True", Reason::Serving, "Healthy", "Current"),
        ("Tenant", "suspended", "True", Reason::Suspended, "Suspended", "Current"),
        ("Tenant", "waiting", "False", Reason::ClassNotFound, "Progressing", "InProgress"),
        ("Branch", "dev", "True", Reason::Idle, "Healthy", "Current"),
        ("Branch", "stalled", "False", Reason::BranchNameTaken, "Degraded", "Failed"),
    ];
    for (kind, name, ready, reason, argo, flux) in table {
        let object = shop.condition(kind, name, "Ready", ready, Some(reason.as_str())).await?;
        let message = find_condition(&object, "Ready")["message"].as_str().unwrap_or_default().to_owned();
        let object = serde_json::to_value(&object)?;
        assert_eq!(health(&object), (argo.to_owned(), format!("{reason}: {message}")), "{kind} {name}");
        assert_eq!(kstatus(&object), flux, "{kind} {name}: {}", object["status"]);
    }
    Ok(())
}
