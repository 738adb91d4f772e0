//! Pieces of schema that several kinds use.

use schemars::{Schema, SchemaGenerator, json_schema};

/// DNS label, without a bound on its length (the field states it).
pub(crate) const DNS_LABEL: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
/// Name of an object: DNS labels joined by dots.
pub(crate) const DNS_SUBDOMAIN: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
/// UID of a Kubernetes object.
pub(crate) const UID: &str = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$";

/// Conditions, merged by type as server-side apply expects.
pub(crate) fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 8,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "description": "The current state, in the form that kubectl wait, Argo CD and Flux read.",
        "items": {
            "type": "object",
            "required": ["type", "status", "lastTransitionTime", "reason", "message"],
            "properties": {
                "type": {"type": "string", "maxLength": 64, "description": "Ready, Available, Reconciling or Stalled."},
                "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
                "reason": {"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[A-Za-z]([A-Za-z0-9]*)$"},
                "message": {"type": "string", "maxLength": 4096},
                "observedGeneration": {"type": "integer", "format": "int64", "minimum": 0},
                "lastTransitionTime": {"type": "string", "format": "date-time", "maxLength": 40}
            }
        }
    })
}

/// A point in time.
pub(crate) fn time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time", "maxLength": 40})
}

/// A count or size that JSON's readers can hold: 0 to 2^63-1.
pub(crate) fn count(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "integer", "format": "int64", "minimum": 0})
}

/// Quantities by resource name.
pub(crate) fn quantities(generator: &mut SchemaGenerator) -> Schema {
    let quantity = generator.subschema_for::<crate::Quantity>();
    json_schema!({
        "type": "object",
        "maxProperties": 8,
        "additionalProperties": quantity,
        "x-kubernetes-validations": [{
            "rule": "self.all(name, name.size() <= 63)",
            "message": "names of resources have at most 63 characters, such as cpu, memory, ephemeral-storage"
        }]
    })
}

/// Labels of nodes.
pub(crate) fn node_selector(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 16,
        "additionalProperties": {"type": "string", "maxLength": 63},
        "x-kubernetes-validations": [{
            "rule": "self.all(name, name.size() <= 316)",
            "message": "names of labels have at most 316 characters, such as kubernetes.io/arch"
        }]
    })
}

/// Labels with their values.
pub(crate) fn labels(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 16,
        "additionalProperties": {"type": "string", "maxLength": 63},
        "x-kubernetes-validations": [{
            "rule": "self.all(name, name.size() <= 317)",
            "message": "names of labels have at most 317 characters, such as kubernetes.io/metadata.name"
        }]
    })
}

/// DuckDB settings, by name, out of the allowlist.
pub(crate) fn settings(_: &mut SchemaGenerator) -> Schema {
    let names: Vec<_> = crate::settings::ALLOWED.iter().map(|setting| setting.name).collect();
    json_schema!({
        "type": "object",
        "maxProperties": 32,
        "additionalProperties": {"type": "string", "minLength": 1, "maxLength": 64},
        "x-kubernetes-validations": [{
            "rule": format!("self.all(name, name in ['{}'])", names.join("', '")),
            "message": format!("only these settings can be set for a class: {}", names.join(", "))
        }]
    })
}
