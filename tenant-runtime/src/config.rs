//! Every setting of the process, in one place, checked at the start.

use crate::{limits::parse_bytes, publisher::Patience};
use clap::Parser;
use roost_protocol::signing::VerifyingKey;
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
    #[arg(long, value_parser = parse_duration_argument)]
    pub idle_timeout: Option<Duration>,

    /// Standalone: longest time of one request.
    #[arg(long, default_value = "1h", value_parser = parse_duration_argument)]
    pub statement_timeout: Duration,

    /// Standalone: the engine's memory, as bytes (`512Mi`) or a share (`50%`) of what the process may use.
    #[arg(long, default_value = "50%")]
    pub memory_limit: String,

    /// Longest time that a commit waits for the next publish.
    #[arg(long, env = "ROOST_PUBLISH_INTERVAL", default_value = "60s", value_parser = parse_duration_argument)]
    pub publish_interval: Duration,

    /// Age of the oldest unpublished commit at which writes are refused.
    #[arg(long, env = "ROOST_WRITES_REFUSED_AFTER", default_value = "120s", value_parser = parse_duration_argument)]
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

    /// What a pod starts to try a replay; it is told what on its standard input.
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

    /// Where the last words go; skipped when the file does not exist.
    #[arg(long, env = "ROOST_TERMINATION_LOG", default_value = "/dev/termination-log")]
    pub termination_log: PathBuf,

    /// What is logged, as a tracing filter such as `info,roost_store=debug`.
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

/// What a pod needs to know of itself.
#[derive(Clone, Debug)]
pub struct PodIdentity {
    /// Pod name.
    pub name: String,
    /// Pod UID.
    pub uid: String,
    /// Whose grants and commands it obeys.
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

    /// How long commits may stay unpublished.
    pub const fn patience(&self) -> Patience {
        Patience { interval: self.publish_interval, writes_refused_after: self.writes_refused_after }
    }

    /// Where the last words go, if there is such a file.
    pub fn termination_log(&self) -> Option<&Path> {
        self.termination_log.exists().then_some(self.termination_log.as_path())
    }
}

/// A duration as in Roost's manifests: up to three of hours, minutes, seconds, such as `1m30s`; also `500ms`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    const MAX_PARTS: usize = 3;
    const MAX_DIGITS: usize = 5;
    if let Some(digits) = text.strip_suffix("ms") {
        let whole =
            !digits.is_empty() && digits.len() <= MAX_DIGITS && digits.bytes().all(|b| b.is_ascii_digit());
        return whole.then(|| digits.parse().ok()).flatten().map(Duration::from_millis);
    }
    let (mut total, mut rest, mut parts) = (Duration::ZERO, text, 0);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 || digits > MAX_DIGITS || parts == MAX_PARTS {
            return None;
        }
        let count: u64 = rest[..digits].parse().ok()?;
        let unit = match rest.as_bytes().get(digits)? {
            b'h' => 3600,
            b'm' => 60,
            b's' => 1,
            _ => return None,
        };
        total += Duration::from_secs(count * unit);
        rest = &rest[digits + 1..];
        parts += 1;
    }
    (parts > 0).then_some(total)
}

fn parse_duration_argument(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "expected a duration such as 30s, 5m or 1h30m".into())
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
    fn durations_are_those_of_manifests() {
        for (text, expected) in [
            ("30s", Some(30_000)),
            ("1m30s", Some(90_000)),
            ("2h", Some(7_200_000)),
            ("500ms", Some(500)),
            ("", None),
            ("30", None),
            ("s", None),
            ("100000s", None),
            ("1h1m1s1s", None),
            ("-1s", None),
            ("1.5s", None),
            ("ms", None),
        ] {
            assert_eq!(parse_duration(text), expected.map(Duration::from_millis), "{text:?}");
        }
    }

    #[test]
    fn a_pod_without_its_identity_says_what_is_missing() {
        let config = Config::parse_from(["tenant-runtime", "--pod-name", "rt-1"]);
        assert_eq!(config.pod_identity().unwrap_err(), Missing("ROOST_POD_UID"));
    }
}
