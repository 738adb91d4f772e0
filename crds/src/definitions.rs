//! The four CustomResourceDefinitions, as they are installed.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::Value;

use crate::{Branch, Snapshot, Tenant, TenantClass};

/// Why the definitions could not be written.
#[derive(Debug, thiserror::Error)]
pub enum DefinitionError {
    /// The generated schema is no CustomResourceDefinition any more; a bug of this crate.
    #[error(
        "the schema of {name} does not form a CustomResourceDefinition: {source}; fix the types in crds/src"
    )]
    Shape {
        /// Name of the definition.
        name: String,
        /// Error that serde gave.
        source: serde_json::Error,
    },
    /// The definition cannot be written as YAML; a bug of this crate.
    #[error("{name} cannot be written as YAML: {source}; fix the types in crds/src")]
    Yaml {
        /// Name of the definition.
        name: String,
        /// Error that serde gave.
        source: serde_yaml::Error,
    },
}

/// All four definitions, sorted by name.
pub fn all() -> Result<Vec<CustomResourceDefinition>, DefinitionError> {
    [Branch::crd(), Snapshot::crd(), TenantClass::crd(), Tenant::crd()].into_iter().map(finished).collect()
}

/// Finishes what the derives emit by leaving out `nullable`: a field that is null would satisfy `has()` and slip
/// through the immutability rules, so the API server refuses nulls instead.
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

/// First line of every generated file.
const HEADER: &str = "# Generated from crds/src. Refresh with: make crds\n";

/// A generated file: its path below the repository's root, and its text.
pub struct Generated {
    /// Path below the repository's root.
    pub path: String,
    /// Text.
    pub text: String,
}

/// Every generated file: plain definitions in `crds/yaml`, and the same as templates of the chart `roost-crds`.
pub fn generated() -> Result<Vec<Generated>, DefinitionError> {
    let mut files = Vec::new();
    for crd in all()? {
        let name = crd.metadata.name.clone().unwrap_or_default();
        let plural = &crd.spec.names.plural;
        let yaml = serde_yaml::to_string(&crd)
            .map_err(|source| DefinitionError::Yaml { name: name.clone(), source })?;
        files.push(Generated { path: format!("crds/yaml/{plural}.yaml"), text: format!("{HEADER}{yaml}") });
        files.push(Generated {
            path: format!("charts/roost-crds/templates/{plural}.yaml"),
            text: format!("{HEADER}{}", templated(&yaml, &name)),
        });
    }
    Ok(files)
}

/// The definition with the chart's labels and annotations in its metadata.
fn templated(yaml: &str, name: &str) -> String {
    let plain = format!("metadata:\n  name: {name}\n");
    let metadata = format!(
        "metadata:\n  name: {name}\n  labels:\n    {{{{- include \"roost-crds.labels\" . | nindent 4 }}}}\n  \
         annotations:\n    {{{{- include \"roost-crds.annotations\" . | nindent 4 }}}}\n"
    );
    yaml.replacen(&plain, &metadata, 1)
}
