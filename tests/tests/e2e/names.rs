//! SQL that names its database works wherever the data is copied to.

use anyhow::{Result, ensure};
use jiff::Timestamp;
use roost_tests::Roost;
use serde_json::json;

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn what_names_its_tenant_works_in_copies_under_other_names() -> Result<()> {
    let roost = Roost::connect().await?;
    let class = roost.class("names", "10m", |_| ()).await?;
    let shop = roost.namespace("names").await?;
    let uid = shop.tenant("acme", json!({"className": class})).await?;
    let sql = r#"CREATE TABLE "acme"."main"."t" AS SELECT 1 AS i;
        CREATE VIEW "acme"."main"."v" AS SELECT acme.main.t.i FROM "acme"."main"."t";
        CREATE MACRO plus(x) AS x + 1;
        CREATE SEQUENCE s;
        CREATE TABLE kept (i INT DEFAULT nextval('acme.main.s'), CHECK ("acme"."main"."plus"(i) > 0))"#;
    shop.run("acme", sql).await?;
    roost.evict(&uid).await?;
    // In the WAL: who replays it under another name binds the constraint.
    shop.run("acme", "ALTER TABLE kept ADD COLUMN j INT; ALTER TABLE kept ALTER j SET DEFAULT 2").await?;
    shop.run("acme", "INSERT INTO kept (j) VALUES (3)").await?;
    let moment = Timestamp::now().to_string();
    shop.run("acme", "DROP TABLE kept").await?;

    let source = json!({"pointInTime": {"tenantName": "acme", "time": moment}});
    shop.tenant("beta", json!({"className": class, "source": source})).await?;
    let all = r#"SELECT (SELECT sum(i) FROM v) || ' ' || (SELECT string_agg(j, ',' ORDER BY j) FROM "NAME"."main"."kept")
        || ' ' || current_database()"#;
    let add = r#"INSERT INTO "acme"."main"."kept" DEFAULT VALUES"#;
    shop.run("beta", add).await?;
    let found = shop.run("beta", &all.replace("NAME", "beta")).await?;
    ensure!(found.value()? == "1 2,3 beta", "{}", found.body);

    // A copy of the copy knows both names, awake and when it wakes again.
    shop.run("beta", r#"CREATE VIEW of_beta AS SELECT * FROM "beta"."main"."v""#).await?;
    shop.apply("Snapshot", "native", json!({"tenantName": "beta", "format": "Native"})).await?;
    shop.condition("Snapshot", "native", "Ready", "True", None).await?;
    let source = json!({"snapshot": {"name": "native"}});
    let uid = shop.tenant("gamma", json!({"className": class, "source": source})).await?;
    for wake in 1..=2 {
        for name in ["acme", "beta", "gamma"] {
            let found = shop.run("gamma", &all.replace("NAME", name)).await?;
            ensure!(found.value()? == "1 2,3 gamma", "wake {wake}: {name}: {}", found.body);
        }
        ensure!(shop.run("gamma", "SELECT sum(i)::INT FROM of_beta").await?.value()? == 1);
        roost.evict(&uid).await?;
    }
    shop.apply("Snapshot", "parquet", json!({"tenantName": "gamma", "format": "Parquet"})).await?;
    shop.condition("Snapshot", "parquet", "Ready", "True", None).await?;
    Ok(())
}
