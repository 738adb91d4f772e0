//! The operator as a process of this machine: it takes the Deployment's place, with its settings and its rights, and
//! dies where a test wants it to.

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::api::{
    apps::v1::Deployment, coordination::v1::Lease, core::v1::Pod, discovery::v1::EndpointSlice,
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams},
    config::Kubeconfig,
};
use roost_crds::names::LEADER_LEASE;
use roost_tests::{
    Roost,
    cluster::{PATIENCE, SYSTEM_NAMESPACE},
    eventually, free_port,
    mortal::{Begin, Fate, Manner, SIGNAL},
};
use serde_json::json;
use std::{
    os::unix::process::ExitStatusExt as _,
    path::PathBuf,
    process::{Child, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use tokio::sync::RwLockWriteGuard;

const OPERATOR: &str = "roost-operator";
/// Pause between looks at a process.
const PACE: Duration = Duration::from_millis(20);

/// A process of this machine as a replica.
struct Replica {
    name: &'static str,
    wake: u16,
    health: u16,
}

impl Replica {
    fn new(name: &'static str) -> Self {
        Self { name, wake: free_port(), health: free_port() }
    }
}

/// The operator's place, taken.
pub struct Place {
    roost: Roost,
    test: &'static str,
    folder: tempfile::TempDir,
    /// Lives so far: each has files of its own.
    lives: AtomicUsize,
    settings: Vec<(String, String)>,
    replicas: [Replica; 2],
    _alone: RwLockWriteGuard<'static, ()>,
}

impl Place {
    /// Stops the Deployment's replicas and leads wakes to this machine. `test` is the caller, which begins with
    /// [`operate`].
    pub async fn take(roost: &Roost, test: &'static str) -> Result<Self> {
        let alone = crate::alone().await;
        let deployments: Api<Deployment> = Api::namespaced(roost.client.clone(), SYSTEM_NAMESPACE);
        let deployment = deployments.get(OPERATOR).await?;
        let containers =
            deployment.spec.and_then(|spec| spec.template.spec).context("no pod template")?.containers;
        let variables = containers.into_iter().next().and_then(|first| first.env).unwrap_or_default();
        let mut settings: Vec<_> =
            variables.into_iter().filter_map(|variable| Some((variable.name, variable.value?))).collect();
        let replicas = [Replica::new("roost-operator-here"), Replica::new("roost-operator-there")];
        let folder = tempfile::tempdir()?;
        let kubeconfig = folder.path().join("kubeconfig");
        std::fs::write(&kubeconfig, serde_json::to_vec(&own_kubeconfig(roost).await?)?)?;
        for (name, value) in [
            ("KUBECONFIG", kubeconfig.display().to_string()),
            ("ROOST_NAMESPACE", SYSTEM_NAMESPACE.to_owned()),
        ] {
            settings.retain(|(other, _)| other != name);
            settings.push((name.to_owned(), value));
        }
        scale(roost, 0).await?;
        let lives = AtomicUsize::new(0);
        Ok(Self { roost: roost.clone(), test, folder, lives, settings, replicas, _alone: alone })
    }

    /// Gives it back to the Deployment.
    pub async fn leave(self) -> Result<()> {
        for replica in &self.replicas {
            if let Err(error) = self.slices().delete(replica.name, &DeleteParams::default()).await {
                println!("{}: {error}", replica.name);
            }
        }
        // Who died did not release it.
        let leases: Api<Lease> = Api::namespaced(self.roost.client.clone(), SYSTEM_NAMESPACE);
        leases.delete(LEADER_LEASE, &DeleteParams::default()).await?;
        scale(&self.roost, 2).await
    }

    fn slices(&self) -> Api<EndpointSlice> {
        Api::namespaced(self.roost.client.clone(), SYSTEM_NAMESPACE)
    }

    /// A class over the bucket at an address that pods and this machine reach.
    pub async fn class(&self, name: &str) -> Result<String> {
        let endpoint = &self.roost.bucket.node_endpoint;
        self.roost.class(name, "10m", |spec| spec["storage"]["endpoint"] = json!(endpoint)).await
    }

    /// Changes a setting of replicas that start from now on; returns what it was.
    pub fn set(&mut self, name: &str, value: &str) -> Result<String> {
        let found = self.settings.iter_mut().find(|(setting, _)| setting == name);
        let (_, old) = found.with_context(|| format!("the operator has no setting {name}"))?;
        Ok(std::mem::replace(old, value.to_owned()))
    }

    /// A replica's name.
    pub fn name(&self, replica: usize) -> &'static str {
        self.replicas[replica].name
    }

    /// Leads wakes to a replica, or away from it.
    pub async fn publish(&self, replica: usize, ready: bool) -> Result<()> {
        let replica = &self.replicas[replica];
        let labels = json!({"kubernetes.io/service-name": OPERATOR,
            "endpointslice.kubernetes.io/managed-by": "roost-tests"});
        self.roost
            .apply(&json!({
                "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
                "metadata": {"name": replica.name, "namespace": SYSTEM_NAMESPACE, "labels": labels},
                "addressType": "IPv4",
                "ports": [{"name": "wake", "port": replica.wake, "protocol": "TCP"}],
                "endpoints": [{"addresses": [self.roost.address_here()?], "conditions": {"ready": ready}}],
            }))
            .await?;
        Ok(())
    }

    /// Starts a replica and waits until it serves wakes. Armed, it dies or freezes at the step `at` from then on.
    pub async fn start(&self, number: usize, manner: Manner, at: u64) -> Result<Life> {
        let replica = &self.replicas[number];
        let lived = self.lives.fetch_add(1, Ordering::Relaxed);
        let file = |name: &str| self.folder.path().join(format!("{name}-{lived}"));
        let armed = file("armed");
        let fate = Fate {
            manner,
            begin: Begin::File(armed.clone()),
            only: ["write", "call pod", "put", "delete"].map(str::to_owned).into(),
            except: vec![format!("/leases/{LEADER_LEASE}"), "/events".to_owned(), "/tokenreviews".to_owned()],
            at,
            obituary: file("obituary"),
        };
        let log = file("log");
        let child = fate
            .command(self.test, &[])?
            .envs(self.settings.iter().cloned())
            .env("ROOST_POD_NAME", replica.name)
            .env("ROOST_WAKE_ADDRESS", format!("0.0.0.0:{}", replica.wake))
            .env("ROOST_HEALTH_ADDRESS", format!("127.0.0.1:{}", replica.health))
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log)?)
            .spawn()?;
        let metrics = format!("http://127.0.0.1:{}/metrics", replica.health);
        let mut life = Life { child, fate, armed, metrics, http: self.roost.http.clone() };
        let url = format!("http://127.0.0.1:{}/readyz", replica.health);
        eventually("the operator is ready", PATIENCE, || {
            let ended = life.child.try_wait();
            let request = self.roost.http.get(&url);
            let log = &log;
            async move {
                if let Ok(Some(status)) = ended {
                    return Err(format!(
                        "it ended: {status}: {}",
                        std::fs::read_to_string(log).unwrap_or_default()
                    ));
                }
                let answer = request.send().await.map_err(|error| error.to_string())?;
                if answer.status() == 200 { Ok(()) } else { Err(answer.status().to_string()) }
            }
        })
        .await?;
        self.publish(number, true).await?;
        Ok(life)
    }
}

