//! The calls that the simulated CDE received, by its own ledger.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::Result;
use cde_sandbox::cde::Remote;
use jiff::Timestamp;
use serde::Deserialize;
use uuid::Uuid;

/// All calls so far.
#[derive(Debug, Deserialize)]
pub(crate) struct Ledger {
    pub(crate) calls: Vec<Call>,
}

/// One call.
#[derive(Debug, Deserialize)]
pub(crate) struct Call {
    pub(crate) at: Timestamp,
    pub(crate) method: String,
    pub(crate) connector: Option<Uuid>,
    /// Whether its token was valid.
    pub(crate) authorized: bool,
    /// Whether it changed something.
    pub(crate) effect: bool,
}

impl Ledger {
    /// Reads the current ledger.
    ///
    /// # Errors
    /// If the CDE does not respond.
    pub(crate) async fn of(cde: &Remote) -> Result<Self> {
        cde.ledger().await
    }

    /// Returns the number of calls that had no valid token, of those at a time that `counts`.
    pub(crate) fn unauthorized(&self, counts: impl Fn(Timestamp) -> bool) -> usize {
        self.calls.iter().filter(|call| !call.authorized && counts(call.at)).count()
    }

    /// Returns the number of calls that changed a connector which an earlier call had changed.
    pub(crate) fn second_effects(&self) -> usize {
        let mut changed = HashSet::new();
        self.calls.iter().filter(|call| call.effect && !changed.insert(call.connector)).count()
    }

    /// Returns the number of calls in the busiest of the first `seconds`, counted from the first call after `start`.
    pub(crate) fn busiest_second(&self, start: Timestamp, seconds: u64) -> usize {
        let late = self.calls.iter().map(|call| call.at).filter(|at| *at >= start);
        let Some(first) = late.clone().min() else { return 0 };
        let after =
            |at: Timestamp| Duration::try_from(at.duration_since(first)).unwrap_or_default().as_secs();
        let mut counts = vec![0; usize::try_from(seconds).unwrap_or_default()];
        for second in late.map(after).filter_map(|second| usize::try_from(second).ok()) {
            if let Some(count) = counts.get_mut(second) {
                *count += 1;
            }
        }
        counts.into_iter().max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(millisecond: i64) -> Call {
        Call {
            at: Timestamp::from_millisecond(millisecond).unwrap_or_default(),
            method: "GET".to_owned(),
            connector: None,
            authorized: true,
            effect: false,
        }
    }

    #[test]
    fn the_busiest_second_counts_from_the_first_call_after_the_start() {
        let calls = [0, 10, 20, 5100, 5200, 6050, 6150, 6200, 9000].map(call).into();
        let ledger = Ledger { calls };
        let start = Timestamp::from_millisecond(1000).unwrap_or_default();
        assert_eq!(ledger.busiest_second(start, 10), 3, "5100, 5200 and 6050");
        assert_eq!(ledger.busiest_second(Timestamp::MAX, 10), 0);
    }

    #[test]
    fn a_second_effect_is_one_on_the_same_connector() {
        let effect =
            |connector| Call { connector: Some(Uuid::from_u128(connector)), effect: true, ..call(0) };
        let rejected = Call { authorized: false, ..call(0) };
        let ledger = Ledger { calls: vec![effect(1), effect(2), rejected, effect(1), call(0)] };
        assert_eq!((ledger.second_effects(), ledger.unauthorized(|_| true)), (1, 1));
    }
}
