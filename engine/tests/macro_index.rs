//! An index over a macro, which was accepted once: it is found again wherever the database is opened and checkpointed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]
mod support;

use roost_engine::{Engine, Wall, Walls};
use std::path::Path;
use std::time::Duration;
use support::{config, run, vfs};

/// End of a life of the database, between opening and closing it.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Checkpoint,
    /// The commits are in the WAL, and nowhere else.
    Crash,
}

/// Opens the database in `folder`, runs statements, and ends.
async fn live(folder: &Path, walls: &Walls, statements: &[(&str, bool)], end: End) {
    let engine = Engine::open_with_walls(config(folder), vfs(folder), walls).unwrap();
    for (sql, accepted) in statements {
        let done = run(&engine, sql).await;
        assert_eq!(done.is_ok(), *accepted, "{sql}: {done:?}");
    }
    if end == End::Checkpoint {
        let closed = engine.close_gate(Duration::ZERO).await.unwrap();
        engine.checkpoint(&closed).await.unwrap();
        drop(closed);
    }
    engine.close().await;
}

#[tokio::test]
async fn one_that_is_there_opens_and_is_checkpointed_in_every_life() {
    let unguarded: Vec<Wall> = Wall::ALL.into_iter().filter(|wall| *wall != Wall::Policy).collect();
    for index in
        ["norm(email)", "acme.norm(email)", "(email.norm())", "(o.other(email))", "(email::kind::VARCHAR)"]
    {
        println!("{index}");
        let folder = tempfile::tempdir().unwrap();
        let create = format!("CREATE UNIQUE INDEX i ON u ({index})");
        let made = [
            ("CREATE MACRO norm(x) AS lower(x)", true),
            ("CREATE SCHEMA o; CREATE MACRO o.other(x) AS lower(x)", true),
            ("CREATE TYPE kind AS ENUM ('a', 'b', 'c', 'd')", true),
            ("CREATE TABLE u (email VARCHAR)", true),
            ("CREATE TABLE other (i INTEGER)", true),
            (&create, true),
            ("INSERT INTO u VALUES ('a')", true),
            // What CHECKPOINT calls is not for tenants to define.
            ("CREATE MACRO checkpoint(x) AS TABLE SELECT 1 AS Success", true),
        ];
        live(folder.path(), &Walls::only(&unguarded), &made, End::Checkpoint).await;
        let all = Walls::only(&Wall::ALL);
        // Nobody uses the index before it is checkpointed, or before it is replayed.
        let elsewhere = ("INSERT INTO other VALUES (1)", true);
        live(folder.path(), &all, &[elsewhere], End::Checkpoint).await;
        live(folder.path(), &all, &[("INSERT INTO u VALUES ('b')", true), elsewhere], End::Crash).await;
        live(folder.path(), &all, &[elsewhere], End::Checkpoint).await;
        let used = [("INSERT INTO u VALUES ('c')", true), ("INSERT INTO u VALUES ('b')", false)];
        live(folder.path(), &all, &used, End::Crash).await;
        live(folder.path(), &all, &[("DELETE FROM u WHERE email = 'a'", true)], End::Checkpoint).await;
        let engine = Engine::open(config(folder.path()), vfs(folder.path())).unwrap();
        let rows = run(&engine, "SELECT string_agg(email, ',' ORDER BY email) FROM u").await.unwrap();
        assert_eq!(rows, ["b,c"]);
    }
}
