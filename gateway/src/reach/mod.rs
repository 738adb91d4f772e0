//! The way to a branch: which pod serves it, having it woken if need be, and a verified connection to that pod. It knows
//! no client's protocol and no HTTP; how the operator is asked is behind [`Waker`].

mod dial;
mod pods;
mod presence;
pub mod retry;
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
    /// Has `waker` name and wake pods.
    pub fn new(waker: Arc<dyn Waker>, limits: WakeLimits, keys: KeysReceiver, metrics: Arc<Metrics>) -> Self {
        let wakes = SharedWakes::new(waker, limits, Arc::clone(&metrics));
        Self { wakes, pods: Pods::new(Arc::clone(&metrics)), keys, metrics }
    }

    /// The branch's pod by `deadline`: a known one, or the one that the operator names. One with the UID `avoid` is not
    /// named again as long as there may be another.
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
