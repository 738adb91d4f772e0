//! Statements that DuckDB cannot replay: what was acknowledged opens again, and what was not leaves no trace.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test does not expect fails it"
)]

#[path = "support/life.rs"]
mod life;

use life::Life;
use roost_protocol::durability::Durability;
use roost_store::{Adoption, Creation, Environment, MemoryStore, Owner, TenantPath, TenantStore};
use std::{path::PathBuf, sync::Arc};

/// Statements, and what holds after them.
struct Case {
    name: &'static str,
    /// Published before the rest.
    before: &'static [&'static str],
    /// Run one after the other, each a request.
    then: &'static [&'static str],
    /// Queries of one text, and what they say.
    told: &'static [(&'static str, &'static str)],
    /// Statements that must be refused.
    refused: &'static [&'static str],
}

const CASES: [Case; 13] = [
    Case {
        name: "an index, then a bulk load, then a row",
        before: &[],
        then: &[
            "CREATE TABLE t (i INTEGER, s VARCHAR)",
            "CREATE INDEX a ON t (i)",
            "INSERT INTO t SELECT r, 'x' || r FROM range(150000) r(r)",
            "INSERT INTO t VALUES (-1, 'last')",
        ],
        told: &[
            ("SELECT count(*)::VARCHAR FROM t", "150001"),
            ("SELECT s FROM t WHERE i = -1", "last"),
            ("SELECT s FROM t WHERE i = 149999", "x149999"),
        ],
        refused: &[],
    },
    Case {
        name: "a schema with tables that a foreign key joins, one of which was altered",
        before: &[
            "CREATE SCHEMA s",
            "CREATE TABLE s.p (i INTEGER PRIMARY KEY)",
            "CREATE TABLE s.ch (i INTEGER REFERENCES s.p (i))",
            "ALTER TABLE s.ch ADD COLUMN x INTEGER",
        ],
        then: &["DROP SCHEMA s CASCADE"],
        told: &[("SELECT count(*)::VARCHAR FROM duckdb_tables()", "0")],
        refused: &["FROM s.p"],
    },
    Case {
        name: "a generated column before the key",
        before: &[],
        then: &[
            "CREATE TABLE t (g INTEGER AS (a + 1), a INTEGER PRIMARY KEY, b INTEGER UNIQUE)",
            "INSERT INTO t (a, b) VALUES (1, 1), (2, 2)",
            "UPDATE t SET a = 3 WHERE b = 2",
        ],
        told: &[("SELECT string_agg(g || '=' || a, ',' ORDER BY a) FROM t", "2=1,4=3")],
        refused: &["INSERT INTO t (a, b) VALUES (3, 9)", "INSERT INTO t (a, b) VALUES (9, 1)"],
    },
    Case {
        name: "a second index beside a unique one",
        before: &["CREATE TABLE t (i INTEGER, j INTEGER)", "CREATE UNIQUE INDEX a ON t (i)"],
        then: &["INSERT INTO t VALUES (1, 1)", "CREATE INDEX b ON t (j)", "INSERT INTO t VALUES (2, 2)"],
        told: &[
            ("SELECT count(*)::VARCHAR FROM t WHERE i = 1", "1"),
            ("SELECT count(*)::VARCHAR FROM t WHERE j = 2", "1"),
        ],
        refused: &["INSERT INTO t VALUES (1, 9)", "INSERT INTO t VALUES (2, 9)"],
    },
    Case {
        name: "a unique index, one row, a row group",
        before: &["CREATE TABLE t (i INTEGER)", "CREATE UNIQUE INDEX a ON t (i)"],
        then: &["INSERT INTO t VALUES (-1)", "INSERT INTO t FROM range(122880)"],
        told: &[
            ("SELECT count(*)::VARCHAR FROM t", "122881"),
            ("SELECT count(*)::VARCHAR FROM t WHERE i = 122879", "1"),
        ],
        refused: &["INSERT INTO t VALUES (-1)", "INSERT INTO t VALUES (122879)"],
    },
    Case {
        name: "an index, a column, an index, and rows in between",
        before: &["CREATE TABLE t (i INTEGER)"],
        then: &[
            "CREATE UNIQUE INDEX a ON t (i)",
            "INSERT INTO t VALUES (1)",
            "ALTER TABLE t ADD COLUMN j INTEGER",
            "INSERT INTO t VALUES (2, 2)",
            "CREATE INDEX b ON t (j)",
            "UPDATE t SET j = 7 WHERE i = 1",
            "INSERT INTO t VALUES (3, 3)",
            "DELETE FROM t WHERE i = 2",
        ],
        told: &[("SELECT string_agg(i || '=' || j, ',' ORDER BY i) FROM t", "1=7,3=3")],
        refused: &["INSERT INTO t VALUES (1, 9)", "INSERT INTO t VALUES (3, 9)"],
    },
    Case {
        name: "a column that becomes an enum",
        before: &["CREATE TABLE t (i INTEGER, m VARCHAR)", "CREATE TYPE mood AS ENUM ('sad', 'glad')"],
        then: &[
            "INSERT INTO t VALUES (1, 'glad')",
            "ALTER TABLE t ALTER m TYPE mood",
            "INSERT INTO t VALUES (2, 'sad')",
        ],
        told: &[
            ("SELECT string_agg(m::VARCHAR, ',' ORDER BY i) FROM t", "glad,sad"),
            ("SELECT data_type FROM duckdb_columns() WHERE column_name = 'm'", "ENUM('sad', 'glad')"),
        ],
        refused: &["INSERT INTO t VALUES (3, 'mad')"],
    },
    Case {
        name: "an update, a rename and a drop in one transaction",
        before: &["CREATE TABLE t (i INTEGER)", "INSERT INTO t VALUES (1)"],
        then: &[
            "BEGIN; UPDATE t SET i = 2; ALTER TABLE t RENAME TO u; DROP TABLE u; COMMIT",
            "CREATE TABLE v AS SELECT 'there' AS s",
        ],
        told: &[
            ("SELECT s FROM v", "there"),
            ("SELECT count(*)::VARCHAR FROM duckdb_tables() WHERE table_name IN ('t', 'u')", "0"),
        ],
        refused: &["FROM t", "FROM u"],
    },
    Case {
        name: "a key and an index over rows that are there",
        before: &["CREATE TABLE t (i INTEGER, j INTEGER)", "INSERT INTO t SELECT r, r FROM range(5000) r(r)"],
        then: &[
            "ALTER TABLE t ADD PRIMARY KEY (i)",
            "CREATE UNIQUE INDEX b ON t (j)",
            "INSERT INTO t VALUES (-1, -1)",
        ],
        told: &[("SELECT count(*)::VARCHAR FROM t WHERE i IN (-1, 4999) AND j IN (-1, 4999)", "2")],
        refused: &["INSERT INTO t VALUES (4999, -9)", "INSERT INTO t VALUES (-9, 4999)"],
    },
    Case {
        name: "a sequence that is dropped and made again",
        before: &["CREATE SEQUENCE s"],
        then: &["SELECT nextval('s')", "CREATE OR REPLACE SEQUENCE s START 100", "SELECT nextval('s')"],
        told: &[("SELECT nextval('s')::VARCHAR", "101")],
        refused: &[],
    },
    Case {
        name: "a CHECK that calls a macro, and what binds it again",
        before: &[
            "CREATE SCHEMA o",
            "CREATE MACRO o.norm(x) AS x + 1",
            "CREATE MACRO norm(x) AS x + 1",
            "CREATE TABLE p (i INTEGER PRIMARY KEY CHECK (norm(i) > 0))",
            "CREATE TABLE c (i INTEGER REFERENCES p (i))",
            "USE o; CREATE TABLE o.q (i INTEGER PRIMARY KEY CHECK (o.norm(i) > 0)); \
             CREATE TABLE o.d (i INTEGER REFERENCES o.q (i))",
        ],
        then: &[
            "ALTER TABLE c ALTER i SET DEFAULT 1",
            "COMMENT ON COLUMN p.i IS 'a key'",
            "INSERT INTO p VALUES (1)",
            "DROP TABLE c",
            "DROP TABLE o.d",
            "INSERT INTO p VALUES (2)",
        ],
        told: &[("SELECT count(*)::VARCHAR FROM p", "2")],
        refused: &["INSERT INTO p VALUES (-5)", "FROM c"],
    },
    Case {
        name: "a table that is renamed and comes back",
        before: &["CREATE TABLE t (i INTEGER)"],
        then: &[
            "INSERT INTO t VALUES (1)",
            "BEGIN; CREATE TABLE n AS FROM t; ALTER TABLE t RENAME TO o; ALTER TABLE n RENAME TO t; COMMIT",
            "INSERT INTO t VALUES (2)",
            "INSERT INTO o VALUES (3)",
        ],
        told: &[
            ("SELECT string_agg(i::VARCHAR, ',' ORDER BY i) FROM t", "1,2"),
            ("SELECT string_agg(i::VARCHAR, ',' ORDER BY i) FROM o", "1,3"),
        ],
        refused: &["FROM n"],
    },
    Case {
        name: "a schema with a type of its own",
        before: &[],
        then: &[
            "CREATE SCHEMA n",
            "CREATE TYPE n.mood AS ENUM ('sad', 'glad')",
            "CREATE TABLE n.t (m n.mood)",
            "INSERT INTO n.t VALUES ('glad')",
        ],
        told: &[("SELECT m::VARCHAR FROM n.t", "glad")],
        refused: &["INSERT INTO n.t VALUES ('mad')"],
    },
];

