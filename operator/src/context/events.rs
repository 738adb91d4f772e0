//! Events on objects.

use kube::{
    Resource,
    runtime::events::{Event, EventType},
};

use super::Context;

/// Longest note of an Event, in characters.
const MAX_NOTE: usize = 1000;

impl Context {
    /// Says what is not routine. A failure to say it is only logged.
    pub async fn event<K: Resource<DynamicType = ()>>(
        &self,
        about: &K,
        type_: EventType,
        reason: &str,
        action: &str,
        note: &str,
    ) {
        let note: String = note.chars().take(MAX_NOTE).collect();
        let event =
            Event { type_, reason: reason.into(), note: Some(note), action: action.into(), secondary: None };
        if let Err(error) = self.recorder.publish(&event, &about.object_ref(&())).await {
            tracing::warn!(%error, reason, "an Event could not be written");
        }
    }
}
