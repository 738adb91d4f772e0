//! Statements that change rows.

use super::{
    catalog::{Column, Table},
    statements::{Kind, Scene},
    values::{expression, number},
};

/// More rows than a row group has: DuckDB writes blocks before the commit.
const BULK: u32 = 130_000;
/// Tables that have more rows get no more in bulk.
const FULL: u64 = 400_000;

const fn kind(name: &'static str, weight: u32, write: fn(&mut Scene<'_>) -> Option<String>) -> Kind {
    Kind { name, weight, write }
}

pub const KINDS: &[Kind] = &[
    kind("insert a row", 12, insert_a_row),
    kind("insert rows", 10, insert_rows),
    kind("insert bulk", 1, insert_bulk),
    kind("insert nextval", 5, insert_nextval),
    kind("select nextval", 3, select_nextval),
    kind("update", 8, update),
    kind("update a key", 4, update_a_key),
    kind("delete", 6, delete),
    kind("upsert", 5, upsert),
    kind("merge", 2, merge),
    kind("truncate", 1, |scene| {
        let table = scene.table()?;
        Some(format!("TRUNCATE {}", scene.table_name(&table)))
    }),
];

/// Columns that get a value: all that must have one, and most of the others.
fn written(scene: &mut Scene<'_>, table: &Table) -> Vec<Column> {
    let all = table.columns.iter().filter(|column| !column.is_generated());
    let chosen: Vec<_> =
        all.filter(|column| (!column.nullable && !column.has_default) || scene.chance(75)).cloned().collect();
    if chosen.is_empty() {
        table.columns.iter().filter(|c| !c.is_generated()).take(1).cloned().collect()
    } else {
        chosen
    }
}

fn names(columns: &[Column]) -> String {
    columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ")
}

