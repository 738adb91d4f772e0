//! A pod as operator and gateway meet it: TLS, grants, commands, session tokens. Real processes; the tests that
//! need a bucket take it from the environment.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test does not expect fails it"
)]

mod support;

use roost_protocol::{
    PROTOCOL_VERSION,
    command::{Command, CommandRequest, Order},
    grant::{
        EngineLimits, ExportParquet, Grant, GrantRequest, Serve, StorageLocation, Takeover, Task,
        TenantIdentity,
    },
    names::{paths, runtime_tls_name},
    secret::Secret,
    session::{Role, SessionToken},
    signing::{SigningKey, Statement},
    status::{Ending, RuntimeState, RuntimeStatus},
    time::UnixMillis,
};
use roost_store::{Adoption, BranchName, Creation, Environment, PinKind, SnapshotFolder, TenantStore};
use serde::Serialize;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::{Child, Stdio},
    time::{Duration, Instant, SystemTime},
};
use support::eventually;
use tenant_runtime::storage;
use uuid::Uuid;

fn key() -> SigningKey {
    SigningKey::from_pkcs8(&SigningKey::generate().unwrap()).unwrap()
}

fn in_seconds(seconds: i64) -> UnixMillis {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
    UnixMillis(u64::try_from(i64::try_from(now).unwrap() + seconds * 1000).unwrap())
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A pod's process, and everything that the others know of it.
struct Pod {
    child: Child,
    client: reqwest::Client,
    base: String,
    health: String,
    operator: SigningKey,
    gateway: SigningKey,
    last_words: PathBuf,
    _folder: tempfile::TempDir,
}

impl Drop for Pod {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Pod {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let last_words = folder.path().join("termination-log");
        std::fs::write(&last_words, "").unwrap();
        let name = runtime_tls_name("rt-1");
        let certified = rcgen::generate_simple_self_signed([name.clone()]).unwrap();
        let (port, health) = (free_port(), free_port());
        let operator = key();
        let child = std::process::Command::new(env!("CARGO_BIN_EXE_tenant-runtime"))
            .env("ROOST_POD_NAME", "rt-1")
            .env("ROOST_POD_UID", "pod-uid")
            .env("ROOST_TLS_CERT", certified.cert.pem())
            .env("ROOST_TLS_KEY", certified.signing_key.serialize_pem())
            .env("ROOST_OPERATOR_KEY", operator.verifying_key().to_string())
            .env("ROOST_CACHE_DIR", folder.path().join("cache"))
            .env("ROOST_TERMINATION_LOG", &last_words)
            .env("ROOST_LISTEN", format!("127.0.0.1:{port}"))
            .env("ROOST_HEALTH_LISTEN", format!("127.0.0.1:{health}"))
            .env("ROOST_PUBLISH_INTERVAL", "1h")
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let certificate = reqwest::Certificate::from_pem(certified.cert.pem().as_bytes()).unwrap();
        let client = reqwest::Client::builder()
            .tls_certs_only([certificate])
            .resolve(&name, SocketAddr::from(([127, 0, 0, 1], port)))
            .timeout(support::DEADLINE)
            .build()
            .unwrap();
        let pod = Self {
            child,
            client,
            base: format!("https://{name}:{port}"),
            health: format!("http://127.0.0.1:{health}"),
            operator,
            gateway: key(),
            last_words,
            _folder: folder,
        };
        eventually("the pod is ready", async || {
            let ready = support::client().get(format!("{}/readyz", pod.health)).send().await;
            ready.is_ok_and(|answer| answer.status() == 200).then_some(())
        })
        .await;
        pod
    }

    async fn post(&self, path: &str, body: &impl Serialize) -> (u16, Value) {
        let response = self.client.post(format!("{}{path}", self.base)).json(body).send().await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap())
    }

    async fn hand_over(&self, grant: &Grant) -> (u16, Value) {
        let grant = self.operator.sign(grant).unwrap();
        self.post(paths::GRANT, &GrantRequest { grant }).await
    }

    async fn order(&self, command: &Command) -> (u16, Value) {
        let command = self.operator.sign(command).unwrap();
        self.post(paths::COMMAND, &CommandRequest { command }).await
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(
            std::process::Command::new("kill").args([format!("-{signal}"), pid]).status().unwrap().success()
        );
    }

    fn request(&self, token: Option<String>, body: &Value) -> reqwest::RequestBuilder {
        let request =
            self.client.post(format!("{}/v1/namespaces/shop/tenants/acme/query", self.base)).json(body);
        match token {
            Some(token) => request.header("roost-session", token),
            None => request,
        }
    }

    async fn query_with(&self, token: Option<String>, body: Value) -> (u16, Value) {
        let response = self.request(token, &body).send().await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap())
    }

    async fn query(&self, sql: &str) -> (u16, Value) {
        self.query_with(Some(sign(&self.gateway, &session())), json!({"sql": sql})).await
    }

    /// Exit code and last words.
    async fn end(&mut self) -> (i32, Ending) {
        let code = eventually("the pod ends", async || self.child.try_wait().unwrap()).await.code().unwrap();
        (code, serde_json::from_slice(&std::fs::read(&self.last_words).unwrap()).unwrap())
    }

    fn grant(&self, storage: StorageLocation, task: Task) -> Grant {
        Grant {
            version: PROTOCOL_VERSION,
            pod: "rt-1".into(),
            pod_uid: "pod-uid".into(),
            not_after: in_seconds(60),
            nonce: Uuid::new_v4(),
            tenant: TenantIdentity {
                namespace: "shop".into(),
                name: "acme".into(),
                cluster_id: "cluster".into(),
                namespace_uid: "namespace-uid".into(),
                tenant_uid: "tenant-uid".into(),
            },
            branch: "main".into(),
            storage,
            task,
            engine: EngineLimits {
                memory_limit: Some("256Mi".into()),
                threads: Some(2),
                settings: BTreeMap::new(),
                statement_timeout: Duration::from_mins(1),
            },
            gateway_key: self.gateway.verifying_key(),
        }
    }
}

