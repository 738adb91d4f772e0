//! Memory of a pod's processes, from its control group on this machine.

use anyhow::{Context, Result};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Anonymous memory of a pod in bytes: what its processes allocated, without the page cache.
pub fn anonymous_bytes(pod_uid: &str) -> Result<u64> {
    let root =
        ["/sys/fs/cgroup/memory", "/sys/fs/cgroup"].into_iter().map(Path::new).find(|root| root.is_dir());
    let name = format!("pod{pod_uid}");
    let folder =
        root.and_then(|root| find(root, &name)).with_context(|| format!("no control group {name}"))?;
    let statistics = fs::read_to_string(folder.join("memory.stat"))?;
    let value = |key: &str| {
        statistics.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.parse::<u64>().ok())
    };
    // Version 1 calls it total_rss (with children), version 2 anon.
    value("total_rss").or_else(|| value("anon")).context("memory.stat has neither total_rss nor anon")
}

fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).ok()?.flatten() {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            if entry.file_name() == name {
                return Some(entry.path());
            }
            folders.push(entry.path());
        }
    }
    None
}
