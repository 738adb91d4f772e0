//! Slots as Leases of the runtime namespace: take, renew, free.

use std::{collections::BTreeMap, fmt, time::Duration};

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, ListParams, ObjectMeta, PostParams, Preconditions},
};
use roost_crds::names as crd;

use super::claim::{Next, Slot, next, unused};
use crate::kubernetes::{is_absent, is_conflict};

/// Tries for a slot that others may win, one after another, before the ceiling is taken as reached.
const MAX_RACES: u32 = 8;

/// The API server failed on a Lease.
#[derive(Debug, thiserror::Error)]
#[error("the slots of a class could not be read or changed: {0}")]
pub struct SlotError(#[from] kube::Error);

/// A slot as it was taken for a pod, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Name of the Lease.
    pub name: String,
    /// Distinguishes this taking from every other: whoever renews the slot makes a new one.
    pub token: String,
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.name, self.token)
    }
}

impl Taken {
    /// Reads what `Display` wrote into a pod's annotation.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, token) = text.split_once('/')?;
        Some(Self { name: name.to_owned(), token: token.to_owned() })
    }
}

/// The Leases.
#[derive(Clone)]
pub struct Slots {
    api: Api<Lease>,
}

impl Slots {
    /// Slots live beside the pods.
    pub fn new(client: Client, runtime_namespace: &str) -> Self {
        Self { api: Api::namespaced(client, runtime_namespace) }
    }

    async fn list(&self, class_hash: &str) -> Result<Vec<Lease>, SlotError> {
        let selector = ListParams::default().labels(&format!("{}={class_hash}", crd::CLASS_LABEL));
        Ok(self.api.list(&selector).await?.items)
    }

    /// Takes a slot for `pod`; none at the ceiling.
    #[allow(clippy::disallowed_methods, reason = "what is drawn is given to a pure choice")]
    pub async fn take(
        &self,
        class_hash: &str,
        active: u32,
        pod: &str,
        now: Timestamp,
    ) -> Result<Option<Taken>, SlotError> {
        for _ in 0..MAX_RACES {
            let leases = self.list(class_hash).await?;
            let slots: Vec<_> = leases.iter().filter_map(|lease| fold(lease, now)).collect();
            let token = format!("{:016x}", rand::random::<u64>());
            let holder = holder(pod, &token);
            let result = match next(&slots, active, pod, rand::random()) {
                Next::Full => return Ok(None),
                Next::Create(number) => {
                    self.api.create(&PostParams::default(), &lease(class_hash, number, holder, now)).await
                }
                Next::Renew(name) => {
                    let Some(mut own) = leases.into_iter().find(|lease| lease.name_any() == name) else {
                        continue;
                    };
                    if let Some(spec) = own.spec.as_mut() {
                        spec.acquire_time = Some(MicroTime(now));
                        spec.holder_identity = Some(holder);
                    }
                    self.api.replace(&name, &PostParams::default(), &own).await
                }
            };
            match result {
                Ok(lease) => return Ok(Some(Taken { name: lease.name_any(), token })),
                Err(error) if is_conflict(&error) || is_absent(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    /// Gives a slot back, unless somebody renewed it since.
    pub async fn free(&self, slot: &Taken, pod: &str) -> Result<(), SlotError> {
        let Some(lease) = self.api.get_opt(&slot.name).await? else { return Ok(()) };
        let ours = holder(pod, &slot.token);
        if lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_ref()) != Some(&ours) {
            return Ok(());
        }
        self.delete(&lease).await
    }

    async fn delete(&self, lease: &Lease) -> Result<(), SlotError> {
        let exactly = DeleteParams {
            preconditions: Some(Preconditions {
                uid: lease.uid(),
                resource_version: lease.resource_version(),
            }),
            ..DeleteParams::default()
        };
        match self.api.delete(&lease.name_any(), &exactly).await {
            Ok(_) => Ok(()),
            // Renewed, taken anew or gone meanwhile: it is no longer the one that was looked at.
            Err(error) if is_conflict(&error) || is_absent(&error) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Frees every slot without a pod. `pods` maps names of existing pods to their slots; it must have been read
    /// after this call began, so the caller passes how to read it.
    pub async fn sweep<F, E>(&self, now: Timestamp, pods: F) -> Result<usize, E>
    where
        F: AsyncFnOnce() -> Result<BTreeMap<String, Option<String>>, E>,
        E: From<SlotError>,
    {
        let managed = ListParams::default().labels(crd::CLASS_LABEL);
        let leases = self.api.list(&managed).await.map_err(|error| E::from(error.into()))?.items;
        let slots: Vec<_> = leases.iter().filter_map(|lease| fold(lease, now)).collect();
        let pods = pods().await?;
        let unused = unused(&slots, &pods);
        for slot in &unused {
            if let Some(lease) = leases.iter().find(|lease| lease.name_any() == slot.name) {
                self.delete(lease).await?;
            }
        }
        Ok(unused.len())
    }
}

/// Name of a slot's Lease.
fn slot_name(class_hash: &str, number: u32) -> String {
    format!("{class_hash}-{number}")
}

fn holder(pod: &str, token: &str) -> String {
    format!("{pod}/{token}")
}

fn lease(class_hash: &str, number: u32, holder: String, now: Timestamp) -> Lease {
    let labels = BTreeMap::from([
        (crd::CLASS_LABEL.to_owned(), class_hash.to_owned()),
        (crd::MANAGED_BY_LABEL.to_owned(), crd::MANAGED_BY.to_owned()),
    ]);
    Lease {
        metadata: ObjectMeta {
            name: Some(slot_name(class_hash, number)),
            labels: Some(labels),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            holder_identity: Some(holder),
            acquire_time: Some(MicroTime(now)),
            ..LeaseSpec::default()
        }),
    }
}

fn fold(lease: &Lease, now: Timestamp) -> Option<Slot> {
    let name = lease.name_any();
    let number = name.rsplit_once('-')?.1.parse().ok()?;
    let spec = lease.spec.as_ref()?;
    let since = spec.acquire_time.as_ref()?.0;
    let age = Duration::try_from(now.duration_since(since)).unwrap_or_default();
    let (pod, token) = spec.holder_identity.as_deref()?.split_once('/')?;
    Some(Slot { name, number, pod: pod.to_owned(), token: token.to_owned(), age })
}
