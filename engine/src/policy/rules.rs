//! Rules by which plans are judged, and the refusal of one.
use roost_duckdb::Refusal;
use roost_protocol::session::Role;

/// Rules by which a plan is judged.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// The session's role.
    pub role: Role,
    /// Name of the tenant's database.
    pub database: &'a str,
}

/// DuckDB's own databases, to which a session may write beside the tenant's: they hold nothing of others.
pub(super) const OWN_DATABASES: [&str; 2] = ["temp", "system"];

/// A refusal: a code that programs read, and what a person is told.
pub(super) fn refuse(code: &'static str, message: String) -> Result<(), Refusal> {
    Err(Refusal { message, code })
}
