//! Settings that a session or a class may change.
use super::rules::refuse;
use roost_duckdb::{Refusal, SettingAction, SettingChange, SettingScope};

/// Settings that a session may change for itself (also DuckDB's `allowed_configs`).
pub const SESSION_SETTINGS: [&str; 13] = [
    "calendar",
    "default_collation",
    "default_null_order",
    "default_order",
    "ieee_floating_point_ops",
    "integer_division",
    "null_order",
    "old_implicit_casting",
    "order_by_non_integer_literal",
    "scalar_subquery_error_on_multiple_rows",
    "schema",
    "search_path",
    "timezone",
];

/// Settings that a TenantClass may give, for all its sessions.
pub const CLASS_SETTINGS: [&str; 13] = SESSION_SETTINGS;

pub(super) fn judge(change: &SettingChange) -> Result<(), Refusal> {
    if change.scope == SettingScope::Variable {
        return Ok(());
    }
    let name = change.name.to_ascii_lowercase();
    if !SESSION_SETTINGS.contains(&name.as_str()) {
        return refuse("setting", format!("The setting {name} cannot be changed"));
    }
    if change.scope == SettingScope::Global {
        return refuse("setting", format!("The setting {name} can be changed for the session only"));
    }
    if matches!(name.as_str(), "schema" | "search_path") && change.action == SettingAction::Set {
        return judge_path(&change.value);
    }
    Ok(())
}

/// The in-memory database would take what it is given and forget it: nobody works there.
fn judge_path(value: &str) -> Result<(), Refusal> {
    if value.is_empty() {
        return refuse("search-path", "The search path must be given as a constant".into());
    }
    for entry in value.split(',') {
        let first = entry.trim().split('.').next().unwrap_or_default();
        let first = first.trim().trim_matches('"').to_ascii_lowercase();
        if first == "memory" || first == "system" {
            return refuse("search-path", format!("The database {first} cannot be used"));
        }
    }
    Ok(())
}
