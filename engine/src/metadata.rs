//! Where a database keeps its catalog.

use crate::quoting::literal;
use arrow_array::cast::AsArray as _;
use arrow_array::types::Int64Type;
use roost_duckdb::{Connection, EngineError};

/// Numbers of the blocks that hold the catalog and the tables' row group pointers: what opening reads.
pub(crate) fn metadata_blocks(connection: &mut Connection, database: &str) -> Result<Vec<u64>, EngineError> {
    let sql = format!("SELECT block_id FROM pragma_metadata_info({})", literal(database));
    let mut blocks = Vec::new();
    connection.each_batch(&sql, |batch| {
        let column = batch.columns().first().and_then(|column| column.as_primitive_opt::<Int64Type>());
        blocks.extend(column.into_iter().flatten().flatten().filter_map(|block| u64::try_from(block).ok()));
        Ok::<_, EngineError>(())
    })?;
    Ok(blocks)
}
