//! Types of columns, and values of them that depend on nothing but a number.

use rand::{Rng as _, rngs::StdRng};

/// Types that need no other object.
pub const TYPES: [&str; 26] = [
    "INTEGER",
    "INTEGER",
    "INTEGER",
    "BIGINT",
    "BIGINT",
    "BIGINT",
    "VARCHAR",
    "VARCHAR",
    "VARCHAR",
    "VARCHAR COLLATE NOCASE",
    "UTINYINT",
    "DOUBLE",
    "DECIMAL(9,2)",
    "DATE",
    "TIME",
    "TIMESTAMP",
    "TIMESTAMP WITH TIME ZONE",
    "INTERVAL",
    "BOOLEAN",
    "BLOB",
    "BIT",
    "UUID",
    "JSON",
    "INTEGER[]",
    "VARCHAR[2]",
    "STRUCT(x INTEGER, y VARCHAR)",
];

/// Types of columns that are nested more, or rare; the catalog may write them otherwise.
pub const RARE_TYPES: [&str; 4] = [
    "MAP(INTEGER, VARCHAR)",
    "UNION(num INTEGER, txt VARCHAR)",
    "STRUCT(a INTEGER[], b STRUCT(c DATE, d VARCHAR))[]",
    "VARIANT",
];

/// An expression of a type over one that is a number: different numbers give different values, where the type has
/// enough.
pub fn expression(r#type: &str, number: &str) -> String {
    match r#type {
        "INTEGER" | "BIGINT" | "HUGEINT" => format!("({number})"),
        "DOUBLE" => format!("(({number}) / 7)"),
        "UTINYINT" => format!("(({number}) % 256)"),
        "DECIMAL(9,2)" => format!("(({number}) % 9000000)"),
        "VARCHAR" => format!("('k' || ({number}))"),
        "VARCHAR COLLATE NOCASE" => format!("('K' || ({number}))"),
        "DATE" => format!("(DATE '2000-01-01' + (({number}) % 100000)::INTEGER)"),
        "TIME" => format!("(TIME '00:00:00' + to_seconds(({number}) % 86000))"),
        "TIMESTAMP" => format!("(TIMESTAMP '2000-01-01' + to_seconds({number}))"),
        "TIMESTAMP WITH TIME ZONE" => {
            format!("(TIMESTAMPTZ '2000-01-01 00:00:00+00' + to_seconds({number}))")
        }
        "INTERVAL" => format!("to_seconds({number})"),
        "BOOLEAN" => format!("(({number}) % 2 = 0)"),
        "BLOB" => format!("encode('b' || ({number}))"),
        "BIT" => format!("(({number})::INTEGER)::BIT"),
        "UUID" => format!("md5('u' || ({number}))::UUID"),
        "JSON" => format!("json_object('n', {number})"),
        "INTEGER[]" => format!("[(({number}) % 5)::INTEGER, (({number}) % 7)::INTEGER]"),
        "VARCHAR[2]" => format!("['a' || (({number}) % 5), NULL]::VARCHAR[2]"),
        "STRUCT(x INTEGER, y VARCHAR)" => {
            format!("{{'x': (({number}) % 5)::INTEGER, 'y': 'v' || (({number}) % 7)}}")
        }
        "MAP(INTEGER, VARCHAR)" => format!("MAP {{(({number}) % 5)::INTEGER: 'm' || (({number}) % 7)}}"),
        "UNION(num INTEGER, txt VARCHAR)" => format!("union_value(txt := 'u' || ({number}))"),
        "STRUCT(a INTEGER[], b STRUCT(c DATE, d VARCHAR))[]" => format!(
            "[{{'a': [(({number}) % 9)::INTEGER], 'b': {{'c': DATE '2000-01-01', 'd': 'd' || (({number}) % 9)}}}}]"
        ),
        "VARIANT" => format!("({{'v': ({number})}})::VARIANT"),
        other => match labels(other) {
            Some(labels) => format!("([{labels}])[1 + ({number}) % len([{labels}])]"),
            None => "NULL".into(),
        },
    }
}

/// The labels of an enum, as literals.
fn labels(r#type: &str) -> Option<&str> {
    r#type.strip_prefix("ENUM(")?.strip_suffix(')')
}

/// Whether a key can be of this type, and many rows have different ones.
pub fn can_be_key(r#type: &str) -> bool {
    matches!(
        r#type,
        "INTEGER" | "BIGINT" | "VARCHAR" | "DOUBLE" | "DECIMAL(9,2)" | "TIMESTAMP" | "DATE" | "BLOB" | "UUID"
    )
}

/// A number for a single row: few of them, so that keys meet again.
pub fn number(random: &mut StdRng) -> String {
    random.random_range(0..60).to_string()
}
