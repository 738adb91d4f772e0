//! Encryption: nothing of a database can be read in the bucket, and all of Roost works on.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use k8s_openapi::ByteString;
use roost_protocol::problem::ErrorCode;
use roost_store::{
    ClassKeys,
    format::{
        json::{decode, encode},
        tenant::TenantRecord,
    },
};
use roost_tests::{
    Roost, TestNamespace,
    cluster::{PATIENCE, SYSTEM_NAMESPACE},
    eventually,
    tenant::find_condition,
};
use serde_json::{Value, json};

/// Text that nobody may find. Compression leaves it as it is: no part of it comes twice.
const MARKER: &str = "qX7#vR2!mZ9@tB4$kW8%nD3^hL6&yF1*cG5(pJ0)";
const OLD: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";
const NEW: &str = "f0e1d2c3b4a5968778695a4b3c2d1e0ff0e1d2c3b4a5968778695a4b3c2d1e0f";

async fn keys(roost: &Roost, name: &str, keys: &[(&str, &str)]) -> Result<()> {
    let data: BTreeMap<_, _> =
        keys.iter().map(|(name, key)| (*name, ByteString(key.as_bytes().to_vec()))).collect();
    let metadata = json!({"name": name, "namespace": SYSTEM_NAMESPACE});
    roost.apply(&json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})).await?;
    Ok(())
}

/// Counts the objects of packs and WAL below a prefix, and those of them that show the marker.
async fn shown(roost: &Roost, prefix: &str) -> Result<(usize, usize)> {
    let mut contents = roost.bucket.contents(prefix).await?;
    contents.retain(|key, _| key.contains("/packs/") || key.contains("/wal/"));
    let shows = |bytes: &[u8]| bytes.windows(MARKER.len()).any(|part| part == MARKER.as_bytes());
    Ok((contents.len(), contents.values().filter(|bytes| shows(bytes)).count()))
}

async fn wrapped_by(shop: &TestNamespace, tenant: &str) -> Result<Value> {
    Ok(shop.api("Tenant").get(tenant).await?.data["status"]["encryptionKey"].clone())
}

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn an_encrypted_tenant_lives_its_whole_life() -> Result<()> {
    let roost = Roost::connect().await?;
    let shop = roost.namespace("secret").await?;
    let secret = format!("{}-keys", shop.name);
    keys(&roost, &secret, &[("2026", OLD)]).await?;
    let plain = roost.class("plain", "10m", |_| ()).await?;
    let class = roost
        .class("secret", "10m", |spec| {
            spec["encryption"] = json!({"secretRef": {"name": secret}, "keyName": "2026"});
        })
        .await?;
    let script =
        format!("CREATE TABLE t AS SELECT '{MARKER}' AS s, 4 AS i; INSERT INTO t VALUES ('{MARKER}', 5);");
    for (tenant, class) in [("open", &plain), ("acme", &class)] {
        let uid = shop.tenant(tenant, json!({"className": class})).await?;
        shop.run(tenant, &script).await?;
        roost.evict(&uid).await?;
        let (objects, shown) = shown(&roost, &format!("{class}/tenants/")).await?;
        ensure!(objects > 1 && (shown > 0) == (tenant == "open"), "{tenant}: {shown} of {objects}");
    }
    ensure!(wrapped_by(&shop, "acme").await? == "2026" && wrapped_by(&shop, "open").await?.is_null());

    // Awake again, and everything that is made of it.
    shop.run("acme", "INSERT INTO t VALUES ('later', 6)").await?;
    shop.apply("Branch", "dev", json!({"tenantName": "acme"})).await?;
    shop.condition("Branch", "dev", "Ready", "True", None).await?;
    for format in ["Native", "Parquet"] {
        let name = format.to_lowercase();
        shop.apply("Snapshot", &name, json!({"tenantName": "acme", "format": format})).await?;
        shop.condition("Snapshot", &name, "Ready", "True", None).await?;
    }
    shop.tenant("copy", json!({"className": class, "source": {"snapshot": {"name": "native"}}})).await?;
    for of in ["acme", "acme/branches/dev", "copy"] {
        shop.answers(of, "SELECT sum(i) FROM t", 15).await?;
    }
    let (_, shown) = shown(&roost, &format!("{class}/tenants/")).await?;
    ensure!(shown == 0, "{shown} objects show what they hold");

    // Another key of the class, and the first one goes.
    keys(&roost, &secret, &[("2026", OLD), ("2027", NEW)]).await?;
    let encryption = json!({"encryption": {"secretRef": {"name": secret}, "keyName": "2027"}});
    roost.change_class(&class, &encryption).await?;
    for tenant in ["acme", "copy"] {
        eventually("the data key is wrapped again", PATIENCE, || async {
            let name = wrapped_by(&shop, tenant).await.map_err(|error| error.to_string())?;
            if name == "2027" { Ok(()) } else { Err(name.to_string()) }
        })
        .await?;
    }
    keys(&roost, &secret, &[("2027", NEW)]).await?;
    let uid = shop.api("Tenant").get("acme").await?.metadata.uid.unwrap_or_default();
    roost.evict(&uid).await?;
    shop.answers("acme", "SELECT sum(i) FROM t", 15).await?;
    shop.verified_with("acme", Some(&ClassKeys::new("2027", [("2027", NEW)])?)).await?;
    Ok(())
}

