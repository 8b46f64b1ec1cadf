//! The rate limit: calls per second to the CDE API, all together.

use std::num::NonZeroU32;

use governor::{DefaultDirectRateLimiter, Quota};
use tokio::sync::Mutex;

/// Hands out permits for calls.
pub struct RateLimit {
    limiter: Option<DefaultDirectRateLimiter>,
    /// Who waits first is served first, with all its permits: held one by one, they would pile up.
    turn: Mutex<()>,
}

impl RateLimit {
    /// `per_second` calls; 0 for no limit. A tenth of a second's worth may go out at once.
    #[must_use]
    pub fn new(per_second: u32) -> Self {
        let limiter = NonZeroU32::new(per_second).map(|rate| {
            let burst = NonZeroU32::new(per_second / 10).unwrap_or(NonZeroU32::MIN);
            DefaultDirectRateLimiter::direct(Quota::per_second(rate).allow_burst(burst))
        });
        Self { limiter, turn: Mutex::new(()) }
    }

    /// Waits until so many calls may go out.
    pub async fn permits(&self, calls: u8) {
        if let Some(limiter) = &self.limiter {
            let _turn = self.turn.lock().await;
            for _ in 0..calls {
                limiter.until_ready().await;
            }
        }
    }
}
