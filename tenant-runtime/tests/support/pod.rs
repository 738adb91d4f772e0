//! A pod's process as operator and gateway meet it: TLS, grants, commands, session tokens.
#![allow(clippy::disallowed_methods, reason = "tests have real time and real threads")]

use super::{DEADLINE, eventually};
use roost_protocol::{
    PROTOCOL_VERSION,
    command::{Command, CommandRequest, Order},
    durability::{PutBudget, Terms},
    grant::{EngineLimits, Grant, GrantRequest, Serve, StorageLocation, Takeover, Task, TenantIdentity},
    names::{paths, runtime_tls_name},
    secret::Secret,
    session::{Role, SessionToken},
    signing::{SigningKey, Statement},
    status::Ending,
    time::UnixMillis,
};
use roost_store::{Adoption, ClassKeys, Creation, Environment, TenantStore};
use roost_tests::free_port;
use serde::Serialize;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::PathBuf,
    process::{Child, ExitStatus, Stdio},
    sync::Arc,
    time::{Duration, SystemTime},
};
use tenant_runtime::storage;
use uuid::Uuid;

pub fn key() -> SigningKey {
    SigningKey::from_pkcs8(&SigningKey::generate().unwrap()).unwrap()
}

pub fn in_seconds(seconds: i64) -> UnixMillis {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
    UnixMillis(u64::try_from(i64::try_from(now).unwrap() + seconds * 1000).unwrap())
}

/// A pod's process, and everything that the others know of it.
pub struct Pod {
    pub child: Child,
    /// Trusts this pod's certificate, and no other.
    pub client: reqwest::Client,
    base: String,
    pub health: String,
    pub operator: SigningKey,
    pub gateway: SigningKey,
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
    pub async fn start() -> Self {
        Self::launch(std::process::Command::new(env!("CARGO_BIN_EXE_tenant-runtime"))).await
    }

