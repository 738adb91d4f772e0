//! Facts about what a statement would do, from its bound plan, and the interface of their judge.
use crate::statement::StatementKind;
use std::fmt;

/// Id of the connection that a plan was bound on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContextId(pub u64);

impl ContextId {
    /// A connection that was not made by [`crate::Database::connect`]: one that DuckDB opened by itself.
    pub const UNKNOWN: Self = Self(0);
}

/// Origin of the statements that a connection carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trust {
    /// A client's statements: everything is judged.
    Client,
    /// Our own statements (ATTACH, settings, CHECKPOINT). They are judged too, with this mark, and pass guarded functions.
    Own,
    /// A connection that DuckDB opened by itself.
    Unknown,
}

/// A pure verdict on plans. Called on the thread that prepares, while DuckDB holds the connection's lock.
pub trait PlanGuard: Send + Sync + 'static {
    /// Judges a plan after it is bound and before it can run, at each bind: `prepare`, and also a rebind
    /// inside `execute_stream` or SQL's EXECUTE. `Err` stops the statement with a Permission error.
    fn judge(&self, context: Caller, plan: &PlanFacts) -> Result<(), Refusal>;

    /// Takes note of a step of a transaction that renames tables.
    fn renaming(&self, _what: Renaming) {}
}

/// A step of a transaction that renames tables. DuckDB gives a table its new name for everybody before that is
/// committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renaming {
    /// It renames its first table.
    Begins,
    /// A statement that renames a table has failed.
    Failed,
    /// It was committed.
    Committed,
    /// It was rolled back, or failed to commit.
    RolledBack,
}

/// The connection that asks for a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Caller {
    /// Its id.
    pub context: ContextId,
    /// Origin of its statements.
    pub trust: Trust,
}

/// Why a plan may not run. The message is shown to the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Text for the client: what is refused, and what to do instead.
    pub message: String,
    /// A stable name for tests and metrics; arrives in [`crate::EngineError::extra`] as `refusal`.
    pub code: &'static str,
}

/// Stage at which a plan is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// A PRAGMA as parsed, before DuckDB replaces it by other SQL (its name would be lost, and the replacing
    /// can already read files: `import_database`). Only `statement` and `pragmas` are filled.
    Parsed,
    /// A bound plan.
    Bound,
}

/// A name in the catalog. Parts that DuckDB does not tell are empty: functions that it put into the plan by itself
/// (`seq_scan`, `max` of a subquery, `error`), and those in expressions that are bound only while they are executed
/// (ALTER's defaults, generated columns).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct QualifiedName {
    /// Database.
    pub catalog: String,
    /// Schema.
    pub schema: String,
    /// Entry.
    pub name: String,
}

impl fmt::Display for QualifiedName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in [&self.catalog, &self.schema] {
            if !part.is_empty() {
                write!(out, "{part}.")?;
            }
        }
        out.write_str(&self.name)
    }
}

/// Everything that policy asks about a statement. Lists keep the order of the plan, with repetitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanFacts {
    /// Stage at which this is judged.
    pub stage: Stage,
    /// The client's statement that is being prepared; the outer one for what EXPLAIN, PREPARE or EXECUTE hold.
    /// `Invalid` on connections of unknown origin.
    pub statement: StatementKind,
    /// Every logical operator, also of nested plans (EXPLAIN, PREPARE, CTEs, subqueries), parents first.
    pub operators: Vec<Operator>,
    /// Table functions that are scanned, by catalog, schema and name as bound; base tables are `seq_scan`.
    pub table_functions: Vec<QualifiedName>,
    /// Scalar functions in expressions.
    pub scalar_functions: Vec<QualifiedName>,
    /// Aggregate functions, also those over windows.
    pub aggregate_functions: Vec<QualifiedName>,
    /// Pure window functions (`ROW_NUMBER`), by DuckDB's expression name.
    pub window_functions: Vec<String>,
    /// PRAGMA functions called.
    pub pragmas: Vec<String>,
    /// Settings and variables that SET or RESET name.
    pub settings: Vec<SettingChange>,
    /// COPY functions used (`parquet`, `csv`), also by EXPORT.
    pub copy_functions: Vec<String>,
    /// Paths that COPY, EXPORT, ATTACH and LOAD name.
    pub paths: Vec<String>,
    /// Databases that the statement modifies, as DuckDB registered them while binding (`SELECT nextval()` too).
    pub modified_databases: Vec<String>,
    /// Databases that the statement reads.
    pub read_databases: Vec<String>,
    /// Names of macros, or of what may become one, that the expressions of a new index call.
    pub macros_in_indexes: Vec<QualifiedName>,
    /// Parts of the expressions that a new index is over, outermost first; none for plain columns.
    pub index_parts: Vec<IndexPart>,
    /// Tables of which all rows are read, as the oldest transaction sees them, for an index or a column's new type: all but
    /// those that the transaction has made.
    pub over_all_rows: Vec<QualifiedName>,
    /// Types of users' own that the expressions of a new index cast to.
    pub types_in_indexes: Vec<QualifiedName>,
    /// Indexes whose expressions call something of a new macro's name.
    pub indexes_over_macro: Vec<QualifiedName>,
    /// Temporary macros and types in the constraints of a table that is not temporary.
    pub temporaries_in_checks: Vec<QualifiedName>,
    /// Tables with generated columns that a key is added to.
    pub keys_beside_generated: Vec<QualifiedName>,
    /// Tables that are renamed while a foreign key joins them with another, or with themselves.
    pub renamed_beside_foreign_key: Vec<QualifiedName>,
    /// Tables that are replaced while a foreign key joins them with another.
    pub replaced_beside_foreign_key: Vec<QualifiedName>,
    /// Types of expressions, operators or infos that the walker does not know. Not empty = refuse.
    pub unknown: Vec<String>,
}