/// A process of the operator.
pub struct Life {
    child: Child,
    fate: Fate,
    armed: PathBuf,
    metrics: String,
    http: reqwest::Client,
}

impl Life {
    /// From now on steps count.
    pub fn arm(&self) -> Result<()> {
        Ok(std::fs::write(&self.armed, "")?)
    }

    /// Waits until it stands still; returns the step that it froze at.
    pub async fn freeze(&mut self) -> Result<String> {
        let stat = format!("/proc/{}/stat", self.child.id());
        loop {
            let state = std::fs::read_to_string(&stat)?;
            let stopped = state.rsplit(')').next().is_some_and(|rest| rest.trim().starts_with('T'));
            if let (true, Some(last)) = (stopped, self.fate.last_step()) {
                return Ok(last);
            }
            ensure!(self.child.try_wait()?.is_none(), "the operator ended by itself");
            tokio::time::sleep(PACE).await;
        }
    }

    /// Lets a frozen process go on.
    pub fn thaw(&self) -> Result<()> {
        let status =
            std::process::Command::new("kill").args(["-CONT", &self.child.id().to_string()]).status()?;
        ensure!(status.success(), "kill -CONT: {status}");
        Ok(())
    }

    /// Waits until it knows that it is not elected.
    pub async fn steps_down(&self) -> Result<()> {
        eventually("it steps down", PATIENCE, || async {
            let answer = self.http.get(&self.metrics).send().await.map_err(|error| error.to_string())?;
            let text = answer.text().await.map_err(|error| error.to_string())?;
            let gauge = text.lines().find(|line| line.starts_with("roost_operator_reconcile_elected"));
            if gauge.is_some_and(|line| line.ends_with(" 0")) { Ok(()) } else { Err(format!("{gauge:?}")) }
        })
        .await
    }

