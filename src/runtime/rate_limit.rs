//! A limit of calls per second.

use std::num::NonZeroU32;

use governor::{DefaultDirectRateLimiter, Quota};
use tokio::sync::Mutex;

/// Limits calls per second.
pub struct RateLimit {
    limiter: Option<DefaultDirectRateLimiter>,
    /// Serves waiters in order, each with all its permits at once.
    turn: Mutex<()>,
}

impl RateLimit {
    /// Returns a limit of `per_second` calls, or no limit for 0. Bursts are limited to a tenth of it.
    #[must_use]
    pub fn new(per_second: u32) -> Self {
        let limiter = NonZeroU32::new(per_second).map(|rate| {
            let burst = NonZeroU32::new(per_second / 10).unwrap_or(NonZeroU32::MIN);
            DefaultDirectRateLimiter::direct(Quota::per_second(rate).allow_burst(burst))
        });
        Self { limiter, turn: Mutex::new(()) }
    }

    /// Waits until this many calls are allowed.
    pub async fn permits(&self, calls: u8) {
        if let Some(limiter) = &self.limiter {
            let _turn = self.turn.lock().await;
            for _ in 0..calls {
                limiter.until_ready().await;
            }
        }
    }
}
