//! Every setting of the process, in one place, checked at the start.

use crate::{durability::publisher::Patience, limits::parse_bytes};
use clap::Parser;
use roost_protocol::{duration, signing::VerifyingKey};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

/// The process that serves one tenant's database.
///
/// Without `--standalone` it is a pod: it waits for a grant of the operator, serves one tenant once, and exits.
#[derive(Parser, Debug)]
#[command(name = "tenant-runtime", version)]
pub struct Config {
    /// Serve one tenant of the folder DIR, made if absent, without any cluster.
    #[arg(long, value_name = "DIR")]
    pub standalone: Option<PathBuf>,

    /// Standalone: port on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 8088)]
    pub port: u16,

    /// Standalone: name of the tenant, and of its database in SQL.
    #[arg(long, default_value = "demo")]
    pub tenant: String,

    /// Standalone: take the folder over from a process that still serves it.
    #[arg(long)]
    pub take_over: bool,

    /// Standalone: idle this long, publish, seal and exit; by default never.
    #[arg(long, value_parser = duration::parse)]
    pub idle_timeout: Option<Duration>,

    /// Standalone: longest time of one request.
    #[arg(long, default_value = "1h", value_parser = duration::parse)]
    pub statement_timeout: Duration,

    /// Standalone: the engine's memory, as bytes (`512Mi`) or a share (`50%`) of what the process may use.
    #[arg(long, default_value = "50%")]
    pub memory_limit: String,

    /// Longest time that a commit waits for the next publish.
    #[arg(long, env = "ROOST_PUBLISH_INTERVAL", default_value = "60s", value_parser = duration::parse)]
    pub publish_interval: Duration,

    /// Age of the oldest commit not yet in the bucket at which writes are refused.
    #[arg(long, env = "ROOST_WRITES_REFUSED_AFTER", default_value = "120s", value_parser = duration::parse)]
    pub writes_refused_after: Duration,

    /// Most that queries may spill to the cache folder.
    #[arg(long, env = "ROOST_SPILL_LIMIT", default_value = "4Gi", value_parser = parse_bytes_argument)]
    pub spill_limit: u64,

    /// Most that the local copy of the database should take; the rest is read from the bucket again when it is needed.
    #[arg(long, env = "ROOST_CACHE_LIMIT", default_value = "4Gi", value_parser = parse_bytes_argument)]
    pub cache_limit: u64,

    /// Requests that may run at once; more are refused as busy.
    #[arg(long, env = "ROOST_MAX_SESSIONS", default_value_t = 64)]
    pub max_sessions: usize,

    /// Pod: where grants, commands and queries are taken, over TLS.
    #[arg(long, env = "ROOST_LISTEN", default_value = "0.0.0.0:8443")]
    pub listen: SocketAddr,

    /// Pod: where health and metrics are served.
    #[arg(long, env = "ROOST_HEALTH_LISTEN", default_value = "0.0.0.0:8080")]
    pub health_listen: SocketAddr,

    /// Pod: try one replay, described on standard input; a pod starts itself again with this flag.
    #[arg(long, hide = true)]
    pub replay_attempt: bool,

    /// Pod: its name.
    #[arg(long, env = "ROOST_POD_NAME")]
    pub pod_name: Option<String>,

    /// Pod: its UID.
    #[arg(long, env = "ROOST_POD_UID")]
    pub pod_uid: Option<String>,

    /// Pod: certificate chain of its internal TLS name, PEM text.
    #[arg(long, env = "ROOST_TLS_CERT", hide_env_values = true)]
    pub tls_cert: Option<String>,

    /// Pod: private key of the certificate, PEM text.
    #[arg(long, env = "ROOST_TLS_KEY", hide_env_values = true)]
    pub tls_key: Option<PemKey>,

    /// Pod: public key that the operator signs grants and commands with.
    #[arg(long, env = "ROOST_OPERATOR_KEY")]
    pub operator_key: Option<VerifyingKey>,

    /// Pod: folder for the local copy of the database and for spilling; its content is thrown away.
    #[arg(long, env = "ROOST_CACHE_DIR")]
    pub cache_dir: Option<PathBuf>,

    /// File for the last words; skipped when it does not exist.
    #[arg(long, env = "ROOST_TERMINATION_LOG", default_value = "/dev/termination-log")]
    pub termination_log: PathBuf,

    /// Log filter in tracing's syntax, such as `info,roost_store=debug`.
    #[arg(long, env = "ROOST_LOG", default_value = "info")]
    pub log: String,
}

/// A private key's PEM text, not shown by `Debug`.
#[derive(Clone)]
pub struct PemKey(pub String);

impl std::fmt::Debug for PemKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret]")
    }
}

impl std::str::FromStr for PemKey {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.into()))
    }
}

/// Name, keys and folder of a pod, which the operator sets in it.
#[derive(Clone, Debug)]
pub struct PodIdentity {
    /// Pod name.
    pub name: String,
    /// Pod UID.
    pub uid: String,
    /// Key of the operator whose grants and commands it obeys.
    pub operator_key: VerifyingKey,
    /// Certificate chain, PEM.
    pub certificates: String,
    /// Private key, PEM.
    pub key: PemKey,
    /// Cache folder.
    pub cache_dir: PathBuf,
}

/// A setting that a pod must have.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "{0} is not set; the operator sets it in the pod, or use --standalone DIR to try Roost without a cluster"
)]
pub struct Missing(pub &'static str);

impl Config {
    /// The pod's identity, whole or not at all.
    pub fn pod_identity(&self) -> Result<PodIdentity, Missing> {
        Ok(PodIdentity {
            name: self.pod_name.clone().ok_or(Missing("ROOST_POD_NAME"))?,
            uid: self.pod_uid.clone().ok_or(Missing("ROOST_POD_UID"))?,
            operator_key: self.operator_key.ok_or(Missing("ROOST_OPERATOR_KEY"))?,
            certificates: self.tls_cert.clone().ok_or(Missing("ROOST_TLS_CERT"))?,
            key: self.tls_key.clone().ok_or(Missing("ROOST_TLS_KEY"))?,
            cache_dir: self.cache_dir.clone().ok_or(Missing("ROOST_CACHE_DIR"))?,
        })
    }

    /// Longest times that commits may stay unpublished, and undurable.
    pub const fn patience(&self) -> Patience {
        Patience { interval: self.publish_interval, writes_refused_after: self.writes_refused_after }
    }

    /// File for the last words, if it exists.
    pub fn termination_log(&self) -> Option<&Path> {
        self.termination_log.exists().then_some(self.termination_log.as_path())
    }
}

fn parse_bytes_argument(text: &str) -> Result<u64, String> {
    parse_bytes(text).ok_or_else(|| "expected bytes such as 512Mi or 4Gi".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Config::command().debug_assert();
    }

    #[test]
    fn a_pod_without_its_identity_says_what_is_missing() {
        let config = Config::parse_from(["tenant-runtime", "--pod-name", "rt-1"]);
        assert_eq!(config.pod_identity().unwrap_err(), Missing("ROOST_POD_UID"));
    }
}
