//! The only module that reads clocks and random numbers, which `clippy.toml` enforces. Decisions take them as arguments.

#![expect(clippy::disallowed_methods, reason = "the only module that may call them")]

use std::time::{Instant, SystemTime};

use jiff::Timestamp;
use uuid::Uuid;

/// Returns the wall clock, which may be set forward or back.
#[must_use]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// Returns the wall clock as a type of the standard library.
#[must_use]
pub fn wall() -> SystemTime {
    SystemTime::now()
}

/// Returns the monotonic clock.
#[must_use]
pub fn monotonic() -> Instant {
    Instant::now()
}

/// Returns a uniformly random number in 0..1.
#[must_use]
pub fn jitter() -> f64 {
    rand::random()
}

/// Returns a random UUID.
#[must_use]
pub fn unique() -> Uuid {
    Uuid::new_v4()
}
