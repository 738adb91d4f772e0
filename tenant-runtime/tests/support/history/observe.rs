//! All that can be seen of a database, as labelled texts: two databases are the same if these are.

use arrow_array::{cast::AsArray as _, types::Int64Type};
use roost_duckdb::{Connection, EngineError, ErrorKind};
use std::collections::BTreeMap;

/// Rows of a table that are told one by one.
const TOLD_ROWS: u64 = 100;
/// Keys of each index that are looked for.
const KEYS: u64 = 6;

/// Questions and what came back: rows, or the kind of an error.
#[derive(Debug, Default)]
pub struct Observed {
    texts: BTreeMap<String, String>,
    /// Lookups that were made: tables, and conditions over the keys of their indexes.
    lookups: Vec<(String, String)>,
}

/// The catalog's own tables, and what of them must be the same. Texts of one column.
const CATALOG: [(&str, &str); 9] = [
    ("schemas", "concat_ws(' | ', schema_name, comment) FROM duckdb_schemas()"),
    (
        "tables",
        "concat_ws(' | ', schema_name, table_name, comment, has_primary_key, index_count, check_constraint_count, sql) \
         FROM duckdb_tables()",
    ),
    (
        "columns",
        "concat_ws(' | ', schema_name, table_name, column_index, column_name, data_type, is_nullable, \
         coalesce(column_default, 'no default'), comment) FROM duckdb_columns()",
    ),
    (
        "constraints",
        "concat_ws(' | ', schema_name, table_name, constraint_type, constraint_text, constraint_column_names, \
         referenced_table, referenced_column_names) FROM duckdb_constraints()",
    ),
    (
        "indexes",
        "concat_ws(' | ', schema_name, table_name, index_name, is_unique, expressions, sql, comment) \
         FROM duckdb_indexes()",
    ),
    ("views", "concat_ws(' | ', schema_name, view_name, sql, comment) FROM duckdb_views()"),
    (
        "sequences",
        "concat_ws(' | ', schema_name, sequence_name, start_value, min_value, max_value, increment_by, cycle, comment) \
         FROM duckdb_sequences()",
    ),
    ("types", "concat_ws(' | ', schema_name, type_name, logical_type, labels, comment) FROM duckdb_types()"),
    (
        "macros",
        "concat_ws(' | ', schema_name, function_name, function_type, parameters, macro_definition, comment) \
         FROM duckdb_functions()",
    ),
];

/// No views.
const TABLES_ONLY: &str = " AND (schema_name, table_name) IN (SELECT (schema_name, table_name) FROM duckdb_tables() \
     WHERE database_name = current_database())";

/// Rows of one column of texts.
pub fn texts(connection: &mut Connection, sql: &str) -> Result<Vec<String>, EngineError> {
    let mut found = Vec::new();
    connection.each_batch(sql, |batch| {
        let column = batch.column(0).as_string::<i32>();
        found.extend(column.iter().map(|text| text.unwrap_or("NULL").to_owned()));
        Ok::<_, EngineError>(())
    })?;
    Ok(found)
}

/// Rows that a statement changes, which is rolled back.
fn undone(connection: &mut Connection, sql: &str) -> Result<Result<i64, EngineError>, String> {
    connection.run("BEGIN").map_err(|error| error.to_string())?;
    let mut rows = 0;
    let outcome = connection.each_batch(sql, |batch| {
        rows += batch.column(0).as_primitive::<Int64Type>().iter().flatten().sum::<i64>();
        Ok::<_, EngineError>(())
    });
    connection.run("ROLLBACK").map_err(|error| error.to_string())?;
    Ok(outcome.map(|()| rows))
}

fn error_text(error: &EngineError) -> String {
    format!("error: {:?}", error.kind)
}

impl Observed {
    /// Reads everything that can be read.
    pub fn read(connection: &mut Connection) -> Result<Self, String> {
        let lookups = |key: Key, connection: &mut Connection| {
            let conditions = key.conditions(connection).into_iter();
            conditions.map(|condition| (key.table.clone(), condition)).collect::<Vec<_>>()
        };
        let keys = keys(connection)?;
        let lookups = keys.into_iter().flat_map(|key| lookups(key, connection)).collect();
        Self::read_with(connection, lookups)
    }

