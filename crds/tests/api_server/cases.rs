//! Objects that the API server is asked to take, and the answers that must come back.

use serde_json::{Value, json};

#[derive(Clone, Copy)]
pub enum Answer {
    Accepted,
    /// With a message that contains this.
    Refused(&'static str),
}
use Answer::{Accepted, Refused};

pub struct Creation {
    pub what: &'static str,
    pub object: Value,
    pub answer: Answer,
}

pub struct Change {
    pub what: &'static str,
    pub before: Value,
    pub after: Value,
    pub answer: Answer,
}

pub const UUID: &str = "0f2a8f9c-5d4e-4d1b-9c55-3f3a1a0c7e11";
const CHARS_40: &str = "a234567890123456789012345678901234567890";
const CHARS_41: &str = "a2345678901234567890123456789012345678901";
const CHARS_63: &str = "a23456789012345678901234567890123456789012345678901234567890123";
pub const CHARS_64: &str = "a234567890123456789012345678901234567890123456789012345678901234";

fn tenant(name: &str, spec: Value) -> Value {
    json!({"kind": "Tenant", "metadata": {"name": name}, "spec": spec})
}

fn branch(name: &str, spec: Value) -> Value {
    json!({"kind": "Branch", "metadata": {"name": name}, "spec": spec})
}

fn snapshot(name: &str, spec: Value) -> Value {
    json!({"kind": "Snapshot", "metadata": {"name": name}, "spec": spec})
}

/// Members of `parts` replace those of a spec that is accepted.
fn class_spec(storage: Value, parts: Value) -> Value {
    let mut spec =
        json!({"storage": {"bucket": "tenants", "credentials": {"secretRef": {"name": "no-such-secret"}}}});
    merge(&mut spec["storage"], storage);
    merge(&mut spec, parts);
    spec
}

fn merge(into: &mut Value, parts: Value) {
    if let Value::Object(parts) = parts {
        into.as_object_mut().unwrap().extend(parts);
    }
}

pub fn class(storage: Value, parts: Value) -> Value {
    json!({"kind": "TenantClass", "metadata": {"name": "case"}, "spec": class_spec(storage, parts)})
}

pub fn creations() -> Vec<Creation> {
    let mut all = Vec::new();
    let mut case = |what, object, answer| all.push(Creation { what, object, answer });

    case("an empty tenant", tenant("acme", json!({})), Accepted);
    case("a tenant's name of 40", tenant(CHARS_40, json!({})), Accepted);
    case("a tenant's name of 41", tenant(CHARS_41, json!({})), Refused("at most 40 characters"));
    case(
        "a tenant's name with a dot",
        tenant("acme.eu", json!({})),
        Refused("a Tenant's name is a DNS label"),
    );
    case(
        "every field of a tenant",
        tenant(
            "acme",
            json!({
                "className": "standard", "operatingMode": "Suspended", "idleTimeout": "1h30m",
                "deletionPolicy": "Delete", "adopt": {"clusterID": UUID, "namespaceUID": UUID},
                "source": {"initScript": {"configMapRef": {"name": "seed", "key": "seed.sql"}}}
            }),
        ),
        Accepted,
    );
    case("no unit", tenant("acme", json!({"idleTimeout": "10"})), Refused("spec.idleTimeout"));
    case("a null counts as absent", tenant("acme", json!({"className": null})), Accepted);
    case("another mode", tenant("acme", json!({"operatingMode": "Paused"})), Refused("Suspended"));
    case("no such policy", tenant("acme", json!({"deletionPolicy": "Keep"})), Refused("Retain"));
    case("an upper-case class", tenant("acme", json!({"className": "Standard"})), Refused("spec.className"));
    case(
        "adopting from a name",
        tenant("acme", json!({"adopt": {"clusterID": "prod", "namespaceUID": UUID}})),
        Refused("clusterID"),
    );
    case("a snapshot as source", tenant("acme", json!({"source": {"snapshot": {"name": "s"}}})), Accepted);
    case(
        "an empty source",
        tenant("acme", json!({"source": {}})),
        Refused("write snapshot, pointInTime or initScript"),
    );
    case(
        "two sources",
        tenant("acme", json!({"source": {"snapshot": {"name": "s"}, "initScript": {"sql": "SELECT 1"}}})),
        Refused("write snapshot, pointInTime or initScript"),
    );
    let moment = |tenant_name: &str, time: &str| {
        tenant("acme", json!({"source": {"pointInTime": {"tenantName": tenant_name, "time": time}}}))
    };
    case("a moment as source", moment("old", "2026-11-20T10:00:00Z"), Accepted);
    case("no moment as source", moment("old", "yesterday"), Refused("spec.source.pointInTime.time"));
    case("a moment of its own", moment("acme", "2026-11-20T10:00:00Z"), Refused("cannot start from itself"));
    case("a durability", tenant("acme", json!({"durability": "Asynchronous"})), Accepted);
    case("no durability", tenant("acme", json!({"durability": "Sometimes"})), Refused("spec.durability"));
    case("a script", tenant("acme", json!({"source": {"initScript": {"sql": "SELECT 1"}}})), Accepted);
    case(
        "an empty script",
        tenant("acme", json!({"source": {"initScript": {}}})),
        Refused("write either sql or configMapRef"),
    );
    case(
        "two scripts",
        tenant(
            "acme",
            json!({"source": {"initScript": {"sql": "SELECT 1", "configMapRef": {"name": "a", "key": "b"}}}}),
        ),
        Refused("write either sql or configMapRef"),
    );
    case(
        "a script of 32 KiB",
        tenant("acme", json!({"source": {"initScript": {"sql": "x".repeat(32768)}}})),
        Accepted,
    );
    case(
        "a longer script",
        tenant("acme", json!({"source": {"initScript": {"sql": "x".repeat(32769)}}})),
        Refused("32768"),
    );

    for kept in ["main", "memory", "system", "temp"] {
        case(
            "a name that DuckDB keeps",
            tenant(kept, json!({})),
            Refused("DuckDB keeps the names main, memory"),
        );
    }
    for free in ["acme-main", "mainz", "temporary", "information-schema", "select", "1"] {
        case("a name that is like one that DuckDB keeps", tenant(free, json!({})), Accepted);
    }

    case("a branch", branch("dev", json!({"tenantName": "acme"})), Accepted);
    case("a branch of nothing", branch("dev", json!({})), Refused("tenantName"));
    case("a branch named 40", branch(CHARS_40, json!({"tenantName": "acme"})), Accepted);
    case(
        "a branch named 41",
        branch(CHARS_41, json!({"tenantName": "acme"})),
        Refused("shorten the name or set spec.branchName"),
    );
    case(
        "a branch named 41 with branchName",
        branch(CHARS_41, json!({"tenantName": "acme", "branchName": "dev"})),
        Accepted,
    );
    case("a branch named 63", branch(CHARS_63, json!({"tenantName": "acme", "branchName": "dev"})), Accepted);
    case(
        "a branch named 64",
        branch(CHARS_64, json!({"tenantName": "acme", "branchName": "dev"})),
        Refused("at most 63 characters"),
    );
    case(
        "a branch object main",
        branch("main", json!({"tenantName": "acme"})),
        Refused("name the Branch otherwise"),
    );
    case(
        "an object main of another branch",
        branch("main", json!({"tenantName": "acme", "branchName": "dev"})),
        Accepted,
    );
    case(
        "branchName main",
        branch("dev", json!({"tenantName": "acme", "branchName": "main"})),
        Refused("choose another branchName"),
    );
    case(
        "branchName of 41",
        branch("dev", json!({"tenantName": "acme", "branchName": CHARS_41})),
        Refused("spec.branchName"),
    );
    case("from main", branch("dev", json!({"tenantName": "acme", "from": {"branchName": "main"}})), Accepted);
    case(
        "from a snapshot",
        branch("dev", json!({"tenantName": "acme", "from": {"snapshotName": "s"}})),
        Accepted,
    );
    case(
        "from nothing",
        branch("dev", json!({"tenantName": "acme", "from": {}})),
        Refused("write either snapshotName, or branchName"),
    );
    for (named, answer) in [
        (json!({"branchName": "b", "branchObject": "acme-b"}), Accepted),
        (json!({"branchName": "b", "branchObject": "acme.b", "time": "2026-11-20T10:00:00Z"}), Accepted),
        (json!({"branchName": "b", "branchObject": "B"}), Refused("branchObject")),
        (json!({"branchName": "b", "branchObject": CHARS_64}), Refused("branchObject")),
        (json!({"branchName": "main", "branchObject": "b"}), Refused("write branchName too")),
        (json!({"snapshotName": "s", "branchObject": "b"}), Refused("write branchName too")),
        (json!({"time": "2026-11-20T10:00:00Z", "branchObject": "b"}), Refused("write branchName too")),
    ] {
        case("from an object", branch("dev", json!({"tenantName": "acme", "from": named})), answer);
    }
    case(
        "from a moment of main",
        branch("dev", json!({"tenantName": "acme", "from": {"time": "2026-11-20T10:00:00.5Z"}})),
        Accepted,
    );
    case(
        "from a moment of a branch",
        branch(
            "dev",
            json!({"tenantName": "acme", "from": {"branchName": "b", "time": "2026-11-20T10:00:00Z"}}),
        ),
        Accepted,
    );
    case(
        "from what is no moment",
        branch("dev", json!({"tenantName": "acme", "from": {"time": "yesterday"}})),
        Refused("spec.from.time"),
    );
    case(
        "from a moment of a snapshot",
        branch(
            "dev",
            json!({"tenantName": "acme", "from": {"snapshotName": "s", "time": "2026-11-20T10:00:00Z"}}),
        ),
        Refused("write either snapshotName, or branchName"),
    );
    case(
        "from two",
        branch("dev", json!({"tenantName": "acme", "from": {"branchName": "main", "snapshotName": "s"}})),
        Refused("write either snapshotName, or branchName"),
    );

    case("a snapshot", snapshot("s", json!({"tenantName": "acme"})), Accepted);
    case(
        "a snapshot of an object's branch",
        snapshot("s", json!({"tenantName": "acme", "branchName": "b", "branchObject": "acme-b"})),
        Accepted,
    );
    for of in [json!({"branchObject": "b"}), json!({"branchObject": "b", "branchName": "main"})] {
        let mut spec = of;
        spec["tenantName"] = json!("acme");
        case("a snapshot of main's object", snapshot("s", spec), Refused("write branchName too"));
    }
    case(
        "a snapshot named 63",
        snapshot(CHARS_63, json!({"tenantName": "acme", "format": "Native", "ttl": "720h"})),
        Accepted,
    );
    case(
        "a snapshot named 64",
        snapshot(CHARS_64, json!({"tenantName": "acme"})),
        Refused("at most 63 characters"),
    );
    case(
        "a snapshot's dotted name",
        snapshot("s.1", json!({"tenantName": "acme"})),
        Refused("a Snapshot's name is a DNS label"),
    );
    case("another format", snapshot("s", json!({"tenantName": "acme", "format": "CSV"})), Refused("Parquet"));

    crate::class_cases::classes(&mut case);
    all
}

pub fn changes() -> Vec<Change> {
    let mut all = Vec::new();
    // Classes that do not exist keep whoever reconciles this cluster from acting on what is stored here.
    let idle = json!({"className": "no-such-class"});
    let with = |base: &Value, parts: Value| {
        let mut spec = base.clone();
        merge(&mut spec, parts);
        spec
    };
    let mut case = |kind: &str, what, before: &Value, after: Value, answer| {
        all.push(Change { what, before: json!({"kind": kind, "spec": before}), after, answer });
    };

    let script = with(&idle, json!({"source": {"initScript": {"sql": "SELECT 1"}}}));
    case("Tenant", "a source stays", &script, with(&script, json!({"idleTimeout": "1m"})), Accepted);
    case("Tenant", "a source is added", &idle, script.clone(), Refused("source is immutable"));
    case("Tenant", "a source is removed", &script, idle.clone(), Refused("source is immutable"));
    case(
        "Tenant",
        "a source is changed",
        &script,
        with(&idle, json!({"source": {"initScript": {"sql": "SELECT 2"}}})),
        Refused("source is immutable"),
    );

    let plain = json!({"tenantName": "acme", "className": "no-such-class"});
    case(
        "Branch",
        "a ttl is added",
        &plain,
        with(&plain, json!({"ttl": "1h", "operatingMode": "Suspended"})),
        Accepted,
    );
    case(
        "Branch",
        "another tenant",
        &plain,
        with(&plain, json!({"tenantName": "other"})),
        Refused("tenantName is immutable"),
    );
    let named = with(&plain, json!({"branchName": "dev"}));
    case("Branch", "a branchName stays", &named, with(&named, json!({"ttl": "1h"})), Accepted);
    case("Branch", "a branchName is added", &plain, named.clone(), Refused("branchName is immutable"));
    case("Branch", "a branchName is removed", &named, plain.clone(), Refused("branchName is immutable"));
    case(
        "Branch",
        "a branchName is changed",
        &named,
        with(&plain, json!({"branchName": "b"})),
        Refused("branchName is immutable"),
    );
    let from = with(&plain, json!({"from": {"branchName": "main"}}));
    case("Branch", "an origin stays", &from, with(&from, json!({"deletionPolicy": "Delete"})), Accepted);
    case("Branch", "an origin is added", &plain, from.clone(), Refused("from is immutable"));
    case("Branch", "an origin is removed", &from, plain.clone(), Refused("from is immutable"));
    case(
        "Branch",
        "an origin is changed",
        &from,
        with(&plain, json!({"from": {"snapshotName": "s"}})),
        Refused("from is immutable"),
    );

    let taken = json!({"tenantName": "no-such-tenant", "format": "Native"});
    case("Snapshot", "a ttl is added", &taken, with(&taken, json!({"ttl": "1h"})), Accepted);
    for (what, parts) in [
        ("another tenant", json!({"tenantName": "other"})),
        ("another branch", json!({"branchName": "dev"})),
        ("another object", json!({"branchName": "dev", "branchObject": "acme-dev"})),
        ("another format", json!({"format": "Parquet"})),
        ("another moment", json!({"time": "2026-11-20T10:00:00Z"})),
        ("another policy", json!({"deletionPolicy": "Delete"})),
    ] {
        case("Snapshot", what, &taken, with(&taken, parts), Refused("immutable but for ttl"));
    }

    let placed = class_spec(json!({"prefix": "prod"}), json!({}));
    let bare = class_spec(json!({}), json!({}));
    let moved = |storage| class_spec(storage, json!({}));
    case(
        "TenantClass",
        "an endpoint may change",
        &placed,
        moved(
            json!({"prefix": "prod", "endpoint": "https://s3.example.com", "region": "auto", "pathStyle": true}),
        ),
        Accepted,
    );
    case(
        "TenantClass",
        "another bucket",
        &bare,
        moved(json!({"bucket": "others"})),
        Refused("bucket is immutable"),
    );
    case("TenantClass", "a prefix is added", &bare, placed.clone(), Refused("prefix is immutable"));
    case("TenantClass", "a prefix is removed", &placed, bare.clone(), Refused("prefix is immutable"));
    case(
        "TenantClass",
        "a prefix is changed",
        &placed,
        moved(json!({"prefix": "p"})),
        Refused("prefix is immutable"),
    );
    all
}