    /// With these settings besides.
    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_tenant-runtime"));
        program.envs(settings.iter().copied());
        Self::launch(program).await
    }

    /// Runs a program as the pod's. What its environment says already holds.
    pub async fn launch(mut program: std::process::Command) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let last_words = folder.path().join("termination-log");
        std::fs::write(&last_words, "").unwrap();
        let name = runtime_tls_name("rt-1");
        let certified = rcgen::generate_simple_self_signed([name.clone()]).unwrap();
        let (port, health) = (free_port(), free_port());
        let operator = key();
        for (name, value) in
            [("ROOST_CACHE_DIR", folder.path().join("cache")), ("ROOST_PUBLISH_INTERVAL", "1h".into())]
        {
            if program.get_envs().all(|(said, _)| said != name) {
                program.env(name, value);
            }
        }
        let child = program
            .env("ROOST_POD_NAME", "rt-1")
            .env("ROOST_POD_UID", "pod-uid")
            .env("ROOST_TLS_CERT", certified.cert.pem())
            .env("ROOST_TLS_KEY", certified.signing_key.serialize_pem())
            .env("ROOST_OPERATOR_KEY", operator.verifying_key().to_string())
            .env("ROOST_TERMINATION_LOG", &last_words)
            .env("ROOST_LISTEN", format!("127.0.0.1:{port}"))
            .env("ROOST_HEALTH_LISTEN", format!("127.0.0.1:{health}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let certificate = reqwest::Certificate::from_pem(certified.cert.pem().as_bytes()).unwrap();
        let client = reqwest::Client::builder()
            .tls_certs_only([certificate])
            .resolve(&name, SocketAddr::from(([127, 0, 0, 1], port)))
            .timeout(DEADLINE)
            .build()
            .unwrap();
        let mut pod = Self {
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
            let ended = pod.child.try_wait().unwrap();
            assert!(ended.is_none(), "{ended:?}: {}", std::fs::read_to_string(&pod.last_words).unwrap());
            let ready = super::client().get(format!("{}/readyz", pod.health)).send().await;
            ready.is_ok_and(|answer| answer.status() == 200).then_some(())
        })
        .await;
        pod
    }

    pub async fn post(&self, path: &str, body: &impl Serialize) -> (u16, Value) {
        self.try_post(path, body).await.unwrap()
    }

    pub async fn try_post(&self, path: &str, body: &impl Serialize) -> reqwest::Result<(u16, Value)> {
        let response = self.client.post(format!("{}{path}", self.base)).json(body).send().await?;
        let status = response.status().as_u16();
        Ok((status, serde_json::from_slice(&response.bytes().await?).unwrap()))
    }

    pub async fn hand_over(&self, grant: &Grant) -> (u16, Value) {
        self.try_hand_over(grant).await.unwrap()
    }

    /// The same for a pod that may be gone before its answer has left.
    pub async fn try_hand_over(&self, grant: &Grant) -> reqwest::Result<(u16, Value)> {
        let grant = self.operator.sign(grant).unwrap();
        self.try_post(paths::GRANT, &GrantRequest { grant }).await
    }

    pub async fn order(&self, command: &Command) -> (u16, Value) {
        self.try_order(command).await.unwrap()
    }

    /// The same for a pod that may die of it.
    pub async fn try_order(&self, command: &Command) -> reqwest::Result<(u16, Value)> {
        let command = self.operator.sign(command).unwrap();
        self.try_post(paths::COMMAND, &CommandRequest { command }).await
    }

    pub fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(
            std::process::Command::new("kill").args([format!("-{signal}"), pid]).status().unwrap().success()
        );
    }

    /// Of the tenant that it serves.
    pub fn url(&self) -> String {
        format!("{}/v1/namespaces/shop/tenants/acme", self.base)
    }

    pub fn request(&self, token: Option<String>, body: &Value) -> reqwest::RequestBuilder {
        let request = self.client.post(format!("{}/query", self.url())).json(body);
        match token {
            Some(token) => request.header("roost-session", token),
            None => request,
        }
    }

    pub async fn query_with(&self, token: Option<String>, body: Value) -> (u16, Value) {
        let response = self.request(token, &body).send().await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap())
    }

    pub async fn query(&self, sql: &str) -> (u16, Value) {
        self.query_with(Some(sign(&self.gateway, &session())), json!({"sql": sql})).await
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until the process has ended.
    pub async fn wait(&mut self) -> ExitStatus {
        eventually("the pod ends", async || self.child.try_wait().unwrap()).await
    }

    /// Exit code and last words.
    pub async fn end(&mut self) -> (i32, Ending) {
        let code = self.wait().await.code().unwrap();
        (code, serde_json::from_slice(&std::fs::read(&self.last_words).unwrap()).unwrap())
    }

    /// Another grant of a tenant's data.
    pub fn grant_again(&self, before: &Grant, task: Task) -> Grant {
        Grant { data_key: before.data_key.clone(), ..self.grant(before.storage.clone(), task) }
    }

    pub fn grant(&self, storage: StorageLocation, task: Task) -> Grant {
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
            data_key: None,
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

pub fn command(order: Order) -> Command {
    let (nonce, pod_uid) = (Uuid::new_v4(), "pod-uid".into());
    Command { version: PROTOCOL_VERSION, pod_uid, not_after: in_seconds(30), nonce, order }
}

pub fn session() -> SessionToken {
    SessionToken {
        version: PROTOCOL_VERSION,
        tenant_uid: "tenant-uid".into(),
        branch: "main".into(),
        user: "ann".into(),
        role: Role::ReadWrite,
        not_after: in_seconds(60),
    }
}

pub fn sign(key: &SigningKey, statement: &impl Statement) -> String {
    key.sign(statement).unwrap()
}

pub fn serve(init_script: Option<&str>) -> Task {
    serve_after(Takeover::PreviousGone, init_script)
}

pub fn serve_after(takeover: Takeover, init_script: Option<&str>) -> Task {
    Task::Serve(Serve {
        takeover,
        idle_timeout: Duration::from_mins(10),
        drain_timeout: Duration::from_secs(30),
        init_script: init_script.map(Into::into),
        durability: Terms::default(),
        put_budget: PutBudget { burst: 1_000, per_second: 1_000 },
    })
}

/// The bucket of the environment, with a prefix of its own.
pub fn bucket() -> StorageLocation {
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

pub async fn initialized(grant: &Grant) -> TenantStore {
    let tenant = tenant(grant);
    tenant.initialize(Creation::NewTenant, &Adoption::default()).await.unwrap();
    tenant
}

/// The same for a class that encrypts. The grant gets the tenant's data key.
pub async fn initialized_encrypted(grant: &mut Grant) -> TenantStore {
    let keys = ClassKeys::new("2026", [("2026", &*"5a".repeat(32))]).unwrap();
    let locked = tenant(grant).with_class_keys(Some(Arc::new(keys)));
    locked.initialize(Creation::NewTenant, &Adoption::default()).await.unwrap();
    let key = locked.data_key().await.unwrap().unwrap();
    grant.data_key = Some(Secret::new(key.to_hex().as_str()));
    tenant(grant)
}

fn tenant(grant: &Grant) -> TenantStore {
    let store = storage::bucket(&grant.storage).unwrap();
    storage::tenant(store, grant, Environment::system()).unwrap()
}
