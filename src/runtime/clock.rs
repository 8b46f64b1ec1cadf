//! Time and chance: the one place that reads them. Whatever decides takes them as arguments, so that it can be tested as
//! a table and replayed; `clippy.toml` holds everybody to it.

#![expect(clippy::disallowed_methods, reason = "this is the place that may")]

use std::time::{Instant, SystemTime};

use jiff::Timestamp;
use uuid::Uuid;

/// The wall clock: it may be set, forward or back.
#[must_use]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// The wall clock, as the standard library has it.
#[must_use]
pub fn wall() -> SystemTime {
    SystemTime::now()
}

/// The monotonic clock: it only goes on.
#[must_use]
pub fn monotonic() -> Instant {
    Instant::now()
}

/// A uniformly random number in 0..1.
#[must_use]
pub fn jitter() -> f64 {
    rand::random()
}

/// A random UUID.
#[must_use]
pub fn unique() -> Uuid {
    Uuid::new_v4()
}