/// A tenant in a bucket in memory, and folders for its lives.
struct Bucket {
    tenant: TenantStore,
    disk: tempfile::TempDir,
    lives: u32,
}

impl Bucket {
    async fn new() -> Self {
        let owner = Owner { cluster_id: "c".into(), namespace_uid: "n".into(), tenant_uid: "t".into() };
        let path = TenantPath::new("", "shop", "acme").unwrap();
        let tenant = TenantStore::new(Arc::new(MemoryStore::new()), path, owner, Environment::system());
        tenant.initialize(Creation::NewTenant, &Adoption::default()).await.unwrap();
        Self { tenant, disk: tempfile::tempdir().unwrap(), lives: 0 }
    }

    fn cache(&mut self) -> PathBuf {
        self.lives += 1;
        self.disk.path().join(self.lives.to_string())
    }

    async fn life(&mut self, durability: Durability) -> Life {
        let cache = self.cache();
        Life::open(&self.tenant, &cache, durability).await.unwrap()
    }
}

async fn run_all(life: &Life, statements: &[&str]) {
    for sql in statements {
        life.run(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_opens_again() {
    for case in &CASES {
        println!("{}", case.name);
        let mut bucket = Bucket::new().await;
        let life = bucket.life(Durability::Synchronous).await;
        run_all(&life, case.before).await;
        life.publish().await.unwrap();
        run_all(&life, case.then).await;
        life.crash();
        // Opened by a replay, published, and opened by what that wrote.
        for _ in 0..2 {
            let life = bucket.life(Durability::Synchronous).await;
            for (query, expected) in case.told {
                // What a query changes (a sequence) is not there again: nothing of this life is shipped before.
                assert_eq!(life.text(query).await.unwrap(), *expected, "{}: {query}", case.name);
                if query.contains("nextval") {
                    break;
                }
            }
            for sql in case.refused {
                assert!(life.run(sql).await.is_err(), "{}: {sql} is accepted", case.name);
            }
            if case.told.iter().any(|(query, _)| query.contains("nextval")) {
                break;
            }
            life.publish().await.unwrap();
            life.crash();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_was_not_acknowledged_leaves_a_database_that_opens() {
    for case in &CASES {
        for killed_after in 1..=case.then.len() {
            let mut bucket = Bucket::new().await;
            let life = bucket.life(Durability::Asynchronous).await;
            run_all(&life, case.before).await;
            life.publish().await.unwrap();
            run_all(&life, &case.then[..killed_after]).await;
            life.crash();
            let life = bucket.life(Durability::Synchronous).await;
            life.run("CREATE TABLE goes_on (i INTEGER)").await.unwrap();
            life.publish().await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_over_a_macro_is_refused() {
    let mut bucket = Bucket::new().await;
    let life = bucket.life(Durability::Synchronous).await;
    run_all(
        &life,
        &["CREATE MACRO norm(x) AS lower(x)", "CREATE TABLE u (email VARCHAR)", "INSERT INTO u VALUES ('A')"],
    )
    .await;
    for sql in [
        "CREATE UNIQUE INDEX i ON u (norm(email))",
        "CREATE INDEX i ON u ((upper(acme.main.norm(email))))",
        "CREATE INDEX i ON u (acme.norm(email))",
        "CREATE INDEX i ON u ((email.norm()))",
    ] {
        let error = life.run(sql).await.unwrap_err();
        assert!(error.contains("cannot call norm"), "{error}");
    }
    run_all(&life, &["CREATE UNIQUE INDEX i ON u (lower(email))", "INSERT INTO u VALUES ('b')"]).await;
    life.seal().await.unwrap();
}

/// DuckDB forgets after an ALTER that tables depend on each other: a rename that it lets through then is not replayed, and
/// a checkpoint of it never ends.
#[tokio::test(flavor = "multi_thread")]
async fn tables_that_a_foreign_key_joins_keep_their_names() {
    let mut bucket = Bucket::new().await;
    let life = bucket.life(Durability::Synchronous).await;
    run_all(
        &life,
        &[
            "CREATE TABLE p (i INTEGER PRIMARY KEY)",
            "CREATE TABLE ch (i INTEGER REFERENCES p (i), j INTEGER)",
            "CREATE TABLE own (i INTEGER PRIMARY KEY, k INTEGER REFERENCES own (i))",
            "INSERT INTO p VALUES (1), (2)",
            "INSERT INTO ch VALUES (1, 1)",
            "ALTER TABLE ch ADD COLUMN x INTEGER",
        ],
    )
    .await;
    for (sql, told) in [
        ("ALTER TABLE p RENAME TO pp", "cannot be renamed"),
        ("ALTER TABLE acme.main.p RENAME TO pp", "cannot be renamed"),
        (
            "BEGIN; ALTER TABLE ch ADD COLUMN y INTEGER; ALTER TABLE p RENAME TO pp; COMMIT",
            "cannot be renamed",
        ),
        ("ALTER TABLE ch RENAME TO c2", "cannot be renamed"),
        ("ALTER TABLE own RENAME TO o2", "cannot be renamed"),
        ("CREATE OR REPLACE TABLE p (i INTEGER PRIMARY KEY)", "cannot be replaced"),
        ("CREATE OR REPLACE TABLE p AS SELECT 1 AS i", "cannot be replaced"),
        // Every DELETE from the parent would kill the engine after this.
        ("CREATE OR REPLACE TABLE ch AS FROM ch", "cannot be replaced"),
        ("CREATE OR REPLACE TABLE ch (i INTEGER REFERENCES p (i))", "cannot be replaced"),
    ] {
        let error = life.run(sql).await.unwrap_err();
        assert!(error.contains(told), "{sql}: {error}");
    }
    run_all(
        &life,
        &[
            "DROP TABLE ch",
            "CREATE TABLE ch AS SELECT 1 AS i",
            "DELETE FROM p WHERE i = 1",
            "CREATE OR REPLACE TABLE own (i INTEGER)",
            "ALTER TABLE p RENAME TO pp",
            "CREATE OR REPLACE TABLE pp AS SELECT 7 AS i",
        ],
    )
    .await;
    life.crash();
    let life = bucket.life(Durability::Synchronous).await;
    assert_eq!(life.text("SELECT i::VARCHAR FROM pp").await.unwrap(), "7");
    life.seal().await.unwrap();
}

/// DuckDB takes an index away when a comment on it is rolled back, and writes a checkpoint that does not open.
#[tokio::test(flavor = "multi_thread")]
async fn a_comment_that_is_rolled_back_costs_no_index() {
    let mut bucket = Bucket::new().await;
    let life = bucket.life(Durability::Synchronous).await;
    run_all(
        &life,
        &["CREATE TABLE t (i INTEGER)", "CREATE UNIQUE INDEX x ON t (i)", "INSERT INTO t VALUES (1)"],
    )
    .await;
    for sql in ["BEGIN; COMMENT ON INDEX x IS 'c'; ROLLBACK", "COMMENT ON INDEX acme.main.x IS 'c'"] {
        let error = life.run(sql).await.unwrap_err();
        assert!(error.contains("Comment on its table"), "{error}");
    }
    run_all(&life, &["BEGIN; COMMENT ON TABLE t IS 'c'; COMMENT ON COLUMN t.i IS 'c'; ROLLBACK"]).await;
    assert!(life.run("INSERT INTO t VALUES (1)").await.is_err());
    life.seal().await.unwrap();
    let life = bucket.life(Durability::Synchronous).await;
    assert!(life.run("INSERT INTO t VALUES (1)").await.is_err());
    assert_eq!(life.text("SELECT i::VARCHAR FROM t WHERE i = 1").await.unwrap(), "1");
}

/// The meaning of a name must not change under an index, nor with the session that wrote a constraint.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_means_the_same_everywhere() {
    let mut bucket = Bucket::new().await;
    let life = bucket.life(Durability::Synchronous).await;
    run_all(
        &life,
        &[
            "CREATE TYPE mood AS ENUM ('sad', 'glad')",
            "CREATE TABLE u (email VARCHAR, m VARCHAR)",
            "CREATE UNIQUE INDEX i ON u (lower(email))",
            "CREATE TABLE fine (i INTEGER, CHECK (abs(i) < 10 AND i::BIGINT > -3))",
            "CREATE MACRO upper(x) AS x",
        ],
    )
    .await;
    for (sql, told) in [
        ("CREATE INDEX j ON u ((m::mood))", "cannot cast to"),
        ("CREATE MACRO lower(x) AS x", "Drop the index first"),
        ("CREATE OR REPLACE MACRO main.LOWER(x) AS x", "Drop the index first"),
        ("CREATE SCHEMA s; CREATE MACRO s.lower(x) AS x", "Drop the index first"),
        (
            "CREATE TEMP MACRO mine(x) AS x; CREATE TABLE c (i INTEGER CHECK (mine(i) > 0))",
            "which is temporary",
        ),
    ] {
        let error = life.run(sql).await.unwrap_err();
        assert!(error.contains(told), "{sql}: {error}");
    }
    run_all(&life, &["CREATE TEMP MACRO mine(x) AS x; CREATE TEMP TABLE c (i INTEGER CHECK (mine(i) > 0))"])
        .await;
}

/// An index is computed by whoever writes, and by whoever replays: in sessions with settings of their own.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_is_over_what_every_session_computes_alike() {
    let mut bucket = Bucket::new().await;
    let life = bucket.life(Durability::Synchronous).await;
    run_all(
        &life,
        &["CREATE TABLE t (i INTEGER, s VARCHAR, l INTEGER[], st STRUCT(a INTEGER), ts TIMESTAMPTZ, g DATE AS (ts::DATE))"],
    )
    .await;
    for over in [
        "(ts::DATE)",
        "g",
        "(ts::VARCHAR)",
        "(s::TIMESTAMPTZ)",
        "(date_part('year', ts))",
        "(s = 'A')",
        "(s BETWEEN 'a' AND 'b')",
        "(s IN ('a', 'b'))",
        "(1 / i)",
        "(i || current_setting('TimeZone'))",
        "(list_transform(l, lambda x: x)[1])",
        "([x FOR x IN l][1])",
        "(i + random())",
    ] {
        let error = life.run(&format!("CREATE INDEX x ON t ({over})")).await.unwrap_err();
        assert!(error.contains("An index cannot be over"), "{over}: {error}");
    }
    run_all(
        &life,
        &[
            "CREATE UNIQUE INDEX moment ON t (ts)",
            "CREATE INDEX field ON t ((st.a))",
            "CREATE INDEX element ON t ((l[1]))",
            "CREATE INDEX text ON t ((coalesce(lower(s), 'x')))",
            "CREATE INDEX large ON t ((i > 5))",
            "CREATE INDEX known ON t ((s IS NOT NULL))",
            "CREATE INDEX unknown ON t ((s IS NULL))",
            "CREATE INDEX small ON t ((NOT i > 5))",
        ],
    )
    .await;
    for sql in
        ["CREATE MACRO struct_extract(a) AS a", "CREATE SCHEMA q; CREATE MACRO q.array_extract(a) AS a"]
    {
        let error = life.run(sql).await.unwrap_err();
        assert!(error.contains("Drop the index first"), "{sql}: {error}");
    }
    life.publish().await.unwrap();
    run_all(
        &life,
        &[
            "SET TimeZone = 'Asia/Tokyo'; INSERT INTO t (i, s, l, st, ts) VALUES (9, 'A', [3], {'a': 4}, '2020-01-01 20:00:00+00')",
            "INSERT INTO t (i, ts) VALUES (1, '2021-01-01 20:00:00+00')",
            "DELETE FROM t WHERE i = 1",
        ],
    )
    .await;
    life.crash();
    let life = bucket.life(Durability::Synchronous).await;
    for condition in ["st.a = 4", "l[1] = 3", "coalesce(lower(s), 'x') = 'a'", "i > 5"] {
        let count = format!("SELECT count(*)::VARCHAR FROM t WHERE {condition}");
        assert_eq!(life.text(&count).await.unwrap(), "1", "{condition}");
    }
    assert!(life.run("INSERT INTO t (ts) VALUES ('2020-01-01 20:00:00+00')").await.is_err());
    life.run("DELETE FROM t").await.unwrap();
    life.seal().await.unwrap();
}

/// DuckDB renames a table for everybody before that is committed.
#[tokio::test(flavor = "multi_thread")]
async fn what_others_commit_while_a_table_is_being_renamed_opens_again() {
    for (end, name, rows) in [(None, "t", "0"), (Some("ROLLBACK"), "t", "1"), (Some("COMMIT"), "u", "1")] {
        let mut bucket = Bucket::new().await;
        let life = Arc::new(bucket.life(Durability::Synchronous).await);
        run_all(&life, &["CREATE TABLE t (i INTEGER)"]).await;
        life.publish().await.unwrap();
        let before = life.served.shipper.committed();
        let mut renaming = life.served.engine.connect_for_test().unwrap();
        tokio::task::block_in_place(|| {
            renaming.run("BEGIN").unwrap();
            renaming.run("ALTER TABLE t RENAME TO u").unwrap();
        });
        let writer = Arc::clone(&life);
        let writing = tokio::spawn(async move { writer.run("INSERT INTO t VALUES (1)").await });
        let mut commits = life.served.database.commits();
        commits.wait_for(|last| *last > before).await.unwrap();
        if let Some(end) = end {
            tokio::task::block_in_place(|| renaming.run(end)).unwrap();
            writing.await.unwrap().unwrap();
        } else {
            writing.abort();
        }
        life.crash();
        drop(renaming);
        let life = bucket.life(Durability::Synchronous).await;
        assert_eq!(life.text("SELECT table_name FROM duckdb_tables()").await.unwrap(), name, "{end:?}");
        let count = format!("SELECT count(*)::VARCHAR FROM {name}");
        assert_eq!(life.text(&count).await.unwrap(), rows, "{end:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_beside_generated_columns_is_refused() {
    let mut bucket = Bucket::new().await;
    let life = bucket.life(Durability::Synchronous).await;
    run_all(&life, &["CREATE TABLE t (g INTEGER AS (a + 1), a INTEGER)", "INSERT INTO t (a) VALUES (1)"])
        .await;
    let error = life.run("ALTER TABLE t ADD PRIMARY KEY (a)").await.unwrap_err();
    assert!(error.contains("generated columns"), "{error}");
    run_all(
        &life,
        &["INSERT INTO t (a) VALUES (1)", "CREATE TABLE k (a INTEGER PRIMARY KEY, g INTEGER AS (a + 1))"],
    )
    .await;
}

/// DuckDB finds that the new name is taken after it gave it to the table's log, where it stays until the process ends.
#[tokio::test(flavor = "multi_thread")]
async fn a_rename_to_a_name_that_is_taken_holds_nothing_up() {
    let mut bucket = Bucket::new().await;
    let life = bucket.life(Durability::Synchronous).await;
    run_all(&life, &["CREATE TABLE t (i INTEGER)", "CREATE TABLE u (i INTEGER)", "CREATE VIEW v AS FROM u"])
        .await;
    for taken in ["u", "U", "v"] {
        for sql in [
            format!("ALTER TABLE t RENAME TO {taken}"),
            format!("ALTER TABLE IF EXISTS acme.main.t RENAME TO {taken}"),
        ] {
            let error = life.run(&sql).await.unwrap_err();
            assert!(error.contains("already exists"), "{sql}: {error}");
        }
    }
    assert!(!life.served.database.log_is_doubtful());
    run_all(&life, &["ALTER TABLE t RENAME TO T", "INSERT INTO t VALUES (1)"]).await;
    life.crash();
    let life = bucket.life(Durability::Synchronous).await;
    assert_eq!(life.text("SELECT count(*)::VARCHAR FROM t").await.unwrap(), "1");
}
