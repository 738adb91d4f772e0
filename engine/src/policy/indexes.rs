//! Expressions that an index may be over. They are computed again by whoever writes, in another session with other
//! settings: they must give the same there.
use super::rules::refuse;
use roost_duckdb::{IndexPart, Refusal};

/// Functions that give the same whatever a session's settings are (DuckDB's names), sorted. Not here: `/` (settings say
/// what it gives), what asks the session, and what takes a lambda, over which the engine fails.
pub const INDEX_FUNCTIONS: [&str; 76] = [
    "*",
    "+",
    "-",
    "abs",
    "array_extract",
    "array_slice",
    "ascii",
    "ceil",
    "ceiling",
    "chr",
    "concat",
    "concat_ws",
    "contains",
    "date_part",
    "date_trunc",
    "datepart",
    "datetrunc",
    "day",
    "dayofmonth",
    "dayofweek",
    "dayofyear",
    "ends_with",
    "epoch",
    "epoch_ms",
    "epoch_us",
    "floor",
    "hex",
    "hour",
    "isodow",
    "json_extract",
    "json_extract_path",
    "json_extract_path_text",
    "json_extract_string",
    "json_value",
    "lcase",
    "left",
    "length",
    "list_element",
    "list_extract",
    "list_slice",
    "lower",
    "lpad",
    "ltrim",
    "md5",
    "minute",
    "month",
    "nfc_normalize",
    "octet_length",
    "prefix",
    "quarter",
    "regexp_extract",
    "regexp_replace",
    "replace",
    "reverse",
    "right",
    "round",
    "rpad",
    "rtrim",
    "second",
    "sha1",
    "sha256",
    "sign",
    "starts_with",
    "strip_accents",
    "strlen",
    "struct_extract",
    "struct_extract_at",
    "substr",
    "substring",
    "suffix",
    "trim",
    "trunc",
    "ucase",
    "upper",
    "year",
    "||",
];

/// Operators without a name of a function that give the same everywhere.
const OPERATORS: [&str; 4] = ["COALESCE", "IS_NULL", "IS_NOT_NULL", "NOT"];

/// Judges one part of what an index is over.
pub(super) fn judge(part: &IndexPart) -> Result<(), Refusal> {
    let IndexPart { class, name, types } = part;
    let takes = |what: &str| types.iter().any(|one| one.contains(what));
    if takes("WITH TIME ZONE") {
        return refuse_over("a time with a time zone, which is a day or an hour by the session's TimeZone");
    }
    match class.as_str() {
        "BOUND_COLUMN_REF" | "BOUND_CONSTANT" | "BOUND_CAST" | "BOUND_CASE" | "BOUND_CONJUNCTION" => Ok(()),
        "BOUND_FUNCTION" if INDEX_FUNCTIONS.binary_search(&name.as_str()).is_ok() => Ok(()),
        "BOUND_OPERATOR" if OPERATORS.contains(&name.as_str()) => Ok(()),
        "BOUND_COMPARISON" | "BOUND_BETWEEN" if !takes("VARCHAR") => Ok(()),
        "BOUND_COMPARISON" | "BOUND_BETWEEN" => {
            refuse_over("a comparison of texts, which is by the session's collation")
        }
        _ => refuse_over(&format!("{name}, which may give something else in another session, or fail")),
    }
}

fn refuse_over(what: &str) -> Result<(), Refusal> {
    refuse(
        "index-expression",
        format!(
            "An index cannot be over {what}: it would be wrong after a while. Keep the value in a column of its own, and \
             index that"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_settings_decide_is_refused() {
        assert!(INDEX_FUNCTIONS.is_sorted());
        for (class, name, types, allowed) in [
            ("BOUND_FUNCTION", "lower", &["VARCHAR", "VARCHAR"][..], true),
            ("BOUND_FUNCTION", "+", &["INTEGER", "INTEGER", "INTEGER"], true),
            ("BOUND_FUNCTION", "/", &["DOUBLE", "DOUBLE", "DOUBLE"], false),
            ("BOUND_FUNCTION", "list_transform", &["INTEGER[]"], false),
            ("BOUND_FUNCTION", "current_setting", &["VARCHAR"], false),
            ("BOUND_FUNCTION", "year", &["BIGINT", "TIMESTAMP WITH TIME ZONE"], false),
            ("BOUND_CAST", "CAST", &["DATE", "TIMESTAMP"], true),
            ("BOUND_CAST", "CAST", &["DATE", "TIMESTAMP WITH TIME ZONE"], false),
            ("BOUND_COMPARISON", "COMPARE_EQUAL", &["BOOLEAN", "INTEGER", "INTEGER"], true),
            ("BOUND_COMPARISON", "COMPARE_EQUAL", &["BOOLEAN", "VARCHAR", "VARCHAR"], false),
            ("BOUND_LAMBDA", "LAMBDA", &["VARCHAR"], false),
            ("BOUND_COLUMN_REF", "s", &["VARCHAR"], true),
        ] {
            let types = types.iter().map(|one| (*one).to_owned()).collect();
            let part = IndexPart { class: class.into(), name: name.into(), types };
            assert_eq!(judge(&part).is_ok(), allowed, "{part:?}");
        }
    }
}