/// Somebody who writes to the bucket or takes the keys away keeps a tenant from being served, and achieves nothing
/// else.
#[tokio::test]
#[ignore = "needs the test cluster"]
async fn without_its_key_a_tenant_is_not_served() -> Result<()> {
    let roost = Roost::connect().await?;
    let shop = roost.namespace("locked").await?;
    let secret = format!("{}-keys", shop.name);
    let class = roost.class("locked", "10m", |_| ()).await?;
    let before = shop.tenant("before", json!({"className": class})).await?;
    shop.run("before", "CREATE TABLE t AS SELECT 3 AS i").await?;
    keys(&roost, &secret, &[("2026", OLD)]).await?;
    let encryption = json!({"encryption": {"secretRef": {"name": secret}, "keyName": "2026"}});
    roost.change_class(&class, &encryption).await?;
    let uid = shop.tenant("acme", json!({"className": class})).await?;
    shop.run("acme", "CREATE TABLE t AS SELECT 4 AS i").await?;

    // The key is gone, another one is there: the class says so, by itself.
    keys(&roost, &secret, &[("2027", NEW)]).await?;
    let classes = roost.classes();
    let ready = async |wanted: &str| {
        eventually(&format!("the class is {wanted}"), PATIENCE, || async {
            let found = classes.get(&class).await.map_err(|error| error.to_string())?;
            let reason = find_condition(&found, "Ready")["reason"].clone();
            if reason == wanted { Ok(()) } else { Err(reason.to_string()) }
        })
        .await
    };
    ready("EncryptionKeyInvalid").await?;
    roost.evict(&uid).await?;
    let problem = shop.query("acme", "SELECT i FROM t").await?.problem()?;
    ensure!(problem.code == ErrorCode::KeyUnavailable, "{problem}");
    shop.condition("Tenant", "acme", "Ready", "False", Some("EncryptionKeyInvalid")).await?;
    // What is not encrypted needs none.
    roost.evict(&before).await?;
    shop.answers("before", "SELECT i FROM t", 3).await?;
    keys(&roost, &secret, &[("2026", OLD)]).await?;
    ready("Ready").await?;
    shop.answers("acme", "SELECT i FROM t", 4).await?;
    shop.condition("Tenant", "acme", "Ready", "True", None).await?;

    // Another record, which says nothing of encryption.
    roost.evict(&uid).await?;
    let key = format!("{class}/tenants/{}/acme/tenant.json", shop.name);
    let record = roost.bucket.read(&key).await?;
    let mut forged: TenantRecord = decode(&record)?;
    forged.data_key = None;
    roost.bucket.overwrite(&key, encode(&forged)).await?;
    let problem = shop.query("acme", "SELECT i FROM t").await?.problem()?;
    ensure!(problem.code == ErrorCode::KeyUnavailable, "{problem}");
    roost.bucket.overwrite(&key, record.to_vec()).await?;
    shop.answers("acme", "SELECT i FROM t", 4).await?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn keys_that_cannot_be_used_are_named() -> Result<()> {
    let roost = Roost::connect().await?;
    let shop = roost.namespace("keyless").await?;
    let (none, short, other): (&[_], &[_], &[_]) = (&[], &[("2026", "too short")], &[("2025", OLD)]);
    for (tenant, held, reason, told) in [
        ("none", none, "CredentialsNotFound", "keyless-none does not exist"),
        ("short", short, "EncryptionKeyInvalid", "the key 2026 is not 64 hexadecimal digits"),
        ("other", other, "EncryptionKeyInvalid", "there is no key 2026"),
    ] {
        let secret = format!("{}-{tenant}", shop.name);
        if !held.is_empty() {
            keys(&roost, &secret, held).await?;
        }
        let encryption = json!({"secretRef": {"name": secret}, "keyName": "2026"});
        let class = roost.class("keyless", "10m", |spec| spec["encryption"] = encryption).await?;
        shop.apply("Tenant", tenant, json!({"className": class})).await?;
        let refused = shop.condition("Tenant", tenant, "Ready", "False", Some(reason)).await?;
        let status = refused.data["status"].to_string().replace(&shop.name, "keyless");
        ensure!(status.contains(told), "{status}");
        ensure!(roost.bucket.keys(&format!("{class}/tenants/")).await?.is_empty(), "something was written");
    }
    Ok(())
}
