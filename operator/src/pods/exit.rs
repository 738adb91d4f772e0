//! The exit of a runtime pod's process, as the kubelet tells of it.

use std::fmt;

/// The reason of a process that was killed because its memory ran out; some kubelets never give it.
const OUT_OF_MEMORY: &str = "OOMKilled";
/// The exit code of a process that SIGKILL ended, whoever sent it.
const KILLED: i32 = 137;
/// Those of processes that an engine takes with it: SIGILL, SIGABRT, SIGBUS, SIGFPE, SIGSEGV.
const CRASHED: [i32; 5] = [132, 134, 135, 136, 139];

/// The way in which a pod came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Its node ended the pod as a whole, as in an eviction.
    ByNode {
        /// The kubelet's reason.
        reason: String,
        /// Its words.
        message: Option<String>,
    },
    /// Its process ended.
    Process {
        /// The kubelet's reason.
        reason: String,
        /// Exit code; above 128 a signal ended it.
        code: i32,
    },
    /// Only that it is over is known.
    Unknown {
        /// Phase of the pod.
        phase: String,
    },
}

impl Exit {
    /// Whether the process was killed because its memory ran out, and the kubelet says so.
    pub fn is_out_of_memory(&self) -> bool {
        matches!(self, Self::Process { reason, .. } if reason == OUT_OF_MEMORY)
    }

    /// Whether SIGKILL ended the process.
    pub fn is_killed(&self) -> bool {
        matches!(self, Self::Process { code: KILLED, .. })
    }

    /// Whether the process died of what it did.
    pub fn is_crash(&self) -> bool {
        matches!(self, Self::Process { code, .. } if CRASHED.contains(code))
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByNode { reason, message: Some(message) } => write!(f, "{reason}: {}", message.trim()),
            Self::ByNode { reason, message: None } => f.write_str(reason),
            Self::Process { reason, code } => write!(f, "{reason}, exit code {code}"),
            Self::Unknown { phase } => f.write_str(phase),
        }
    }
}
