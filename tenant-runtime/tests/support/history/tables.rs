//! Statements that make, change and drop tables and their indexes.

use super::{
    catalog::{Named, Table},
    statements::{Kind, Scene},
    values::{RARE_TYPES, TYPES, can_be_key, expression, number},
};

const fn kind(name: &'static str, weight: u32, write: fn(&mut Scene<'_>) -> Option<String>) -> Kind {
    Kind { name, weight, write }
}

/// Rows that one thread works on at most: a row group.
const ONE_THREAD: u64 = 122_880;

pub const KINDS: &[Kind] = &[
    kind("create table", 8, |scene| create_table(scene, "CREATE TABLE")),
    kind("create table if not exists", 1, |scene| create_table(scene, "CREATE TABLE IF NOT EXISTS")),
    kind("create or replace table", 1, |scene| {
        let table = scene.table()?;
        let name = scene.table_name(&table);
        definition(scene).map(|columns| format!("CREATE OR REPLACE TABLE {name} ({columns})"))
    }),
    kind("create table with a foreign key", 4, create_child),
    kind("create table as", 3, |scene| create_table_as(scene, "CREATE TABLE")),
    kind("create or replace table as", 1, |scene| create_table_as(scene, "CREATE OR REPLACE TABLE")),
    kind("create table as bulk", 1, |scene| {
        let name = fresh_table(scene)?;
        Some(format!("CREATE TABLE {name} AS SELECT i, 'k' || i AS b FROM range(130000) r(i)"))
    }),
    kind("drop table", 2, |scene| {
        let table = scene.table()?;
        let cascade = if scene.chance(40) { " CASCADE" } else { "" };
        Some(format!("DROP TABLE {}{cascade}", scene.table_name(&table)))
    }),
    kind("rename table", 3, |scene| {
        let table = scene.table()?;
        let to = 1 + scene.number(6);
        Some(format!("ALTER TABLE {} RENAME TO t{to}", scene.table_name(&table)))
    }),
    kind("add column", 3, |scene| add_column(scene, 0)),
    kind("add column with a default", 3, |scene| add_column(scene, 1)),
    kind("add column with nextval", 1, |scene| add_column(scene, 2)),
    kind("drop column", 2, |scene| {
        let (table, column) = scene.column(|table, _| table.columns.len() > 1)?;
        let cascade = if scene.chance(40) { " CASCADE" } else { "" };
        Some(format!("ALTER TABLE {} DROP COLUMN {}{cascade}", scene.table_name(&table), column.name))
    }),
    kind("rename column", 2, |scene| {
        let (table, column) = scene.column(|_, _| true)?;
        let prefix = if column.is_generated() { "g" } else { "c" };
        let to = 1 + scene.number(9);
        Some(format!(
            "ALTER TABLE {} RENAME COLUMN {} TO {prefix}{to}",
            scene.table_name(&table),
            column.name
        ))
    }),
    kind("alter type", 2, |scene| {
        let (table, column) = scene.column(|_, column| !column.is_generated())?;
        let to = *scene.pick(&["BIGINT", "VARCHAR", "INTEGER", "DOUBLE"])?;
        let using =
            if scene.chance(30) { format!(" USING ({}::VARCHAR)::{to}", column.name) } else { String::new() };
        Some(format!("ALTER TABLE {} ALTER {} TYPE {to}{using}", scene.table_name(&table), column.name))
    }),
    kind("alter type to an enum", 2, |scene| {
        let (table, column) =
            scene.column(|_, column| column.r#type == "VARCHAR" || column.r#type.starts_with("ENUM"))?;
        let types = &scene.catalog.types;
        let to = scene.named(types)?;
        Some(format!("ALTER TABLE {} ALTER {} TYPE {to}", scene.table_name(&table), column.name))
    }),
    kind("set default", 2, |scene| {
        let (table, column) = scene.column(|_, column| !column.is_generated())?;
        let n = number(scene.random);
        let value = expression(&column.r#type, &n);
        Some(format!("ALTER TABLE {} ALTER {} SET DEFAULT {value}", scene.table_name(&table), column.name))
    }),
    kind("set default nextval", 1, |scene| {
        let (table, column) = scene.column(|_, column| column.is_number() && !column.is_generated())?;
        let sequences = &scene.catalog.sequences;
        let sequence = scene.named(sequences)?;
        let name = scene.table_name(&table);
        Some(format!("ALTER TABLE {name} ALTER {} SET DEFAULT nextval('{sequence}')", column.name))
    }),
    kind("drop default", 1, |scene| {
        let (table, column) = scene.column(|_, column| column.has_default && !column.is_generated())?;
        Some(format!("ALTER TABLE {} ALTER {} DROP DEFAULT", scene.table_name(&table), column.name))
    }),
    kind("set not null", 2, |scene| {
        let (table, column) = scene.column(|_, column| column.nullable && !column.is_generated())?;
        Some(format!("ALTER TABLE {} ALTER {} SET NOT NULL", scene.table_name(&table), column.name))
    }),
    kind("drop not null", 1, |scene| {
        let (table, column) = scene.column(|_, column| !column.nullable)?;
        Some(format!("ALTER TABLE {} ALTER {} DROP NOT NULL", scene.table_name(&table), column.name))
    }),
    kind("add primary key", 2, add_primary_key),
    kind("create index", 3, |scene| create_index(scene, "INDEX")),
    kind("create unique index", 3, |scene| create_index(scene, "UNIQUE INDEX")),
    kind("drop index", 2, |scene| {
        let indexes = &scene.catalog.indexes;
        Some(format!("DROP INDEX {}", scene.named(indexes)?))
    }),
];

fn fresh_table(scene: &mut Scene<'_>) -> Option<String> {
    let named = |schema: &String, name: &String| Named { schema: schema.clone(), name: name.clone() };
    let tables = scene.catalog.tables.iter().map(|table| named(&table.schema, &table.name));
    let taken: Vec<_> = tables.chain(scene.catalog.views.iter().cloned()).collect();
    scene.fresh("t", &taken)
}

fn a_type(scene: &mut Scene<'_>) -> String {
    let types = &scene.catalog.types;
    match scene.named(types) {
        Some(name) if scene.chance(20) => name,
        Some(name) if scene.chance(5) => format!("{name}[]"),
        _ if scene.chance(10) => (*scene.pick(&RARE_TYPES).unwrap_or(&"INTEGER")).into(),
        _ => (*scene.pick(&TYPES).unwrap_or(&"INTEGER")).into(),
    }
}

/// Columns and constraints of a new table: its first column is a number `k`.
fn definition(scene: &mut Scene<'_>) -> Option<String> {
    let key = *scene.pick(&["INTEGER", "BIGINT"])?;
    let mut parts = vec![format!("k {key}")];
    if scene.chance(50) {
        parts[0] += " PRIMARY KEY";
    } else if scene.chance(20) {
        parts[0] += " NOT NULL";
    }
    if scene.chance(20) {
        let sequences = &scene.catalog.sequences;
        if let Some(sequence) = scene.named(sequences) {
            parts[0] += &format!(" DEFAULT nextval('{sequence}')");
        }
    }
    for n in 1..=1 + scene.number(4) {
        let r#type = a_type(scene);
        let mut column = format!("c{n} {type}");
        let known = TYPES.contains(&r#type.as_str());
        if known && scene.chance(25) {
            let value = number(scene.random);
            column += &format!(" DEFAULT {}", expression(&r#type, &value));
        }
        if can_be_key(&r#type) && scene.chance(15) {
            column += " UNIQUE";
        } else if scene.chance(10) {
            column += " NOT NULL";
        }
        if r#type == "INTEGER" && scene.chance(15) {
            column += &match scene.macro_over("mi") {
                Some(function) if scene.chance(60) => format!(" CHECK ({function}(c{n}) > -1000)"),
                _ => format!(" CHECK (c{n} > -1000)"),
            };
        }
        parts.push(column);
    }
    if scene.chance(15) {
        // Before the key, too.
        let at = if scene.chance(50) { 0 } else { parts.len() };
        parts.insert(at, "g1 BIGINT AS (k + 1)".into());
    }
    if scene.chance(10) {
        parts.push("UNIQUE (k, c1)".into());
    }
    if scene.chance(10) {
        parts.push("CHECK (k > -100000)".into());
    }
    Some(parts.join(", "))
}

fn create_table(scene: &mut Scene<'_>, create: &str) -> Option<String> {
    let (name, columns) = (fresh_table(scene)?, definition(scene)?);
    Some(format!("{create} {name} ({columns})"))
}

fn create_child(scene: &mut Scene<'_>) -> Option<String> {
    let parents: Vec<_> = scene
        .catalog
        .tables
        .iter()
        .filter(|table| table.keys.iter().any(|key| key.len() == 1))
        .cloned()
        .collect();
    let parent = scene.pick(&parents)?.clone();
    let key = parent.keys.iter().find(|key| key.len() == 1)?[0].clone();
    let r#type = parent.columns.iter().find(|column| column.name == key)?.r#type.clone();
    // A child is in its parent's schema.
    let name = (1..=6).map(|n| format!("t{n}")).find(|name| {
        !scene.catalog.tables.iter().any(|table| table.schema == parent.schema && table.name == *name)
    })?;
    let schema = &parent.schema;
    Some(format!(
        "CREATE TABLE {schema}.{name} (k INTEGER PRIMARY KEY, c1 {type} REFERENCES {schema}.{}({key}), c2 INTEGER)",
        parent.name
    ))
}

fn create_table_as(scene: &mut Scene<'_>, create: &str) -> Option<String> {
    let from = scene.table()?;
    let replaced = scene.table()?;
    let name = if create.contains("REPLACE") { scene.table_name(&replaced) } else { fresh_table(scene)? };
    Some(format!("{create} {name} AS SELECT * FROM {}", scene.table_name(&from)))
}

fn add_column(scene: &mut Scene<'_>, default: u8) -> Option<String> {
    let table = scene.table()?;
    let name = format!("c{}", 1 + scene.number(9));
    let r#type = if default == 1 { (*scene.pick(&TYPES)?).to_owned() } else { a_type(scene) };
    let clause = match default {
        0 => format!("{name} {type}"),
        1 => {
            let n = number(scene.random);
            format!("{name} {type} DEFAULT {}", expression(&r#type, &n))
        }
        // Threads number the row groups of a larger table in any order.
        _ if table.rows > ONE_THREAD => return None,
        _ => {
            let sequences = &scene.catalog.sequences;
            format!("{name} INTEGER DEFAULT nextval('{}')", scene.named(sequences)?)
        }
    };
    Some(format!("ALTER TABLE {} ADD COLUMN {clause}", scene.table_name(&table)))
}

fn add_primary_key(scene: &mut Scene<'_>) -> Option<String> {
    // A table with generated columns would kill the engine; it is refused elsewhere.
    let fits = |table: &Table| {
        !table.has_primary_key && !table.columns.iter().any(super::catalog::Column::is_generated)
    };
    let (table, column) = scene.column(|table, column| fits(table) && can_be_key(&column.r#type))?;
    let second =
        if scene.chance(20) { scene.pick(&table.columns).map(|column| column.name.clone()) } else { None };
    let columns = match second {
        Some(second) if second != column.name => format!("{}, {second}", column.name),
        _ => column.name,
    };
    Some(format!("ALTER TABLE {} ADD PRIMARY KEY ({columns})", scene.table_name(&table)))
}

fn create_index(scene: &mut Scene<'_>, what: &str) -> Option<String> {
    let (table, column) = scene.column(|_, column| !column.is_generated() && can_be_key(&column.r#type))?;
    let name = format!("i{}", 1 + scene.number(6));
    let columns: Vec<_> =
        table.columns.iter().filter(|c| !c.is_generated() && can_be_key(&c.r#type)).cloned().collect();
    let second = scene.pick(&columns)?.name.clone();
    let over = if column.is_number() && scene.chance(20) {
        format!("({} + 1)", column.name)
    } else if column.r#type == "VARCHAR" && scene.chance(20) {
        format!("lower({})", column.name)
    } else if second != column.name && scene.chance(30) {
        format!("{}, {second}", column.name)
    } else {
        column.name
    };
    Some(format!("CREATE {what} {name} ON {} ({over})", scene.table_name(&table)))
}
