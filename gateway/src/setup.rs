//! Puts the gateway together from its configuration.

use crate::{
    auth::Authenticator,
    config::Config,
    http::{BodyBuffer, Forwarder, Gateway, Queries},
    keys::KeysReceiver,
    limits::TenantLimits,
    metrics::Metrics,
    operator::{EndpointsReceiver, Operator},
    reach::{Reach, WakeLimits},
    server::ServerLimits,
};
use std::sync::Arc;

/// The gateway, with all its parts.
pub fn gateway(
    config: &Config,
    client: kube::Client,
    keys: KeysReceiver,
    endpoints: EndpointsReceiver,
    metrics: Arc<Metrics>,
) -> Arc<Gateway> {
    let operator = Operator::new(endpoints, keys.clone(), config.operator_token_file.clone());
    let limits = WakeLimits {
        wakes: config.max_wakes as usize,
        waiters: config.max_waiters_per_branch as usize,
        patience: config.wake_timeout,
    };
    let reach = Reach::new(Arc::new(operator), limits, keys, Arc::clone(&metrics));
    Arc::new(Gateway {
        authenticator: Authenticator::new(client, Arc::clone(&metrics)),
        limits: TenantLimits::new(config.max_requests_per_tenant),
        bodies: BodyBuffer::new(config.max_buffered_bytes, config.body_timeout),
        queries: Queries::default(),
        forwarder: Forwarder::new(reach, config.wake_timeout, Arc::clone(&metrics)),
        metrics,
    })
}

/// The server's bounds.
pub const fn server_limits(config: &Config) -> ServerLimits {
    ServerLimits {
        connections: config.max_connections,
        header_timeout: config.header_timeout,
        grace: config.shutdown_grace,
    }
}
