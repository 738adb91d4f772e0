//! Every rule of the schema, for both answers, on a real API server; and what the installed chart `roost` permits.
//!
//! `KUBECONFIG=... cargo test -p roost-crds --test api_server -- --ignored`. Applies the definitions of this crate by
//! server-side apply, works in a namespace of its own, and leaves nothing else behind.
#![allow(clippy::disallowed_methods, reason = "tests have real time and real threads")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot reach its server has failed"
)]
#![allow(
    clippy::too_many_lines,
    clippy::needless_pass_by_value,
    reason = "tables of cases, written in place"
)]

mod cases;
mod class_cases;
mod classes;
mod cluster;
mod copies;
mod rights;
mod samples;

use std::collections::BTreeSet;

use cases::{Answer, Change, Creation};
use cluster::Cluster;
use serde_json::Value;

fn judge(
    what: &str,
    answer: Answer,
    result: Result<(), String>,
    seen: &mut Vec<String>,
) -> Result<(), String> {
    match (answer, result) {
        (Answer::Accepted, Ok(())) => Ok(()),
        (Answer::Accepted, Err(message)) => Err(format!("{what}: refused: {message}")),
        (Answer::Refused(_), Ok(())) => Err(format!("{what}: accepted")),
        (Answer::Refused(fragment), Err(message)) if message.contains(fragment) => {
            seen.push(message);
            Ok(())
        }
        (Answer::Refused(fragment), Err(message)) => Err(format!("{what}: no `{fragment}` in: {message}")),
    }
}

fn rules() -> BTreeSet<String> {
    fn collect(value: &Value, into: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                let rules = members.get("x-kubernetes-validations").and_then(Value::as_array);
                into.extend(
                    rules
                        .into_iter()
                        .flatten()
                        .filter_map(|rule| rule["message"].as_str().map(str::to_owned)),
                );
                members.values().for_each(|member| collect(member, into));
            }
            Value::Array(items) => items.iter().for_each(|item| collect(item, into)),
            _ => {}
        }
    }
    let mut messages = BTreeSet::new();
    for crd in roost_crds::definitions::all().unwrap() {
        collect(&serde_json::to_value(crd).unwrap(), &mut messages);
    }
    messages
}

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn every_rule_gives_both_answers() {
    let cluster = Cluster::connect().await;
    let mut seen = Vec::new();
    let mut wrong = Vec::new();

    for Creation { what, object, answer } in cases::creations() {
        let result = cluster.try_create(&object).await;
        wrong.extend(judge(what, answer, result, &mut seen).err());
    }
    for (index, Change { what, before, after, answer }) in cases::changes().into_iter().enumerate() {
        let name = format!("change-{index}");
        let stored = cluster.create(&name, &before).await;
        let result = cluster.try_replace(&stored, &after).await;
        wrong.extend(judge(what, answer, result, &mut seen).err());
        cluster.delete(&stored).await;
    }
    cluster.remove().await;

    for rule in rules() {
        if !seen.iter().any(|message| message.contains(&rule)) {
            wrong.push(format!("no case was refused with: {rule}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong answers:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn branches_are_selected_by_tenant_and_class() {
    let cluster = Cluster::connect().await;
    let branch = |tenant: &str, class: &str| serde_json::json!({"kind": "Branch", "spec": {"tenantName": tenant, "className": class}});
    cluster.create("first", &branch("acme", "no-such-class-a")).await;
    cluster.create("second", &branch("other", "no-such-class-b")).await;
    assert_eq!(cluster.select("Branch", "spec.tenantName=acme").await, ["first"]);
    assert_eq!(cluster.select("Branch", "spec.className=no-such-class-b").await, ["second"]);
    cluster.remove().await;
}
