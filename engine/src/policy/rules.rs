//! What plans are judged by, and how one is refused.
use roost_duckdb::Refusal;
use roost_protocol::session::Role;

/// By what a plan is judged.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// The session's role.
    pub role: Role,
    /// Name of the tenant's database.
    pub database: &'a str,
}

/// The databases that a session may read: its own and those of DuckDB that hold nothing of others.
pub(super) const OWN_DATABASES: [&str; 2] = ["temp", "system"];

/// A refusal: a code that programs read, and what a person is told.
pub(super) fn refuse(code: &'static str, message: String) -> Result<(), Refusal> {
    Err(Refusal { message, code })
}
