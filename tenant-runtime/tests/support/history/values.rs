//! Types of columns, and values of them that depend on nothing but a number.

use rand::{Rng as _, rngs::StdRng};

/// Types that need no other object.
pub const TYPES: [&str; 12] = [
    "INTEGER",
    "INTEGER",
    "BIGINT",
    "BIGINT",
    "VARCHAR",
    "VARCHAR",
    "DECIMAL(9,2)",
    "DATE",
    "BOOLEAN",
    "TIMESTAMP",
    "INTEGER[]",
    "STRUCT(x INTEGER, y VARCHAR)",
];

/// An expression of a type over one that is a number: different numbers give different values, where the type has
/// enough.
pub fn expression(r#type: &str, number: &str) -> String {
    match r#type {
        "INTEGER" | "BIGINT" | "HUGEINT" | "DOUBLE" => format!("({number})"),
        "DECIMAL(9,2)" => format!("(({number}) % 9000000)"),
        "VARCHAR" => format!("('k' || ({number}))"),
        "DATE" => format!("(DATE '2000-01-01' + (({number}) % 100000)::INTEGER)"),
        "TIMESTAMP" => format!("(TIMESTAMP '2000-01-01' + to_seconds({number}))"),
        "BOOLEAN" => format!("(({number}) % 2 = 0)"),
        "INTEGER[]" => format!("[(({number}) % 5)::INTEGER, (({number}) % 7)::INTEGER]"),
        "STRUCT(x INTEGER, y VARCHAR)" => {
            format!("{{'x': (({number}) % 5)::INTEGER, 'y': 'v' || (({number}) % 7)}}")
        }
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
    matches!(r#type, "INTEGER" | "BIGINT" | "VARCHAR" | "DECIMAL(9,2)" | "TIMESTAMP" | "DATE")
}

/// A number for a single row: few of them, so that keys meet again.
pub fn number(random: &mut StdRng) -> String {
    random.random_range(0..60).to_string()
}
