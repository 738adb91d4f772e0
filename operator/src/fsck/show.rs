//! A report for people. Pure.

use std::fmt::Write as _;

use indicatif::HumanBytes;
use roost_store::reachability::{Leftover, Report, Standing, Tally};
use serde::Serialize;

/// Leftovers of a kind that are listed for a tenant; `-o json` lists all.
const LISTED: usize = 20;

/// All that was found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Found {
    /// The class.
    pub class: String,
    /// Its bucket.
    pub bucket: String,
    /// Nothing is missing, damaged or unknown.
    pub clean: bool,
    /// Each tenant, in the order of their keys.
    pub tenants: Vec<Report>,
    /// Objects of no tenant; left out when one tenant was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outside: Option<Report>,
}

/// The table, then what is behind its numbers.
pub fn text(found: &Found) -> String {
    let mut rows = vec![
        ["LOCATION", "BRANCHES", "REACHABLE", "VERIFIED", "ENDED", "UNDER WAY", "UNKNOWN", "FINDINGS"]
            .map(String::from),
    ];
    rows.extend(found.tenants.iter().chain(&found.outside).map(row));
    let mut text = table(&rows);
    for report in found.tenants.iter().chain(&found.outside) {
        details(&mut text, report);
    }
    let verdict = if found.clean {
        "nothing is missing or unknown"
    } else {
        "something is missing, damaged or unknown"
    };
    let _infallible = writeln!(text, "{}: {verdict}", found.bucket);
    text
}

fn row(report: &Report) -> [String; 8] {
    let tally = |tally: Tally| match tally.count {
        0 => "-".to_owned(),
        count => format!("{count} ({})", HumanBytes(tally.bytes)),
    };
    let count = |count: usize| if count == 0 { "-".to_owned() } else { count.to_string() };
    [
        report.location.clone(),
        count(report.branches.len()),
        tally(report.reachable),
        tally(report.verified.unwrap_or_default()),
        tally(report.ended),
        tally(report.under_way),
        tally(report.unknown),
        count(report.findings.len()),
    ]
}

fn table(rows: &[[String; 8]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; 8] = std::array::from_fn(width);
    let mut text = String::new();
    for row in rows {
        let line = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        text.push_str(line.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn details(text: &mut String, report: &Report) {
    for finding in &report.findings {
        let _infallible =
            writeln!(text, "{}: {} needs: {}", report.location, finding.needed_by, finding.problem);
    }
    for kind in ["unknown", "under way", "ended"] {
        let of_kind: Vec<_> =
            report.leftovers.iter().filter_map(|left| Some((left, why(left, kind)?))).collect();
        for (left, why) in of_kind.iter().take(LISTED) {
            let _infallible = writeln!(text, "{kind}: {} ({}): {why}", left.key, HumanBytes(left.size));
        }
        if let Some(more) = of_kind.len().checked_sub(LISTED + 1) {
            let _infallible = writeln!(text, "{kind}: {} more below {}", more + 1, report.location);
        }
    }
}

fn why<'a>(left: &'a Leftover, kind: &str) -> Option<&'a str> {
    match (&left.standing, kind) {
        (Standing::Ended(why), "ended")
        | (Standing::UnderWay(why), "under way")
        | (Standing::Unknown(why), "unknown") => Some(why),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use roost_store::reachability::Finding;

    fn report() -> Report {
        let left = |key: &str, standing| Leftover { key: key.into(), size: 2048, standing };
        Report {
            location: "prod/tenants/shop/acme/".into(),
            owner: None,
            encryption_key: None,
            branches: vec!["main".into(), "dev".into()],
            recoverable_from: std::collections::BTreeMap::new(),
            next_past: None,
            streams: Vec::new(),
            replaced: std::collections::BTreeSet::new(),
            verified: Some(Tally { count: 9, bytes: 2 << 20 }),
            reachable: Tally { count: 12, bytes: 3 << 20 },
            ended: Tally { count: 1, bytes: 2048 },
            under_way: Tally::default(),
            unknown: Tally { count: 1, bytes: 2048 },
            leftovers: vec![
                left("prod/tenants/shop/acme/packs/a", Standing::Ended("its attempt ended".into())),
                left("prod/tenants/shop/acme/x", Standing::Unknown("not a name that Roost gives".into())),
            ],
            findings: vec![Finding {
                needed_by: "branch dev".into(),
                problem: "object packs/b is not there".into(),
            }],
        }
    }

    #[test]
    fn a_person_sees_numbers_first_and_then_names() {
        let found = Found {
            class: "standard".into(),
            bucket: "tenants".into(),
            clean: false,
            tenants: vec![report()],
            outside: None,
        };
        insta::assert_snapshot!(text(&found), @r"
        LOCATION                 BRANCHES  REACHABLE      VERIFIED      ENDED         UNDER WAY  UNKNOWN       FINDINGS
        prod/tenants/shop/acme/  2         12 (3.00 MiB)  9 (2.00 MiB)  1 (2.00 KiB)  -          1 (2.00 KiB)  1
        prod/tenants/shop/acme/: branch dev needs: object packs/b is not there
        unknown: prod/tenants/shop/acme/x (2.00 KiB): not a name that Roost gives
        ended: prod/tenants/shop/acme/packs/a (2.00 KiB): its attempt ended
        tenants: something is missing, damaged or unknown
        ");
    }

    #[test]
    fn long_lists_are_cut() {
        let mut long = report();
        long.leftovers = vec![long.leftovers[0].clone(); LISTED + 3];
        let mut text = String::new();
        details(&mut text, &long);
        assert_eq!(text.lines().filter(|line| line.starts_with("ended:")).count(), LISTED + 1);
        assert!(text.ends_with("ended: 3 more below prod/tenants/shop/acme/\n"), "{text}");
    }
}
