//! Every flag of the gateway.

use roost_protocol::duration::parse_positive;
use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// The stable endpoint of every tenant's database.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "roost-gateway", version)]
pub struct Config {
    /// Where clients connect.
    #[arg(long, env = "ROOST_LISTEN", default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,
    /// Where probes and Prometheus connect: /healthz, /readyz, /metrics; plain HTTP.
    #[arg(long, env = "ROOST_HEALTH_LISTEN", default_value = "0.0.0.0:9090")]
    pub health_listen: SocketAddr,
    /// Certificate chain shown to clients, PEM; read again when it changes. Without it clients speak plain HTTP.
    #[arg(long, env = "ROOST_TLS_CERT", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Private key of the certificate, PEM.
    #[arg(long, env = "ROOST_TLS_KEY", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// The namespace that the gateway and the operator run in.
    #[arg(long, env = "ROOST_NAMESPACE")]
    pub namespace: String,
    /// Name of the operator's Service.
    #[arg(long, env = "ROOST_OPERATOR_SERVICE", default_value = "roost-operator")]
    pub operator_service: String,
    /// Projected ServiceAccount token of audience operator.roostdb.dev; read for each wake.
    #[arg(
        long,
        env = "ROOST_OPERATOR_TOKEN_FILE",
        default_value = "/var/run/secrets/operator.roostdb.dev/token"
    )]
    pub operator_token_file: PathBuf,
    /// Longest time that a request waits for its tenant to wake, all attempts together.
    #[arg(long, env = "ROOST_WAKE_TIMEOUT", default_value = "2m", value_parser = parse_positive)]
    pub wake_timeout: Duration,
    /// Most client connections at once; more wait in the listen queue.
    #[arg(long, env = "ROOST_MAX_CONNECTIONS", default_value_t = 4096, value_parser = positive())]
    pub max_connections: u32,
    /// Most queries of one tenant at once; more are refused with 503.
    #[arg(long, env = "ROOST_MAX_REQUESTS_PER_TENANT", default_value_t = 256, value_parser = positive())]
    pub max_requests_per_tenant: u32,
    /// Most requests that wait for one branch to wake; more are refused with 503.
    #[arg(long, env = "ROOST_MAX_WAITERS_PER_BRANCH", default_value_t = 256, value_parser = positive())]
    pub max_waiters_per_branch: u32,
    /// Most branches that are being woken at once through this replica; more are refused with 503.
    #[arg(long, env = "ROOST_MAX_WAKES", default_value_t = 1024, value_parser = positive())]
    pub max_wakes: u32,
    /// Most bytes of request bodies held in memory at once; more are refused with 503.
    #[arg(long, env = "ROOST_MAX_BUFFERED_BYTES", default_value_t = 256 * 1024 * 1024, value_parser = positive())]
    pub max_buffered_bytes: u32,
    /// Longest time for a request's headers to arrive; also how long an idle client connection is kept. Let it be
    /// longer than clients and load balancers keep theirs, or they send requests into connections that just close.
    #[arg(long, env = "ROOST_HEADER_TIMEOUT", default_value = "2m", value_parser = parse_positive)]
    pub header_timeout: Duration,
    /// Longest time for a request's body to arrive.
    #[arg(long, env = "ROOST_BODY_TIMEOUT", default_value = "60s", value_parser = parse_positive)]
    pub body_timeout: Duration,
    /// After SIGTERM, how long new connections are still accepted while the cluster learns that the pod leaves.
    #[arg(long, env = "ROOST_SHUTDOWN_DELAY", default_value = "5s", value_parser = parse_positive)]
    pub shutdown_delay: Duration,
    /// After that, how long requests in flight may take to finish.
    #[arg(long, env = "ROOST_SHUTDOWN_GRACE", default_value = "60s", value_parser = parse_positive)]
    pub shutdown_grace: Duration,
    /// Log filter, in the syntax of tracing's EnvFilter.
    #[arg(long, env = "ROOST_LOG", default_value = "info")]
    pub log: String,
}

fn positive() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[test]
    fn clients_let_go_of_an_idle_connection_before_the_gateway_does() {
        let config = Config::parse_from(["roost-gateway", "--namespace", "roost-system"]);
        // What Go's and Rust's usual clients keep it for; others and load balancers keep theirs for a minute or less.
        assert!(config.header_timeout > Duration::from_secs(90));
    }

    #[test]
    fn half_a_tls_configuration_is_refused() {
        let parse = |arguments: &[&str]| {
            Config::try_parse_from(["roost-gateway", "--namespace", "roost-system"].iter().chain(arguments))
                .is_ok()
        };
        assert!(parse(&[]));
        assert!(parse(&["--tls-cert", "c", "--tls-key", "k"]));
        assert!(!parse(&["--tls-cert", "c"]));
        assert!(!parse(&["--tls-key", "k"]));
        assert!(!parse(&["--max-wakes", "0"]));
    }
}
