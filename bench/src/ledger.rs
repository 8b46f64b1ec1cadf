//! The calls that the simulated CDE received, by its own ledger.

use std::time::Duration;

use anyhow::Result;
use cde_sandbox::cde::Remote;
use jiff::Timestamp;
use serde::Deserialize;

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
}

impl Ledger {
    /// Reads the current ledger.
    ///
    /// # Errors
    /// If the CDE does not respond.
    pub(crate) async fn of(cde: &Remote) -> Result<Self> {
        cde.ledger().await
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

    #[test]
    fn the_busiest_second_counts_from_the_first_call_after_the_start() {
        let call = |millisecond| Call {
            at: Timestamp::from_millisecond(millisecond).unwrap_or_default(),
            method: "GET".to_owned(),
        };
        let calls = [0, 10, 20, 5100, 5200, 6050, 6150, 6200, 9000].map(call).into();
        let ledger = Ledger { calls };
        let start = Timestamp::from_millisecond(1000).unwrap_or_default();
        assert_eq!(ledger.busiest_second(start, 10), 3, "5100, 5200 and 6050");
        assert_eq!(ledger.busiest_second(Timestamp::MAX, 10), 0);
    }
}
