//! Namespaces by their labels: what Kubernetes' own label selectors say, with bounds.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// Namespaces by their labels: those that fulfil every member. An empty one selects all.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceSelector {
    /// Labels that a namespace carries, with these values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::labels")]
    pub match_labels: Option<BTreeMap<String, String>>,
    /// Further requirements that its labels fulfil.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub match_expressions: Option<Vec<LabelRequirement>>,
}

/// A requirement that one label fulfils.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("(self.operator in ['In', 'NotIn']) == (has(self.values) && self.values.size() > 0)")
        .message("In and NotIn compare with values, Exists and DoesNotExist do not: write values for the former only")
        .field_path(".values")
)]
pub struct LabelRequirement {
    /// The label's key.
    #[schemars(length(min = 1, max = 317))]
    pub key: String,
    /// Test of the label: In and NotIn compare its value with values, Exists and DoesNotExist ask whether it is there.
    pub operator: LabelOperator,
    /// Values that In and NotIn compare with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(length(max = 63)))]
    pub values: Option<Vec<String>>,
}

/// In: its value is one of values. NotIn: it is not, or there is no such label. Exists and DoesNotExist: whatever its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LabelOperator {
    /// Its value is one of values.
    In,
    /// Its value is none of values, or there is no such label.
    NotIn,
    /// There is such a label.
    Exists,
    /// There is no such label.
    DoesNotExist,
}

impl NamespaceSelector {
    /// Whether a namespace with these labels is selected.
    pub fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        let mut matched = self.match_labels.iter().flatten();
        let mut required = self.match_expressions.iter().flatten();
        matched.all(|(key, value)| labels.get(key) == Some(value))
            && required.all(|requirement| requirement.holds(labels))
    }
}

impl LabelRequirement {
    fn holds(&self, labels: &BTreeMap<String, String>) -> bool {
        let found = labels.get(&self.key);
        let named = || found.is_some_and(|value| self.values.iter().flatten().any(|wanted| wanted == value));
        match self.operator {
            LabelOperator::In => named(),
            LabelOperator::NotIn => !named(),
            LabelOperator::Exists => found.is_some(),
            LabelOperator::DoesNotExist => found.is_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_operator_selects_as_kubernetes_does() {
        let labels =
            |value: serde_json::Value| serde_json::from_value::<BTreeMap<String, String>>(value).unwrap();
        let gold = labels(json!({"team": "gold", "env": "prod"}));
        let bare = labels(json!({}));
        let one = |operator: &str, values: serde_json::Value| {
            let mut requirement = json!({"key": "team", "operator": operator});
            if !values.is_null() {
                requirement["values"] = values;
            }
            json!({"matchExpressions": [requirement]})
        };
        for (selector, of_gold, of_bare) in [
            (json!({}), true, true),
            (json!({"matchLabels": {"team": "gold"}}), true, false),
            (json!({"matchLabels": {"team": "gold", "env": "test"}}), false, false),
            (one("In", json!(["silver", "gold"])), true, false),
            (one("In", json!(["silver"])), false, false),
            (one("NotIn", json!(["gold"])), false, true),
            (one("NotIn", json!(["silver"])), true, true),
            (one("Exists", json!(null)), true, false),
            (one("DoesNotExist", json!(null)), false, true),
        ] {
            let read: NamespaceSelector = serde_json::from_value(selector.clone()).unwrap();
            assert_eq!((read.selects(&gold), read.selects(&bare)), (of_gold, of_bare), "{selector}");
        }
    }
}
