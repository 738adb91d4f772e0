//! DuckDB settings that a TenantClass may set. Everything that reaches files, the network, extensions or the
//! process is left out; memory and threads have fields of their own.

/// One setting that a class may choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllowedSetting {
    /// DuckDB's name.
    pub name: &'static str,
    /// Its effect, for the documentation.
    pub purpose: &'static str,
}

const fn setting(name: &'static str, purpose: &'static str) -> AllowedSetting {
    AllowedSetting { name, purpose }
}

/// The allowlist, sorted by name.
pub const ALLOWED: &[AllowedSetting] = &[
    setting("TimeZone", "time zone of sessions"),
    setting("default_collation", "collation of text columns without one"),
    setting("default_null_order", "where NULL sorts"),
    setting("default_order", "ascending or descending when ORDER BY does not say"),
    setting("ieee_floating_point_ops", "NaN and Infinity instead of NULL on division by zero"),
    setting("integer_division", "whether / of integers yields an integer"),
    setting("max_expression_depth", "how deep an expression may nest"),
    setting("old_implicit_casting", "text casts implicitly, as in old DuckDB"),
    setting("order_by_non_integer_literal", "whether ORDER BY 'text' is accepted"),
    setting("ordered_aggregate_threshold", "rows before an ordered aggregate sorts"),
    setting("perfect_ht_threshold", "size of perfect hash tables, in bits"),
    setting("pivot_filter_threshold", "when PIVOT filters before aggregating"),
    setting("pivot_limit", "how many columns PIVOT may make"),
    setting("preserve_insertion_order", "whether rows keep their order without ORDER BY"),
    setting(
        "scalar_subquery_error_on_multiple_rows",
        "whether a scalar subquery with several rows is an error",
    ),
];
