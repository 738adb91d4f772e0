//! Statements about everything that is no table: schemas, views, sequences, types, macros, comments.

use super::statements::{Kind, Scene};
use rand::seq::IndexedRandom as _;

const fn kind(name: &'static str, weight: u32, write: fn(&mut Scene<'_>) -> Option<String>) -> Kind {
    Kind { name, weight, write }
}

pub const KINDS: &[Kind] = &[
    kind("create schema", 2, |scene| {
        let name = 1 + scene.number(3);
        let exists = if scene.chance(20) { "IF NOT EXISTS " } else { "" };
        Some(format!("CREATE SCHEMA {exists}s{name}"))
    }),
    kind("drop schema", 1, |scene| {
        let schema = scene.schema();
        let cascade = if scene.chance(70) { " CASCADE" } else { "" };
        (schema != "main" && schema != scene.catalog.current)
            .then(|| format!("DROP SCHEMA {schema}{cascade}"))
    }),
    // With tables it would be held.
    kind("drop schema without tables", 1, |scene| {
        let has_tables = |schema: &String| scene.catalog.tables.iter().any(|table| table.schema == *schema);
        let may_go =
            |schema: &&String| *schema != "main" && **schema != scene.catalog.current && !has_tables(schema);
        let empty: Vec<_> = scene.catalog.schemas.iter().filter(may_go).cloned().collect();
        let schema = scene.pick(&empty)?.clone();
        Some(format!("DROP SCHEMA {schema}{}", if scene.chance(70) { " CASCADE" } else { "" }))
    }),
    kind("use schema", 2, |scene| Some(format!("USE acme.{}", scene.schema()))),
    kind("create view", 4, |scene| create_view(scene, "CREATE VIEW")),
    kind("create or replace view", 2, replace_view),
    kind("drop view", 1, |scene| {
        let views = &scene.catalog.views;
        Some(format!("DROP VIEW {}", scene.named(views)?))
    }),
    kind("rename view", 1, |scene| {
        let views = &scene.catalog.views;
        let (view, to) = (scene.named(views)?, 1 + scene.number(5));
        Some(format!("ALTER VIEW {view} RENAME TO v{to}"))
    }),
    kind("create sequence", 4, |scene| {
        let sequences = &scene.catalog.sequences;
        let name = scene.fresh("q", sequences)?;
        let options = *scene.pick(&[
            "",
            "",
            " START 100",
            " INCREMENT BY 5",
            " START 1000 INCREMENT BY -3 MAXVALUE 1000",
        ])?;
        Some(format!("CREATE SEQUENCE {name}{options}"))
    }),
    kind("create or replace sequence", 1, |scene| {
        let sequences = &scene.catalog.sequences;
        Some(format!("CREATE OR REPLACE SEQUENCE {} START 500", scene.named(sequences)?))
    }),
    kind("drop sequence", 1, |scene| {
        let sequences = &scene.catalog.sequences;
        let cascade = if scene.chance(40) { " CASCADE" } else { "" };
        Some(format!("DROP SEQUENCE {}{cascade}", scene.named(sequences)?))
    }),
    kind("create type", 3, |scene| {
        let types = &scene.catalog.types;
        let name = scene.fresh("e", types)?;
        let labels = *scene.pick(&["'a', 'b', 'c'", "'x', 'y'", "'k1', 'k2', 'k3', 'k4'"])?;
        Some(format!("CREATE TYPE {name} AS ENUM ({labels})"))
    }),
    kind("drop type", 1, |scene| {
        let types = &scene.catalog.types;
        Some(format!("DROP TYPE {}", scene.named(types)?))
    }),
    kind("create macro", 4, |scene| new_macro(scene, &["mi", "ms"])),
    kind("create table macro", 2, |scene| new_macro(scene, &["mt"])),
    kind("create or replace macro", 2, |scene| {
        let macros = &scene.catalog.macros;
        let replaced = macros.choose(scene.random)?.clone();
        let name = scene.name(&replaced.schema, &replaced.name);
        Some(create_macro(scene, "CREATE OR REPLACE MACRO", (replaced.name, name)))
    }),
    kind("drop macro", 1, |scene| {
        let macros = &scene.catalog.macros;
        let dropped = macros.choose(scene.random)?.clone();
        let table = if dropped.name.starts_with("mt") { "TABLE " } else { "" };
        Some(format!("DROP MACRO {table}{}", scene.name(&dropped.schema, &dropped.name)))
    }),
    kind("comment", 4, comment),
];

