//! Time as far as the rules distinguish it: symbols instead of seconds, so that the same situation at another hour is
//! the same state.
//!
//! No two clocks are compared. An operator's wall clock may show any time for a wait (early or late, at each
//! decision). Only the monotonic age of what it sees is tied to the state, by [`Event::ClaimTimePasses`]: then
//! everything under way has taken a claim's length.
//!
//! [`Event::ClaimTimePasses`]: crate::machine::Event::ClaimTimePasses

use std::time::Duration;

use cde_operator::api::Status;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// `--timeout`. A claim takes five seconds more.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);
/// Each step of the backoff: shorter than a claim.
pub(crate) const BACKOFF: Duration = Duration::from_secs(2);

/// Returns the time this many seconds after the start of the present claim, or of the present wait.
pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + second).unwrap()
}

/// The state of an operator's clocks and its circuit breaker when it decides about a claim or a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Glance {
    /// Just seen, and not over by the wall clock.
    Early,
    /// Seen for longer than a backoff and for less than a claim; long over by the wall clock.
    Late,
    /// Seen for longer than a claim, although the wall clock was set back.
    Ripe,
    /// As `Late`, and no call may go out at present.
    LateAndHeld,
    /// As `Ripe`, and no call may go out at present.
    RipeAndHeld,
}

impl Glance {
    /// Returns the wall clock time.
    pub(crate) fn now(self) -> Timestamp {
        match self {
            Self::Early | Self::Ripe | Self::RipeAndHeld => at(1),
            Self::Late | Self::LateAndHeld => at(86_400),
        }
    }

    /// Returns for how long the claim or the wait has been seen.
    pub(crate) fn seen_for(self) -> Duration {
        match self {
            Self::Early => Duration::ZERO,
            Self::Late | Self::LateAndHeld => Duration::from_secs(5),
            Self::Ripe | Self::RipeAndHeld => Duration::from_hours(24),
        }
    }

    /// Returns whether no call may go out, because all calls are paused or the API is down.
    pub(crate) fn held(self) -> bool {
        matches!(self, Self::LateAndHeld | Self::RipeAndHeld)
    }
}

/// What happens to the wall clock between a claim and the response to its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// It runs normally.
    None,
    /// It is set forward by an hour.
    Forward,
    /// It is set back by an hour.
    Back,
}

impl Step {
    /// Returns the wall clock time when the response arrives, a second after the call.
    pub(crate) fn now(self) -> Timestamp {
        match self {
            Self::None => at(1),
            Self::Forward => at(3601),
            Self::Back => at(-3599),
        }
    }
}

/// Returns `status` as if its claim or its wait had started at `at(0)`. Lengths are kept.
pub(crate) fn normalized<R>(mut status: Status<R>) -> Status<R> {
    let begin = || Some(Time(at(0)));
    for condition in &mut status.conditions {
        condition.last_transition_time = Time(at(0));
    }
    let Some(operation) = &mut status.operation else { return status };
    let claimed = operation.last_attempt_time.as_ref().map(|time| time.0);
    let wait_start = operation.wait_start_time.as_ref().map(|time| time.0);
    if let Some(claim) = &mut operation.in_flight {
        claim.until = moved(&claim.until, claimed);
    }
    operation.next_attempt_time = operation.next_attempt_time.as_ref().map(|next| moved(next, wait_start));
    operation.wait_start_time = operation.wait_start_time.as_ref().and_then(|_| begin());
    operation.last_attempt_time = operation.last_attempt_time.as_ref().and_then(|_| begin());
    operation.start_time = operation.start_time.as_ref().and_then(|_| begin());
    operation.completion_time = operation.completion_time.as_ref().and_then(|_| begin());
    if let Some(error) = &mut operation.last_error {
        error.time = Time(at(0));
    }
    status
}

/// Returns `time` with the same distance from `at(0)` as it had from `begin`.
fn moved(time: &Time, begin: Option<Timestamp>) -> Time {
    let length = begin.map_or(SignedDuration::ZERO, |begin| time.0.duration_since(begin));
    Time(at(0) + length)
}
