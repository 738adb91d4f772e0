//! Puts the gateway together from its configuration.

use crate::{
    auth::Authenticator,
    body::BodyBuffer,
    config::Config,
    gateway::Gateway,
    keys::KeysReceiver,
    limits::TenantLimits,
    metrics::Metrics,
    proxy::Forwarder,
    server::ServerLimits,
    wake::{EndpointsReceiver, FlightLimits, Flights, Operator},
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
    let limits = FlightLimits {
        flights: config.max_wakes as usize,
        waiters: config.max_waiters_per_branch as usize,
        patience: config.wake_timeout,
    };
    let flights = Flights::new(Arc::new(operator), limits, Arc::clone(&metrics));
    Arc::new(Gateway {
        authenticator: Authenticator::new(client, Arc::clone(&metrics)),
        limits: TenantLimits::new(config.max_requests_per_tenant),
        bodies: BodyBuffer::new(config.max_buffered_bytes, config.body_timeout),
        forwarder: Forwarder::new(flights, keys, config.wake_timeout, Arc::clone(&metrics)),
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
