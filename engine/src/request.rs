//! A request: statements to run in one session.
use roost_protocol::session::Role;
use std::time::Duration;
use uuid::Uuid;

/// Statements to run in a session of their own.
#[derive(Debug, Clone)]
pub struct QueryRequest {
    /// Chosen by the caller; unique among running requests. Names it in [`crate::Engine::cancel`].
    pub id: Uuid,
    /// One or more statements; only the last one's result is streamed.
    pub sql: String,
    /// Positional parameters; only with one statement.
    pub parameters: Vec<serde_json::Value>,
    /// What the user may do.
    pub role: Role,
    /// The whole request, until the last batch was taken, may take this long.
    pub timeout: Duration,
}
