//! Whether a class is for a namespace: a pure function of its allowedNamespaces and the namespace's labels.

use std::{collections::BTreeMap, sync::Arc};

use kube::ResourceExt as _;
use roost_crds::{Reason, TenantClass};

use super::resolve::Resolved;
use crate::reasons::Fault;

/// Takes a class that is not for the namespace out of what was resolved. `has` is the class that the object was made in: it
/// keeps that one, so that no change of labels stops a database that is there.
pub fn permitted(
    resolved: Resolved,
    has: Option<Arc<TenantClass>>,
    namespace: &str,
    labels: &BTreeMap<String, String>,
) -> Resolved {
    let Some(class) = resolved.class.as_ref().filter(|class| !is_for(class, labels)) else { return resolved };
    let name = class.name_any();
    let kept = match &has {
        Some(has) if has.name_any() == name => "; what was made with it is served on",
        Some(_) => "; the class before goes on serving",
        None => "",
    };
    let message = format!(
        "TenantClass {name} is not for namespace {namespace}, whose labels its allowedNamespaces do not select{kept}. Have \
         the namespace labelled, or set className to a class that is for it"
    );
    Resolved { class: has, fault: Some(Fault::new(Reason::ClassNotAllowed, message)) }
}

fn is_for(class: &TenantClass, labels: &BTreeMap<String, String>) -> bool {
    class.spec.allowed_namespaces.as_ref().is_none_or(|selector| selector.selects(labels))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn class(name: &str, allowed: &serde_json::Value) -> Arc<TenantClass> {
        let mut spec = json!({"storage": {"bucket": "bucket", "credentials": {"secretRef": {"name": "s"}}}});
        if !allowed.is_null() {
            spec["allowedNamespaces"] = allowed.clone();
        }
        let object = json!({"apiVersion": "roostdb.dev/v1alpha1", "kind": "TenantClass",
            "metadata": {"name": name}, "spec": spec});
        Arc::new(serde_json::from_value(object).unwrap())
    }

    #[test]
    fn a_class_is_taken_only_where_it_is_allowed_and_kept_where_it_was() {
        let gold = json!({"matchLabels": {"team": "gold"}});
        let (open, closed, old) = (class("open", &json!(null)), class("closed", &gold), class("old", &gold));
        let labelled: BTreeMap<_, _> = [("team".to_owned(), "gold".to_owned())].into();
        let bare = BTreeMap::new();
        for (resolved, has, labels, kept, refused) in [
            (&open, None, &bare, Some("open"), false),
            (&closed, None, &labelled, Some("closed"), false),
            (&closed, None, &bare, None, true),
            (&closed, Some(&closed), &labelled, Some("closed"), false),
            (&closed, Some(&closed), &bare, Some("closed"), true),
            (&closed, Some(&old), &bare, Some("old"), true),
            (&open, Some(&old), &bare, Some("open"), false),
        ] {
            let resolved = Resolved { class: Some(Arc::clone(resolved)), fault: None };
            let permitted = permitted(resolved, has.cloned(), "shop", labels);
            assert_eq!(permitted.class.map(|class| class.name_any()).as_deref(), kept);
            let fault = permitted.fault.map(|fault| fault.reason);
            assert_eq!(fault, refused.then_some(Reason::ClassNotAllowed));
        }
        let nothing = Resolved { class: None, fault: None };
        assert!(permitted(nothing, None, "shop", &bare).fault.is_none());
    }
}
