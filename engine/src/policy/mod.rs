//! Statement policy: a pure function from the facts of a bound plan to a verdict. Default deny.
//!
//! What is not in one of the tables is refused, however it is spelled: the plan says what a statement is, its text
//! is never looked at.
mod functions;
mod indexes;
mod operators;
mod rules;
mod settings;

pub use functions::{
    DENIED_PRAGMAS, DENIED_SCALAR_FUNCTIONS, DENIED_TABLE_FUNCTIONS, PRAGMAS, SCALAR_FUNCTIONS,
    TABLE_FUNCTIONS,
};
pub use indexes::INDEX_FUNCTIONS;
pub use operators::{CREATABLE, OPERATORS};
pub use rules::Rules;
pub use settings::{CLASS_SETTINGS, SESSION_SETTINGS};

use roost_duckdb::{Operator, OperatorDetail, PlanFacts, Refusal, Stage};
use roost_protocol::session::Role;
use rules::refuse;

/// Judges what a statement does.
pub fn judge(rules: Rules<'_>, plan: &PlanFacts) -> Result<(), Refusal> {
    if let Some(unknown) = plan.unknown.first() {
        return refuse("unknown-construct", format!("{unknown} is not available"));
    }
    for name in &plan.pragmas {
        functions::judge_pragma(name)?;
    }
    if plan.stage == Stage::Parsed {
        return Ok(());
    }
    for operator in &plan.operators {
        operators::judge(rules, operator)?;
    }
    for name in &plan.table_functions {
        functions::judge_table_function(name)?;
    }
    for name in &plan.scalar_functions {
        functions::judge_scalar_function(name)?;
    }
    for change in &plan.settings {
        settings::judge(change)?;
    }
    for part in &plan.index_parts {
        indexes::judge(part)?;
    }
    judge_pitfalls(plan)?;
    if let Some(function) = plan.copy_functions.first() {
        return refuse("copy", format!("COPY with {function} files is not available"));
    }
    if let Some(path) = plan.paths.first() {
        return refuse("path", format!("Files are not available to statements: {path}"));
    }
    Ok(())
}

/// Refuses what DuckDB lets through and then fails over.
fn judge_pitfalls(plan: &PlanFacts) -> Result<(), Refusal> {
    let executes = |operator: &Operator| operator.detail == OperatorDetail::Explain { analyze: true };
    let defines = |operator: &Operator| ["ALTER", "CREATE_INDEX"].contains(&operator.kind.as_str());
    if plan.operators.iter().any(executes) && plan.operators.iter().any(defines) {
        return refuse(
            "analyze-definition",
            "EXPLAIN ANALYZE executes what it explains, and is not available for ALTER and CREATE INDEX. Write EXPLAIN, or \
             execute the statement itself"
                .into(),
        );
    }
    if let Some(name) = plan.macros_in_indexes.first() {
        return refuse(
            "macro-in-index",
            format!(
                "An index cannot call {}, which is the name of a macro: the engine would not find it again when it loads \
                 the index. Write the macro's expression into the index instead",
                name.name
            ),
        );
    }
    if let Some(name) = plan.types_in_indexes.first() {
        return refuse(
            "type-in-index",
            format!(
                "An index cannot cast to {}: the engine would not find that type again when it loads the index. Index \
                 the column as it is, or cast to a built-in type",
                name.name
            ),
        );
    }
    if let Some(name) = plan.indexes_over_macro.first() {
        return refuse(
            "macro-over-index",
            format!(
                "The index {name} calls something of this name, which would be the macro from then on. Drop the index \
                 first, or choose another name for the macro"
            ),
        );
    }
    if let Some(name) = plan.temporaries_in_checks.first() {
        return refuse(
            "temporary-in-check",
            format!(
                "A CHECK cannot use {}, which is temporary: the table outlives it. Create it without TEMP",
                name.name
            ),
        );
    }
    if let Some(table) = plan.keys_beside_generated.first() {
        return refuse(
            "key-beside-generated",
            format!(
                "A key cannot be added to {}, which has generated columns: the engine would fail at the next INSERT. \
                 Create a new table with the key, and copy the rows into it",
                table.name
            ),
        );
    }
    if let Some(table) = plan.renamed_beside_foreign_key.first() {
        return refuse(
            "rename-beside-foreign-key",
            format!(
                "{} cannot be renamed, since a foreign key joins it with a table: the engine would go on to look for it by \
                 its old name. Make the tables that the key joins anew under the names they shall have, and copy the rows",
                table.name
            ),
        );
    }
    if let Some(table) = plan.replaced_beside_foreign_key.first() {
        return refuse(
            "replace-beside-foreign-key",
            format!(
                "{} cannot be replaced, since a foreign key joins it with another table: the engine would lose the key. Drop \
                 the table that the key belongs to, and create it anew",
                table.name
            ),
        );
    }
    Ok(())
}

