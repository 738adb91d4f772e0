//! Where our own connection is: outside of the tenant's database, so that no macro of a client's shadows a function that
//! it calls; but for what binds the tenant's own expressions.
use roost_duckdb::{Connection, EngineError};

/// The database that our own connection is in.
const OWN_PLACE: &str = "memory";

/// Acts from within the tenant's database, with all its schemas searched: what CHECKs and indexes call is looked for where
/// the connection is. `act` names every function of DuckDB with its schema, `system.main`.
pub(crate) fn within<T>(
    connection: &mut Connection,
    database: &str,
    act: impl FnOnce(&mut Connection) -> T,
) -> Result<T, EngineError> {
    connection.use_all_of(database)?;
    let done = act(connection);
    connection.use_database(OWN_PLACE)?;
    Ok(done)
}
