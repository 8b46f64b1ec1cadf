//! Exponential backoff with full jitter, computed from persisted counts.

use std::time::Duration;

/// Returns the wait before repetition number `retries`, from 1: `jitter` (0..1) of `min · 2^(retries-1)`, at most `max`.
/// Full jitter spreads objects that failed together.
#[must_use]
pub fn backoff(retries: u32, min: Duration, max: Duration, jitter: f64) -> Duration {
    let doubled = 2_u32.saturating_pow(retries.saturating_sub(1).min(31));
    min.saturating_mul(doubled).min(max).mul_f64(jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN: Duration = Duration::from_secs(1);
    const MAX: Duration = Duration::from_mins(5);

    #[test]
    fn the_backoff_doubles_from_the_minimum_to_the_maximum() {
        let steps: Vec<u64> = [1, 2, 3, 8, 9, 10, 11, 1000, u32::MAX]
            .into_iter()
            .map(|retries| backoff(retries, MIN, MAX, 1.0).as_secs())
            .collect();
        assert_eq!(steps, [1, 2, 4, 128, 256, 300, 300, 300, 300]);
    }

    #[test]
    fn the_jitter_ranges_from_zero_to_the_whole_step() {
        assert_eq!(backoff(3, MIN, MAX, 0.0), Duration::ZERO);
        assert_eq!(backoff(3, MIN, MAX, 0.5), Duration::from_secs(2));
        assert_eq!(backoff(3, MIN, MAX, 7.0), Duration::from_secs(4));
    }

    #[test]
    fn the_maximum_bounds_a_larger_minimum() {
        assert_eq!(backoff(1, MAX, MIN, 1.0), MIN);
    }
}
