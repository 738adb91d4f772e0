//! Kinds of statements, each with how often it is chosen and what writes one.

use super::{
    catalog::{Catalog, Column, Named, Table},
    objects, rows, tables,
};
use rand::{Rng as _, rngs::StdRng, seq::IndexedRandom as _};

/// Whom a statement is written for.
pub struct Scene<'a> {
    pub random: &'a mut StdRng,
    pub catalog: &'a Catalog,
}

/// A kind of statement.
pub struct Kind {
    pub name: &'static str,
    pub weight: u32,
    /// Writes one; none if there is nothing that it could be about.
    pub write: fn(&mut Scene<'_>) -> Option<String>,
}

impl Kind {
    /// The kind that makes what this one is about, if that is rare.
    pub fn maker(&self) -> Option<&'static str> {
        match self.name {
            "drop view" | "rename view" | "create or replace view" | "comment" => Some("create view"),
            "drop schema" | "drop schema without tables" => Some("create schema"),
            "insert nextval" | "select nextval" => Some("create sequence"),
            _ => None,
        }
    }
}

/// Kinds of which most commits are left to a replay, each with how many of a hundred rounds it is in: some are slow, and
/// some are held now and then, with all that follows.
pub const SHIPPED: [(&str, u32); 29] = [
    ("insert a row", 100),
    ("insert rows", 100),
    ("insert bulk", 40),
    ("insert nextval", 100),
    ("select nextval", 100),
    ("update", 100),
    ("update a key", 100),
    ("delete", 100),
    ("upsert", 100),
    ("merge", 100),
    ("truncate", 100),
    ("create table", 100),
    ("create table if not exists", 100),
    ("create or replace table", 25),
    ("create table as", 100),
    ("create or replace table as", 25),
    ("create table as bulk", 40),
    ("drop table", 100),
    ("rename table", 100),
    ("create schema", 100),
    ("drop schema without tables", 100),
    ("create view", 100),
    ("create or replace view", 100),
    ("drop view", 100),
    ("rename view", 100),
    ("create sequence", 100),
    ("create macro", 100),
    ("create table macro", 100),
    ("comment", 100),
];

/// All of them.
pub fn kinds() -> impl Iterator<Item = &'static Kind> {
    rows::KINDS.iter().chain(tables::KINDS).chain(objects::KINDS)
}

impl Scene<'_> {
    /// True in so many of a hundred cases.
    pub fn chance(&mut self, percent: u32) -> bool {
        self.random.random_range(0..100) < percent
    }

    pub fn pick<'b, T>(&mut self, from: &'b [T]) -> Option<&'b T> {
        from.choose(self.random)
    }

    pub fn number(&mut self, below: u32) -> u32 {
        self.random.random_range(0..below)
    }

    pub fn table(&mut self) -> Option<Table> {
        self.catalog.tables.choose(self.random).cloned()
    }

    /// A table that has a column of this kind, and that column.
    pub fn column(&mut self, wanted: impl Fn(&Table, &Column) -> bool) -> Option<(Table, Column)> {
        let all = self.catalog.tables.iter().flat_map(|table| table.columns.iter().map(move |c| (table, c)));
        let found: Vec<_> = all.filter(|(table, column)| wanted(table, column)).collect();
        found.choose(self.random).map(|(table, column)| ((*table).clone(), (*column).clone()))
    }

    pub fn named(&mut self, from: &[Named]) -> Option<String> {
        let Named { schema, name } = from.choose(self.random)?.clone();
        Some(self.name(&schema, &name))
    }

    /// A name of a thing, with its schema if it needs it and sometimes if not.
    pub fn name(&mut self, schema: &str, name: &str) -> String {
        if schema == self.catalog.current && self.chance(50) {
            name.into()
        } else {
            format!("{schema}.{name}")
        }
    }

    pub fn table_name(&mut self, table: &Table) -> String {
        self.name(&table.schema, &table.name)
    }

    pub fn schema(&mut self) -> String {
        self.catalog.schemas.choose(self.random).cloned().unwrap_or_else(|| "main".into())
    }

    /// A name that is free in a schema as far as it can be seen; there are few, so that they are used again.
    pub fn fresh(&mut self, prefix: &str, taken: &[Named]) -> Option<String> {
        let schema = self.schema();
        let is_free = |name: &String| !taken.iter().any(|used| used.schema == schema && used.name == *name);
        let free: Vec<_> = (1..=4).map(|n| format!("{prefix}{n}")).filter(is_free).collect();
        let name = free.choose(self.random)?.clone();
        Some(self.name(&schema, &name))
    }

    pub fn macro_over(&mut self, prefix: &str) -> Option<String> {
        let fit: Vec<_> =
            self.catalog.macros.iter().filter(|found| found.name.starts_with(prefix)).cloned().collect();
        self.named(&fit)
    }
}
