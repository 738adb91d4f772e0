//! Durations as people write them, in a spec, a flag or a request: `90s`, `10m`, `1h30m`, `250ms`.

use std::time::Duration;

/// Most parts of a duration: hours, minutes and seconds.
const MAX_PARTS: usize = 3;
/// Most digits of a part.
const MAX_DIGITS: usize = 5;
/// Characters of a text that an error repeats.
const TOLD: usize = 36;

/// Text that is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a duration: write hours, minutes and seconds such as 90s, 10m or 1h30m")]
pub struct InvalidDuration(String);

impl InvalidDuration {
    /// The error for `text`, of which it repeats the beginning.
    pub fn of(text: &str) -> Self {
        Self(text.chars().take(TOLD).collect())
    }
}

/// Reads one to three parts, each a number of at most five digits and a unit: `h`, `m`, `s` or `ms`.
pub fn parse(text: &str) -> Result<Duration, InvalidDuration> {
    let invalid = || InvalidDuration::of(text);
    let (mut total, mut rest) = (Duration::ZERO, text);
    for _ in 0..MAX_PARTS {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 || digits > MAX_DIGITS {
            return Err(invalid());
        }
        let (number, after) = rest.split_at(digits);
        let number: u64 = number.parse().map_err(|_| invalid())?;
        let unit = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit);
        total += match unit {
            "h" => Duration::from_secs(number * 3600),
            "m" => Duration::from_secs(number * 60),
            "s" => Duration::from_secs(number),
            "ms" => Duration::from_millis(number),
            _ => return Err(invalid()),
        };
        rest = after;
        if rest.is_empty() {
            return Ok(total);
        }
    }
    Err(invalid())
}

/// Reads a duration that is not zero.
pub fn parse_positive(text: &str) -> Result<Duration, InvalidDuration> {
    parse(text).and_then(|read| if read.is_zero() { Err(InvalidDuration::of(text)) } else { Ok(read) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_up_to_three_parts() {
        for (text, millis) in [
            ("0s", 0),
            ("30s", 30_000),
            ("1m30s", 90_000),
            ("2h", 7_200_000),
            ("1h1m1s", 3_661_000),
            ("1s1h", 3_601_000),
            ("00005s", 5_000),
            ("500ms", 500),
            ("1s250ms", 1_250),
            ("99999h99999h99999h", 1_079_989_200_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn all_else_is_refused_with_an_example() {
        let long = "9".repeat(10_000);
        for text in [
            "", "30", "s", "ms", "5d", "5M", "5m ", " 5m", "-1s", "1.5s", "100000s", "1h1h1h1h", "1hm", "١s",
            &long,
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains("1h30m") && error.len() < 200, "{text}: {error}");
        }
    }

    #[test]
    fn zero_is_refused_where_it_means_nothing() {
        assert!(parse_positive("0s").is_err() && parse_positive("0h0m").is_err());
        assert_eq!(parse_positive("1ms"), Ok(Duration::from_millis(1)));
    }
}