impl PlanFacts {
    /// Facts of a statement that does nothing, to be filled in.
    pub fn empty(stage: Stage, statement: StatementKind) -> Self {
        Self {
            stage,
            statement,
            operators: Vec::new(),
            table_functions: Vec::new(),
            scalar_functions: Vec::new(),
            aggregate_functions: Vec::new(),
            window_functions: Vec::new(),
            pragmas: Vec::new(),
            settings: Vec::new(),
            copy_functions: Vec::new(),
            paths: Vec::new(),
            modified_databases: Vec::new(),
            read_databases: Vec::new(),
            macros_in_indexes: Vec::new(),
            index_parts: Vec::new(),
            over_all_rows: Vec::new(),
            types_in_indexes: Vec::new(),
            indexes_over_macro: Vec::new(),
            temporaries_in_checks: Vec::new(),
            keys_beside_generated: Vec::new(),
            renamed_beside_foreign_key: Vec::new(),
            replaced_beside_foreign_key: Vec::new(),
            unknown: Vec::new(),
        }
    }
}

/// A part of an expression that an index is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexPart {
    /// DuckDB's class of bound expressions: `BOUND_FUNCTION`.
    pub class: String,
    /// The function, or DuckDB's kind of operator: `lower`, `COMPARE_EQUAL`.
    pub name: String,
    /// DuckDB's texts of the types that it gives and takes.
    pub types: Vec<String>,
}

/// One logical operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// DuckDB's name of its type: `PROJECTION`, `GET`, `INSERT`, ... (`LogicalOperatorToString`).
    pub kind: String,
    /// Facts that depend on its type.
    pub detail: OperatorDetail,
}

/// The part of an operator that depends on its type.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OperatorDetail {
    /// Nothing beyond its kind.
    None,
    /// A scan.
    Scan {
        /// The table function.
        function: QualifiedName,
        /// The base table, when it scans one.
        table: Option<QualifiedName>,
    },
    /// INSERT, UPDATE, DELETE or MERGE into this table.
    Modify(QualifiedName),
    /// CREATE of any kind.
    Create {
        /// DuckDB's name of the kind: `Table`, `View`, `Macro Function`, `Table Macro Function`, `Sequence`,
        /// `Type`, `Schema`, `Index`, `Secret`, ... (`CatalogTypeToString`).
        kind: String,
        /// Name of what is created.
        name: QualifiedName,
        /// TEMP.
        temporary: bool,
    },
    /// DROP.
    Drop {
        /// As in `Create`; `Prepared Statement` for DEALLOCATE.
        kind: String,
        /// Name of what is dropped.
        name: QualifiedName,
    },
    /// ALTER.
    Alter {
        /// As in `Create`.
        kind: String,
        /// Name of what is altered.
        name: QualifiedName,
    },
    /// COPY ... TO a file.
    CopyToFile {
        /// COPY function, such as `csv`.
        function: String,
        /// The file.
        path: String,
    },
    /// EXPORT DATABASE.
    Export {
        /// COPY function of the tables.
        function: String,
        /// The folder.
        path: String,
    },
    /// COPY FROM DATABASE.
    CopyDatabase {
        /// Source; DuckDB 1.5.6 has bound it away, so this is empty. It is in `read_databases`, when it has tables.
        from: String,
        /// Target.
        to: String,
    },
    /// ATTACH.
    Attach {
        /// Name given.
        name: String,
        /// Path given.
        path: String,
    },
    /// DETACH.
    Detach {
        /// Database.
        name: String,
    },
    /// LOAD or INSTALL.
    Load {
        /// `LOAD`, `INSTALL` or `FORCE INSTALL`.
        action: String,
        /// Extension or file.
        name: String,
    },
    /// UPDATE EXTENSIONS.
    UpdateExtensions,
    /// BEGIN, COMMIT, ROLLBACK.
    Transaction(TransactionAction),
    /// SET or RESET.
    Setting(SettingChange),
    /// A PRAGMA function that was not replaced by other SQL.
    Pragma {
        /// Its name.
        name: String,
    },
    /// PREPARE; the plan inside follows.
    Prepare {
        /// Name given.
        name: String,
    },
    /// EXECUTE of a plan that was judged when it was prepared (a rebind is judged on its own, before this one).
    Execute {
        /// Kind of the prepared statement.
        statement: StatementKind,
        /// Databases that it modifies.
        modified_databases: Vec<String>,
    },
    /// EXPLAIN.
    Explain {
        /// EXPLAIN ANALYZE: the statement inside runs.
        analyze: bool,
    },
    /// VACUUM or ANALYZE.
    Vacuum {
        /// VACUUM was asked for.
        vacuum: bool,
        /// ANALYZE was asked for.
        analyze: bool,
    },
    /// An operator of an extension.
    Extension {
        /// Extension's name for it.
        name: String,
    },
}

/// Action of a transaction statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "SQL's words")]
pub enum TransactionAction {
    Begin,
    BeginReadOnly,
    Commit,
    Rollback,
}

/// A SET or RESET.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SettingChange {
    /// Name as DuckDB bound it; for variables the variable's name. USE is the setting `schema`.
    pub name: String,
    /// SET, or RESET.
    pub action: SettingAction,
    /// Scope of the change.
    pub scope: SettingScope,
    /// The value of a SET as text; empty when it is an expression known only at execution, and for RESET.
    pub value: String,
}

/// SET or RESET.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "SQL's words")]
pub enum SettingAction {
    Set,
    Reset,
}

/// The scope that a SET named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "SQL's words")]
pub enum SettingScope {
    Automatic,
    Local,
    Session,
    Global,
    Variable,
}
