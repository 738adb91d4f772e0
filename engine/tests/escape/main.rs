//! The escape suite: statements that try to read a file, the environment, another tenant, the bucket's key, or the
//! network, or to change what is locked. Each runs behind all walls, and again behind each wall that it names alone,
//! where the evidence must be that wall's; without any wall it works (else another reason would be hiding); and a
//! harmless twin works behind all walls.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]
mod attacks;
#[path = "../support/mod.rs"]
mod support;

use attacks::{ATTACKS, Attack, Bare, Evidence};
use roost_engine::{Engine, ErrorCode, QueryError, Role, Wall, Walls};
use std::collections::BTreeMap;
use std::path::Path;
use support::{Bench, bench, bench_behind, run, run_as};

const SETUP: &str = "CREATE TABLE t AS SELECT 1 AS i; CREATE SEQUENCE s; CREATE TABLE texts (x VARCHAR)";

/// The files that attacks are after, and the database of another tenant.
async fn prey(bench: &Bench) {
    let folder = bench.folder.path();
    std::fs::write(folder.join("secret.txt"), "the bucket's key").unwrap();
    std::fs::write(folder.join("secret.csv"), "a,b\n1,2\n").unwrap();
    std::fs::write(folder.join("secret.json"), "{\"a\": 1}\n").unwrap();
    std::fs::create_dir_all(folder.join("import")).unwrap();
    std::fs::write(folder.join("import/schema.sql"), "CREATE TABLE imported (i INT);").unwrap();
    std::fs::write(folder.join("import/load.sql"), "").unwrap();
    let maker = bench_behind(&Walls::only(&[]));
    let sql = format!(
        "COPY (SELECT 1 AS i) TO '{0}/secret.parquet' (FORMAT parquet); ATTACH '{0}/other.db' AS other; \
         CREATE TABLE other.secret AS SELECT 1 AS i; CHECKPOINT other; DETACH other",
        folder.display()
    );
    run(&maker.engine, &sql).await.unwrap();
}

async fn prepared(bench: Bench) -> Bench {
    run(&bench.engine, SETUP).await.unwrap();
    prey(&bench).await;
    bench
}

fn fill(sql: &str, folder: &Path) -> String {
    sql.replace("{dir}", &folder.display().to_string())
}

async fn attack(bench: &Bench, attack: &Attack) -> Result<Vec<String>, QueryError> {
    let role = if attack.reader { Role::ReadOnly } else { Role::ReadWrite };
    run_as(&bench.engine, &fill(attack.sql, bench.folder.path()), role).await
}

async fn alive(engine: &Engine) -> bool {
    !engine.has_failed() && run(engine, "SELECT i FROM t").await.is_ok_and(|rows| rows == ["1"])
}

fn is_refusal(error: &QueryError) -> bool {
    matches!(error.code, ErrorCode::StatementNotAllowed | ErrorCode::ReadOnly)
        || error.message.contains("locked")
        || error.message.contains("disabled")
}

#[tokio::test]
async fn all_walls_stop_every_attack_and_no_twin() {
    assert!(ATTACKS.len() >= 60, "{} attacks", ATTACKS.len());
    let bench = prepared(bench()).await;
    let mut wrong = Vec::new();
    for case in &ATTACKS {
        match attack(&bench, case).await {
            Ok(rows) => wrong.push(format!("ESCAPED {}: {rows:?}", case.sql)),
            Err(error) if !is_refusal(&error) => {
                wrong.push(format!("for another reason: {}: {error:?}", case.sql));
            }
            Err(_) => {}
        }
        if !alive(&bench.engine).await {
            wrong.push(format!("the engine did not survive {}", case.sql));
            break;
        }
        if let Err(error) = run(&bench.engine, &fill(case.twin, bench.folder.path())).await {
            wrong.push(format!("twin of {}: {}: {error:?}", case.sql, case.twin));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn each_named_wall_holds_alone() {
    let mut benches: BTreeMap<Option<Wall>, Bench> = BTreeMap::new();
    let mut wrong = Vec::new();
    for case in &ATTACKS {
        assert!(!case.walls.is_empty(), "{} names no wall", case.sql);
        for (wall, evidence) in case.walls {
            if !benches.contains_key(wall) {
                let walls: Vec<Wall> = wall.iter().copied().collect();
                benches.insert(*wall, prepared(bench_behind(&Walls::only(&walls))).await);
            }
            let result = attack(&benches[wall], case).await;
            let shown = match (&result, evidence) {
                (Ok(_), _) => false,
                (Err(error), Evidence::Refusal(code)) => error.refusal.as_deref() == Some(*code),
                (Err(error), Evidence::Message(text)) => {
                    error.refusal.is_none() && error.message.contains(text)
                }
            };
            if !shown {
                wrong.push(format!("{wall:?} alone against {}: {result:?}, not {evidence:?}", case.sql));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn without_walls_the_attacks_work() {
    let mut wrong = Vec::new();
    for case in ATTACKS.iter().filter(|case| case.bare == Bare::Works) {
        let bench = prepared(bench_behind(&Walls::only(&[]))).await;
        if let Err(error) = attack(&bench, case).await {
            wrong.push(format!("{}: {error:?}", case.sql));
        }
    }
    assert!(wrong.is_empty(), "{} fail anyway:\n{}", wrong.len(), wrong.join("\n"));
}

/// Settings that clients may ask about tell nothing of the machine.
#[tokio::test]
async fn settings_that_show_tell_no_secret() {
    let bench = bench();
    let home = std::env::var("HOME").unwrap_or_else(|_| "/root".into());
    for setting in
        ["secret_directory", "extension_directory", "home_directory", "http_proxy", "http_proxy_password"]
    {
        let rows = run(&bench.engine, &format!("SELECT current_setting('{setting}')")).await.unwrap();
        assert!(!rows[0].contains(&home), "{setting} shows {rows:?}");
    }
}
