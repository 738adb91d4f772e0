//! Pods whose tenants live in a bucket. Real processes, a real S3 server, which is taken from the environment.
#![allow(clippy::disallowed_methods, reason = "tests have real time and real threads")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test does not expect fails it"
)]

mod support;

use roost_protocol::{
    command::Order,
    durability::{Reads, Terms},
    grant::{ExportParquet, Grant, Serve, StorageLocation, Takeover, Task},
    report::Report,
    session::{Role, SessionToken},
    status::{RuntimeState, RuntimeStatus},
};
use roost_store::{BranchName, PinKind, SnapshotFolder, TenantStore};
use roost_tests::{S3Proxy, bucket::Bucket, mortal::SIGNAL, s3_proxy::Fault};
use serde_json::{Value, json};
use std::{
    os::unix::process::ExitStatusExt as _,
    time::{Duration, Instant},
};
use support::{
    eventually, fate, if_mortal,
    pod::{
        Pod, bucket, command, in_seconds, initialized, initialized_encrypted, serve, serve_after, session,
        sign,
    },
};
use tenant_runtime::storage;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the S3 server of a local cluster"]
async fn a_tenant_lives_in_a_bucket() {
    let mut pod = Pod::start().await;
    let grant = pod.grant(bucket(), serve(Some("create table t(i int);\ninsert into t values (41);")));
    let tenant = initialized(&grant).await;
    let (status, answer) = pod.hand_over(&grant).await;
    assert_eq!(status, 200, "{answer}");
    let serving: RuntimeStatus = serde_json::from_value(answer).unwrap();
    assert_eq!(serving.state, RuntimeState::Serving);
    assert!(serving.position.is_some(), "the init script is published before anything is answered");

    for (what, token) in [
        ("none", None),
        ("operator's signature", Some(sign(&pod.operator, &session()))),
        ("tenant", Some(sign(&pod.gateway, &SessionToken { tenant_uid: "other".into(), ..session() }))),
        ("branch", Some(sign(&pod.gateway, &SessionToken { branch: "dev".into(), ..session() }))),
        ("expired", Some(sign(&pod.gateway, &SessionToken { not_after: in_seconds(-1), ..session() }))),
        ("grant", Some(sign(&pod.gateway, &grant))),
    ] {
        let (status, answer) = pod.query_with(token, json!({"sql": "insert into t values (0)"})).await;
        assert_eq!((status, answer["code"].as_str()), (401, Some("unauthenticated")), "{what}");
    }
    let reader = sign(&pod.gateway, &SessionToken { role: Role::ReadOnly, ..session() });
    let (status, answer) = pod.query_with(Some(reader), json!({"sql": "insert into t values (0)"})).await;
    assert_eq!((status, answer["code"].as_str()), (403, Some("read-only")), "{answer}");
    assert_eq!(pod.query("insert into t values (1)").await.0, 200);
    assert_eq!(pod.query("select sum(i) from t").await.1["rows"], json!([["42"]]));

    let (_, report) = pod.order(&command(Order::Report)).await;
    assert_eq!(report["durableLagMillis"], 0, "what was acknowledged is in the bucket: {report}");
    let (status, published) = pod.order(&command(Order::Publish)).await;
    assert_eq!((status, published["durableLagMillis"].as_u64()), (200, Some(0)), "{published}");

    // A worker exports a position in the WAL, beside the serving pod. It replays rows of an index.
    assert_eq!(pod.query("create unique index a on t (i)").await.0, 200);
    assert_eq!(pod.query("insert into t values (2), (-2)").await.0, 200);
    let pin = tenant.pin(PinKind::Reader, "snap", "snap-uid", &BranchName::main(), None).await.unwrap();
    assert!(pin.position.sequence > 0, "{:?}", pin.position);
    let task = Task::ExportParquet(ExportParquet {
        snapshot: "snap".into(),
        snapshot_uid: "snap-uid".into(),
        position: pin.position,
        pin: pin.pin,
    });
    for attempt in 1..=2 {
        let mut worker = Pod::start().await;
        let export = worker.grant_again(&grant, task.clone());
        assert_eq!(worker.hand_over(&export).await.0, 200);
        let (code, ending) = worker.end().await;
        assert_eq!(code, 0, "attempt {attempt}: {ending:?}");
        let Some(Report::Snapshot(report)) = ending.report else { panic!("{ending:?}") };
        assert_eq!((report.table_count, report.row_count), (1, 4), "{report:?}");
        assert_eq!(report.largest_tables[0].name, "t");
    }
    let folder =
        SnapshotFolder::location(&storage::path(&grant.storage, &grant.tenant).unwrap(), "snap").unwrap();
    let objects = storage::bucket(&grant.storage).unwrap().list(&folder, None, 100).await.unwrap().objects;
    assert!(objects.iter().any(|object| object.key.ends_with("metadata.json")), "{objects:?}");
    assert!(objects.iter().any(|object| object.key.ends_with(".parquet")), "{objects:?}");

    let (status, draining) = pod.order(&command(Order::Drain)).await;
    assert_eq!((status, draining["state"] != "serving"), (200, true), "{draining}");
    let (code, ending) = pod.end().await;
    assert_eq!((code, ending.state), (0, RuntimeState::Sealed));
    assert!(ending.position.is_some() && ending.database_size.unwrap() > 0);

    let pod = Pod::start().await;
    let again = pod.grant_again(&grant, serve(Some("this is not run again")));
    assert_eq!(pod.hand_over(&again).await.0, 200);
    assert_eq!(pod.query("select sum(i) from t").await.1["rows"], json!([["42"]]));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the S3 server of a local cluster"]
async fn a_failing_init_script_says_where_and_leaves_nothing() {
    let mut pod = Pod::start().await;
    let grant = pod.grant(bucket(), serve(Some("create table t(i int);\n\nselect missing from t;")));
    let tenant = initialized(&grant).await;
    let (status, problem) = pod.hand_over(&grant).await;
    assert_eq!((status, problem["code"].as_str()), (503, Some("init-script-failed")), "{problem}");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("line 3") && detail.contains("missing"), "{detail}");
    let (code, ending) = pod.end().await;
    assert_eq!((code, ending.state), (22, RuntimeState::Failed));
    let head = tenant.head(&BranchName::main()).await.unwrap();
    assert_eq!((head.number(), head.sealed), (0, true), "HEAD stays unpublished");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the S3 server of a local cluster"]
async fn a_pod_frozen_while_another_takes_over_answers_nothing_afterwards() {
    // Relaxed reads go on while the bucket is away; this is not that.
    tokio::join!(
        frozen_while_another_takes_over(Reads::Strict),
        frozen_while_another_takes_over(Reads::Relaxed)
    );
}

async fn frozen_while_another_takes_over(reads: Reads) {
    let (mut frozen, winner) = (Pod::start().await, Pod::start().await);
    let Task::Serve(task) = serve(Some("create table t(i int);")) else { unreachable!() };
    let task = Task::Serve(Serve { durability: Terms { reads, ..Terms::default() }, ..task });
    let grant = frozen.grant(bucket(), task);
    initialized(&grant).await;
    assert_eq!(frozen.hand_over(&grant).await.0, 200);
    assert_eq!(frozen.query("insert into t values (1)").await.0, 200);
    assert_eq!(frozen.order(&command(Order::Publish)).await.0, 200);

    let taken = winner.grant_again(&grant, serve(None));
    let (answer, ()) = tokio::join!(winner.hand_over(&taken), async { frozen.signal("STOP") });
    let stopped = Instant::now();
    assert_eq!(answer.0, 200, "{}", answer.1);
    assert_eq!(winner.query("insert into t values (2)").await.0, 200);

    // Asked while it is frozen: the requests wait in its socket.
    let asked: Vec<_> = ["select count(*) from t", "insert into t values (3)"]
        .map(|sql| {
            let request = frozen.request(Some(sign(&frozen.gateway, &session())), &json!({"sql": sql}));
            tokio::spawn(request.send())
        })
        .into();
    // A proof of ownership counts for 10 seconds.
    tokio::time::sleep(Duration::from_secs(11).saturating_sub(stopped.elapsed())).await;
    frozen.signal("CONT");
    for answer in asked {
        if let Ok(response) = answer.await.unwrap() {
            assert!(
                !response.status().is_success(),
                "the loser answered: {}",
                response.text().await.unwrap()
            );
        }
    }
    let (code, ending) = frozen.end().await;
    assert_eq!((code, ending.state), (21, RuntimeState::Fenced));
    assert_eq!(winner.query("select list(i order by i) from t").await.1["rows"], json!([[[1, 2]]]));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the S3 server of a local cluster"]
async fn a_pod_with_a_wrong_clock_answers_reads_and_refuses_writes_until_it_is_right() {
    let proxy = S3Proxy::start_local(&Bucket::from_env().unwrap()).await.unwrap();
    let storage = StorageLocation { endpoint: Some(proxy.endpoint.clone()), ca_pem: None, ..bucket() };
    let wrong = Fault::DateLater(Duration::from_mins(10));
    let mut first = Pod::start().await;
    let grant = first.grant(storage, serve(Some("create table t(i int);")));
    initialized(&grant).await;
    proxy.set(wrong, 1);
    let (status, problem) = first.hand_over(&grant).await;
    assert_eq!((status, problem["code"].as_str()), (503, Some("writes-paused")), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("seconds behind"), "{problem}");
    assert_eq!(first.end().await.1.state, RuntimeState::Failed);

    proxy.set(Fault::None, 1);
    let pod = Pod::start().await;
    assert_eq!(pod.hand_over(&pod.grant_again(&grant, grant.task.clone())).await.0, 200);
    assert_eq!(pod.query("insert into t values (1)").await.0, 200);
    proxy.set(wrong, 1);
    let refused = eventually("writes are refused", async || {
        let (status, problem) = pod.query("insert into t values (2)").await;
        (status != 200).then_some(problem)
    })
    .await;
    assert_eq!(refused["code"], "writes-paused", "{refused}");
    assert_eq!(pod.query("select count(*) > 0 from t").await.1["rows"], json!([[true]]));
    let metrics = support::client().get(format!("{}/metrics", pod.health)).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let name = "roost_runtime_publish_clock_behind_seconds ";
    let behind: f64 = metrics.lines().find_map(|line| line.strip_prefix(name)).unwrap().parse().unwrap();
    assert!((590.0..=610.0).contains(&behind), "{behind}");
    proxy.set(Fault::None, 1);
    eventually("writes go on", async || (pod.query("insert into t values (3)").await.0 == 200).then_some(()))
        .await;
}

/// A tenant whose table `ledger` is published and sealed, and its grant. It is encrypted.
async fn asleep() -> (TenantStore, Grant) {
    let mut pod = Pod::start().await;
    let mut grant = pod.grant(bucket(), serve(Some("create table ledger(who varchar, n int);")));
    let tenant = initialized_encrypted(&mut grant).await;
    assert_eq!(pod.hand_over(&grant).await.0, 200);
    assert_eq!(pod.order(&command(Order::Drain)).await.0, 200);
    assert_eq!(pod.end().await.0, 0);
    (tenant, grant)
}

/// Pods of one tenant, one after the other, die before and after each PUT of a publish or seal. The next one
/// must open the manifest that HEAD names then.
async fn pods_die_at_each_put(test: &'static str, during: &'static str, order: Order) {
    let (tenant, grant) = asleep().await;
    let folder = tempfile::tempdir().unwrap();
    let (mut deaths, mut rows) = (Vec::new(), Vec::new());
    let end = format!("after {during}");
    while deaths.last().is_none_or(|death: &String| !death.starts_with(&end)) {
        let (at, obituary) = (deaths.len() as u64, folder.path().join(deaths.len().to_string()));
        let fate = fate(during, &["put"], at, obituary);
        let mut pod = Pod::launch(fate.command(test, &[]).unwrap()).await;
        let grant = pod.grant_again(&grant, serve(None));
        assert_eq!(pod.hand_over(&grant).await.0, 200);
        assert_eq!(ledger(&pod).await, json!(rows), "{deaths:#?}");
        let before = tenant.head(&BranchName::main()).await.unwrap();
        assert_eq!(pod.query(&format!("insert into ledger values ('', {at})")).await.0, 200);
        // The answer is lost if the pod is dead before it.
        let _unheard = pod.try_order(&command(order)).await;
        assert_eq!(pod.wait().await.signal(), Some(SIGNAL));
        deaths.push(fate.last_step().unwrap());
        let died = deaths.last().unwrap();
        let swapped = deaths.iter().any(|death| death.starts_with("after put") && death.ends_with("/HEAD"));
        let head = tenant.head(&BranchName::main()).await.unwrap();
        assert_eq!(head.number(), before.number() + u64::from(swapped), "died {died}; HEAD is {head:?}");
        assert_eq!(head.sealed, swapped && during == "seal", "died {died}; HEAD is {head:?}");
        // The insert was acknowledged.
        rows.push(at);
    }
    for object in ["/packs/", "/pages/", "/manifests/", "/HEAD"] {
        for phase in ["before put ", "after put "] {
            let died = |death: &String| death.starts_with(phase) && death.contains(object);
            assert!(deaths.iter().any(died), "never died {phase}{object}: {deaths:#?}");
        }
    }
    let pod = Pod::start().await;
    assert_eq!(pod.hand_over(&pod.grant_again(&grant, serve(None))).await.0, 200);
    assert_eq!(ledger(&pod).await, json!(rows), "{deaths:#?}");
}

async fn ledger(pod: &Pod) -> Value {
    let (status, answer) = pod.query("select coalesce(list(n order by n), []) from ledger").await;
    assert_eq!(status, 200, "{answer}");
    answer["rows"][0][0].clone()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the S3 server of a local cluster"]
async fn a_pod_dead_at_any_put_of_a_publish_loses_nothing() {
    if_mortal();
    let test = "a_pod_dead_at_any_put_of_a_publish_loses_nothing";
    pods_die_at_each_put(test, "publish", Order::Publish).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the S3 server of a local cluster"]
async fn a_pod_dead_at_any_put_of_a_seal_loses_nothing() {
    if_mortal();
    let test = "a_pod_dead_at_any_put_of_a_seal_loses_nothing";
    pods_die_at_each_put(test, "seal", Order::Drain).await;
}

/// Keys of the tenant's objects.
async fn keys(grant: &Grant) -> Vec<String> {
    let prefix = format!("{}/", grant.storage.prefix);
    let listing = storage::bucket(&grant.storage).unwrap().list(&prefix, None, 1_000).await.unwrap();
    listing.objects.into_iter().map(|object| object.key).collect()
}

/// Two processes with equal rights go for a sleeping branch at once. One serves in the end, and the other ends
/// without a trace.
async fn race(takeover: Takeover) {
    let (tenant, asleep) = asleep().await;
    let (before, objects) = (tenant.head(&BranchName::main()).await.unwrap(), keys(&asleep).await);
    let (one, other) = tokio::join!(Pod::start(), Pod::start());
    let grants = [&one, &other].map(|pod| pod.grant_again(&asleep, serve_after(takeover, None)));
    let answers = tokio::join!(one.try_hand_over(&grants[0]), other.try_hand_over(&grants[1]));
    let head = tenant.head(&BranchName::main()).await.unwrap();
    let holder = head.holder.as_ref().unwrap().id.clone();
    let first = holder == grants[0].nonce.to_string();
    assert!(first || holder == grants[1].nonce.to_string());
    let ((winner, won), (mut loser, lost)) =
        if first { ((one, answers.0), (other, answers.1)) } else { ((other, answers.1), (one, answers.0)) };
    let won = won.unwrap();
    assert_eq!(won.0, 200, "{}", won.1);
    assert_eq!(winner.query("insert into ledger values ('winner', 1)").await.0, 200);
    let (code, ending) = loser.end().await;
    let problem = ending.problem.unwrap();
    let reason = serde_json::to_value(problem.code).unwrap();
    // An answer that did not leave any more is one of a process that was fenced while it wrote it.
    let lost = lost.ok().filter(|lost| lost.0 != 200);
    if head.epoch == before.epoch + 2 {
        // It came first, and was taken over at once: only whoever was promised that nobody is there may do that.
        assert_eq!(takeover, Takeover::PreviousGone);
        assert_eq!((code, ending.state, reason), (21, RuntimeState::Fenced, json!("fenced")));
    } else {
        let lost = lost.unwrap();
        assert_eq!((lost.0, &lost.1["code"]), (503, &reason), "{}", lost.1);
        match reason.as_str().unwrap() {
            "fenced" => assert_eq!((code, ending.state), (21, RuntimeState::Fenced)),
            "not-sealed" => assert_eq!((code, ending.state), (22, RuntimeState::Failed)),
            _ => panic!("{problem:?}"),
        }
        assert!(!problem.detail.is_empty());
        assert_eq!(head.epoch, before.epoch + 1);
    }
    // A loser that came first has its stream sealed.
    let sealed = head.epoch == before.epoch + 2;
    for key in keys(&asleep).await.iter().filter(|key| !objects.contains(key)) {
        let winners = key.contains(&format!(".{}.", head.epoch)) || sealed && key.contains("/wal/");
        assert!(winners, "{key} is not the winner's");
    }
    let now = tenant.head(&BranchName::main()).await.unwrap();
    assert_eq!(now.put_id, head.put_id, "the loser left HEAD to the winner");
    assert_eq!(winner.order(&command(Order::Publish)).await.0, 200);
    assert_eq!(ledger(&winner).await, json!([1]));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the S3 server of a local cluster"]
async fn two_pods_race_for_a_branch_and_one_serves() {
    for takeover in [Takeover::OnlySealed, Takeover::PreviousGone] {
        for _ in 0..3 {
            race(takeover).await;
        }
    }
}
