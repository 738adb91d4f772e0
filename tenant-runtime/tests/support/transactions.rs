//! Transactions of every kind, each known by its client and number: what a database holds after so many of them can be
//! computed anew.

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

/// Rows of a bulk insert: more than a row group has, so that DuckDB writes blocks before the commit.
const BULK: u64 = 130_000;

/// One client, which writes to a schema of its own.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    pub number: u64,
    pub seed: u64,
}

impl Client {
    fn schema(self) -> String {
        format!("c{}", self.number)
    }

    /// Statements that make the tables of its transactions.
    pub fn setup(self) -> String {
        let s = self.schema();
        format!(
            "create schema {s}; create table {s}.t (id bigint primary key, v bigint); create table {s}.wide (id int); \
             create table {s}.bulk (n int, i bigint); create table {s}.done (n int primary key)"
        )
    }

    /// Its transaction of this number, the first being 1.
    pub fn transaction(self, n: u64) -> String {
        let s = self.schema();
        let mut random = StdRng::seed_from_u64(self.seed ^ (self.number << 32) ^ n);
        let (few, x) = (random.random_range(1..50), random.random_range(0..11));
        let earlier = random.random_range(0..n);
        let work = match random.random_range(0..12) {
            0..3 => {
                format!(
                    "insert into {s}.t select {n} * 1000 + i, hash(i + {n}) % 1000 from range({few}) r(i)"
                )
            }
            3 => format!("update {s}.t set v = v + {n} where id % 7 = {x} % 7"),
            4 => format!("update {s}.t set id = -id where id % 13 = {x}"),
            5 => format!("delete from {s}.t where id % 11 = {x}"),
            6 => format!(
                "insert into {s}.t select id, v + 1 from {s}.t where id % 5 = {x} % 5 \
                 on conflict (id) do update set v = excluded.v + {n}"
            ),
            7 => {
                format!("create table {s}.x{n} as select i, 'row ' || i as s from range({few}) r(i)")
            }
            8 => format!("drop table if exists {s}.x{earlier}"),
            9 => format!(
                "alter table {s}.wide add column k{n} int default {n}; insert into {s}.wide (id) values ({n})"
            ),
            10 => format!("insert into {s}.bulk select {n}, i // 100 from range({BULK}) r(i)"),
            _ => {
                return format!(
                    "begin; delete from {s}.t; insert into {s}.bulk select 0, i from range({BULK}) r(i); \
                     drop table {s}.wide; rollback; insert into {s}.done values ({n})"
                );
            }
        };
        format!("begin; {work}; insert into {s}.done values ({n}); commit")
    }

    /// Asks for the number of its last transaction: a text.
    pub fn last(self) -> String {
        format!("select coalesce(max(n), 0)::varchar from {}.done", self.schema())
    }

    /// Asks for the names of its tables, separated by commas.
    pub fn tables(self) -> String {
        format!(
            "select string_agg(table_name || '(' || column_count || ')', ',' order by table_name) \
             from duckdb_tables() where schema_name = '{}'",
            self.schema()
        )
    }

    /// Asks for what is in the tables that were named: a text.
    pub fn content(self, tables: &str) -> String {
        let sums = tables.split(',').map(|table| {
            let name = table.split('(').next().unwrap_or_default();
            format!("(select count(*) || ' ' || coalesce(sum(hash(x)), 0) from {}.{name} x)", self.schema())
        });
        format!("select concat_ws(', ', {})", sums.collect::<Vec<_>>().join(", "))
    }
}
