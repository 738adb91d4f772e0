//! Rules that hold for every schema, whatever the types look like.

#![allow(clippy::unwrap_used, reason = "a test that cannot read its input has failed")]

use serde_json::Value;

fn walk<'a>(path: &str, value: &'a Value, visit: &mut dyn FnMut(&str, &'a Value)) {
    visit(path, value);
    match value {
        Value::Object(members) => members.iter().for_each(|(k, v)| walk(&format!("{path}.{k}"), v, visit)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, v)| walk(&format!("{path}[{i}]"), v, visit));
        }
        _ => {}
    }
}

fn schemas() -> Vec<(String, Value)> {
    roost_crds::definitions::all()
        .unwrap()
        .into_iter()
        .map(|crd| {
            let name = crd.metadata.name.clone().unwrap();
            let schema = &crd.spec.versions[0].schema.as_ref().unwrap().open_api_v3_schema;
            (name, serde_json::to_value(schema).unwrap())
        })
        .collect()
}

#[test]
fn every_string_list_and_map_is_bounded() {
    for (name, schema) in schemas() {
        walk(&name, &schema, &mut |path, value| {
            if path.ends_with(".metadata") {
                return;
            }
            let bounded = |key: &str| value.get(key).is_some();
            match value.get("type").and_then(Value::as_str) {
                Some("string") => {
                    assert!(bounded("maxLength") || bounded("enum"), "{path}: a string without maxLength");
                }
                Some("array") => assert!(bounded("maxItems"), "{path}: a list without maxItems"),
                Some("object") if bounded("additionalProperties") => {
                    assert!(bounded("maxProperties"), "{path}: a map without maxProperties");
                }
                _ => {}
            }
        });
    }
}

#[test]
fn nothing_has_a_default_or_may_be_null() {
    for (name, schema) in schemas() {
        walk(&name, &schema, &mut |path, _| {
            assert!(!path.ends_with(".default"), "{path}: CRD defaults would write into authors' specs");
            assert!(!path.ends_with(".nullable"), "{path}: null would satisfy has()");
        });
    }
}

#[test]
fn every_rule_says_what_to_write() {
    let mut rules = 0;
    for (name, schema) in schemas() {
        walk(&name, &schema, &mut |path, value| {
            if let Some(list) = value.get("x-kubernetes-validations").and_then(Value::as_array) {
                for rule in list {
                    rules += 1;
                    let message = rule.get("message").and_then(Value::as_str).unwrap_or_default();
                    assert!(message.len() > 40, "{path}: `{message}` does not say what to write instead");
                }
            }
        });
    }
    assert!(rules > 25, "only {rules} rules found");
}

#[test]
fn generated_files_are_fresh() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let files = roost_crds::definitions::generated().unwrap();
    assert_eq!(files.len(), 8);
    for file in files {
        let found = std::fs::read_to_string(root.join(&file.path)).unwrap_or_default();
        assert!(found == file.text, "{} is stale: run `make crds` and commit the result", file.path);
        if file.path.starts_with("charts/") {
            assert_eq!(file.text.matches("{{").count(), 2, "{}: only metadata is templated", file.path);
        } else {
            assert!(!file.text.contains("{{"), "{}: Helm would read this as a template", file.path);
        }
    }
}

/// An object of a name that was allowed once can still be changed, finalized and deleted.
#[test]
fn rules_on_names_that_came_later_let_go_what_is_there() {
    let mut found = 0;
    for (_, schema) in schemas() {
        walk("", &schema, &mut |_, value| {
            let rules = value.get("x-kubernetes-validations").and_then(Value::as_array);
            for rule in rules
                .into_iter()
                .flatten()
                .filter(|rule| rule["message"].to_string().contains("DuckDB keeps"))
            {
                found += 1;
                assert_eq!(rule["optionalOldSelf"], true);
                assert!(rule["rule"].as_str().unwrap().starts_with("oldSelf.hasValue() || "));
            }
        });
    }
    assert_eq!(found, 1);
}
