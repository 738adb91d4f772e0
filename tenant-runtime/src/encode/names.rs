//! Member names for columns, which need not have different names.

use roost_engine::Column;
use std::collections::HashSet;

/// Column names made unique: a repeated one gets `_1`, `_2`, ... as DuckDB does for subqueries.
pub fn unique(columns: &[Column]) -> Vec<String> {
    let mut taken: HashSet<String> = columns.iter().map(|column| column.name.clone()).collect();
    let mut given = HashSet::new();
    columns
        .iter()
        .map(|column| {
            let mut name = column.name.clone();
            let mut repetition = 1_u64;
            while !given.insert(name.clone()) {
                name = format!("{}_{repetition}", column.name);
                repetition += 1;
                if taken.insert(name.clone()) {
                    given.insert(name.clone());
                    break;
                }
            }
            name
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_names_get_numbers_that_nobody_has() {
        let columns: Vec<_> = ["a", "a", "a_1", "a", "b"]
            .into_iter()
            .map(|name| Column { name: name.into(), logical_type: "INTEGER".into() })
            .collect();
        assert_eq!(unique(&columns), ["a", "a_2", "a_1", "a_3", "b"]);
    }
}
