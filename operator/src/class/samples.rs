//! Classes as tests meet them: each test states only what it is about.

use roost_crds::TenantClassSpec;

/// The spec of a class with storage, and with this besides.
pub(crate) fn spec(json: serde_json::Value) -> TenantClassSpec {
    let storage = serde_json::json!({"bucket": "tenants", "credentials": {"secretRef": {"name": "s"}}});
    let mut whole = serde_json::json!({"storage": storage});
    if let (Some(whole), serde_json::Value::Object(more)) = (whole.as_object_mut(), json) {
        whole.extend(more);
    }
    serde_json::from_value(whole).unwrap()
}
