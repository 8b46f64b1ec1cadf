//! How long to wait before the next try: exponential, with full jitter, from persisted counts alone.

use std::time::Duration;

/// The wait before try number `retries` (1 is the first repetition): `jitter` (0..1) of
/// `min · 2^(retries-1)`, bounded by `max`.
///
/// Full jitter spreads the objects that failed together.
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
    fn it_doubles_from_the_least_to_the_longest_step_and_stays_there() {
        let steps: Vec<u64> = [1, 2, 3, 8, 9, 10, 11, 1000, u32::MAX]
            .into_iter()
            .map(|retries| backoff(retries, MIN, MAX, 1.0).as_secs())
            .collect();
        assert_eq!(steps, [1, 2, 4, 128, 256, 300, 300, 300, 300]);
    }

    #[test]
    fn the_jitter_is_full_from_nothing_to_the_whole_step() {
        assert_eq!(backoff(3, MIN, MAX, 0.0), Duration::ZERO);
        assert_eq!(backoff(3, MIN, MAX, 0.5), Duration::from_secs(2));
        assert_eq!(backoff(3, MIN, MAX, 7.0), Duration::from_secs(4));
    }

    #[test]
    fn a_least_step_above_the_longest_is_bounded_too() {
        assert_eq!(backoff(1, MAX, MIN, 1.0), MIN);
    }
}