    /// Reads another database, and looks up what was looked up in this one.
    pub fn read_alike(&self, connection: &mut Connection) -> Result<Self, String> {
        Self::read_with(connection, self.lookups.clone())
    }

    fn read_with(connection: &mut Connection, lookups: Vec<(String, String)>) -> Result<Self, String> {
        let mut observed = Self::default();
        for (what, select) in CATALOG {
            let internal = if what == "constraints" { "" } else { " AND NOT internal" };
            // A view that was bound before its table was replaced keeps the types of then, until it is loaded again.
            let of_tables = if what == "columns" { TABLES_ONLY } else { "" };
            let sql = format!(
                "SELECT {select} WHERE database_name = current_database(){internal}{of_tables} ORDER BY 1"
            );
            observed.ask(connection, what, &sql);
            // The name of a type is quoted or not, in the same expression.
            if let Some(text) = observed.texts.get_mut(what) {
                *text = text.replace('"', "");
            }
        }
        for relation in relations(connection)? {
            observed.rows(connection, &relation);
        }
        for (table, condition) in &lookups {
            observed.look_up(connection, table, condition);
        }
        Ok(Self { lookups, ..observed })
    }

    fn ask(&mut self, connection: &mut Connection, what: &str, sql: &str) -> Option<String> {
        let outcome = texts(connection, sql).map(|rows| rows.join("\n"));
        let text = outcome.as_ref().map_or_else(error_text, Clone::clone);
        self.texts.insert(what.to_owned(), text);
        outcome.ok()
    }

    fn rows(&mut self, connection: &mut Connection, relation: &str) {
        let sql = format!(
            "SELECT count(*) || ' rows, hash ' || coalesce(sum(hash(\"#\")), 0) FROM {relation} \"#\""
        );
        let counted = self.ask(connection, &format!("content of {relation}"), &sql);
        let count = counted.and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
        if count.is_some_and(|count| count <= TOLD_ROWS) {
            let sql = format!("SELECT \"#\"::VARCHAR FROM {relation} \"#\" ORDER BY 1");
            self.ask(connection, &format!("rows of {relation}"), &sql);
        }
    }

    /// Looks through an index for keys, and counts the same without it.
    fn look_up(&mut self, connection: &mut Connection, table: &str, condition: &str) {
        let through = format!("SELECT count(*)::VARCHAR FROM {table} WHERE {condition}");
        let beside = format!("SELECT (count(*) FILTER ({condition}))::VARCHAR FROM {table}");
        self.ask(connection, &format!("lookup in {table}: {condition}"), &through);
        self.ask(connection, &format!("scan of {table}: {condition}"), &beside);
    }

    /// The same for what must be refused, each in a transaction that is rolled back: rows whose key is there already, and
    /// what a foreign key forbids. What was not refused.
    pub fn duplicates(connection: &mut Connection) -> Result<Vec<String>, String> {
        let mut accepted = Vec::new();
        for reference in references(connection)? {
            accepted.extend(reference.unkept(connection)?);
        }
        for key in keys(connection)? {
            if !key.unique {
                continue;
            }
            let Key { table, columns, .. } = &key;
            if let Some(named) = key.plain() {
                // Another index may refuse a row as well: this one is asked alone.
                let present = key.present();
                let again = format!(
                    "INSERT INTO {table} ({columns}) SELECT {columns} FROM {table} WHERE {present} \
                     ON CONFLICT ({named}) DO NOTHING"
                );
                match undone(connection, &again)? {
                    Ok(0) => {}
                    outcome => accepted.push(format!("{again}: {outcome:?}")),
                }
            }
            for condition in key.conditions(connection) {
                let there =
                    format!("SELECT count(*)::VARCHAR FROM (SELECT 1 FROM {table} WHERE {condition})");
                let scanned = format!("SELECT (count(*) FILTER ({condition}))::VARCHAR FROM {table}");
                let counts = (texts(connection, &there), texts(connection, &scanned));
                let (Ok(through), Ok(beside)) = counts else { continue };
                if through != beside {
                    accepted.push(format!("{table}: {condition}: {through:?} found, {beside:?} scanned"));
                }
                if beside == ["0"] {
                    continue;
                }
                // Named by ON CONFLICT it was asked about every row already.
                if key.plain().is_some() {
                    continue;
                }
                let again = format!(
                    "INSERT INTO {table} ({columns}) SELECT {columns} FROM {table} WHERE ({condition}) IS TRUE LIMIT 1"
                );
                match undone(connection, &again)? {
                    Err(error) if error.kind == ErrorKind::Constraint => {}
                    outcome => accepted.push(format!("{again}: {outcome:?}")),
                }
            }
        }
        Ok(accepted)
    }

