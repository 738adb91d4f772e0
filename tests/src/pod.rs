//! A pod's processes, by its control group on this machine.

use anyhow::{Context, Result, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Sends a signal (`KILL`, `STOP`, `CONT`) to the pod's processes of this name.
pub fn signal(pod_uid: &str, program: &str, signal: &str) -> Result<()> {
    let is_program = |pid: &String| {
        // The kernel cuts names at 15 characters.
        fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| program.starts_with(comm.trim()))
    };
    let pids: Vec<String> = processes(&control_group(pod_uid)?)?.into_iter().filter(is_program).collect();
    ensure!(!pids.is_empty(), "pod {pod_uid} has no process {program}");
    let status = Command::new("kill").arg(format!("-{signal}")).args(&pids).status()?;
    ensure!(status.success(), "kill -{signal} {pids:?}: {status}");
    Ok(())
}

fn processes(group: &Path) -> Result<Vec<String>> {
    let mut pids: Vec<String> =
        fs::read_to_string(group.join("cgroup.procs"))?.lines().map(str::to_owned).collect();
    for entry in fs::read_dir(group)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            pids.extend(processes(&entry.path())?);
        }
    }
    Ok(pids)
}

/// Anonymous memory of a pod in bytes: what its processes allocated, without the page cache.
pub fn anonymous_bytes(pod_uid: &str) -> Result<u64> {
    let statistics = fs::read_to_string(control_group(pod_uid)?.join("memory.stat"))?;
    let value = |key: &str| {
        statistics.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.parse::<u64>().ok())
    };
    // Version 1 calls it total_rss (with children), version 2 anon.
    value("total_rss").or_else(|| value("anon")).context("memory.stat has neither total_rss nor anon")
}

fn control_group(pod_uid: &str) -> Result<PathBuf> {
    let root =
        ["/sys/fs/cgroup/memory", "/sys/fs/cgroup"].into_iter().map(Path::new).find(|root| root.is_dir());
    let name = format!("pod{pod_uid}");
    root.and_then(|root| find(root, &name)).with_context(|| format!("no control group {name}"))
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
