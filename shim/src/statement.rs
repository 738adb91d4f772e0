//! Statements: extracted (parsed), prepared (bound and judged), executed.
use crate::columns::{Column, Returns, columns};
use crate::error::EngineError;
use crate::ffi::{self, Owned, RawPrepared, RawStatement, Text};
use crate::result::ResultStream;
use crate::value::Value;
use std::ops::Range;
use std::ptr::null_mut;

macro_rules! statement_kinds {
    ($($name:ident = $code:literal,)*) => {
        /// DuckDB's statement types, one to one (`StatementType` of 1.5.6).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        #[allow(missing_docs, reason = "the names are DuckDB's own")]
        pub enum StatementKind { $($name,)* Unknown }

        impl StatementKind {
            pub(crate) fn from_code(code: u8) -> Self {
                match code { $($code => Self::$name,)* _ => Self::Unknown }
            }
        }
    };
}

statement_kinds! {
    Invalid = 0,
    Select = 1,
    Insert = 2,
    Update = 3,
    Create = 4,
    Delete = 5,
    Prepare = 6,
    Execute = 7,
    Alter = 8,
    Transaction = 9,
    Copy = 10,
    Analyze = 11,
    VariableSet = 12,
    CreateFunc = 13,
    Explain = 14,
    Drop = 15,
    Export = 16,
    Pragma = 17,
    Vacuum = 18,
    Call = 19,
    Set = 20,
    Load = 21,
    Relation = 22,
    Extension = 23,
    LogicalPlan = 24,
    Attach = 25,
    Detach = 26,
    Multi = 27,
    CopyDatabase = 28,
    UpdateExtensions = 29,
    MergeInto = 30,
}

/// A parsed statement that nothing has judged or run.
pub struct Extracted {
    pub(crate) raw: Owned<RawStatement>,
    pub(crate) kind: StatementKind,
    pub(crate) source: usize,
    pub(crate) range: Range<usize>,
}

impl Extracted {
    /// Its kind as parsed.
    pub fn kind(&self) -> StatementKind {
        self.kind
    }

    /// Which statement of the text this comes from, from 0. DuckDB replaces some statements by several
    /// (PIVOT makes a type first; some PRAGMAs are other SQL): these share the number.
    pub fn source(&self) -> usize {
        self.source
    }

    /// Where the text of the statement lies, in bytes; empty for what DuckDB put in by itself.
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }
}

/// A statement that is bound and was judged, ready to execute any number of times.
pub struct Prepared {
    raw: Owned<RawPrepared>,
    parameters: Vec<Parameter>,
}

/// A parameter of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// `1`, `2` for `?` and `$1`; `name` for `$name`.
    pub name: String,
    /// DuckDB's text of the type that the statement expects; none where its context tells no type.
    pub logical_type: Option<String>,
}

impl Prepared {
    pub(crate) fn new(raw: Owned<RawPrepared>) -> Self {
        let mut found: Vec<ffi::RawParameter> = Vec::new();
        // SAFETY: `raw` is live, and the sink takes a vector of this type.
        unsafe {
            ffi::roost_prepared_parameters(raw.get(), (&raw mut found).cast(), ffi::push_parameter);
        }
        found.sort();
        let parameter =
            |name, kind: String| Parameter { name, logical_type: Some(kind).filter(|kind| !kind.is_empty()) };
        Self { raw, parameters: found.into_iter().map(|(_, name, kind)| parameter(name, kind)).collect() }
    }

    fn properties(&self) -> ffi::Properties {
        let mut properties = ffi::Properties::default();
        // SAFETY: `raw` is live and `properties` writable.
        unsafe { ffi::roost_prepared_properties(self.raw.get(), &raw mut properties) };
        properties
    }

    fn databases(&self, modified: bool) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        // SAFETY: `raw` is live, and the sink takes a vector of this type.
        unsafe {
            ffi::roost_prepared_databases(self.raw.get(), modified, (&raw mut names).cast(), ffi::push_text);
        }
        names.sort_unstable();
        names
    }

    /// Kind of the statement.
    pub fn kind(&self) -> StatementKind {
        StatementKind::from_code(self.properties().statement)
    }

    /// Kind of result that it gives back.
    pub fn returns(&self) -> Returns {
        Returns::from_code(self.properties().returns)
    }

    /// Databases that executing it may modify, sorted. Complete only when [`Self::is_complete`].
    pub fn modified_databases(&self) -> Vec<String> {
        self.databases(true)
    }

    /// Databases that executing it reads, sorted.
    pub fn read_databases(&self) -> Vec<String> {
        self.databases(false)
    }

    /// Whether executing it modifies nothing, as far as known ([`Self::is_complete`]).
    pub fn is_read_only(&self) -> bool {
        self.modified_databases().is_empty()
    }

    /// False when parameters without a type kept DuckDB from binding everything: it binds (and the guard
    /// judges) once more in `execute_stream`, and only then are databases and columns known. Take such a
    /// statement for one that writes.
    pub fn is_complete(&self) -> bool {
        self.properties().complete
    }

    /// False for the statements that also run in a failed transaction (ROLLBACK).
    pub fn requires_valid_transaction(&self) -> bool {
        self.properties().requires_valid_transaction
    }

    /// Whether its result is made while it is read; otherwise DuckDB holds all of it in its (spillable) memory.
    pub fn streams(&self) -> bool {
        self.properties().streams
    }

    /// Number of parameters.
    pub fn parameter_count(&self) -> usize {
        self.parameters.len()
    }

    /// The parameters in their order.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Gives parameter `index` (from 1) its value for the executions that follow.
    pub fn bind(&mut self, index: usize, value: &Value) -> Result<(), EngineError> {
        let Some(parameter) = index.checked_sub(1).and_then(|index| self.parameters.get(index)) else {
            return Err(EngineError::invalid_input(format!(
                "There is no parameter {index}: the statement has {}",
                self.parameters.len()
            )));
        };
        let value = value.to_raw();
        let name = Text::name(&parameter.name)?;
        // SAFETY: `raw` is live; name and value are borrowed for the call.
        unsafe { ffi::check(ffi::roost_prepared_bind(self.raw.get(), name, &raw const value)) }
    }

    /// Forgets all bound values.
    pub fn clear_bindings(&mut self) {
        // SAFETY: `raw` is live.
        unsafe { ffi::roost_prepared_clear(self.raw.get()) }
    }

    /// Columns of the result, as far as known ([`Self::is_complete`]).
    pub fn columns(&self) -> Vec<Column> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        // SAFETY: `raw` is live, and the sink takes a vector of this type.
        unsafe { ffi::roost_prepared_columns(self.raw.get(), (&raw mut pairs).cast(), ffi::push_pair) };
        columns(pairs)
    }

    /// Runs it up to its first rows. Blocks; the rest is computed while the stream is read.
    /// A connection has one stream at a time: starting anything else on it ends this one with an error.
    pub fn execute_stream(&mut self) -> Result<ResultStream, EngineError> {
        let mut result = null_mut();
        // SAFETY: `raw` is live and `result` writable; a result is ours to free.
        let result = unsafe {
            ffi::check(ffi::roost_execute(self.raw.get(), &raw mut result))?;
            Owned::new(result, ffi::roost_result_free)
        };
        ResultStream::new(result)
    }
}
