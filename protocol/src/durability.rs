//! When an answer may leave: after what it tells is in the bucket, or before.

use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// Durability that an answer waits for. Later variants are stronger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Durability {
    /// Nothing: a crash loses what was committed in the last second, or since a commit that waits for a publish.
    Asynchronous,
    /// Object storage: nothing that was acknowledged is ever lost.
    #[default]
    Synchronous,
}

/// Neither `synchronous` nor `asynchronous`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no durability; it is synchronous or asynchronous")]
pub struct UnknownDurability(String);

impl FromStr for Durability {
    type Err = UnknownDurability;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_lowercase().as_str() {
            "synchronous" => Ok(Self::Synchronous),
            "asynchronous" => Ok(Self::Asynchronous),
            _ => Err(UnknownDurability(text.chars().take(40).collect())),
        }
    }
}

/// A request asked for less than its tenant's class allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the class of this tenant lets no request be less than synchronous; leave the durability out")]
pub struct TooWeak;

/// Durability that reads wait for. Later variants are stronger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reads {
    /// Nothing: they may tell what object storage does not have yet, and go on while it is away.
    Relaxed,
    /// Object storage has what they tell, and a recent proof says that this is the branch's only owner.
    #[default]
    Strict,
}

/// Durability that requests of a tenant get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Terms {
    /// The least that a request may ask for: the class's.
    pub floor: Durability,
    /// Durability of a request that asks for none.
    pub default: Durability,
    /// Durability of requests that write nothing.
    #[serde(default)]
    pub reads: Reads,
}

impl Terms {
    /// Makes the terms of a tenant: its own durability, or its class's where it has none or a weaker one.
    pub fn new(class: Durability, tenant: Option<Durability>, reads: Reads) -> Self {
        Self { floor: class, default: tenant.unwrap_or(class).max(class), reads }
    }

    /// Finds the durability that a request gets.
    ///
    /// # Errors
    /// When it asks for less than the floor.
    pub fn of_request(&self, asked: Option<Durability>) -> Result<Durability, TooWeak> {
        let given = asked.unwrap_or(self.default);
        if given < self.floor { Err(TooWeak) } else { Ok(given) }
    }
}

/// Budget of WAL segments that a tenant may put into the bucket: what one second leaves over is saved up for bursts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PutBudget {
    /// Most segments that may be saved up.
    pub burst: u32,
    /// Segments that each second adds.
    pub per_second: u32,
}

impl Default for PutBudget {
    /// At 4.50 dollars for a million PUTs at most 24 dollars a month.
    fn default() -> Self {
        Self { burst: 20, per_second: 2 }
    }
}

#[cfg(test)]
mod tests {
    use super::Durability::{Asynchronous, Synchronous};
    use super::*;

    #[test]
    fn nobody_gets_less_than_the_class_allows() {
        let table = [
            (Synchronous, None, None, Ok(Synchronous)),
            (Synchronous, Some(Asynchronous), None, Ok(Synchronous)),
            (Synchronous, None, Some(Asynchronous), Err(TooWeak)),
            (Synchronous, None, Some(Synchronous), Ok(Synchronous)),
            (Asynchronous, None, None, Ok(Asynchronous)),
            (Asynchronous, Some(Synchronous), None, Ok(Synchronous)),
            (Asynchronous, Some(Synchronous), Some(Asynchronous), Ok(Asynchronous)),
            (Asynchronous, None, Some(Synchronous), Ok(Synchronous)),
        ];
        for (class, tenant, request, given) in table {
            let terms = Terms::new(class, tenant, Reads::Strict);
            assert_eq!(terms.of_request(request), given, "{class:?} {tenant:?} {request:?}");
        }
    }

    #[test]
    fn names_are_read() {
        assert_eq!("Asynchronous".parse(), Ok(Asynchronous));
        assert_eq!("synchronous".parse(), Ok(Synchronous));
        assert!("fast".parse::<Durability>().unwrap_err().to_string().contains("fast"));
    }
}
