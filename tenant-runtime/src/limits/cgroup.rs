//! Memory and CPU limits of this process's control group, version 1 or 2.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Memory and CPUs that the pod may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// CPUs, rounded up, at least 1.
    pub cpus: usize,
}

/// Control groups have at most this many levels that are looked at.
const MAX_DEPTH: usize = 32;

/// Reads the limits that hold for this process: the tightest of its control groups, else the machine's size.
pub fn read_allowance() -> Allowance {
    allowance_under(Path::new("/"), std::thread::available_parallelism().map_or(1, Into::into))
}

/// The same for the file system that starts at `root`.
fn allowance_under(root: &Path, machine_cpus: usize) -> Allowance {
    let memory = fs::read_to_string(root.join("proc/meminfo")).ok().as_deref().and_then(total_memory);
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let mut allowance = Allowance { memory_bytes: memory.unwrap_or(u64::MAX), cpus: machine_cpus.max(1) };
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let mount = root.join("sys/fs/cgroup");
        if controllers.is_empty() {
            for folder in folders(&mount, path) {
                allowance.limit_memory(read_number(&folder.join("memory.max")));
                allowance.limit_cpus(read_quota_v2(&folder.join("cpu.max")));
            }
        }
        if controllers.split(',').any(|name| name == "memory") {
            for folder in folders(&mount.join("memory"), path) {
                allowance.limit_memory(read_number(&folder.join("memory.limit_in_bytes")));
            }
        }
        if controllers.split(',').any(|name| name == "cpu") {
            for folder in folders(&mount.join("cpu"), path) {
                allowance.limit_cpus(read_quota_v1(&folder));
            }
        }
    }
    allowance
}

impl Allowance {
    fn limit_memory(&mut self, bytes: Option<u64>) {
        self.memory_bytes = self.memory_bytes.min(bytes.unwrap_or(u64::MAX));
    }

    fn limit_cpus(&mut self, cpus: Option<usize>) {
        self.cpus = self.cpus.min(cpus.unwrap_or(usize::MAX)).max(1);
    }
}

/// The group's folder and its parents up to the mount. In a container whose own group is mounted at the root
/// the path in /proc names folders that are not there; the mount itself then has the limits.
fn folders(mount: &Path, group: &str) -> Vec<PathBuf> {
    let group = Path::new(group.trim_start_matches('/'));
    group.ancestors().take(MAX_DEPTH).map(|ancestor| mount.join(ancestor)).collect()
}

fn total_memory(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// A number; `max` and what is not there are no limit.
fn read_number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn read_quota_v2(path: &Path) -> Option<usize> {
    let text = fs::read_to_string(path).ok()?;
    let (quota, period) = text.trim().split_once(' ')?;
    whole_cpus(quota.parse().ok()?, period.parse().ok()?)
}

fn read_quota_v1(folder: &Path) -> Option<usize> {
    // A quota of -1 is none and does not parse as unsigned.
    whole_cpus(
        read_number(&folder.join("cpu.cfs_quota_us"))?,
        read_number(&folder.join("cpu.cfs_period_us"))?,
    )
}

fn whole_cpus(quota: u64, period: u64) -> Option<usize> {
    (period > 0).then(|| usize::try_from(quota.div_ceil(period)).unwrap_or(usize::MAX).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn the_tightest_limit_of_version_2_holds() {
        let root = machine(&[
            ("proc/meminfo", "MemTotal:       16384000 kB\nMemFree: 1 kB\n"),
            ("proc/self/cgroup", "0::/pods/one\n"),
            ("sys/fs/cgroup/pods/memory.max", "1073741824\n"),
            ("sys/fs/cgroup/pods/one/memory.max", "max\n"),
            ("sys/fs/cgroup/pods/one/cpu.max", "150000 100000\n"),
        ]);
        assert_eq!(allowance_under(root.path(), 8), Allowance { memory_bytes: 1 << 30, cpus: 2 });
    }

    #[test]
    fn version_1_inside_a_container_has_its_group_at_the_mount() {
        let root = machine(&[
            ("proc/meminfo", "MemTotal:       16384000 kB\n"),
            ("proc/self/cgroup", "5:cpu,cpuacct:/kubepods/x\n4:memory:/kubepods/x\n0::/\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "536870912\n"),
            ("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "50000\n"),
            ("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
        ]);
        assert_eq!(allowance_under(root.path(), 8), Allowance { memory_bytes: 1 << 29, cpus: 1 });
    }

    #[test]
    fn without_limits_it_is_the_machine() {
        let root = machine(&[
            ("proc/meminfo", "MemTotal:       1024 kB\n"),
            ("proc/self/cgroup", "4:memory:/\n5:cpu:/\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"),
            ("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
        ]);
        assert_eq!(allowance_under(root.path(), 4), Allowance { memory_bytes: 1 << 20, cpus: 4 });
    }
}
