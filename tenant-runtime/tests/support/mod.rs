//! Real processes in standalone mode, and what tests ask of them.
#![allow(clippy::disallowed_methods, reason = "tests have real time and real threads")]
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod copy;
pub mod pod;

use roost_store::{BranchName, DirectoryStore, Environment, Head, Owner, TenantPath, TenantStore};
use roost_tests::mortal::{self, Begin, Fate, Manner};
use serde_json::{Value, json};
use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};
use tenant_runtime::{config::Config, process};

/// Longest time that anything here may take.
pub const DEADLINE: Duration = Duration::from_mins(1);

/// The fate of a process that dies at the step `at` of those that count within `during`.
pub fn fate(during: &str, only: &[&str], at: u64, obituary: PathBuf) -> Fate {
    let only = only.iter().map(ToString::to_string).collect();
    let begin = Begin::Step(during.to_owned());
    // What is shipped beside it would make the numbers of the steps depend on chance.
    let except = vec!["/wal/".to_owned(), "WAL to ".to_owned()];
    Fate { manner: Manner::Die, begin, only, except, at, obituary }
}

/// Lives and dies as the fate in the environment says, if there is one.
pub fn if_mortal() {
    mortal::if_mortal(|arguments| {
        let arguments = ["tenant-runtime".to_owned()].into_iter().chain(arguments);
        let config: Config = clap::Parser::parse_from(arguments);
        process::run(&config);
    });
}

/// Arguments of a process that serves a folder.
pub fn standalone<'a>(folder: &'a Path, arguments: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec!["--standalone", folder.to_str().unwrap(), "--port", "0", "--memory-limit", "256Mi"];
    all.extend(arguments);
    all
}

/// A running process; killed when dropped.
pub struct Process {
    pub child: Child,
    pub port: u16,
    folder: PathBuf,
}

impl Process {
    /// Starts a process over the folder and waits until it serves.
    pub fn start(folder: &Path, arguments: &[&str]) -> Self {
        Self::try_start(folder, arguments).expect("the process serves")
    }

    /// The same; its log if it ended instead.
    pub fn try_start(folder: &Path, arguments: &[&str]) -> Result<Self, String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tenant-runtime"));
        command.args(standalone(folder, arguments));
        Self::launch(command, folder)
    }

    /// Starts what serves the folder, and waits until it does; its log if it ended instead.
    pub fn launch(mut command: Command, folder: &Path) -> Result<Self, String> {
        std::fs::create_dir_all(folder).unwrap();
        let log = tempfile::NamedTempFile::new().unwrap();
        let mut child = command
            .env("ROOST_TERMINATION_LOG", "/nonexistent")
            .env("TZ", "UTC")
            .stdout(Stdio::piped())
            .stderr(log.reopen().unwrap())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let greeting = lines.find_map(|line| {
            let line = line.ok()?;
            line.split_once("http://127.0.0.1:").map(|(_, rest)| rest.to_owned())
        });
        let Some(greeting) = greeting else {
            child.wait().unwrap();
            return Err(std::fs::read_to_string(log.path()).unwrap());
        };
        let digits: String = greeting.chars().take_while(char::is_ascii_digit).collect();
        // The rest of the greeting must not block the process.
        std::thread::spawn(move || for _ in lines {});
        Ok(Self { child, port: digits.parse().unwrap(), folder: folder.to_owned() })
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/v1/namespaces/default/tenants/demo", self.port)
    }

    pub async fn query(&self, sql: &str) -> Value {
        let (status, answer) = self.ask(json!({"sql": sql})).await;
        assert_eq!(status, 200, "{sql}: {answer}");
        assert_eq!(answer["complete"], true, "{sql}: {answer}");
        answer["rows"].clone()
    }

    /// A JSON answer of whatever status.
    pub async fn ask(&self, body: Value) -> (u16, Value) {
        let response = self.post(&body).await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap())
    }

    pub async fn post(&self, body: &Value) -> reqwest::Result<reqwest::Response> {
        client().post(format!("{}/query", self.url())).json(body).send().await
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    /// Waits for the end; the exit code.
    pub fn wait(&mut self) -> i32 {
        self.wait_status().code().unwrap_or(-1)
    }

    /// Waits for the end, however it comes.
    pub fn wait_status(&mut self) -> ExitStatus {
        let started = Instant::now();
        while started.elapsed() < DEADLINE {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("the process did not end in time");
    }

    /// SIGTERM; it must seal.
    pub fn stop(mut self) {
        self.signal("TERM");
        assert_eq!(self.wait(), 0);
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Resident memory in bytes.
    pub fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn client() -> reqwest::Client {
    // A client cannot be made without a provider, even for plain HTTP.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().timeout(DEADLINE).pool_max_idle_per_host(0).build().unwrap()
}

/// Waits for a condition.
pub async fn eventually<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    while started.elapsed() < DEADLINE {
        if let Some(value) = condition().await {
            return value;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what}: not within {DEADLINE:?}");
}

/// HEAD as it is in the folder.
pub async fn head(folder: &Path) -> Head {
    let store = DirectoryStore::open(folder.join("bucket")).unwrap();
    let id = store.id().to_owned();
    let owner = Owner { cluster_id: "standalone".into(), namespace_uid: id.clone(), tenant_uid: id };
    let path = TenantPath::new("", "default", "demo").unwrap();
    TenantStore::new(Arc::new(store), path, owner, Environment::system())
        .head(&BranchName::main())
        .await
        .unwrap()
}

/// Number of HEAD's manifest; 0 before the first publish.
pub async fn manifest(folder: &Path) -> u64 {
    head(folder).await.number()
}
