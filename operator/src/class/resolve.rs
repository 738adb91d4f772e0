//! Which class an object gets: a pure function of what it asks for, what it has, and which classes there are.

use std::sync::Arc;

use kube::ResourceExt as _;
use roost_crds::{Reason, TenantClass};

use crate::reasons::Fault;

/// The class, and the fault of the one that is asked for.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The class to act by; none if there is none.
    pub class: Option<Arc<TenantClass>>,
    /// The fault that keeps the spec from being realised.
    pub fault: Option<Fault>,
}

/// The class of a name.
pub fn find(name: &str, classes: &[Arc<TenantClass>]) -> Option<Arc<TenantClass>> {
    classes.iter().find(|class| class.name_any() == name).cloned()
}

/// Resolves. `sticky` is the class that status names; `asked` the one of the spec.
pub fn resolve(sticky: Option<&str>, asked: Option<&str>, classes: &[Arc<TenantClass>]) -> Resolved {
    let find = |name: &str| find(name, classes);
    let absent = |name: &str| Fault::new(Reason::ClassNotFound, format!("waits for TenantClass {name}"));
    match (sticky, asked) {
        // The default may have changed meanwhile: what was resolved once sticks.
        (Some(name), None) => {
            let class = find(name);
            let fault = class.is_none().then(|| absent(name));
            Resolved { class, fault }
        }
        (Some(old), Some(new)) if old != new => change(find(old), find(new), old, new),
        (_, Some(name)) => {
            let class = find(name);
            let fault = class.is_none().then(|| absent(name));
            Resolved { class, fault }
        }
        (None, None) => default(classes),
    }
}

fn change(old: Option<Arc<TenantClass>>, new: Option<Arc<TenantClass>>, from: &str, to: &str) -> Resolved {
    match (old, new) {
        (Some(old), Some(new)) if !old.spec.storage.same_place(&new.spec.storage) => {
            let message = format!(
                "class {to} has another bucket or prefix than {from}, and data does not move by itself; {from} goes \
                 on serving. Set className back to {from}"
            );
            Resolved { class: Some(old), fault: Some(Fault::new(Reason::StorageChangeRefused, message)) }
        }
        (Some(_), Some(new)) => Resolved { class: Some(new), fault: None },
        (old, None) => {
            let fault = Fault::new(Reason::ClassNotFound, format!("waits for TenantClass {to}"));
            Resolved { class: old, fault: Some(fault) }
        }
        (None, Some(_)) => {
            let message = format!(
                "className changed to {to}, but the previous class {from} is gone, so it cannot be told whether the data is where {to} keeps its data"
            );
            Resolved { class: None, fault: Some(Fault::new(Reason::ClassNotFound, message)) }
        }
    }
}

fn default(classes: &[Arc<TenantClass>]) -> Resolved {
    let mut defaults = classes.iter().filter(|class| class.is_default());
    match (defaults.next(), defaults.next()) {
        (Some(class), None) => Resolved { class: Some(Arc::clone(class)), fault: None },
        (None, _) => {
            let message = "no TenantClass is the default; set className, or annotate one with \
                           roostdb.dev/is-default-class=true";
            Resolved { class: None, fault: Some(Fault::new(Reason::ClassNotFound, message)) }
        }
        (Some(_), Some(_)) => {
            let mut names: Vec<_> = classes.iter().filter(|c| c.is_default()).map(|c| c.name_any()).collect();
            names.sort_unstable();
            let message =
                format!("more than one TenantClass is the default ({}); set className", names.join(", "));
            Resolved { class: None, fault: Some(Fault::new(Reason::ClassAmbiguous, message)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(name: &str, bucket: &str, is_default: bool) -> Arc<TenantClass> {
        let annotations = serde_json::json!({"roostdb.dev/is-default-class": is_default.to_string()});
        Arc::new(
            serde_json::from_value(serde_json::json!({
                "apiVersion": "roostdb.dev/v1alpha1", "kind": "TenantClass",
                "metadata": {"name": name, "annotations": annotations},
                "spec": {"storage": {"bucket": bucket, "credentials": {"secretRef": {"name": "s"}}}},
            }))
            .unwrap(),
        )
    }

    #[test]
    fn every_way_to_a_class() {
        let one = [class("a", "bucket", true), class("b", "bucket", false), class("c", "other", false)];
        let two = [class("a", "bucket", true), class("b", "bucket", true)];
        let none = [class("a", "bucket", false)];
        let table: [(Option<&str>, Option<&str>, &[_], Option<&str>, Option<Reason>); 13] = [
            (None, None, &one, Some("a"), None),
            (None, Some("c"), &one, Some("c"), None),
            (None, None, &two, None, Some(Reason::ClassAmbiguous)),
            (None, Some("b"), &two, Some("b"), None),
            (None, None, &none, None, Some(Reason::ClassNotFound)),
            (None, None, &[], None, Some(Reason::ClassNotFound)),
            (None, Some("z"), &one, None, Some(Reason::ClassNotFound)),
            (Some("b"), None, &two, Some("b"), None),
            (Some("b"), Some("b"), &one, Some("b"), None),
            (Some("a"), Some("b"), &one, Some("b"), None),
            (Some("a"), Some("c"), &one, Some("a"), Some(Reason::StorageChangeRefused)),
            (Some("a"), Some("z"), &one, Some("a"), Some(Reason::ClassNotFound)),
            (Some("z"), None, &one, None, Some(Reason::ClassNotFound)),
        ];
        for (sticky, asked, classes, name, reason) in table {
            let resolved = resolve(sticky, asked, classes);
            assert_eq!(resolved.class.map(|c| c.name_any()).as_deref(), name, "{sticky:?} {asked:?}");
            assert_eq!(resolved.fault.map(|fault| fault.reason), reason, "{sticky:?} {asked:?}");
        }
    }
}
