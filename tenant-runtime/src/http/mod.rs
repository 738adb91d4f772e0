//! HTTP: the query API, the internal API of grants and commands, health and metrics.

pub mod body;
pub mod encoding;
pub mod health;
pub mod internal;
pub mod listener;
mod parameters;
pub mod query;
mod request;
pub mod respond;

use axum::Router;
use roost_protocol::problem::{ErrorCode, Problem};
use roost_transport::problem::Refused;

/// Answers what no route matches with problems instead of plain text.
pub fn with_fallbacks<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    router
        .fallback(|| async { Refused(Problem::new(ErrorCode::NotFound, "there is nothing at this path")) })
        .method_not_allowed_fallback(|| async {
            Refused(Problem::new(ErrorCode::MethodNotAllowed, "the path does not have this method"))
        })
}