    /// The difference, with this one's text first. None if there is none.
    pub fn difference(&self, other: &Self) -> Option<String> {
        let labels = self.texts.keys().chain(other.texts.keys()).collect::<std::collections::BTreeSet<_>>();
        let text = |of: &Self, label: &str| of.texts.get(label).map_or("nothing".to_owned(), Clone::clone);
        let differing = labels.into_iter().filter(|label| self.texts.get(*label) != other.texts.get(*label));
        let told: Vec<_> = differing
            .map(|label| format!("{label}:\n{}\nbut:\n{}", text(self, label), text(other, label)))
            .collect();
        (!told.is_empty()).then(|| told.join("\n\n"))
    }
}

/// Tables and views, as SQL names them.
fn relations(connection: &mut Connection) -> Result<Vec<String>, String> {
    let sql = "SELECT '\"' || schema_name || '\".\"' || name || '\"' FROM ( \
               SELECT schema_name, table_name AS name FROM duckdb_tables() \
               WHERE database_name = current_database() AND NOT internal UNION ALL \
               SELECT schema_name, view_name FROM duckdb_views() \
               WHERE database_name = current_database() AND NOT internal) ORDER BY 1";
    texts(connection, sql).map_err(|error| error.to_string())
}

/// Key of an index: what it is over.
struct Key {
    table: String,
    unique: bool,
    /// Its expressions.
    parts: Vec<String>,
    /// All columns of the table that can be written.
    columns: String,
}

impl Key {
    /// Condition that a row has a key: none of its parts is NULL.
    fn present(&self) -> String {
        self.parts.iter().map(|part| format!("({part}) IS NOT NULL")).collect::<Vec<_>>().join(" AND ")
    }

    /// Its columns, as ON CONFLICT names them; none if it is over something else.
    fn plain(&self) -> Option<String> {
        let is_name = |part: &str| part.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        let all = self.parts.iter().all(|part| is_name(part.trim_matches('"')));
        all.then(|| self.parts.join(", "))
    }