fn command(order: Order) -> Command {
    let (nonce, pod_uid) = (Uuid::new_v4(), "pod-uid".into());
    Command { version: PROTOCOL_VERSION, pod_uid, not_after: in_seconds(30), nonce, order }
}

fn session() -> SessionToken {
    SessionToken {
        version: PROTOCOL_VERSION,
        tenant_uid: "tenant-uid".into(),
        branch: "main".into(),
        user: "ann".into(),
        role: Role::ReadWrite,
        not_after: in_seconds(60),
    }
}

fn sign(key: &SigningKey, statement: &impl Statement) -> String {
    key.sign(statement).unwrap()
}

fn serve(init_script: Option<&str>) -> Task {
    Task::Serve(Serve {
        takeover: Takeover::PreviousGone,
        idle_timeout: Duration::from_mins(10),
        drain_timeout: Duration::from_secs(30),
        init_script: init_script.map(Into::into),
    })
}

fn nowhere() -> StorageLocation {
    StorageLocation {
        bucket: "nowhere".into(),
        prefix: String::new(),
        endpoint: Some(format!("http://127.0.0.1:{}", free_port())),
        region: "us-east-1".into(),
        path_style: true,
        ca_pem: None,
        access_key_id: Secret::new("key"),
        secret_access_key: Secret::new("secret"),
        session_token: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_its_own_grant_is_accepted_and_only_once() {
    let mut pod = Pod::start().await;
    assert_eq!(pod.query("select 1").await.0, 503, "no tenant yet");
    assert_eq!(pod.order(&command(Order::Publish)).await.1["code"], "not-serving");
    let good = pod.grant(nowhere(), serve(None));
    let changed = |change: fn(&mut Grant)| {
        let mut grant = good.clone();
        change(&mut grant);
        grant
    };
    for (what, refused) in [
        ("another pod", pod.hand_over(&changed(|grant| grant.pod = "rt-2".into())).await),
        ("another uid", pod.hand_over(&changed(|grant| grant.pod_uid = "old".into())).await),
        ("expired", pod.hand_over(&changed(|grant| grant.not_after = in_seconds(-1))).await),
        ("version", pod.hand_over(&changed(|grant| grant.version = PROTOCOL_VERSION + 2)).await),
        ("signer", pod.post(paths::GRANT, &GrantRequest { grant: sign(&key(), &good) }).await),
        // A signed command is no grant.
        (
            "purpose",
            pod.post(paths::GRANT, &GrantRequest { grant: sign(&pod.operator, &command(Order::Drain)) })
                .await,
        ),
    ] {
        assert_eq!(refused.0, 401, "{what}: {}", refused.1);
    }
    let (first, second) = tokio::join!(pod.hand_over(&good), async {
        eventually("claimed", async || {
            let (_, status) = pod.order(&command(Order::Report)).await;
            (status["state"] != "pooled").then_some(())
        })
        .await;
        pod.hand_over(&good).await
    });
    assert_eq!((second.0, second.1["code"].as_str()), (409, Some("already-granted")));
    assert_eq!((first.0, first.1["code"].as_str()), (503, Some("storage-unreachable")), "{}", first.1);
    let (code, ending) = pod.end().await;
    assert_eq!((code, ending.state), (22, RuntimeState::Failed));
    assert_eq!(serde_json::to_value(ending.problem.unwrap().code).unwrap(), "storage-unreachable");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_are_obeyed_once_and_only_by_their_pod() {
    let mut pod = Pod::start().await;
    let report = command(Order::Report);
    let (status, answer) = pod.order(&report).await;
    assert_eq!(status, 200);
    assert_eq!(serde_json::from_value::<RuntimeStatus>(answer).unwrap().state, RuntimeState::Pooled);
    assert_eq!(pod.order(&report).await.0, 401, "a second time");
    for (what, command) in [
        ("another pod", Command { pod_uid: "old".into(), ..command(Order::Report) }),
        ("expired", Command { not_after: in_seconds(-1), ..command(Order::Report) }),
    ] {
        assert_eq!(pod.order(&command).await.0, 401, "{what}");
    }
    let metrics = support::client().get(format!("{}/metrics", pod.health)).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    assert!(metrics.contains("roost_runtime_state{state=\"Pooled\"} 1"), "{metrics}");
    assert!(metrics.ends_with("# EOF\n"), "{metrics}");
    pod.signal("TERM");
    assert_eq!(pod.end().await.0, 0, "an unused pod has nothing to lose");
}

/// The bucket of the environment, with a prefix of its own.
fn bucket() -> StorageLocation {
    let setting = |name: &str| std::env::var(format!("ROOST_S3_{name}")).expect(name);
    StorageLocation {
        bucket: setting("BUCKET"),
        prefix: format!("pod-test-{}", Uuid::new_v4().simple()),
        endpoint: Some(setting("NODE_ENDPOINT")),
        region: setting("REGION"),
        path_style: true,
        ca_pem: Some(std::fs::read_to_string(setting("CA_FILE")).unwrap()),
        access_key_id: Secret::new(setting("ACCESS_KEY_ID")),
        secret_access_key: Secret::new(setting("SECRET_ACCESS_KEY")),
        session_token: None,
    }
}

async fn initialized(grant: &Grant) -> TenantStore {
    let store = storage::bucket(&grant.storage).unwrap();
    let tenant = storage::tenant(store, &grant.storage, &grant.tenant, Environment::system()).unwrap();
    tenant.initialize(Creation::NewTenant, &Adoption::default()).await.unwrap();
    tenant
}

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

    let (_, lagging) = pod.order(&command(Order::Report)).await;
    assert!(lagging["durableLagMillis"].as_u64().unwrap() > 0);
    let (status, published) = pod.order(&command(Order::Publish)).await;
    assert_eq!((status, published["durableLagMillis"].as_u64()), (200, Some(0)), "{published}");

    // A worker exports the position, beside the serving pod.
    let pin = tenant.pin(PinKind::Reader, "snap", "snap-uid", &BranchName::main()).await.unwrap();
    let task = Task::ExportParquet(ExportParquet {
        snapshot: "snap".into(),
        snapshot_uid: "snap-uid".into(),
        position: serde_json::to_value(&pin.position).unwrap(),
        pin: pin.pin,
    });
    for attempt in 1..=2 {
        let mut worker = Pod::start().await;
        let export = worker.grant(grant.storage.clone(), task.clone());
        assert_eq!(worker.hand_over(&export).await.0, 200);
        let (code, ending) = worker.end().await;
        assert_eq!(code, 0, "attempt {attempt}: {ending:?}");
        let digest = ending.snapshot.unwrap();
        assert_eq!(
            (digest["tableCount"].as_u64(), digest["rowCount"].as_u64()),
            (Some(1), Some(2)),
            "{digest}"
        );
        assert_eq!(digest["largestTables"][0]["name"], "t");
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
    let again = pod.grant(grant.storage.clone(), serve(Some("this is not run again")));
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
    let (mut frozen, winner) = (Pod::start().await, Pod::start().await);
    let grant = frozen.grant(bucket(), serve(Some("create table t(i int);")));
    initialized(&grant).await;
    assert_eq!(frozen.hand_over(&grant).await.0, 200);
    assert_eq!(frozen.query("insert into t values (1)").await.0, 200);
    assert_eq!(frozen.order(&command(Order::Publish)).await.0, 200);

    let taken = winner.grant(grant.storage.clone(), serve(None));
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
