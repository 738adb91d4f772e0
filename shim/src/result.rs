//! Results as a stream of Arrow record batches.
use crate::columns::{Column, Returns, columns};
use crate::error::{EngineError, ErrorKind};
use crate::ffi::{self, Owned, RawResult};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, RecordBatch, StructArray};
use arrow_data::ffi::FFI_ArrowArray;
use arrow_schema::ffi::FFI_ArrowSchema;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use std::sync::Arc;

/// A running statement's result. Nothing beyond DuckDB's streaming buffer is computed ahead of the reader.
/// Dropping it ends the statement.
pub struct ResultStream {
    raw: Owned<RawResult>,
    columns: Vec<Column>,
    schema: SchemaRef,
    returns: Returns,
    rows_changed: Option<u64>,
    ended: bool,
}

impl ResultStream {
    pub(crate) fn new(raw: Owned<RawResult>) -> Result<Self, EngineError> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        let mut exported = FFI_ArrowSchema::empty();
        // SAFETY: `raw` is live; the sink takes a vector of this type; `exported` is an empty schema to fill.
        let returns = unsafe {
            ffi::roost_result_columns(raw.get(), (&raw mut pairs).cast(), ffi::push_pair);
            ffi::check(ffi::roost_result_schema(raw.get(), &raw mut exported))?;
            Returns::from_code(ffi::roost_result_returns(raw.get()))
        };
        let exported = Schema::try_from(&exported).map_err(|error| arrow_failure(&error))?;
        let columns = columns(pairs);
        // A name that Arrow lends ends at a NUL byte, DuckDB's own does not.
        let fields = exported.fields().iter().zip(&columns);
        let fields: Vec<Field> =
            fields.map(|(field, column)| field.as_ref().clone().with_name(&column.name)).collect();
        let schema = Arc::new(Schema::new_with_metadata(fields, exported.metadata));
        Ok(Self { raw, columns, schema, returns, rows_changed: None, ended: false })
    }

    /// Columns with DuckDB's types, in the order of the batches' columns.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Arrow schema of the batches. Types that plain Arrow cannot hold carry extension metadata
    /// (`ARROW:extension:name`); decode by [`Self::columns`]. A column of a type that DuckDB has no Arrow for
    /// (VARIANT, or anything that contains one) is text, whatever its logical type says.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Kind of result that the statement gives back.
    pub fn returns(&self) -> Returns {
        self.returns
    }

    /// For [`Returns::ChangedRows`], the number of rows, once that one row was read.
    pub fn rows_changed(&self) -> Option<u64> {
        self.rows_changed
    }

    /// The next batch (at most 2048 rows); `None` at the end. After an error the stream has ended.
    #[allow(clippy::should_implement_trait, reason = "an iterator could not lend its columns meanwhile")]
    pub fn next(&mut self) -> Result<Option<RecordBatch>, EngineError> {
        if self.ended {
            return Ok(None);
        }
        let batch = self.fetch();
        self.ended = !matches!(batch, Ok(Some(_)));
        if let (Ok(Some(batch)), Returns::ChangedRows) = (&batch, self.returns) {
            self.rows_changed = first_count(batch);
        }
        batch
    }

    fn fetch(&mut self) -> Result<Option<RecordBatch>, EngineError> {
        let mut exported = FFI_ArrowArray::empty();
        let mut rows = 0;
        // SAFETY: `raw` is live; `exported` is an empty array to fill.
        unsafe { ffi::check(ffi::roost_result_next(self.raw.get(), &raw mut exported, &raw mut rows))? };
        if rows == 0 {
            return Ok(None);
        }
        let fields = DataType::Struct(self.schema.fields().clone());
        // SAFETY: DuckDB filled the array according to the schema that it gave for the same result.
        let data = unsafe { arrow_array::ffi::from_ffi_and_data_type(exported, fields) }
            .map_err(|error| arrow_failure(&error))?;
        let (_, arrays, _) = StructArray::from(data).into_parts();
        RecordBatch::try_new(self.schema(), arrays).map(Some).map_err(|error| arrow_failure(&error))
    }
}

fn first_count(batch: &RecordBatch) -> Option<u64> {
    let column = batch.columns().first()?.as_primitive_opt::<Int64Type>()?;
    (column.len() == 1 && column.is_valid(0)).then(|| column.value(0) as u64)
}

/// DuckDB's Arrow did not read as Arrow: a bug on one of the sides.
fn arrow_failure(error: &arrow_schema::ArrowError) -> EngineError {
    EngineError {
        kind: ErrorKind::Internal,
        message: format!("The result could not be read as Arrow: {error}"),
        position: None,
        extra: std::collections::BTreeMap::new(),
    }
}
