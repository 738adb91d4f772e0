//! Statement policy: a pure function from the facts of a bound plan to a verdict. Default deny.
//!
//! What is not in one of the tables is refused, however it is spelled: the plan says what a statement is, its text
//! is never looked at.
mod functions;
mod operators;
mod settings;

pub use functions::{
    DENIED_PRAGMAS, DENIED_SCALAR_FUNCTIONS, DENIED_TABLE_FUNCTIONS, PRAGMAS, SCALAR_FUNCTIONS,
    TABLE_FUNCTIONS,
};
pub use operators::{CREATABLE, OPERATORS};
pub use settings::{CLASS_SETTINGS, SESSION_SETTINGS};

use crate::request::Role;
use roost_duckdb::{PlanFacts, Refusal, Stage};

/// By what a plan is judged.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// The session's role.
    pub role: Role,
    /// Name of the tenant's database.
    pub database: &'a str,
}

/// The databases that a session may read: its own and those of DuckDB that hold nothing of others.
const OWN_DATABASES: [&str; 2] = ["temp", "system"];

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
    if let Some(function) = plan.copy_functions.first() {
        return refuse("copy", format!("COPY with {function} files is not available"));
    }
    if let Some(path) = plan.paths.first() {
        return refuse("path", format!("Files are not available to statements: {path}"));
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

fn refuse(code: &'static str, message: String) -> Result<(), Refusal> {
    Err(Refusal { message, code })
}
