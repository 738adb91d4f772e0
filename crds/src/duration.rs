//! Durations as people write them in a spec: `90s`, `10m`, `1h30m`.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use roost_protocol::duration::{self, InvalidDuration};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Texts that the schema accepts: one to three parts, each a number of at most five digits and a unit.
pub const PATTERN: &str = "^([0-9]{1,5}(h|m|s)){1,3}$";
/// Longest text that [`PATTERN`] accepts.
pub const MAX_LENGTH: usize = 18;

/// A length of time in whole seconds, kept with the text it was written as so that a spec reads back unchanged.
#[derive(Clone, Debug)]
pub struct Duration {
    text: String,
    seconds: u64,
}

impl Duration {
    /// The duration of `seconds` seconds, written in the largest units that fit the pattern.
    pub fn from_secs(seconds: u64) -> Self {
        let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let mut text = String::new();
        for (count, unit) in [(hours, 'h'), (minutes, 'm'), (rest, 's')] {
            if count > 0 {
                // Writing to a String cannot fail.
                let _ = write!(text, "{count}{unit}");
            }
        }
        if text.is_empty() {
            text.push_str("0s");
        }
        Self { text, seconds }
    }

    /// As the standard library's type.
    pub fn as_std(&self) -> std::time::Duration {
        std::time::Duration::from_secs(self.seconds)
    }

    /// Whole seconds.
    pub fn as_secs(&self) -> u64 {
        self.seconds
    }
}

impl PartialEq for Duration {
    fn eq(&self, other: &Self) -> bool {
        self.seconds == other.seconds
    }
}
impl Eq for Duration {}
impl PartialOrd for Duration {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Duration {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.seconds.cmp(&other.seconds)
    }
}

impl From<Duration> for std::time::Duration {
    fn from(value: Duration) -> Self {
        value.as_std()
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Duration {
    type Err = InvalidDuration;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = duration::parse(text)?;
        // A spec counts in seconds.
        if text.contains("ms") {
            return Err(InvalidDuration::of(text));
        }
        Ok(Self { text: text.to_owned(), seconds: read.as_secs() })
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Duration {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": PATTERN, "minLength": 2, "maxLength": MAX_LENGTH})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_pattern_accepts() {
        let table = [
            ("0s", 0),
            ("90s", 90),
            ("10m", 600),
            ("1h30m", 5400),
            ("1h1m1s", 3661),
            ("24h", 86_400),
            ("99999h", 359_996_400),
            ("1s1h", 3601),
            ("00005s", 5),
            ("99999h99999h99999h", 1_079_989_200),
        ];
        for (text, seconds) in table {
            let duration: Duration = text.parse().unwrap();
            assert_eq!(duration.as_std(), std::time::Duration::from_secs(seconds), "{text}");
            assert_eq!(duration.to_string(), text);
        }
    }

    #[test]
    fn refuses_the_rest() {
        for text in
            ["", "5", "m", "-5m", "5d", "5m ", " 5m", "1.5h", "5ms", "100000s", "1h1h1h1h", "5M", "١s"]
        {
            let error = text.parse::<Duration>().unwrap_err();
            assert!(error.to_string().contains("1h30m"), "{text}: {error}");
        }
    }

    #[test]
    fn writes_what_it_reads() {
        for seconds in [0, 1, 59, 60, 61, 3600, 3661, 86_400, 359_999_999] {
            let written = Duration::from_secs(seconds);
            assert_eq!(written.to_string().parse::<Duration>().unwrap().as_secs(), seconds);
        }
    }

    #[test]
    fn equal_lengths_are_equal_however_written() {
        assert_eq!("60m".parse::<Duration>().unwrap(), "1h".parse::<Duration>().unwrap());
    }
}
