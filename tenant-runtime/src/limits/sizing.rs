//! The engine's share of the pod.

use super::Allowance;
use roost_protocol::grant::EngineLimits;

/// Bytes that our own buffers may need beside the engine: hydration and publish ranges, encoded results, the process.
const OWN_ROOM_BYTES: u64 = 160 * 1024 * 1024;
/// An engine with less cannot do anything useful.
const LEAST_ENGINE_BYTES: u64 = 64 * 1024 * 1024;
/// Share of the pod's memory where the class says nothing.
const DEFAULT_SHARE_PERCENT: u64 = 75;

/// Bounds for the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizing {
    /// DuckDB's memory limit, in bytes.
    pub memory_bytes: u64,
    /// DuckDB's threads.
    pub threads: usize,
}

/// A limit that cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SizingError {
    /// Neither a share nor bytes.
    #[error("the memory limit {0:?} is neither a share such as 75% nor bytes such as 512Mi")]
    BadMemoryLimit(String),
    /// The pod is too small.
    #[error(
        "the pod's memory limit of {pod} bytes leaves no room for the engine; give the class's pods at least 256Mi"
    )]
    PodTooSmall {
        /// The pod's limit.
        pod: u64,
    },
}

/// The engine's bounds within the pod's: what the class asks for, less where our own buffers need the room.
pub fn size(limits: &EngineLimits, pod: Allowance) -> Result<Sizing, SizingError> {
    let asked = match &limits.memory_limit {
        None => share(pod.memory_bytes, DEFAULT_SHARE_PERCENT),
        Some(text) => parse_limit(text, pod.memory_bytes)?,
    };
    let memory_bytes = asked.min(pod.memory_bytes.saturating_sub(OWN_ROOM_BYTES));
    if memory_bytes < LEAST_ENGINE_BYTES {
        return Err(SizingError::PodTooSmall { pod: pod.memory_bytes });
    }
    let threads = limits.threads.map_or(pod.cpus, |threads| usize::try_from(threads).unwrap_or(1)).max(1);
    Ok(Sizing { memory_bytes, threads })
}

fn share(of: u64, percent: u64) -> u64 {
    u64::try_from(u128::from(of) * u128::from(percent) / 100).unwrap_or(u64::MAX)
}

fn parse_limit(text: &str, pod: u64) -> Result<u64, SizingError> {
    let bad = || SizingError::BadMemoryLimit(text.into());
    match text.trim().strip_suffix('%') {
        Some(percent) => match percent.parse() {
            Ok(percent @ 1..=100) => Ok(share(pod, percent)),
            _ => Err(bad()),
        },
        None => parse_bytes(text).ok_or_else(bad),
    }
}

/// Bytes as Kubernetes writes quantities: a whole number with `k`, `M`, `G`, `T` or `Ki`, `Mi`, `Gi`, `Ti`.
pub fn parse_bytes(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 8] = [
        ("Ki", 1 << 10),
        ("Mi", 1 << 20),
        ("Gi", 1 << 30),
        ("Ti", 1 << 40),
        ("k", 1_000),
        ("M", 1_000_000),
        ("G", 1_000_000_000),
        ("T", 1_000_000_000_000),
    ];
    let text = text.trim();
    let (digits, unit) = UNITS
        .iter()
        .find_map(|(suffix, unit)| text.strip_suffix(suffix).map(|digits| (digits, *unit)))
        .unwrap_or((text, 1));
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeMap, time::Duration};

    fn limits(memory_limit: Option<&str>, threads: Option<u32>) -> EngineLimits {
        EngineLimits {
            memory_limit: memory_limit.map(Into::into),
            threads,
            settings: BTreeMap::new(),
            statement_timeout: Duration::from_secs(1),
        }
    }

    #[test]
    fn the_engine_gets_its_share_but_never_our_room() {
        const MIB: u64 = 1 << 20;
        let pod = |mib| Allowance { memory_bytes: mib * MIB, cpus: 3 };
        for (asked, pod, expected) in [
            (None, pod(4096), Ok(3072 * MIB)),
            (Some("50%"), pod(4096), Ok(2048 * MIB)),
            (Some("100%"), pod(1024), Ok(864 * MIB)),
            (Some("512Mi"), pod(4096), Ok(512 * MIB)),
            (Some("8Gi"), pod(1024), Ok(864 * MIB)),
            (None, pod(256), Ok(96 * MIB)),
            (None, pod(128), Err(SizingError::PodTooSmall { pod: 128 * MIB })),
            (Some("0%"), pod(1024), Err(SizingError::BadMemoryLimit("0%".into()))),
            (Some("lots"), pod(1024), Err(SizingError::BadMemoryLimit("lots".into()))),
        ] {
            assert_eq!(size(&limits(asked, None), pod).map(|sizing| sizing.memory_bytes), expected);
        }
        assert_eq!(size(&limits(None, None), pod(1024)).unwrap().threads, 3);
        assert_eq!(size(&limits(None, Some(7)), pod(1024)).unwrap().threads, 7);
    }
}
