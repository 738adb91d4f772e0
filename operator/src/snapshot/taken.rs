//! A snapshot that was taken: what status says of it.

use jiff::Timestamp;
use roost_crds::{PositionSummary, TableSize};
use roost_protocol::report::{ReportedTable, SnapshotReport};

/// Tables that status shows.
const LARGEST: usize = 20;
/// Longest name of a table or schema that status shows, in characters.
const MAX_TABLE_NAME: usize = 128;

/// Contents of a finished snapshot, as far as they are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Bytes of all files.
    pub size: Option<u64>,
    /// Tables.
    pub table_count: Option<u64>,
    /// Rows of all tables.
    pub row_count: Option<u64>,
    /// The largest tables.
    pub largest_tables: Vec<TableSize>,
    /// Version of DuckDB.
    pub engine_version: Option<String>,
    /// When all files were there.
    pub completed_at: Option<Timestamp>,
}

/// A finished snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// When it was complete; now, if nothing says so.
    pub completed: Option<Timestamp>,
    /// Whether an earlier object took it.
    pub by_another: bool,
    /// The moment it holds.
    pub position: Option<PositionSummary>,
    /// Its contents.
    pub summary: Summary,
}

impl Summary {
    /// The contents that a worker reports, within the bounds of a status.
    pub fn of(report: &SnapshotReport) -> Self {
        let cut = |text: &str| text.chars().take(MAX_TABLE_NAME).collect();
        let mut largest_tables: Vec<_> = report
            .largest_tables
            .iter()
            .map(|ReportedTable { schema, name, rows, size }| TableSize {
                schema: cut(schema),
                name: cut(name),
                rows: *rows,
                size: *size,
            })
            .collect();
        largest_tables.sort_by_key(|table| std::cmp::Reverse(table.size));
        largest_tables.truncate(LARGEST);
        Self {
            size: Some(report.size),
            table_count: Some(report.table_count),
            row_count: Some(report.row_count),
            largest_tables,
            engine_version: Some(report.engine_version.clone()),
            completed_at: report.completed_at.parse().ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use roost_protocol::report::Report;

    #[test]
    fn what_a_worker_reports_is_bounded() {
        let largest_tables = (0..30)
            .map(|size| ReportedTable { schema: "main".into(), name: "é".repeat(200), rows: 1, size })
            .collect();
        let report = SnapshotReport {
            engine_version: "1.5.6".into(),
            completed_at: "yesterday".into(),
            table_count: 30,
            row_count: 30,
            size: 7,
            largest_tables,
        };
        let summary = Summary::of(&report);
        assert_eq!(summary.largest_tables.len(), LARGEST);
        assert_eq!(summary.largest_tables[0].size, 29);
        assert_eq!(summary.largest_tables[0].name.chars().count(), MAX_TABLE_NAME);
        assert_eq!((summary.size, summary.completed_at), (Some(7), None));
    }

    #[test]
    fn the_last_words_of_earlier_workers_are_understood() {
        let words = serde_json::json!({"state": "sealed", "position": null, "databaseSize": null, "lastActive": null,
            "problem": null, "snapshot": {"engineVersion": "1.5.5", "startedAt": "2026-11-20T10:00:00Z",
            "completedAt": "2026-11-20T10:00:05Z", "tableCount": 1, "rowCount": 2, "size": 3, "largestTables": []}});
        let ending: roost_protocol::status::Ending = serde_json::from_value(words).unwrap();
        let Some(Report::Snapshot(report)) = ending.report else { panic!("{ending:?}") };
        assert_eq!(Summary::of(&report).completed_at.unwrap().to_string(), "2026-11-20T10:00:05Z");
    }
}
