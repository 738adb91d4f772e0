//! The clock of a bucket, as the dates of its answers tell it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use jiff::{SignedDuration, Timestamp};

/// Answers that are compared: one of many servers may have a wrong clock, or this process stood still before it read.
const COMPARED: usize = 4;

/// Lead of the bucket's clock over this machine's, kept up by every answer. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct BucketClock(Arc<Mutex<Told>>);

/// Leads that the last answers told, the oldest of which is overwritten next.
#[derive(Debug, Default)]
struct Told {
    ahead: [Option<SignedDuration>; COMPARED],
    next: usize,
}

impl BucketClock {
    /// The lead, to within a second and the time that an answer takes: of the last answers' leads the one closest to 0.
    /// None before the first answer.
    pub(super) fn ahead(&self) -> Option<SignedDuration> {
        let told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.ahead.iter().flatten().copied().min_by_key(|ahead| ahead.abs())
    }

    /// An answer came `now` with this Date header (RFC 9110, 5.6.7); one that is none tells nothing.
    fn told(&self, date: &str, now: SystemTime) {
        let Ok(date) = DateTime::from_str(date, DateTimeFormat::HttpDate) else { return };
        let Ok(now) = Timestamp::try_from(now) else { return };
        let millis = date.secs().saturating_mul(1_000).saturating_sub(now.as_millisecond());
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let next = told.next;
        told.ahead[next] = Some(SignedDuration::from_millis(millis));
        told.next = (next + 1) % COMPARED;
    }
}

impl Intercept for BucketClock {
    fn name(&self) -> &'static str {
        "BucketClock"
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "compared with the bucket's own time of day, which is the machine's affair"
    )]
    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(date) = context.response().headers().get("date") {
            self.told(date, SystemTime::now());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn dates_are_compared_with_this_machine() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(784_111_777_400);
        for (dates, ahead) in [
            (vec![], None),
            (vec!["yesterday"], None),
            (vec!["Sun, 06 Nov 1994 08:49:37 GMT"], Some(-400)),
            (vec!["Sun, 06 Nov 1994 08:50:37 GMT"], Some(59_600)),
            (vec!["Sun, 06 Nov 1994 07:49:37 GMT"], Some(-3_600_400)),
            // One server among others.
            (vec!["Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 07:49:37 GMT"], Some(-400)),
        ] {
            let clock = BucketClock::default();
            for date in &dates {
                clock.told(date, now);
            }
            assert_eq!(clock.ahead(), ahead.map(SignedDuration::from_millis), "{dates:?}");
        }
        let clock = BucketClock::default();
        clock.told("Sun, 06 Nov 1994 08:49:37 GMT", now);
        for _ in 0..COMPARED {
            clock.told("Sun, 06 Nov 1994 07:49:37 GMT", now);
        }
        assert_eq!(clock.ahead(), Some(SignedDuration::from_millis(-3_600_400)), "it changed");
    }
}
