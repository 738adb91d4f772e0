//! The attacks, each with the walls that must stop it and a harmless twin.
use Bare::{Fails, Works};
use Evidence::{Message, Refusal};
use Wall::{BindGuards, Configuration, ExternalAccess, Policy, Roles, Secrets};
use roost_engine::Wall;

/// Evidence that a wall was the one that stopped an attack.
#[derive(Debug)]
pub enum Evidence {
    /// The refusal's code.
    Refusal(&'static str),
    /// Part of DuckDB's or the file system's own message.
    Message(&'static str),
}

/// Whether the attack works where no wall stands.
#[derive(Debug, PartialEq, Eq)]
pub enum Bare {
    /// It does.
    Works,
    /// It needs something that is not here (a network, an extension), or DuckDB itself says no.
    Fails,
}

/// One attack; `{dir}` is the folder with the files it is after.
pub struct Attack {
    pub sql: &'static str,
    pub twin: &'static str,
    /// Each of these stops it alone. `None` is the file system under DuckDB, which always stands.
    pub walls: &'static [(Option<Wall>, Evidence)],
    pub bare: Bare,
    /// By a user who may only read.
    pub reader: bool,
}

const fn attack(
    sql: &'static str,
    walls: &'static [(Option<Wall>, Evidence)],
    bare: Bare,
    twin: &'static str,
) -> Attack {
    Attack { sql, twin, walls, bare, reader: false }
}

const fn by_reader(
    sql: &'static str,
    walls: &'static [(Option<Wall>, Evidence)],
    twin: &'static str,
) -> Attack {
    Attack { sql, twin, walls, bare: Bare::Fails, reader: true }
}

/// All attacks.
pub const ATTACKS: [Attack; 107] = [
    // Reading files.
    attack(
        "FROM read_text('{dir}/secret.txt')",
        &[(Some(Policy), Refusal("table-function")), (Some(ExternalAccess), Message("disabled"))],
        Works,
        "FROM (VALUES ('{dir}/secret.txt'))",
    ),
    attack(
        "FROM read_blob('{dir}/secret.txt')",
        &[(Some(Policy), Refusal("table-function")), (Some(ExternalAccess), Message("disabled"))],
        Works,
        "SELECT 'x'::BLOB",
    ),
    attack(
        "FROM read_csv('{dir}/secret.csv')",
        &[(Some(Policy), Refusal("table-function")), (Some(ExternalAccess), Message("disabled"))],
        Works,
        "SELECT 'read_csv'",
    ),
    attack(
        "FROM read_csv_auto('{dir}/secret.csv')",
        &[(Some(Policy), Refusal("table-function")), (Some(ExternalAccess), Message("disabled"))],
        Works,
        "SELECT 1 AS read_csv_auto",
    ),
    attack(
        "FROM '{dir}/secret.csv'",
        &[(Some(Policy), Refusal("table-function")), (Some(ExternalAccess), Message("disabled"))],
        Works,
        "FROM 't'",
    ),
    attack(
        "FROM read_json('{dir}/secret.json')",
        &[(Some(Policy), Refusal("table-function")), (Some(ExternalAccess), Message("disabled"))],
        Works,
        "SELECT '{\"a\": 1}'::JSON",
    ),
    attack(
        "FROM read_json_objects('{dir}/secret.json')",
        &[(Some(Policy), Refusal("table-function")), (Some(ExternalAccess), Message("disabled"))],
        Works,
        "SELECT json_object('a', 1)",
    ),
    attack(
        "FROM read_ndjson_auto('{dir}/secret.json')",
        &[(Some(Policy), Refusal("table-function")), (Some(ExternalAccess), Message("disabled"))],
        Works,
        "FROM json_each('{\"a\": 1}')",
    ),
    attack(
        "FROM read_parquet('{dir}/secret.parquet')",
        &[(Some(Policy), Refusal("table-function")), (Some(ExternalAccess), Message("disabled"))],
        Works,
        "FROM t",
    ),
    attack(
        "FROM parquet_scan('{dir}/secret.parquet')",
        &[(Some(Policy), Refusal("table-function")), (Some(ExternalAccess), Message("disabled"))],
        Works,
        "FROM t LIMIT 1",
    ),
    attack(
        "FROM parquet_metadata('{dir}/secret.parquet')",
        &[(Some(Policy), Refusal("table-function")), (Some(ExternalAccess), Message("disabled"))],
        Works,
        "PRAGMA table_info('t')",
    ),
    attack(
        "FROM parquet_schema('{dir}/secret.parquet')",
        &[(Some(Policy), Refusal("table-function")), (Some(ExternalAccess), Message("disabled"))],
        Works,
        "DESCRIBE t",
    ),
    attack(
        "FROM parquet_kv_metadata('{dir}/secret.parquet')",
        &[(Some(Policy), Refusal("table-function")), (Some(ExternalAccess), Message("disabled"))],
        Works,
        "SUMMARIZE t",
    ),
    attack(
        "FROM parquet_bloom_probe('{dir}/secret.parquet', 'i', 1)",
        &[(Some(Policy), Refusal("table-function")), (Some(ExternalAccess), Message("disabled"))],
        Works,
        "SELECT i = 1 FROM t",
    ),
    attack(
        "FROM sniff_csv('{dir}/secret.csv')",
        &[(Some(Policy), Refusal("table-function")), (Some(ExternalAccess), Message("disabled"))],
        Works,
        "SELECT typeof(1)",
    ),
    attack(
        "FROM glob('{dir}/*')",
        &[(Some(Policy), Refusal("table-function"))],
        Works,
        "SELECT 'a.txt' GLOB '*.txt'",
    ),
    attack(
        "FROM sql_auto_complete('FROM ''{dir}/')",
        &[(Some(Policy), Refusal("table-function"))],
        Works,
        "SELECT 'FROM t'",
    ),
    attack(
        "FROM read_duckdb('{dir}/other.db', table_name := 'secret')",
        &[(Some(Policy), Refusal("table-function")), (Some(ExternalAccess), Message("disabled"))],
        Works,
        "FROM query_table('t')",
    ),
    attack(
        "SELECT (SELECT content FROM read_text('{dir}/secret.txt'))",
        &[(Some(Policy), Refusal("table-function")), (Some(ExternalAccess), Message("disabled"))],
        Works,
        "SELECT (SELECT i FROM t)",
    ),
    attack(
        "WITH f AS MATERIALIZED (FROM read_text('{dir}/secret.txt')) FROM f",
        &[(Some(Policy), Refusal("table-function")), (Some(ExternalAccess), Message("disabled"))],
        Works,
        "WITH f AS MATERIALIZED (FROM t) FROM f",
    ),
    attack(
        "FROM query('FROM read_text(''{dir}/secret.txt'')')",
        &[(Some(Policy), Refusal("table-function")), (Some(ExternalAccess), Message("disabled"))],
        Works,
        "FROM query('FROM t')",
    ),
    attack(
        "CREATE TEMP MACRO m(x) AS TABLE FROM read_text(x); FROM m('{dir}/secret.txt')",
        &[(Some(Policy), Refusal("table-function")), (Some(ExternalAccess), Message("disabled"))],
        Works,
        "CREATE TEMP MACRO m(x) AS TABLE SELECT x; FROM m('{dir}/secret.txt')",
    ),
    attack(
        "PREPARE p AS FROM read_text('{dir}/secret.txt'); EXECUTE p",
        &[(Some(Policy), Refusal("table-function")), (Some(ExternalAccess), Message("disabled"))],
        Works,
        "PREPARE p AS FROM t; EXECUTE p",
    ),
    attack(
        "CREATE TEMP VIEW v AS FROM read_text('{dir}/secret.txt'); FROM v",
        &[(Some(Policy), Refusal("table-function")), (Some(ExternalAccess), Message("disabled"))],
        Works,
        "CREATE TEMP VIEW v AS FROM t; FROM v",
    ),
    attack(
        "SET VARIABLE a = (SELECT content FROM read_text('{dir}/secret.txt')); SELECT getvariable('a')",
        &[(Some(Policy), Refusal("table-function")), (Some(ExternalAccess), Message("disabled"))],
        Works,
        "SET VARIABLE a = (SELECT i FROM t); SELECT getvariable('a')",
    ),
    attack(
        "INSERT INTO texts SELECT content FROM read_text('{dir}/secret.txt')",
        &[(Some(Policy), Refusal("table-function")), (Some(ExternalAccess), Message("disabled"))],
        Works,
        "INSERT INTO texts SELECT 'x'",
    ),
    attack(
        "CREATE TEMP TABLE c AS FROM read_csv('{dir}/secret.csv')",
        &[(Some(Policy), Refusal("table-function")), (Some(ExternalAccess), Message("disabled"))],
        Works,
        "CREATE TEMP TABLE c AS FROM t",
    ),
    attack(
        "EXPLAIN ANALYZE FROM read_text('{dir}/secret.txt')",
        &[(Some(Policy), Refusal("table-function")), (Some(ExternalAccess), Message("disabled"))],
        Works,
        "EXPLAIN ANALYZE FROM t",
    ),
    attack(
        "SELECT * FROM t UNION ALL SELECT length(content) FROM read_text('{dir}/secret.txt')",
        &[(Some(Policy), Refusal("table-function")), (Some(ExternalAccess), Message("disabled"))],
        Works,
        "FROM t UNION ALL FROM t",
    ),
    attack(
        "COPY texts FROM '{dir}/secret.txt' (FORMAT csv, HEADER false)",
        &[(Some(Policy), Refusal("table-function")), (Some(ExternalAccess), Message("disabled"))],
        Works,
        "INSERT INTO texts VALUES ('y')",
    ),
    attack(
        "SELECT json_serialize_plan('FROM read_csv(''{dir}/secret.csv'')')",
        &[(Some(Policy), Refusal("scalar-function"))],
        Fails,
        "SELECT json_serialize_sql('FROM t')",
    ),
    attack(
        "FROM json_execute_serialized_sql(json_serialize_sql('FROM read_text(''{dir}/secret.txt'')'))",
        &[(Some(Policy), Refusal("table-function"))],
        Works,
        "SELECT json_deserialize_sql(json_serialize_sql('SELECT 1'))",
    ),
    attack(
        "PRAGMA json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
        &[(Some(Policy), Refusal("pragma"))],
        Fails,
        "PRAGMA version",
    ),
    attack(
        "IMPORT DATABASE '{dir}/import'",
        &[(Some(Policy), Refusal("pragma")), (Some(ExternalAccess), Message("disabled"))],
        Works,
        "CREATE OR REPLACE TEMP TABLE imported (i INT)",
    ),
    // Writing files.
    attack(
        "COPY t TO '{dir}/out.csv'",
        &[(Some(Policy), Refusal("operator")), (Some(ExternalAccess), Message("disabled"))],
        Works,
        "SELECT i FROM t",
    ),
    attack(
        "COPY (SELECT 1) TO '{dir}/out.parquet' (FORMAT parquet)",
        &[(Some(Policy), Refusal("operator")), (Some(ExternalAccess), Message("disabled"))],
        Works,
        "SELECT 1",
    ),
    attack(
        "COPY t TO '{dir}/parts' (FORMAT csv, PARTITION_BY i, WRITE_PARTITION_COLUMNS true)",
        &[(Some(Policy), Refusal("operator")), (Some(ExternalAccess), Message("disabled"))],
        Works,
        "SELECT i, count(*) FROM t GROUP BY i",
    ),
    attack(
        "EXPORT DATABASE acme TO '{dir}/exported'",
        &[(Some(Policy), Refusal("operator")), (Some(ExternalAccess), Message("disabled"))],
        Works,
        "SHOW ALL TABLES",
    ),
    attack(
        "EXPLAIN ANALYZE COPY t TO '{dir}/explained.csv'",
        &[(Some(Policy), Refusal("operator")), (Some(ExternalAccess), Message("disabled"))],
        Works,
        "EXPLAIN FROM t",
    ),
    attack(
        "PREPARE p AS COPY t TO '{dir}/prepared.csv'; EXECUTE p",
        &[(Some(Policy), Refusal("operator")), (Some(ExternalAccess), Message("disabled"))],
        Works,
        "PREPARE p AS SELECT 1; EXECUTE p",
    ),
    attack(
        "SET log_query_path = '{dir}/queries.log'",
        &[(Some(Policy), Refusal("setting")), (Some(Configuration), Message("locked"))],
        Works,
        "SET default_null_order = 'nulls_first'",
    ),
    attack(
        "SET profile_output = '{dir}/profile.txt'",
        &[(Some(Policy), Refusal("setting")), (Some(Configuration), Message("locked"))],
        Works,
        "EXPLAIN SELECT 1",
    ),
    // Other databases.
    attack(
        "ATTACH '{dir}/other.db' AS other",
        &[(Some(Policy), Refusal("operator")), (Some(ExternalAccess), Message("disabled"))],
        Works,
        "SHOW DATABASES",
    ),
    attack(
        "ATTACH '{dir}/other.db' AS other (READ_ONLY); FROM other.secret",
        &[(Some(Policy), Refusal("operator")), (Some(ExternalAccess), Message("disabled"))],
        Works,
        "FROM acme.main.t",
    ),
    attack(
        "ATTACH ':memory:' AS other",
        &[(Some(Policy), Refusal("operator"))],
        Works,
        "CREATE OR REPLACE TEMP TABLE other (i INT)",
    ),
    attack(
        "ATTACH 'roost://other' AS other",
        &[(Some(Policy), Refusal("operator")), (None, Message("not a file of this database"))],
        Fails,
        "SELECT 'roost://other'",
    ),
    attack(
        "DETACH memory",
        &[(Some(Policy), Refusal("operator"))],
        Fails,
        "DROP TABLE IF EXISTS memory_of_nothing",
    ),
    attack(
        "COPY FROM DATABASE acme TO memory",
        &[(Some(Policy), Refusal("pragma"))],
        Works,
        "CREATE TEMP TABLE u AS FROM t",
    ),
    attack(
        "USE memory; CREATE TABLE lost (i INT)",
        &[(Some(Policy), Refusal("search-path")), (Some(Roles), Refusal("foreign-database"))],
        Works,
        "USE acme.main; SELECT current_schema()",
    ),
    attack(
        "SET schema = 'memory.main'",
        &[(Some(Policy), Refusal("search-path"))],
        Works,
        "SET schema = 'acme.main'",
    ),
    attack(
        "SET search_path = 'main,memory.main'",
        &[(Some(Policy), Refusal("search-path"))],
        Works,
        "SET search_path = 'main'",
    ),
    attack(
        "CREATE TABLE memory.main.lost (i INT)",
        &[(Some(Policy), Refusal("foreign-database")), (Some(Roles), Refusal("foreign-database"))],
        Works,
        "CREATE OR REPLACE TABLE kept (i INT)",
    ),
    attack(
        "CREATE SEQUENCE memory.main.lost",
        &[(Some(Policy), Refusal("foreign-database")), (Some(Roles), Refusal("foreign-database"))],
        Works,
        "CREATE OR REPLACE SEQUENCE kept_too",
    ),
    // The database's own files.
    attack(
        "COPY t TO 'roost://main' (FORMAT csv, USE_TMP_FILE false)",
        &[(Some(Policy), Refusal("operator")), (None, Message("roost://"))],
        Fails,
        "SELECT 'roost://main'",
    ),
    attack(
        "COPY t TO 'roost://main.wal' (FORMAT csv, USE_TMP_FILE false)",
        &[(Some(Policy), Refusal("operator")), (None, Message("roost://"))],
        Fails,
        "SELECT 2",
    ),
    attack("FROM read_blob('roost://main')", &[(None, Message("roost://"))], Fails, "SELECT 3"),
    attack("FROM read_text('roost://main.wal')", &[(None, Message("roost://"))], Fails, "SELECT 4"),
    attack("FROM read_csv('roost://main.wal')", &[(None, Message("roost://"))], Fails, "SELECT 5"),
    attack("EXPORT DATABASE acme TO 'roost://exported'", &[(None, Message("roost://"))], Fails, "SELECT 6"),
    attack(
        "CHECKPOINT",
        &[
            (Some(Policy), Refusal("table-function")),
            (Some(BindGuards), Message("CHECKPOINT is not available")),
        ],
        Works,
        "VACUUM",
    ),
    attack(
        "FORCE CHECKPOINT acme",
        &[
            (Some(Policy), Refusal("table-function")),
            (Some(BindGuards), Message("CHECKPOINT is not available")),
        ],
        Works,
        "ANALYZE",
    ),
    attack(
        "FROM system.main.force_checkpoint('acme')",
        &[
            (Some(Policy), Refusal("table-function")),
            (Some(BindGuards), Message("CHECKPOINT is not available")),
        ],
        Works,
        "PRAGMA database_size",
    ),
    attack("FROM range(nextval('s'))", &[(Some(BindGuards), Message("nextval()"))], Fails, "FROM range(3)"),
    attack(
        "PREPARE p AS FROM range(nextval('s'))",
        &[(Some(BindGuards), Message("nextval()"))],
        Fails,
        "PREPARE p AS SELECT nextval('s'); EXECUTE p",
    ),
    attack(
        "PRAGMA enable_checkpoint_on_shutdown",
        &[(Some(Policy), Refusal("pragma"))],
        Works,
        "PRAGMA database_list",
    ),
    attack(
        "SET checkpoint_threshold = '1KB'",
        &[(Some(Policy), Refusal("setting")), (Some(Configuration), Message("locked"))],
        Works,
        "SET integer_division = true",
    ),
    // The network, extensions, secrets.
    attack(
        "INSTALL httpfs",
        &[(Some(Policy), Refusal("operator")), (Some(ExternalAccess), Message("disabled"))],
        Fails,
        "SELECT 'httpfs'",
    ),
    attack(
        "FORCE INSTALL httpfs FROM 'http://127.0.0.1:9'",
        &[(Some(Policy), Refusal("operator")), (Some(ExternalAccess), Message("disabled"))],
        Fails,
        "SELECT 'http://127.0.0.1:9'",
    ),
    attack(
        "LOAD '{dir}/secret.txt'",
        &[(Some(Policy), Refusal("operator")), (Some(ExternalAccess), Message("disabled"))],
        Fails,
        "SELECT '{dir}/secret.txt'",
    ),
    attack("UPDATE EXTENSIONS", &[(Some(Policy), Refusal("operator"))], Fails, "SELECT 7"),
    attack(
        "FROM read_csv('http://127.0.0.1:9/x.csv')",
        &[(Some(ExternalAccess), Message("disabled"))],
        Fails,
        "SELECT 8",
    ),
    attack(
        "FROM 's3://bucket/x.parquet'",
        &[(Some(ExternalAccess), Message("disabled"))],
        Fails,
        "SELECT 's3://bucket/x.parquet'",
    ),
    attack(
        "CREATE SECRET k (TYPE http, BEARER_TOKEN 'x')",
        &[(Some(Policy), Refusal("operator"))],
        Works,
        "CREATE OR REPLACE TYPE secret AS ENUM ('x')",
    ),
    attack(
        "CREATE PERSISTENT SECRET k (TYPE http, BEARER_TOKEN 'x')",
        &[(Some(Policy), Refusal("operator")), (Some(Secrets), Message("disabled"))],
        Fails,
        "SELECT 9",
    ),
    attack(
        "FROM duckdb_secrets()",
        &[(Some(Policy), Refusal("table-function"))],
        Fails,
        "FROM duckdb_types()",
    ),
    attack(
        "FROM which_secret('s3://bucket', 's3')",
        &[(Some(Policy), Refusal("table-function"))],
        Fails,
        "FROM duckdb_views()",
    ),
    // The machine and other sessions.
    attack(
        "FROM duckdb_settings()",
        &[(Some(Policy), Refusal("table-function"))],
        Works,
        "SELECT current_setting('TimeZone')",
    ),
    attack(
        "FROM duckdb_extensions()",
        &[(Some(Policy), Refusal("table-function"))],
        Works,
        "FROM duckdb_functions()",
    ),
    attack(
        "FROM duckdb_temporary_files()",
        &[(Some(Policy), Refusal("table-function"))],
        Works,
        "FROM duckdb_tables()",
    ),
    attack(
        "FROM duckdb_external_file_cache()",
        &[(Some(Policy), Refusal("table-function"))],
        Works,
        "FROM duckdb_columns()",
    ),
    attack(
        "FROM duckdb_logs()",
        &[(Some(Policy), Refusal("table-function"))],
        Works,
        "FROM duckdb_constraints()",
    ),
    attack(
        "FROM duckdb_log_contexts()",
        &[(Some(Policy), Refusal("table-function"))],
        Works,
        "FROM duckdb_indexes()",
    ),
    attack(
        "CALL enable_logging()",
        &[(Some(Policy), Refusal("table-function"))],
        Fails,
        "CALL pragma_version()",
    ),
    attack(
        "CALL enable_profiling()",
        &[(Some(Policy), Refusal("table-function"))],
        Fails,
        "CALL pragma_platform()",
    ),
    attack(
        "CALL truncate_duckdb_logs()",
        &[(Some(Policy), Refusal("table-function"))],
        Works,
        "TRUNCATE texts",
    ),
    attack(
        "SELECT write_log('x')",
        &[(Some(Policy), Refusal("scalar-function"))],
        Works,
        "SELECT upper('x')",
    ),
    attack("PRAGMA enable_profiling", &[(Some(Policy), Refusal("pragma"))], Works, "PRAGMA show_tables"),
    attack("PRAGMA verify_parallelism", &[(Some(Policy), Refusal("pragma"))], Works, "PRAGMA collations"),
    attack("PRAGMA enable_verification", &[(Some(Policy), Refusal("pragma"))], Works, "PRAGMA functions"),
    // What is locked.
    attack(
        "SET enable_external_access = true",
        &[(Some(Policy), Refusal("setting")), (Some(Configuration), Message("locked"))],
        Fails,
        "SET VARIABLE x = 1",
    ),
    attack(
        "SET lock_configuration = false",
        &[(Some(Policy), Refusal("setting")), (Some(Configuration), Message("locked"))],
        Fails,
        "SET VARIABLE x = 1",
    ),
    attack(
        "SET allowed_directories = ['/']",
        &[(Some(Policy), Refusal("setting")), (Some(Configuration), Message("locked"))],
        Works,
        "SET VARIABLE x = 1",
    ),
    attack(
        "SET memory_limit = '1TB'",
        &[(Some(Policy), Refusal("setting")), (Some(Configuration), Message("locked"))],
        Works,
        "SET VARIABLE x = 1",
    ),
    attack(
        "SET threads = 64",
        &[(Some(Policy), Refusal("setting")), (Some(Configuration), Message("locked"))],
        Works,
        "SET VARIABLE x = 1",
    ),
    attack(
        "SET temp_directory = '{dir}/elsewhere'",
        &[(Some(Policy), Refusal("setting")), (Some(Configuration), Message("locked"))],
        Works,
        "SET VARIABLE x = 1",
    ),
    attack(
        "SET max_temp_directory_size = '1TB'",
        &[(Some(Policy), Refusal("setting")), (Some(Configuration), Message("locked"))],
        Works,
        "SET VARIABLE x = 1",
    ),
    attack(
        "SET autoload_known_extensions = true",
        &[(Some(Policy), Refusal("setting")), (Some(Configuration), Message("locked"))],
        Works,
        "SET VARIABLE x = 1",
    ),
    attack(
        "SET custom_extension_repository = 'http://127.0.0.1:9'",
        &[(Some(Policy), Refusal("setting")), (Some(Configuration), Message("locked"))],
        Works,
        "SET VARIABLE x = 1",
    ),
    attack(
        "SET secret_directory = '{dir}'",
        &[(Some(Policy), Refusal("setting")), (Some(Configuration), Message("locked"))],
        Fails,
        "SET VARIABLE x = 1",
    ),
    attack(
        "SET disable_database_invalidation = true",
        &[(Some(Policy), Refusal("setting")), (Some(Configuration), Message("locked"))],
        Fails,
        "SET VARIABLE x = 1",
    ),
    attack(
        "SET GLOBAL TimeZone = 'Asia/Tokyo'",
        &[(Some(Policy), Refusal("setting"))],
        Works,
        "SET TimeZone = 'Asia/Tokyo'",
    ),
    attack(
        "RESET memory_limit",
        &[(Some(Policy), Refusal("setting")), (Some(Configuration), Message("locked"))],
        Works,
        "RESET TimeZone",
    ),
    // Roles.
    by_reader(
        "INSERT INTO t VALUES (2)",
        &[(Some(Roles), Refusal("read-only"))],
        "INSERT INTO texts VALUES ('z')",
    ),
    by_reader("SELECT nextval('s')", &[(Some(Roles), Refusal("read-only"))], "SELECT nextval('s')"),
    by_reader(
        "CREATE TABLE mine (i INT)",
        &[(Some(Roles), Refusal("read-only"))],
        "CREATE TEMP TABLE mine (i INT)",
    ),
    by_reader(
        "PREPARE p AS DELETE FROM t; EXECUTE p",
        &[(Some(Roles), Refusal("read-only"))],
        "PREPARE p AS DELETE FROM texts; EXECUTE p",
    ),
    by_reader(
        "EXPLAIN ANALYZE UPDATE t SET i = 2",
        &[(Some(Roles), Refusal("read-only"))],
        "EXPLAIN UPDATE t SET i = 2",
    ),
];
