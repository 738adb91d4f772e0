//! This machine's clock beside the bucket's: commits carry its time, and are found again by it.

use jiff::SignedDuration;

/// Difference above which an operator is warned. A bucket tells its time in whole seconds.
const WARNING: SignedDuration = SignedDuration::from_secs(5);
/// Difference above which nothing is written: commits would be found at moments when they were not made.
const REFUSAL: SignedDuration = SignedDuration::from_mins(5);

/// Reason to refuse writes while the two clocks are too far apart; none as long as they are not.
pub fn refusal(ahead: SignedDuration) -> Option<String> {
    (ahead.abs() > REFUSAL).then(|| {
        format!(
            "{}, and commits are found again by their time; let both follow the same clock",
            difference(ahead)
        )
    })
}

/// Warning for an operator that the two clocks differ; none if they hardly do.
pub fn warning(ahead: SignedDuration) -> Option<String> {
    (ahead.abs() > WARNING).then(|| difference(ahead))
}

fn difference(ahead: SignedDuration) -> String {
    let (seconds, side) = (ahead.abs().as_secs(), if ahead.is_negative() { "ahead of" } else { "behind" });
    format!("the clock of this machine is {seconds} seconds {side} that of object storage")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_differences_pass_larger_ones_warn_and_large_ones_refuse() {
        for (seconds, warned, refused) in [
            (0, false, false),
            (5, false, false),
            (-6, true, false),
            (300, true, false),
            (-301, true, true),
            (301, true, true),
        ] {
            let ahead = SignedDuration::from_secs(seconds);
            assert_eq!(warning(ahead).is_some(), warned, "{seconds}");
            assert_eq!(refusal(ahead).is_some(), refused, "{seconds}");
        }
        let slow = warning(SignedDuration::from_secs(61)).unwrap();
        assert!(slow.ends_with("61 seconds behind that of object storage"), "{slow}");
        let fast = refusal(SignedDuration::from_secs(-900)).unwrap();
        assert!(fast.contains("900 seconds ahead of"), "{fast}");
    }
}
