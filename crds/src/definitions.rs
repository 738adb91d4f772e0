//! The four CustomResourceDefinitions, as they are installed.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::Value;

use crate::{Branch, Snapshot, Tenant, TenantClass};

/// Why the definitions could not be written.
#[derive(Debug, thiserror::Error)]
pub enum DefinitionError {
    /// The generated schema is no CustomResourceDefinition any more; a bug of this crate.
    #[error("the schema of {name} does not form a CustomResourceDefinition: {source}; fix the types in crds/src")]
    Shape {
        /// Name of the definition.
        name: String,
        /// What serde said.
        source: serde_json::Error,
    },
    /// The definition cannot be written as YAML; a bug of this crate.
    #[error("{name} cannot be written as YAML: {source}; fix the types in crds/src")]
    Yaml {
        /// Name of the definition.
        name: String,
        /// What serde said.
        source: serde_yaml::Error,
    },
}

/// All four, sorted by name.
pub fn all() -> Result<Vec<CustomResourceDefinition>, DefinitionError> {
    [Branch::crd(), Snapshot::crd(), TenantClass::crd(), Tenant::crd()].into_iter().map(finished).collect()
}

/// What the derives emit, without `nullable`: a field that is null would satisfy `has()` and slip through the
/// immutability rules, so the API server refuses nulls instead.
fn finished(crd: CustomResourceDefinition) -> Result<CustomResourceDefinition, DefinitionError> {
    let name = crd.metadata.name.clone().unwrap_or_default();
    let shape = |source| DefinitionError::Shape { name: name.clone(), source };
    let mut value = serde_json::to_value(crd).map_err(shape)?;
    strip(&mut value);
    serde_json::from_value(value).map_err(shape)
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if members.get("nullable").is_some_and(Value::is_boolean) {
                members.remove("nullable");
            }
            members.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}
