//! Which of several requests for one connector goes first.

use jiff::Timestamp;

use crate::api::{Reason, Status};

/// What the requests behind it must know about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum QueueState {
    /// It has claimed, or the effect of an attempt is open: nobody else goes.
    Active,
    /// It goes when it is next in line.
    Ready,
    /// Nobody waits for it: finished, suspended, being deleted, or waiting after an attempt without effect.
    Aside,
}

impl QueueState {
    /// Returns the state of a request with this status, for an operator with the base URL `server`, the time of a wait
    /// apart. `may_begin`: it is neither suspended nor being deleted.
    #[must_use]
    pub fn of<R>(status: Option<&Status<R>>, server: &str, may_begin: bool) -> Self {
        let operation = status.and_then(|status| status.operation.as_ref());
        let elsewhere = operation.and_then(|it| it.server.as_deref()).is_some_and(|its| its != server);
        if elsewhere || status.is_some_and(|status| status.outcome.is_some()) {
            return Self::Aside;
        }
        // It says so only when its last attempt was seen to have had no effect.
        let suspended = !may_begin && status.and_then(|status| status.reason) == Some(Reason::Suspended);
        if !suspended && operation.is_some_and(|it| it.in_flight.is_some() || it.is_unverified()) {
            return Self::Active;
        }
        if may_begin { Self::Ready } else { Self::Aside }
    }
}

/// A request for a connector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiter<'a> {
    /// `metadata.uid`.
    pub uid: &'a str,
    /// A restore (0) goes before a rollback (1).
    pub rank: u8,
    /// `metadata.creationTimestamp`.
    pub created: Timestamp,
    /// What the others must know about it.
    pub state: QueueState,
}

/// Returns the request that goes first: one that is active; else a restore before a rollback, then the oldest, then
/// the smallest uid.
#[must_use]
pub fn next_in_line<'a>(waiters: impl IntoIterator<Item = Waiter<'a>>) -> Option<Waiter<'a>> {
    waiters
        .into_iter()
        .filter(|waiter| waiter.state != QueueState::Aside)
        .min_by_key(|waiter| (waiter.state, waiter.rank, waiter.created, waiter.uid))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may end at what they did not expect")]
mod tests {
    use super::*;

    fn waiter(uid: &str, rank: u8, second: i64, state: QueueState) -> Waiter<'_> {
        Waiter { uid, rank, created: Timestamp::from_second(second).unwrap(), state }
    }

    fn first<const N: usize>(waiters: [Waiter<'_>; N]) -> Option<&str> {
        next_in_line(waiters).map(|waiter| waiter.uid)
    }

    #[test]
    fn a_restore_goes_before_an_older_rollback() {
        use QueueState::Ready;
        assert_eq!(first([waiter("a", 1, 1, Ready), waiter("b", 0, 2, Ready)]), Some("b"));
    }

    #[test]
    fn of_one_kind_the_oldest_goes_first_and_of_one_age_the_smallest_uid() {
        use QueueState::Ready;
        assert_eq!(first([waiter("a", 1, 2, Ready), waiter("b", 1, 1, Ready)]), Some("b"));
        assert_eq!(first([waiter("b", 1, 1, Ready), waiter("a", 1, 1, Ready)]), Some("a"));
    }

    #[test]
    fn one_that_is_active_is_not_overtaken() {
        let active = waiter("b", 1, 9, QueueState::Active);
        assert_eq!(first([waiter("a", 0, 1, QueueState::Ready), active]), Some("b"));
    }

    #[test]
    fn nobody_waits_for_one_that_stands_aside() {
        let aside = waiter("a", 0, 1, QueueState::Aside);
        assert_eq!(first([aside.clone(), waiter("b", 1, 2, QueueState::Ready)]), Some("b"));
        assert_eq!(first([aside]), None);
    }
}
