//! Time, as far as the rules tell it apart: symbols instead of seconds, so that the same situation at another hour
//! is the same state.
//!
//! No two clocks are compared. What an operator's wall clock says of a wait is free (early or late, at each look);
//! only its own monotonic age of what it sees is tied to the world, by [`Event::ClaimTimePasses`]: there all that
//! is under way has taken a claim's length.
//!
//! [`Event::ClaimTimePasses`]: crate::machine::Event::ClaimTimePasses

use std::time::Duration;

use cde_operator::api::Status;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// `--timeout`; a claim takes five seconds more.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);
/// Each step of the backoff: shorter than a claim.
pub(crate) const BACKOFF: Duration = Duration::from_secs(2);

/// So many seconds from when the present claim, or the present wait, began.
pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + second).unwrap()
}

/// How an operator's clocks, and its gate, stand when it looks at a claim or a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Glance {
    /// Just seen, and not over by the wall clock.
    Early,
    /// Seen for longer than a backoff and for less than a claim; long over by the wall clock.
    Late,
    /// Seen for longer than a claim, though the wall clock was set back.
    Ripe,
    /// As late; and no call goes out at present.
    LateAndHeld,
    /// As ripe; and no call goes out at present.
    RipeAndHeld,
}

impl Glance {
    /// The wall clock.
    pub(crate) fn now(self) -> Timestamp {
        match self {
            Self::Early | Self::Ripe | Self::RipeAndHeld => at(1),
            Self::Late | Self::LateAndHeld => at(86_400),
        }
    }

    /// For how long the claim or the wait has been seen.
    pub(crate) fn seen_for(self) -> Duration {
        match self {
            Self::Early => Duration::ZERO,
            Self::Late | Self::LateAndHeld => Duration::from_secs(5),
            Self::Ripe | Self::RipeAndHeld => Duration::from_hours(24),
        }
    }

    /// No call goes out: all are paused, or the API is down.
    pub(crate) fn held(self) -> bool {
        matches!(self, Self::LateAndHeld | Self::RipeAndHeld)
    }
}

/// What happens to the wall clock between a claim and the answer to its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// It goes on.
    None,
    /// It is set forward by an hour.
    Forward,
    /// It is set back by an hour.
    Back,
}

impl Step {
    /// The wall clock when the answer is there, a second after the call.
    pub(crate) fn now(self) -> Timestamp {
        match self {
            Self::None => at(1),
            Self::Forward => at(3601),
            Self::Back => at(-3599),
        }
    }
}

/// `status` as if its claim, or its wait, had begun at `at(0)`; lengths are kept.
pub(crate) fn normalised<R>(mut status: Status<R>) -> Status<R> {
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

/// `time`, as far from `at(0)` as it was from `begin`.
fn moved(time: &Time, begin: Option<Timestamp>) -> Time {
    let length = begin.map_or(SignedDuration::ZERO, |begin| time.0.duration_since(begin));
    Time(at(0) + length)
}
