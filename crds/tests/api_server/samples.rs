//! The samples are what people copy: each object of ours in them is accepted, with no field that does not exist.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::cluster::Cluster;

/// Samples of our kinds that must be found, so that a moved folder is noticed.
const AT_LEAST: usize = 6;

fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(yaml_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            files.push(path);
        }
    }
    files
}

fn objects(file: &Path) -> Vec<Value> {
    use serde::Deserialize as _;
    let text = std::fs::read_to_string(file).unwrap();
    serde_yaml::Deserializer::from_str(&text)
        .map(|document| Value::deserialize(document).unwrap())
        .filter(|object| object["apiVersion"] == "roostdb.dev/v1alpha1")
        .collect()
}

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn every_sample_is_accepted() {
    let cluster = Cluster::connect().await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/samples");
    let (mut found, mut wrong) = (0, Vec::new());
    for file in yaml_files(&folder) {
        for object in objects(&file) {
            found += 1;
            let result = cluster.try_apply(&object).await;
            wrong.extend(result.err().map(|message| format!("{}: {message}", file.display())));
        }
    }
    let unknown =
        serde_json::json!({"kind": "Tenant", "metadata": {"name": "acme"}, "spec": {"replicas": 2}});
    let refusal = cluster.try_apply(&unknown).await;
    cluster.remove().await;
    assert!(
        refusal.is_err_and(|message| message.contains("spec.replicas")),
        "unknown fields must be noticed"
    );
    assert!(found >= AT_LEAST, "only {found} samples");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