fn expressions(columns: &[Column], number: &str) -> String {
    columns.iter().map(|column| expression(&column.r#type, number)).collect::<Vec<_>>().join(", ")
}

fn insert_a_row(scene: &mut Scene<'_>) -> Option<String> {
    let table = scene.table()?;
    let columns = written(scene, &table);
    let values: Vec<_> = columns
        .iter()
        .map(|column| {
            let n = number(scene.random);
            if column.nullable && scene.chance(10) { "NULL".into() } else { expression(&column.r#type, &n) }
        })
        .collect();
    let (into, columns, values) = (scene.table_name(&table), names(&columns), values.join(", "));
    Some(format!("INSERT INTO {into} ({columns}) VALUES ({values})"))
}

fn insert_many(scene: &mut Scene<'_>, table: &Table, first: u32, count: u32) -> String {
    let columns = written(scene, table);
    let (into, names, values) = (scene.table_name(table), names(&columns), expressions(&columns, "i"));
    format!("INSERT INTO {into} ({names}) SELECT {values} FROM range({first}, {}) r(i)", first + count)
}

fn insert_rows(scene: &mut Scene<'_>) -> Option<String> {
    let table = scene.table()?;
    let (first, count) = (100 * scene.number(30), 1 + scene.number(90));
    Some(insert_many(scene, &table, first, count))
}

fn insert_bulk(scene: &mut Scene<'_>) -> Option<String> {
    let table = scene.table().filter(|table| table.rows < FULL)?;
    let first = 1_000_000 * (1 + scene.number(5));
    Some(insert_many(scene, &table, first, BULK))
}

fn insert_nextval(scene: &mut Scene<'_>) -> Option<String> {
    let sequences = &scene.catalog.sequences;
    let sequence = scene.named(sequences)?;
    let (table, column) = scene.column(|_, column| column.is_number() && !column.is_generated())?;
    let into = scene.table_name(&table);
    let count = 1 + scene.number(3);
    Some(format!(
        "INSERT INTO {into} ({}) SELECT nextval('{sequence}') FROM range({count}) r(i)",
        column.name
    ))
}

fn select_nextval(scene: &mut Scene<'_>) -> Option<String> {
    let sequences = &scene.catalog.sequences;
    let sequence = scene.named(sequences)?;
    Some(format!("SELECT nextval('{sequence}')"))
}

/// A condition that holds for some rows.
fn condition(scene: &mut Scene<'_>, table: &Table) -> String {
    let columns: Vec<_> = table.columns.iter().filter(|column| !column.is_generated()).cloned().collect();
    let Some(column) = scene.pick(&columns).cloned() else { return "true".into() };
    if column.is_number() {
        let (divisor, rest) = (2 + scene.number(6), scene.number(3));
        return format!("{} % {divisor} = {rest}", column.name);
    }
    let n = number(scene.random);
    format!("{} IS NOT DISTINCT FROM {}", column.name, expression(&column.r#type, &n))
}

fn assigned(scene: &mut Scene<'_>, column: &Column) -> String {
    if column.is_number() && scene.chance(50) {
        return format!("{0} = {0} + {1}", column.name, 1 + scene.number(3));
    }
    let n = number(scene.random);
    format!("{} = {}", column.name, expression(&column.r#type, &n))
}

fn update(scene: &mut Scene<'_>) -> Option<String> {
    let (table, column) = scene.column(|table, column| {
        !column.is_generated() && !table.keys.iter().any(|key| key.contains(&column.name))
    })?;
    let (name, set, condition) =
        (scene.table_name(&table), assigned(scene, &column), condition(scene, &table));
    Some(format!("UPDATE {name} SET {set} WHERE {condition}"))
}

fn update_a_key(scene: &mut Scene<'_>) -> Option<String> {
    let (table, column) = scene.column(|table, column| {
        column.is_number() && table.keys.iter().any(|key| key.contains(&column.name))
    })?;
    let (name, condition, by) =
        (scene.table_name(&table), condition(scene, &table), 10_000 * (1 + scene.number(4)));
    Some(format!("UPDATE {name} SET {0} = {0} + {by} WHERE {condition}", column.name))
}

fn delete(scene: &mut Scene<'_>) -> Option<String> {
    let table = scene.table()?;
    let (name, condition) = (scene.table_name(&table), condition(scene, &table));
    Some(format!("DELETE FROM {name} WHERE {condition}"))
}

/// A table with a key, that key, and a column beside it.
fn keyed(scene: &mut Scene<'_>) -> Option<(Table, Vec<String>, Column)> {
    let (table, column) = scene.column(|table, column| {
        !column.is_generated()
            && !table.keys.is_empty()
            && !table.keys.iter().any(|key| key.contains(&column.name))
    })?;
    let key = scene.pick(&table.keys)?.clone();
    Some((table, key, column))
}

fn upsert(scene: &mut Scene<'_>) -> Option<String> {
    let (table, key, column) = keyed(scene)?;
    let (first, count) = (scene.number(60), 1 + scene.number(40));
    let insert = {
        let columns: Vec<_> = table.columns.iter().filter(|column| !column.is_generated()).cloned().collect();
        let (into, names, values) = (scene.table_name(&table), names(&columns), expressions(&columns, "i"));
        format!("INSERT INTO {into} ({names}) SELECT {values} FROM range({first}, {}) r(i)", first + count)
    };
    let action = if scene.chance(30) {
        "NOTHING".into()
    } else {
        format!("UPDATE SET {0} = excluded.{0}", column.name)
    };
    Some(format!("{insert} ON CONFLICT ({}) DO {action}", key.join(", ")))
}

fn merge(scene: &mut Scene<'_>) -> Option<String> {
    let (table, key, column) = keyed(scene)?;
    let columns: Vec<_> = table.columns.iter().filter(|column| !column.is_generated()).cloned().collect();
    let (into, first) = (scene.table_name(&table), scene.number(60));
    let source = columns
        .iter()
        .map(|column| format!("{} AS {}", expression(&column.r#type, "i"), column.name))
        .collect::<Vec<_>>()
        .join(", ");
    let (key, names) = (key.join(", "), names(&columns));
    let values = columns.iter().map(|column| format!("s.{}", column.name)).collect::<Vec<_>>().join(", ");
    let matched =
        if scene.chance(30) { "DELETE".into() } else { format!("UPDATE SET {0} = s.{0}", column.name) };
    Some(format!(
        "MERGE INTO {into} USING (SELECT {source} FROM range({first}, {}) r(i)) s USING ({key}) \
         WHEN MATCHED THEN {matched} WHEN NOT MATCHED THEN INSERT ({names}) VALUES ({values})",
        first + 20
    ))
}
