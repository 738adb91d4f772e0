//! Every flag of the operator, each with an environment variable of its own.

use std::{net::SocketAddr, num::NonZeroU32, time::Duration};

use clap::{Parser, ValueEnum};
use roost_protocol::duration;

/// Reconciles Tenants, Snapshots, Branches and TenantClasses, and wakes tenants for the gateway.
#[derive(Clone, Debug, Parser)]
#[command(name = "roost-operator", version)]
pub struct Config {
    /// Namespace of the operator and of the gateway.
    #[arg(long, env = "ROOST_NAMESPACE", default_value = "roost-system")]
    pub namespace: String,
    /// Name of this replica's pod.
    #[arg(long, env = "ROOST_POD_NAME")]
    pub pod_name: String,
    /// Namespace of runtime pods.
    #[arg(long, env = "ROOST_RUNTIME_NAMESPACE", default_value = "roost-runtime")]
    pub runtime_namespace: String,
    /// Image of runtime pods.
    #[arg(long, env = "ROOST_RUNTIME_IMAGE")]
    pub runtime_image: String,
    /// When the kubelet pulls that image: Always, IfNotPresent or Never.
    #[arg(long, env = "ROOST_RUNTIME_IMAGE_PULL_POLICY", default_value = "IfNotPresent")]
    pub runtime_image_pull_policy: String,
    /// Secrets of the runtime namespace with which that image is pulled, separated by commas.
    #[arg(long, env = "ROOST_RUNTIME_IMAGE_PULL_SECRETS", value_delimiter = ',')]
    pub runtime_image_pull_secrets: Vec<String>,
    /// Log filter of runtime pods.
    #[arg(long, env = "ROOST_RUNTIME_LOG", default_value = "info")]
    pub runtime_log: String,
    /// ServiceAccount, in the operator's namespace, that may ask for wakes.
    #[arg(long, env = "ROOST_GATEWAY_SERVICE_ACCOUNT", default_value = "roost-gateway")]
    pub gateway_service_account: String,
    /// Host, with its port unless that is the usual one, at which clients reach the gateway; shown in status.
    #[arg(long, env = "ROOST_ENDPOINT_HOST", default_value = "roost-gateway.roost-system.svc")]
    pub endpoint_host: String,
    /// Where wakes are served, over TLS.
    #[arg(long, env = "ROOST_WAKE_ADDRESS", default_value = "0.0.0.0:8443")]
    pub wake_address: SocketAddr,
    /// Where /healthz, /readyz and /metrics are served.
    #[arg(long, env = "ROOST_HEALTH_ADDRESS", default_value = "0.0.0.0:8080")]
    pub health_address: SocketAddr,
    /// Lease by which one replica is elected to reconcile.
    #[arg(long, env = "ROOST_LEASE_NAME", default_value = roost_crds::names::LEADER_LEASE)]
    pub lease_name: String,
    /// Longest time one wake may take, waiting for a leaving pod included.
    #[arg(long, env = "ROOST_WAKE_DEADLINE", default_value = "2m", value_parser = duration::parse)]
    pub wake_deadline: Duration,
    /// Pause before a class whose bucket does not answer as it should is probed again; a minute at most where nothing
    /// answers.
    #[arg(long, env = "ROOST_PROBE_RETRY", default_value = "1h", value_parser = duration::parse)]
    pub probe_retry: Duration,
    /// Pause between a change of a tenant and the collection of its garbage.
    #[arg(long, env = "ROOST_GARBAGE_INTERVAL", default_value = "1h", value_parser = duration::parse)]
    pub garbage_interval: Duration,
    /// Most objects of one tenant that are deleted in a second.
    #[arg(long, env = "ROOST_GARBAGE_DELETES_PER_SECOND", default_value = "100")]
    pub garbage_deletes_per_second: NonZeroU32,
    /// Log filter.
    #[arg(long, env = "ROOST_LOG", default_value = "info")]
    pub log: String,
    /// Form of log lines.
    #[arg(long, env = "ROOST_LOG_FORMAT", value_enum, default_value_t = LogFormat::Json)]
    pub log_format: LogFormat,
}

/// Form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

impl Config {
    /// User name that the gateway's ServiceAccount token must have.
    pub fn gateway_user(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.gateway_service_account)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_fit_the_chart() {
        let config =
            Config::try_parse_from(["roost-operator", "--pod-name", "op-0", "--runtime-image", "rt:1"])
                .unwrap();
        assert_eq!(config.gateway_user(), "system:serviceaccount:roost-system:roost-gateway");
        assert_eq!(config.wake_deadline, Duration::from_mins(2));
        assert_eq!(config.probe_retry, Duration::from_hours(1));
        assert!(config.runtime_image_pull_secrets.is_empty());
    }

    #[test]
    fn pull_secrets_are_a_list() {
        let arguments = ["roost-operator", "--pod-name", "p", "--runtime-image", "i"];
        let secrets = ["--runtime-image-pull-secrets", "registry,mirror"];
        let config = Config::try_parse_from(arguments.into_iter().chain(secrets)).unwrap();
        assert_eq!(config.runtime_image_pull_secrets, ["registry", "mirror"]);
    }

    #[test]
    fn a_wrong_duration_is_refused_with_an_example() {
        let error = Config::try_parse_from([
            "roost-operator",
            "--pod-name",
            "p",
            "--runtime-image",
            "i",
            "--wake-deadline",
            "soon",
        ])
        .unwrap_err();
        assert!(error.to_string().contains("1h30m"), "{error}");
    }
}
