//! Sequences: a value that was in a commit is never handed out again. Which others are lost is not promised.

use super::observe::texts;
use roost_duckdb::{Connection, ErrorKind};
use std::collections::BTreeMap;

/// A value by which values of a sequence grow in the order in which they are handed out.
const fn along(value: i64, increment: i64) -> i64 {
    value * increment.signum()
}

/// A sequence as a connection sees it.
#[derive(Clone, Debug)]
struct Seen {
    id: i64,
    name: String,
    increment: i64,
    first: i64,
    /// The value that was handed out last; none if there was none.
    last: Option<i64>,
}

fn read(connection: &mut Connection) -> Result<Vec<Seen>, String> {
    let sql = "SELECT concat_ws(' ', sequence_oid, increment_by, start_value, schema_name || '.' || sequence_name, last_value) \
               FROM duckdb_sequences() WHERE database_name = current_database() AND NOT cycle ORDER BY 1";
    let rows = texts(connection, sql).map_err(|error| error.to_string())?;
    let parsed = rows.iter().map(|row| {
        let mut parts = row.split(' ');
        let mut number = || parts.next()?.parse().ok();
        let (id, increment, first) = (number()?, number()?, number()?);
        let name = parts.next()?.to_owned();
        Some(Seen { id, name, increment, first, last: parts.next().and_then(|last| last.parse().ok()) })
    });
    parsed.collect::<Option<_>>().ok_or_else(|| format!("no sequences: {rows:?}"))
}

fn latest(connection: &mut Connection) -> Vec<(i64, Latest)> {
    let seen = read(connection).unwrap_or_default();
    seen.iter()
        .filter_map(|seen| Some((seen.id, Latest { value: seen.last?, increment: seen.increment })))
        .collect()
}

/// The values that were handed out last, by the id of their sequence.
#[derive(Debug, Default)]
struct Values(BTreeMap<i64, Latest>);

#[derive(Clone, Copy, Debug)]
struct Latest {
    value: i64,
    increment: i64,
}

impl Values {
    /// Notes a value; false if the sequence was as far before. Whoever alters a sequence sees one of its own, which may be
    /// behind the others'.
    fn note(&mut self, id: i64, latest: Latest) -> bool {
        let on = |value| along(value, latest.increment);
        let news = self.0.get(&id).is_none_or(|before| on(latest.value) > on(before.value));
        if news {
            self.0.insert(id, latest);
        }
        news
    }
}

/// Values that each transaction took.
#[derive(Debug, Default)]
pub struct Taken {
    known: Values,
    open: BTreeMap<u8, Values>,
    committed: Values,
}

impl Taken {
    /// A connection ran a statement that succeeded. What it committed is told later.
    pub fn note(&mut self, number: u8, connection: &mut Connection) {
        for (id, latest) in latest(connection) {
            if self.known.note(id, latest) {
                self.open.entry(number).or_default().note(id, latest);
            }
        }
        if !connection.in_transaction() {
            for (id, latest) in self.open.remove(&number).unwrap_or_default().0 {
                self.committed.note(id, latest);
            }
        }
    }

    /// Forgets what this connection took: it is rolled back, or was taken by a statement that failed.
    pub fn forget(&mut self, number: u8, connection: &mut Connection) {
        self.open.remove(&number);
        for (id, latest) in latest(connection) {
            self.known.note(id, latest);
        }
    }

    /// The ends between which each sequence must be where the commits are replayed, by name.
    pub fn bounds(&self, connection: &mut Connection) -> Result<Vec<Bounds>, String> {
        let bounds = |seen: Seen| Bounds {
            least: self.committed.0.get(&seen.id).map(|latest| latest.value),
            most: seen.last,
            increment: seen.increment,
            first: seen.first,
            name: seen.name,
        };
        Ok(read(connection)?.into_iter().map(bounds).collect())
    }
}

/// Bounds within which a sequence must go on.
#[derive(Clone, Debug)]
pub struct Bounds {
    name: String,
    increment: i64,
    first: i64,
    least: Option<i64>,
    most: Option<i64>,
}

/// The sequences of another database whose next value is not within their bounds, after `looks` of these looks.
///
/// `last_value` says nothing there: DuckDB does not restore it.
pub fn out_of_bounds(
    bounds: &[Bounds],
    looks: i64,
    connection: &mut Connection,
) -> Result<Vec<String>, String> {
    let mut wrong = Vec::new();
    for Bounds { name, increment, first, least, most } in bounds {
        let next = match texts(connection, &format!("SELECT nextval('{name}')::VARCHAR")) {
            Ok(next) => next[0].parse::<i64>().map_err(|error| error.to_string())?,
            Err(error) if error.kind == ErrorKind::Sequence => continue,
            Err(error) => return Err(error.to_string()),
        };
        let least = least.map_or(*first, |value| value + increment);
        let most = most.map_or(*first, |value| value + increment);
        // `most` is before `least` where DuckDB itself took numbers back: a transaction that alters a sequence does so
        // with those that others took meanwhile.
        let on = |value| along(value, *increment);
        let (least, most) = if on(most) < on(least) { (most, least) } else { (least, most) };
        let latest = most + (looks - 1) * increment;
        if !(on(least)..=on(latest)).contains(&on(next)) {
            wrong.push(format!("sequence {name} gives {next}, not from {least} to {latest}"));
        }
    }
    Ok(wrong)
}
