//! Member names for columns, which need not have different names.

use roost_engine::Column;
use std::collections::HashSet;

/// Column names made unique: the first keeps its name, a repeated one gets the next of `_1`, `_2`, ... that no
/// column has.
pub fn unique(columns: &[Column]) -> Vec<String> {
    let mut taken: HashSet<String> = columns.iter().map(|column| column.name.clone()).collect();
    let mut seen = HashSet::new();
    columns
        .iter()
        .map(|column| {
            if seen.insert(column.name.as_str()) {
                return column.name.clone();
            }
            let mut repetition = 0_u64;
            loop {
                repetition += 1;
                let name = format!("{}_{repetition}", column.name);
                if taken.insert(name.clone()) {
                    return name;
                }
            }
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