    /// Conditions that hold for some rows: those keys that come first by their hash, and the newest.
    fn conditions(&self, connection: &mut Connection) -> Vec<String> {
        let Self { table, parts, .. } = self;
        let texts_of = parts.iter().map(|part| format!("({part})::VARCHAR")).collect::<Vec<_>>().join(", ");
        let present = self.present();
        let literal = |n: usize| format!("'''' || replace(k[{}], '''', '''''') || ''''", n + 1);
        let equals = parts
            .iter()
            .enumerate()
            .map(|(n, part)| format!("'({}) = ' || {}", part.replace('\'', "''"), literal(n)))
            .collect::<Vec<_>>()
            .join(" || ' AND ' || ");
        let sql = format!(
            "SELECT {equals} FROM (SELECT DISTINCT [{texts_of}] AS k FROM {table} WHERE {present}) \
             ORDER BY hash(k), k LIMIT {KEYS}"
        );
        let mut found = texts(connection, &sql).unwrap_or_default();
        if let Some(first) = found.first() {
            // The same with another order of bytes: the last key, which a replay is most likely to lose.
            let sql = format!(
                "SELECT {equals} FROM (SELECT arg_max([{texts_of}], rowid) AS k FROM {table} WHERE {present})"
            );
            let last = texts(connection, &sql).unwrap_or_default();
            let known = first.clone();
            found.extend(last.into_iter().filter(|last| *last != known));
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// A foreign key of one column.
#[derive(serde::Deserialize)]
struct Reference {
    child: String,
    referring: String,
    parent: String,
    key: String,
}

impl Reference {
    /// A child without a parent, and a parent that is taken from its children: what was not refused. (Another constraint
    /// may refuse it in place of this one.)
    fn unkept(&self, connection: &mut Connection) -> Result<Vec<String>, String> {
        let Self { child, referring, parent, key } = self;
        let mut accepted = Vec::new();
        let orphan = format!(
            "UPDATE {child} SET {referring} = (SELECT max({key}) FROM {parent}) + 1 \
             WHERE rowid = (SELECT max(rowid) FROM {child} WHERE {referring} IS NOT NULL)"
        );
        let parentless = format!(
            "DELETE FROM {parent} WHERE {key} IN (SELECT {referring} FROM {child} WHERE {referring} IS NOT NULL LIMIT 1)"
        );
        for forbidden in [orphan, parentless] {
            match undone(connection, &forbidden)? {
                Ok(0) | Err(EngineError { kind: ErrorKind::Constraint, .. }) => {}
                // The key is of a type that has no next value.
                Err(error) if matches!(error.kind, ErrorKind::Binder | ErrorKind::OutOfRange) => {}
                outcome => accepted.push(format!("{forbidden}: {outcome:?}")),
            }
        }
        Ok(accepted)
    }
}

fn references(connection: &mut Connection) -> Result<Vec<Reference>, String> {
    let sql = "SELECT to_json({child: '\"' || schema_name || '\".\"' || table_name || '\"', \
               referring: '\"' || constraint_column_names[1] || '\"', \
               parent: '\"' || schema_name || '\".\"' || referenced_table || '\"', \
               key: '\"' || referenced_column_names[1] || '\"'})::VARCHAR \
               FROM duckdb_constraints() WHERE database_name = current_database() \
               AND constraint_type = 'FOREIGN KEY' AND len(constraint_column_names) = 1 ORDER BY 1";
    let rows = texts(connection, sql).map_err(|error| error.to_string())?;
    rows.iter().map(|row| serde_json::from_str(row).map_err(|error| error.to_string())).collect()
}

fn keys(connection: &mut Connection) -> Result<Vec<Key>, String> {
    let sql = "SELECT to_json({t: '\"' || schema_name || '\".\"' || table_name || '\"', u: u, p: p, c: ( \
               SELECT string_agg('\"' || column_name || '\"', ', ' ORDER BY column_index) FROM duckdb_columns() c \
               WHERE c.database_name = current_database() AND c.schema_name = k.schema_name \
               AND c.table_name = k.table_name AND c.column_name NOT LIKE 'g%')})::VARCHAR FROM ( \
               SELECT schema_name, table_name, true AS u, \
               list_transform(constraint_column_names, lambda x: '\"' || x || '\"') AS p \
               FROM duckdb_constraints() WHERE database_name = current_database() \
               AND constraint_type IN ('PRIMARY KEY', 'UNIQUE') UNION ALL \
               SELECT schema_name, table_name, is_unique, expressions::VARCHAR[] FROM duckdb_indexes() \
               WHERE database_name = current_database()) k ORDER BY 1";
    let rows = texts(connection, sql).map_err(|error| error.to_string())?;
    rows.iter()
        .map(|row| {
            let row: serde_json::Value = serde_json::from_str(row).map_err(|error| error.to_string())?;
            let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
            let parts = row["p"].as_array().map(|parts| parts.iter().map(text).collect()).unwrap_or_default();
            Ok(Key { table: text(&row["t"]), unique: row["u"] == true, parts, columns: text(&row["c"]) })
        })
        .collect()
}
