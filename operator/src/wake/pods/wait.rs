//! The waiting of a flight, as callers and status are told of it.

use std::sync::{Mutex, PoisonError, atomic::AtomicBool};

use crate::pods::PodView;

/// The waiting of a flight, seen from outside.
#[derive(Debug, Default)]
pub(in crate::wake) struct Wait {
    /// Whether it waits for a place of its class now; callers whose patience ends say so.
    pub place: AtomicBool,
    /// Whether status was told of that.
    pub told: AtomicBool,
    /// Why its pod does not start, by what the kubelet or the scheduler said last.
    obstacle: Mutex<Option<String>>,
}

impl Wait {
    /// The reason that it waits, in words.
    pub(in crate::wake) fn describe(&self) -> String {
        match &*self.obstacle.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(obstacle) => format!("its pod does not start: {obstacle}"),
            None => "it is still starting".to_owned(),
        }
    }

    pub(super) fn see(&self, pod: Option<&PodView>) {
        let obstacle = pod.and_then(|pod| pod.obstacle.clone());
        *self.obstacle.lock().unwrap_or_else(PoisonError::into_inner) = obstacle;
    }
}
