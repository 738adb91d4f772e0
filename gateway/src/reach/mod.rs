//! The way to a branch: which pod serves it, having it woken if need be, and a verified connection to that pod. It knows
//! no client's protocol and no HTTP; how the operator is asked is behind [`Waker`].

mod dial;
mod pods;
mod presence;
pub mod retry;
#[cfg(test)]
mod samples;
mod shared_wake;
mod wake;

pub use dial::{CONNECT_TIMEOUT, DialError, TlsStream, dial};
pub use presence::{End, OpenConnection};
pub use shared_wake::WakeLimits;
pub use wake::{Wake, Waker, out_of_time};

use crate::{
    auth::Access,
    clock,
    keys::{Keys, KeysReceiver},
    metrics::Metrics,
};
use pods::{Pod, Pods};
use presence::Standing;
use roost_protocol::{
    BranchKey, PROTOCOL_VERSION,
    names::runtime_tls_name,
    problem::{ErrorCode, Problem},
    session::{SESSION_VALIDITY, SessionToken},
    signing::SigningError,
    wake::Route,
};
use shared_wake::SharedWakes;
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::time::{Instant, timeout_at};

/// Longest time until there is a connection to a pod that may have left unseen; the operator knows better soon.
const UNWATCHED_CONNECT_TIMEOUT: Duration = Duration::from_millis(300);

/// Measures that may be taken to reach a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Start a pod if none runs.
    Wake,
    /// Only a pod that runs already: start none, and keep none awake.
    IfRunning,
}

/// A pod that serves a branch, and the keys to speak to it with.
#[derive(Clone, Debug)]
pub struct Destination {
    pod: Pod,
    keys: Arc<Keys>,
}

impl Destination {
    /// The way that the operator named.
    pub fn route(&self) -> &Route {
        &self.pod.route
    }

    /// [`Keys::generation`] of the keys.
    pub fn generation(&self) -> u64 {
        self.keys.generation
    }

    /// Name that the pod's certificate carries.
    pub fn tls_name(&self) -> String {
        runtime_tls_name(&self.pod.route.pod)
    }

    /// The gateway's word for who speaks, signed for this branch's runtime.
    pub fn session_token(&self, branch: &BranchKey, access: &Access) -> Result<String, SigningError> {
        self.keys.session.sign(&SessionToken {
            version: PROTOCOL_VERSION,
            tenant_uid: self.pod.route.tenant_uid.clone(),
            branch: branch.branch.clone(),
            user: access.user.clone(),
            role: access.role,
            not_after: clock::now().plus(SESSION_VALIDITY),
        })
    }
}

/// Finds the pods of branches and connects to them.
pub struct Reach {
    wakes: Arc<SharedWakes>,
    pods: Pods,
    keys: KeysReceiver,
    metrics: Arc<Metrics>,
}

impl Reach {
    /// Has `operator` name and wake pods.
    pub fn new(
        operator: Arc<dyn Waker>,
        limits: WakeLimits,
        keys: KeysReceiver,
        metrics: Arc<Metrics>,
    ) -> Self {
        let wakes = SharedWakes::new(operator, limits, Arc::clone(&metrics));
        Self { wakes, pods: Pods::new(Arc::clone(&metrics)), keys, metrics }
    }

    /// The branch's pod by `deadline`: a known one, or the one that the operator names. One with the UID `avoid` is not
    /// named again as long as there may be another.
    /// Errors: those of [`Waker::wake`], `wake-timeout`, `busy`.
    pub async fn find(
        &self,
        branch: &BranchKey,
        intent: Intent,
        avoid: Option<&str>,
        deadline: Instant,
    ) -> Result<Destination, Problem> {
        let keys = self.keys(deadline).await?;
        if let Some(pod) = self.pods.get(branch)
            && avoid != Some(pod.route.pod_uid.as_str())
        {
            return Ok(Destination { pod, keys });
        }
        let route = match intent {
            Intent::Wake => self.wakes.wake(branch, avoid, deadline).await?,
            Intent::IfRunning => self.wakes.find_running(branch, avoid, deadline).await?,
        };
        Ok(Destination { pod: self.pods.named(branch, route), keys })
    }

    /// Connects to the pod and verifies that it is this one. The connection's end is to be told.
    pub async fn dial(&self, to: &Destination) -> Result<(TlsStream, OpenConnection), DialError> {
        let Pod { route, presence } = &to.pod;
        let patience = match presence.standing() {
            Standing::Gone => return Err(DialError::Gone),
            Standing::Unwatched => UNWATCHED_CONNECT_TIMEOUT,
            Standing::Named | Standing::Connected(_) => CONNECT_TIMEOUT,
        };
        let address = SocketAddr::new(route.address.parse::<IpAddr>()?, route.port);
        match dial(address, &to.tls_name(), &to.keys.tls, patience).await {
            Ok(stream) => Ok((stream, presence.connected())),
            Err(error) => {
                self.metrics.connect_failed();
                Err(error)
            }
        }
    }

