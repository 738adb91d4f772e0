//! The images: each brings root certificates that load.

use anyhow::{Context, Result, ensure};
use std::{io::Write, path::Path, process::Command};

/// Debian's bundle has some 140; far fewer would mean that it was cut.
const FEWEST_ROOTS: usize = 100;

/// A file out of an image that the test cluster's node holds.
fn file_of(image: &str, path: &str) -> Result<Vec<u8>> {
    let script = format!(
        "m=$(mktemp -d) && ctr --namespace k8s.io images mount {image} $m >/dev/null && cat $m{path} && \
         ctr --namespace k8s.io images unmount --rm $m >/dev/null"
    );
    let node_exec = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/cluster/node-exec");
    let output = Command::new(node_exec).args(["test", "sh", "-c", &script]).output()?;
    ensure!(output.status.success(), "{image}{path}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(output.stdout)
}

/// The images of Roost's programs on the node.
fn images() -> Result<Vec<String>> {
    let node_exec = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/cluster/node-exec");
    let output = Command::new(node_exec)
        .args(["test", "ctr", "--namespace", "k8s.io", "images", "ls", "-q"])
        .output()?;
    let programs = ["tenant-runtime", "roost-operator", "roost-gateway"];
    let all = String::from_utf8(output.stdout)?;
    programs
        .iter()
        .map(|program| {
            let prefix = format!("localhost/{program}:");
            let found = all.lines().find(|image| image.starts_with(&prefix));
            found.map(str::to_owned).with_context(|| format!("no image of {program}"))
        })
        .collect()
}

#[test]
#[ignore = "needs the test cluster"]
fn system_roots_load_in_each_image() -> Result<()> {
    for image in images()? {
        let mut bundle = tempfile::NamedTempFile::new()?;
        bundle.write_all(&file_of(&image, "/etc/ssl/certs/ca-certificates.crt")?)?;
        let roots = rustls_native_certs::load_certs_from_paths(Some(bundle.path()), None);
        ensure!(roots.errors.is_empty(), "{image}: {:?}", roots.errors);
        let mut store = rustls::RootCertStore::empty();
        let (added, ignored) = store.add_parsable_certificates(roots.certs);
        ensure!(added >= FEWEST_ROOTS && ignored == 0, "{image}: {added} roots, {ignored} unusable");
    }
    Ok(())
}
