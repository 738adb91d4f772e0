//! ttl: when an object is to be deleted.

use std::{fmt::Debug, time::Duration};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{
    Api, Resource, ResourceExt as _,
    api::{DeleteParams, Preconditions},
};
use roost_crds::Snapshot;
use serde::de::DeserializeOwned;

use super::run::Requeue;
use crate::kubernetes::is_absent;

/// The moment that `ttl` after `from` is.
pub fn expiration(from: Option<&Time>, ttl: Option<&roost_crds::Duration>) -> Option<Time> {
    let seconds = i64::try_from(ttl?.as_secs()).unwrap_or(i64::MAX);
    let end = from?.0.as_second().saturating_add(seconds);
    Some(Time(Timestamp::from_second(end).unwrap_or(Timestamp::MAX)))
}

/// The moment that a snapshot's ttl is over: counted from its completion, but not from before there was this object.
pub fn of_completed(snapshot: &Snapshot, completion: Option<&Time>) -> Option<Time> {
    let made = snapshot.metadata.creation_timestamp.as_ref();
    let from = completion.map(|completion| made.filter(|made| made.0 > completion.0).unwrap_or(completion));
    expiration(from, snapshot.spec.ttl.as_ref())
}

/// Whether it has come.
pub fn is_over(expiration: Option<&Time>, now: Timestamp) -> bool {
    expiration.is_some_and(|end| end.0 <= now)
}

/// Looks again at the expiration at the latest.
pub fn no_later_than(look: Requeue, expiration: Option<&Time>, now: Timestamp) -> Requeue {
    let Some(end) = expiration else { return look };
    let left = Duration::try_from(end.0.duration_since(now)).unwrap_or_default().max(Duration::from_secs(1));
    match look {
        Requeue::OnChange => Requeue::After(left),
        Requeue::After(pause) => Requeue::After(pause.min(left)),
        Requeue::Backoff => Requeue::Backoff,
    }
}

/// Deletes an object whose ttl is over; its own deletion policy does the rest.
pub async fn expire<K>(api: &Api<K>, object: &K) -> Result<(), kube::Error>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let exactly = DeleteParams {
        preconditions: Some(Preconditions { uid: object.uid(), resource_version: None }),
        ..DeleteParams::default()
    };
    match api.delete(&object.name_any(), &exactly).await {
        Err(error) if is_absent(&error) => Ok(()),
        other => other.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_counted_and_looked_at() {
        let start = Time("2026-11-20T10:00:00Z".parse().unwrap());
        let ttl: roost_crds::Duration = "1h30m".parse().unwrap();
        let end = expiration(Some(&start), Some(&ttl)).unwrap();
        assert_eq!(end.0.to_string(), "2026-11-20T11:30:00Z");
        assert!(!is_over(Some(&end), start.0) && is_over(Some(&end), end.0) && !is_over(None, end.0));
        assert_eq!(expiration(None, Some(&ttl)), None);
        assert_eq!(
            no_later_than(Requeue::OnChange, Some(&end), start.0),
            Requeue::After(Duration::from_mins(90))
        );
        let soon = Requeue::After(Duration::from_secs(5));
        assert_eq!(no_later_than(soon, Some(&end), start.0), soon);
    }
}