    /// Forgets that this pod serves the branch, unless another one was named since.
    pub fn forget(&self, branch: &BranchKey, destination: &Destination) {
        self.pods.forget(branch, &destination.route().pod_uid);
    }

    /// Frees what is left of pods that nobody holds; called now and then.
    pub fn sweep(&self) {
        self.pods.sweep();
    }

    async fn keys(&self, deadline: Instant) -> Result<Arc<Keys>, Problem> {
        let mut keys = self.keys.clone();
        let current = match timeout_at(deadline, keys.wait_for(Option::is_some)).await {
            Ok(Ok(current)) => current.clone(),
            _ => None,
        };
        current.ok_or_else(|| {
            let detail = "the gateway is starting: it waits for the keys that the operator makes";
            Problem::new(ErrorCode::WakeTimeout, detail).retry_after(5)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{samples::branch, *};
    use futures::{FutureExt as _, future::BoxFuture};
    use roost_protocol::signing::SigningKey;
    use rustls::{ClientConfig, RootCertStore};
    use std::sync::Mutex;
    use tokio::sync::watch;

    /// An operator that names pod `a`, and `b` to whoever avoids that.
    #[derive(Default)]
    struct Script(Mutex<Vec<Wake>>);

    impl Waker for Script {
        fn wake<'a>(&'a self, wake: &'a Wake, _: Instant) -> BoxFuture<'a, Result<Route, Problem>> {
            self.0.lock().unwrap().push(wake.clone());
            let uid = if wake.not_pod_uid.as_deref() == Some("a") { "b" } else { "a" };
            let route = Route {
                version: 1,
                pod: format!("rt-{uid}"),
                pod_uid: uid.into(),
                address: "127.0.0.1".into(),
                port: 1,
                tenant_uid: "t".into(),
                statement_timeout: Duration::from_secs(1),
            };
            async { Ok(route) }.boxed()
        }
    }

    fn reach(operator: &Arc<Script>, keys: KeysReceiver) -> Reach {
        let limits = WakeLimits { wakes: 1, waiters: 1, patience: Duration::from_secs(1) };
        let waker: Arc<dyn Waker> = Arc::<Script>::clone(operator);
        Reach::new(waker, limits, keys, Arc::default())
    }

    fn keys() -> Arc<Keys> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let tls =
            ClientConfig::builder().with_root_certificates(RootCertStore::empty()).with_no_client_auth();
        let session = SigningKey::from_pkcs8(&SigningKey::generate().unwrap()).unwrap();
        Arc::new(Keys { session, tls: Arc::new(tls), generation: 1 })
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(1)
    }

    #[tokio::test(start_paused = true)]
    async fn the_operator_is_asked_only_where_no_known_pod_will_do() {
        let (_sender, receiver) = watch::channel(Some(keys()));
        let operator = Arc::<Script>::default();
        let reach = reach(&operator, receiver);
        // (intent, pod to avoid, pod found, whether the operator was asked)
        for (intent, avoid, found, asked) in [
            (Intent::IfRunning, None, "a", true),
            (Intent::IfRunning, None, "a", false),
            (Intent::Wake, None, "a", false),
            (Intent::Wake, Some("a"), "b", true),
            (Intent::Wake, None, "b", false),
            (Intent::IfRunning, Some("b"), "a", true),
        ] {
            let destination = reach.find(&branch(), intent, avoid, soon()).await.unwrap();
            assert_eq!(destination.route().pod_uid, found, "{intent:?} {avoid:?}");
            let wake = Wake {
                key: branch(),
                not_pod_uid: avoid.map(str::to_owned),
                only_if_running: intent == Intent::IfRunning,
            };
            let expected = if asked { vec![wake] } else { vec![] };
            assert_eq!(std::mem::take(&mut *operator.0.lock().unwrap()), expected, "{intent:?} {avoid:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_pod_that_left_is_not_called_and_the_operator_is_asked() {
        let (_sender, receiver) = watch::channel(Some(keys()));
        let operator = Arc::<Script>::default();
        let reach = reach(&operator, receiver);
        let destination = reach.find(&branch(), Intent::Wake, None, soon()).await.unwrap();
        destination.pod.presence.connected().ended(End::Theirs);
        assert!(matches!(reach.dial(&destination).await, Err(DialError::Gone)));
        reach.find(&branch(), Intent::Wake, None, soon()).await.unwrap();
        assert_eq!(operator.0.lock().unwrap().len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_reached_before_the_keys_are_there() {
        let (sender, receiver) = watch::channel(None);
        let operator = Arc::<Script>::default();
        let reach = reach(&operator, receiver);
        let early = reach.find(&branch(), Intent::Wake, None, soon()).await;
        assert_eq!(early.unwrap_err().code, ErrorCode::WakeTimeout);
        assert!(operator.0.lock().unwrap().is_empty());
        sender.send_replace(Some(keys()));
        assert!(reach.find(&branch(), Intent::Wake, None, soon()).await.is_ok());
    }
}
