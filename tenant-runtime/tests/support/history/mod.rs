//! Histories of a tenant: what several connections do one after the other, until the process is killed. What opens then
//! must be what the last durable commit left.

pub mod catalog;
pub mod child;
pub mod generate;
pub mod objects;
pub mod observe;
pub mod rows;
pub mod run;
pub mod sequences;
pub mod shrink;
pub mod statements;
pub mod tables;
pub mod values;
pub mod world;

use std::{fmt, str::FromStr};

/// If it is set, what is not proven to replay is left to a replay all the same.
pub const TABLE_OFF: &str = "ROOST_TEST_TABLE_OFF";
/// If it is set, errors of statements are told.
pub const TELL: &str = "ROOST_TEST_TELL";

/// Something that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A connection, known by a number, runs a statement.
    Sql(u8, String),
    /// Everything committed goes into a manifest. No transaction is open.
    Publish,
    /// Everything committed is durable, and nothing of it waits for a publish.
    Shipped,
}

/// Steps in their order; after the last one the process is killed. Written as a text it has a line for each: `publish`,
/// `shipped`, or `1> CREATE TABLE t (i INT)`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History(pub Vec<Step>);

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sql(connection, sql) => write!(f, "{connection}> {sql}"),
            Self::Publish => write!(f, "publish"),
            Self::Shipped => write!(f, "shipped"),
        }
    }
}

impl FromStr for Step {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        match line {
            "publish" => return Ok(Self::Publish),
            "shipped" => return Ok(Self::Shipped),
            _ => {}
        }
        let (connection, sql) = line.split_once("> ").ok_or_else(|| format!("no step: {line}"))?;
        let connection = connection.parse().map_err(|_| format!("no connection: {line}"))?;
        Ok(Self::Sql(connection, sql.into()))
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}

impl FromStr for History {
    type Err = String;

    /// Empty lines and those that begin with `--` say nothing.
    fn from_str(text: &str) -> Result<Self, String> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("--"));
        lines.map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}