    /// Waits for its death; returns the step that it died at.
    pub async fn death(&mut self) -> Result<String> {
        loop {
            if let Some(status) = self.child.try_wait()? {
                let last = self.fate.last_step();
                return match (status.signal(), last) {
                    (Some(SIGNAL), Some(last)) => Ok(last),
                    (_, last) => bail!("the operator ended by itself: {status}, {last:?}"),
                };
            }
            tokio::time::sleep(PACE).await;
        }
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// In a process that [`Place::start`] made: is the operator, and does not return.
pub fn operate() {
    roost_tests::mortal::if_mortal(|_no_arguments| {
        let config: roost_operator::config::Config = clap::Parser::parse_from(["roost-operator"]);
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        if let Err(error) = runtime
            .map_err(Into::into)
            .and_then(|runtime| runtime.block_on(roost_operator::process::run(config)))
        {
            eprintln!("{error:#}");
        }
    });
}

/// Makes the kubeconfig by which this machine reaches the API server with the operator's own rights.
async fn own_kubeconfig(roost: &Roost) -> Result<Kubeconfig> {
    let token = roost.service_account_token(SYSTEM_NAMESPACE, OPERATOR, &[]).await?;
    let mut kubeconfig = Kubeconfig::read()?;
    for user in &mut kubeconfig.auth_infos {
        user.auth_info = Some(kube::config::AuthInfo {
            token: Some(token.clone().into()),
            ..kube::config::AuthInfo::default()
        });
    }
    Ok(kubeconfig)
}

async fn scale(roost: &Roost, replicas: i32) -> Result<()> {
    let deployments: Api<Deployment> = Api::namespaced(roost.client.clone(), SYSTEM_NAMESPACE);
    let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
    deployments.patch_scale(OPERATOR, &PatchParams::default(), &patch).await?;
    let pods: Api<Pod> = Api::namespaced(roost.client.clone(), SYSTEM_NAMESPACE);
    let of_operator = ListParams::default().labels(&format!("app.kubernetes.io/name={OPERATOR}"));
    eventually(&format!("{replicas} replicas of the operator"), PATIENCE, || async {
        let pods = pods.list(&of_operator).await.map_err(|error| error.to_string())?.items;
        let ready = deployments.get_status(OPERATOR).await.map_err(|error| error.to_string())?;
        let ready = ready.status.and_then(|status| status.ready_replicas).unwrap_or_default();
        let names = || pods.iter().map(ResourceExt::name_any).collect::<Vec<_>>().join(", ");
        if ready == replicas && usize::try_from(replicas) == Ok(pods.len()) { Ok(()) } else { Err(names()) }
    })
    .await
}