/// Judges what a statement modifies: the tenant's database for writers; temporary objects, which PIVOT needs and which
/// end with the session, for everybody.
pub fn judge_writes(rules: Rules<'_>, plan: &PlanFacts) -> Result<(), Refusal> {
    for name in &plan.modified_databases {
        let temporary = name == "temp";
        match rules.role {
            _ if temporary => {}
            Role::ReadOnly => {
                return refuse("read-only", "You may only read this database".into());
            }
            Role::ReadWrite if *name == rules.database => {}
            Role::ReadWrite => {
                return refuse(
                    "foreign-database",
                    format!("Writes to the database {name} are not available"),
                );
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use roost_duckdb::{
        Operator, OperatorDetail, QualifiedName, SettingAction, SettingChange, SettingScope, StatementKind,
    };

    const RULES: Rules<'static> = Rules { role: Role::ReadWrite, database: "acme" };

    fn plan() -> PlanFacts {
        PlanFacts::empty(Stage::Bound, StatementKind::Select)
    }

    fn code(plan: &PlanFacts) -> Option<&'static str> {
        judge(RULES, plan).err().map(|refusal| refusal.code)
    }

    fn named(name: &str) -> QualifiedName {
        QualifiedName { catalog: "system".into(), schema: "main".into(), name: name.into() }
    }

    fn operator(kind: &str, detail: OperatorDetail) -> PlanFacts {
        PlanFacts { operators: vec![Operator { kind: kind.into(), detail }], ..plan() }
    }

    fn create(kind: &str, catalog: &str) -> PlanFacts {
        let name = QualifiedName { catalog: catalog.into(), schema: "main".into(), name: "x".into() };
        operator("CREATE_TABLE", OperatorDetail::Create { kind: kind.into(), name, temporary: false })
    }

    fn setting(name: &str, scope: SettingScope, value: &str) -> PlanFacts {
        let change =
            SettingChange { name: name.into(), action: SettingAction::Set, scope, value: value.into() };
        PlanFacts { settings: vec![change], ..plan() }
    }

    #[test]
    fn facts_become_verdicts() {
        let session = SettingScope::Automatic;
        for (plan, expected) in [
            (plan(), None),
            (PlanFacts { unknown: vec!["expression X".into()], ..plan() }, Some("unknown-construct")),
            (operator("PROJECTION", OperatorDetail::None), None),
            (operator("ATTACH", OperatorDetail::None), Some("operator")),
            (operator("SOMETHING_NEW", OperatorDetail::None), Some("operator")),
            (operator("PROJECTION", OperatorDetail::UpdateExtensions), Some("operator")),
            (PlanFacts { table_functions: vec![named("range")], ..plan() }, None),
            (PlanFacts { table_functions: vec![named("read_csv")], ..plan() }, Some("table-function")),
            (PlanFacts { table_functions: vec![named("brand_new")], ..plan() }, Some("table-function")),
            (PlanFacts { scalar_functions: vec![named("abs"), named("icu_collate_de")], ..plan() }, None),
            (PlanFacts { scalar_functions: vec![named("getenv")], ..plan() }, Some("scalar-function")),
            (PlanFacts { pragmas: vec!["Version".into()], ..plan() }, None),
            (PlanFacts { pragmas: vec!["enable_profiling".into()], ..plan() }, Some("pragma")),
            (
                PlanFacts { stage: Stage::Parsed, pragmas: vec!["import_database".into()], ..plan() },
                Some("pragma"),
            ),
            (PlanFacts { copy_functions: vec!["csv".into()], ..plan() }, Some("copy")),
            (PlanFacts { paths: vec!["/x".into()], ..plan() }, Some("path")),
            (create("Table", "acme"), None),
            (create("Table", "temp"), None),
            (create("Table", "memory"), Some("foreign-database")),
            (create("Secret", "acme"), Some("object")),
            (setting("TimeZone", session, "UTC"), None),
            (setting("TimeZone", SettingScope::Global, "UTC"), Some("setting")),
            (setting("anything", SettingScope::Variable, "1"), None),
            (setting("threads", session, "9"), Some("setting")),
            (setting("schema", session, "main"), None),
            (setting("schema", session, "memory"), Some("search-path")),
            (setting("search_path", session, "main, \"Memory\".main"), Some("search-path")),
            (setting("search_path", session, ""), Some("search-path")),
        ] {
            assert_eq!(code(&plan), expected, "{plan:?}");
        }
    }

    #[test]
    fn what_the_engine_would_fail_over_is_refused() {
        for (plan, expected) in [
            (PlanFacts { macros_in_indexes: vec![named("norm")], ..plan() }, "macro-in-index"),
            (PlanFacts { types_in_indexes: vec![named("mood")], ..plan() }, "type-in-index"),
            (PlanFacts { indexes_over_macro: vec![named("i")], ..plan() }, "macro-over-index"),
            (PlanFacts { temporaries_in_checks: vec![named("m")], ..plan() }, "temporary-in-check"),
            (PlanFacts { keys_beside_generated: vec![named("t")], ..plan() }, "key-beside-generated"),
            (
                PlanFacts { renamed_beside_foreign_key: vec![named("t")], ..plan() },
                "rename-beside-foreign-key",
            ),
            (
                PlanFacts { replaced_beside_foreign_key: vec![named("t")], ..plan() },
                "replace-beside-foreign-key",
            ),
        ] {
            assert_eq!(code(&plan), Some(expected), "{plan:?}");
        }
    }

    #[test]
    fn roles_decide_over_writes() {
        for (role, database, expected) in [
            (Role::ReadWrite, "acme", None),
            (Role::ReadWrite, "temp", None),
            (Role::ReadWrite, "memory", Some("foreign-database")),
            (Role::ReadOnly, "acme", Some("read-only")),
            (Role::ReadOnly, "memory", Some("read-only")),
            (Role::ReadOnly, "temp", None),
        ] {
            let plan = PlanFacts { modified_databases: vec![database.into()], ..plan() };
            let verdict = judge_writes(Rules { role, ..RULES }, &plan).err().map(|refusal| refusal.code);
            assert_eq!(verdict, expected, "{role:?} {database}");
        }
    }
}
