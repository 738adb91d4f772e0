//! The clock of a bucket, as the dates of its answers tell it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::SystemTime;

use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use jiff::{SignedDuration, Timestamp};

/// Nothing was answered yet.
const UNKNOWN: i64 = i64::MIN;

/// How far the bucket's clock is ahead of this machine's, kept up by every answer. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct BucketClock(Arc<AtomicI64>);

impl BucketClock {
    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicI64::new(UNKNOWN)))
    }

    /// To within a second and the time that an answer takes; none before the first one.
    pub(super) fn ahead(&self) -> Option<SignedDuration> {
        let millis = self.0.load(Relaxed);
        (millis != UNKNOWN).then(|| SignedDuration::from_millis(millis))
    }

    /// An answer came `now` with this Date header (RFC 9110, 5.6.7); one that is none tells nothing.
    fn told(&self, date: &str, now: SystemTime) {
        let Ok(date) = DateTime::from_str(date, DateTimeFormat::HttpDate) else { return };
        let Ok(now) = Timestamp::try_from(now) else { return };
        let millis = date.secs().saturating_mul(1_000).saturating_sub(now.as_millisecond());
        self.0.store(millis.max(UNKNOWN + 1), Relaxed);
    }
}

impl Intercept for BucketClock {
    fn name(&self) -> &'static str {
        "BucketClock"
    }

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
        let clock = BucketClock::new();
        assert_eq!(clock.ahead(), None);
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(784_111_777_400);
        for (date, ahead) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", -400),
            ("Sun, 06 Nov 1994 08:50:37 GMT", 59_600),
            ("Sun, 06 Nov 1994 07:49:37 GMT", -3_600_400),
            // What is no date changes nothing.
            ("yesterday", -3_600_400),
        ] {
            clock.told(date, now);
            assert_eq!(clock.ahead(), Some(SignedDuration::from_millis(ahead)), "{date}");
        }
    }
}
