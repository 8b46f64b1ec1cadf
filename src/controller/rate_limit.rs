//! The rate limit: calls per second to the CDE API, all together.

use std::num::NonZeroU32;

use governor::{DefaultDirectRateLimiter, Quota};

/// Hands out permits for calls.
pub struct RateLimit(Option<DefaultDirectRateLimiter>);

impl RateLimit {
    /// `per_second` calls; 0 for no limit. A tenth of a second's worth may go out at once.
    #[must_use]
    pub fn new(per_second: u32) -> Self {
        Self(NonZeroU32::new(per_second).map(|rate| {
            let burst = NonZeroU32::new(per_second / 10).unwrap_or(NonZeroU32::MIN);
            DefaultDirectRateLimiter::direct(Quota::per_second(rate).allow_burst(burst))
        }))
    }

    /// Waits until so many calls may go out.
    pub async fn permits(&self, calls: u8) {
        if let Some(limiter) = &self.0 {
            for _ in 0..calls {
                limiter.until_ready().await;
            }
        }
    }
}
