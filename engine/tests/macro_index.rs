//! An index over a macro, which was accepted once: it is found again wherever the database is opened and checkpointed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]
mod support;

use roost_engine::{Engine, Wall, Walls};
use std::path::Path;
use std::time::Duration;
use support::{config, run, vfs};

/// Opens the database in `folder`, runs statements, checkpoints, and closes it.
async fn live(folder: &Path, walls: &Walls, statements: &[(&str, bool)]) {
    let engine = Engine::open_with_walls(config(folder), vfs(folder), walls).unwrap();
    for (sql, accepted) in statements {
        let done = run(&engine, sql).await;
        assert_eq!(done.is_ok(), *accepted, "{sql}: {done:?}");
    }
    let closed = engine.close_gate(Duration::ZERO).await.unwrap();
    engine.checkpoint(&closed).await.unwrap();
    drop(closed);
    engine.close().await;
}

#[tokio::test]
async fn one_that_is_there_is_checkpointed_in_every_life() {
    let folder = tempfile::tempdir().unwrap();
    let unguarded: Vec<Wall> = Wall::ALL.into_iter().filter(|wall| *wall != Wall::Policy).collect();
    let made = [
        ("CREATE MACRO norm(x) AS lower(x)", true),
        ("CREATE TABLE u (email VARCHAR)", true),
        ("CREATE UNIQUE INDEX i ON u (norm(email))", true),
        ("INSERT INTO u VALUES ('A')", true),
        // What CHECKPOINT calls is not for tenants to define.
        ("CREATE MACRO checkpoint(x) AS TABLE SELECT 1 AS Success", true),
    ];
    live(folder.path(), &Walls::only(&unguarded), &made).await;
    for (other, same) in [("b", "B"), ("c", "a"), ("d", "C")] {
        let insert = |email: &str| format!("INSERT INTO u VALUES ('{email}')");
        let statements = [(&*insert(other), true), (&*insert(same), false)];
        live(folder.path(), &Walls::only(&Wall::ALL), &statements).await;
    }
    let engine = Engine::open(config(folder.path()), vfs(folder.path())).unwrap();
    assert_eq!(run(&engine, "SELECT count(*) FROM u WHERE lower(email) IN ('a', 'd')").await.unwrap(), ["2"]);
}