/// A query over what there is.
fn query(scene: &mut Scene<'_>) -> Option<String> {
    match scene.number(4) {
        0 => scene.macro_over("mt").map(|function| format!("SELECT * FROM {function}(4)")),
        1 => {
            let (table, column) = scene.column(|_, column| column.r#type == "INTEGER")?;
            let function = scene.macro_over("mi").unwrap_or_else(|| "abs".into());
            Some(format!("SELECT {function}({}) AS x FROM {}", column.name, scene.table_name(&table)))
        }
        2 => {
            let views = &scene.catalog.views;
            scene.named(views).map(|view| format!("SELECT count(*) AS n FROM {view}"))
        }
        _ => {
            let (table, column) = scene.column(|_, _| true)?;
            Some(format!(
                "SELECT {0}, count(*) AS n FROM {1} GROUP BY {0}",
                column.name,
                scene.table_name(&table)
            ))
        }
    }
}

fn create_view(scene: &mut Scene<'_>, create: &str) -> Option<String> {
    let views = &scene.catalog.views;
    let (name, query) = (scene.fresh("v", views)?, query(scene)?);
    Some(format!("{create} {name} AS {query}"))
}

fn replace_view(scene: &mut Scene<'_>) -> Option<String> {
    let views = &scene.catalog.views;
    let (name, query) = (scene.named(views)?, query(scene)?);
    // One that calls itself says nothing.
    (!query.contains("FROM v") && !query.contains(".v"))
        .then(|| format!("CREATE OR REPLACE VIEW {name} AS {query}"))
}

fn new_macro(scene: &mut Scene<'_>, prefixes: &[&str]) -> Option<String> {
    let prefix = *scene.pick(prefixes)?;
    let macros = &scene.catalog.macros;
    let name = scene.fresh(prefix, macros)?;
    Some(create_macro(scene, "CREATE MACRO", (prefix.into(), name)))
}

/// A macro; the first letters of its name say what it is.
fn create_macro(scene: &mut Scene<'_>, create: &str, (kind, name): (String, String)) -> String {
    let n = scene.number(10);
    let body = match &kind[..2] {
        "mi" if scene.chance(30) => format!("(a) AS a + {n}, (a, b) AS a * b + {n}"),
        "mi" => format!("(a) AS a + {n}"),
        "ms" => format!("(a, b := 'x{n}') AS lower(a) || b"),
        _ => match scene.table() {
            Some(table) if scene.chance(50) => {
                format!("(n) AS TABLE SELECT count(*) AS c, n AS m FROM {}", scene.table_name(&table))
            }
            _ => format!("(n) AS TABLE SELECT i + {n} AS i FROM range(n) r(i)"),
        },
    };
    format!("{create} {name}{body}")
}

fn comment(scene: &mut Scene<'_>) -> Option<String> {
    let catalog = scene.catalog;
    let what = match scene.number(7) {
        0 => {
            let table = scene.table()?;
            format!("TABLE {}", scene.table_name(&table))
        }
        1 => {
            let (table, column) = scene.column(|_, _| true)?;
            format!("COLUMN {}.{}.{}", table.schema, table.name, column.name)
        }
        2 => format!("VIEW {}", scene.named(&catalog.views)?),
        3 => format!("SEQUENCE {}", scene.named(&catalog.sequences)?),
        4 => format!("TYPE {}", scene.named(&catalog.types)?),
        5 => format!("MACRO {}", scene.macro_over("mi")?),
        _ => format!("MACRO TABLE {}", scene.macro_over("mt")?),
    };
    let n = scene.number(100);
    Some(if n == 0 {
        format!("COMMENT ON {what} IS NULL")
    } else {
        format!("COMMENT ON {what} IS 'comment {n}'")
    })
}
