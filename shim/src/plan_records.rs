//! Reads the records by which C++ describes a plan (`cpp/plan_facts.cpp` writes them, tag by tag).
use crate::plan::{
    IndexPart, Operator, OperatorDetail, PlanFacts, QualifiedName, SettingAction, SettingChange,
    SettingScope, TransactionAction,
};
use crate::statement::StatementKind;

/// Adds one record. A record that does not read as its tag demands lands in `unknown`, which policy refuses.
pub fn add_record(facts: &mut PlanFacts, tag: u8, fields: &[String]) {
    if apply(facts, tag, fields).is_none() {
        facts.unknown.push(format!("record {tag} of {} fields", fields.len()));
    }
}

fn name(fields: &[String], at: usize) -> Option<QualifiedName> {
    let [catalog, schema, name] = fields.get(at..at + 3)? else { return None };
    Some(QualifiedName { catalog: catalog.clone(), schema: schema.clone(), name: name.clone() })
}

fn apply(facts: &mut PlanFacts, tag: u8, fields: &[String]) -> Option<()> {
    let text = |at: usize| fields.get(at).cloned();
    match tag {
        1 => facts.table_functions.push(name(fields, 0)?),
        2 => facts.scalar_functions.push(name(fields, 0)?),
        3 => facts.aggregate_functions.push(name(fields, 0)?),
        4 => facts.window_functions.push(text(0)?),
        5 => facts.pragmas.push(text(0)?),
        6 => facts.copy_functions.push(text(0)?),
        7 => facts.paths.push(text(0)?),
        8 => facts.modified_databases.push(text(0)?),
        9 => facts.read_databases.push(text(0)?),
        10 => facts.unknown.push(text(0)?),
        11 => facts.macros_in_indexes.push(name(fields, 0)?),
        12 => facts.keys_beside_generated.push(name(fields, 0)?),
        13 => facts.types_in_indexes.push(name(fields, 0)?),
        14 => facts.indexes_over_macro.push(name(fields, 0)?),
        15 => facts.temporaries_in_checks.push(name(fields, 0)?),
        16 => facts.renamed_beside_foreign_key.push(name(fields, 0)?),
        17 => facts.replaced_beside_foreign_key.push(name(fields, 0)?),
        18 => facts.index_parts.push(IndexPart {
            class: text(0)?,
            name: text(1)?,
            types: fields.get(2..)?.to_vec(),
        }),
        19 => facts.over_all_rows.push(name(fields, 0)?),
        20.. => {
            let detail = detail(tag, fields)?;
            if let OperatorDetail::Setting(change) = &detail {
                facts.settings.push(change.clone());
            }
            facts.operators.push(Operator { kind: text(0)?, detail });
        }
        _ => return None,
    }
    Some(())
}

/// The detail of an operator record; its field 0 is the operator's kind.
fn detail(tag: u8, fields: &[String]) -> Option<OperatorDetail> {
    let text = |at: usize| fields.get(at).cloned();
    let flag = |at: usize| fields.get(at).map(|field| field == "1");
    Some(match tag {
        20 => OperatorDetail::None,
        21 => OperatorDetail::Scan { function: name(fields, 1)?, table: name(fields, 4) },
        22 => OperatorDetail::Modify(name(fields, 1)?),
        23 => OperatorDetail::Create { kind: text(1)?, name: name(fields, 2)?, temporary: flag(5)? },
        24 => OperatorDetail::Drop { kind: text(1)?, name: name(fields, 2)? },
        25 => OperatorDetail::Alter { kind: text(1)?, name: name(fields, 2)? },
        26 => OperatorDetail::CopyToFile { function: text(1)?, path: text(2)? },
        27 => OperatorDetail::Export { function: text(1)?, path: text(2)? },
        28 => OperatorDetail::CopyDatabase { from: text(1)?, to: text(2)? },
        29 => OperatorDetail::Attach { name: text(1)?, path: text(2)? },
        30 => OperatorDetail::Detach { name: text(1)? },
        31 => OperatorDetail::Load { action: text(1)?, name: text(2)? },
        32 => OperatorDetail::UpdateExtensions,
        33 => OperatorDetail::Transaction(transaction(&text(1)?)?),
        34 => OperatorDetail::Setting(setting(fields)?),
        35 => OperatorDetail::Pragma { name: text(1)? },
        36 => OperatorDetail::Prepare { name: text(1)? },
        37 => OperatorDetail::Execute {
            statement: StatementKind::from_code(text(1)?.parse().ok()?),
            modified_databases: fields.get(2..)?.to_vec(),
        },
        38 => OperatorDetail::Explain { analyze: flag(1)? },
        39 => OperatorDetail::Vacuum { vacuum: flag(1)?, analyze: flag(2)? },
        40 => OperatorDetail::Extension { name: text(1)? },
        _ => return None,
    })
}

fn transaction(word: &str) -> Option<TransactionAction> {
    Some(match word {
        "begin" => TransactionAction::Begin,
        "begin read only" => TransactionAction::BeginReadOnly,
        "commit" => TransactionAction::Commit,
        "rollback" => TransactionAction::Rollback,
        _ => return None,
    })
}

fn setting(fields: &[String]) -> Option<SettingChange> {
    let [_, name, action, scope, value] = fields else { return None };
    Some(SettingChange {
        name: name.clone(),
        action: match action.as_str() {
            "set" => SettingAction::Set,
            "reset" => SettingAction::Reset,
            _ => return None,
        },
        scope: match scope.as_str() {
            "0" => SettingScope::Automatic,
            "1" => SettingScope::Local,
            "2" => SettingScope::Session,
            "3" => SettingScope::Global,
            "4" => SettingScope::Variable,
            _ => return None,
        },
        value: value.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Stage;

    #[test]
    fn a_record_that_does_not_read_is_unknown() {
        let mut facts = PlanFacts::empty(Stage::Bound, StatementKind::Select);
        add_record(&mut facts, 34, &["SET".into(), "threads".into()]);
        add_record(&mut facts, 99, &["GET".into()]);
        assert_eq!(facts.unknown, ["record 34 of 2 fields", "record 99 of 1 fields"]);
        assert!(facts.operators.is_empty());
    }

    #[test]
    fn a_setting_is_an_operator_and_a_setting() {
        let mut facts = PlanFacts::empty(Stage::Bound, StatementKind::Set);
        add_record(&mut facts, 34, &["SET", "threads", "set", "3", "4"].map(String::from));
        assert_eq!(facts.settings[0].name, "threads");
        assert_eq!(facts.settings[0].scope, SettingScope::Global);
        assert_eq!(facts.operators[0].kind, "SET");
        assert!(facts.unknown.is_empty());
    }
}
