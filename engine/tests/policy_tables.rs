//! Every function of the engine is decided: allowed or denied by name, none forgotten.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]
mod support;

use roost_engine::policy::{
    DENIED_PRAGMAS, DENIED_SCALAR_FUNCTIONS, DENIED_TABLE_FUNCTIONS, INDEX_FUNCTIONS, PRAGMAS,
    SCALAR_FUNCTIONS, TABLE_FUNCTIONS,
};
use support::{bench, run};

async fn names(kind: &str) -> Vec<String> {
    let sql = format!(
        "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type = '{kind}' ORDER BY 1"
    );
    run(&bench().engine, &sql).await.unwrap()
}

fn decided(names: &[String], allowed: &[&str], denied: &[&str]) {
    let open: Vec<_> = names
        .iter()
        .filter(|name| !name.starts_with("icu_collate_") && !name.starts_with("__internal_"))
        .filter(|name| allowed.contains(&name.as_str()) == denied.contains(&name.as_str()))
        .collect();
    assert!(open.is_empty(), "not decided, or decided twice: {open:?}");
    let gone: Vec<_> = allowed.iter().filter(|name| !names.iter().any(|known| known == *name)).collect();
    assert!(gone.is_empty(), "allowed but unknown to this engine: {gone:?}");
}

#[tokio::test]
async fn every_scalar_function_is_decided() {
    decided(&names("scalar").await, &SCALAR_FUNCTIONS, &DENIED_SCALAR_FUNCTIONS);
    assert!(SCALAR_FUNCTIONS.is_sorted(), "looked up by binary search");
    let never: Vec<_> = INDEX_FUNCTIONS.iter().filter(|name| !SCALAR_FUNCTIONS.contains(name)).collect();
    assert!(never.is_empty(), "in an index, but nowhere else: {never:?}");
}

#[tokio::test]
async fn every_table_function_is_decided() {
    decided(&names("table").await, &TABLE_FUNCTIONS, &DENIED_TABLE_FUNCTIONS);
}

#[tokio::test]
async fn every_pragma_is_decided() {
    decided(&names("pragma").await, &PRAGMAS, &DENIED_PRAGMAS);
}
