//! The bounds: which events may happen together, and how often, in one history.

use crate::state::Bounds;

/// Set it to `large` for more scenarios with wider bounds: about 33 million more states, about ten minutes on two
/// cores.
const SIZE: &str = "CDE_MODEL";

/// Events that may happen together.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) bounds: Bounds,
}

/// Returns the selected scenarios.
pub(crate) fn all() -> Vec<Scenario> {
    let mut all = normal();
    if is_large() {
        all.extend(large());
    }
    all
}

/// Returns whether the scenarios with wider bounds are selected, too.
pub(crate) fn is_large() -> bool {
    std::env::var(SIZE).is_ok_and(|size| size == "large")
}

fn normal() -> Vec<Scenario> {
    let base = Bounds::NO_FAULTS;
    [
        ("bad responses", Bounds { faults: 2, polls: 1, pauses: 1, clock_steps: 1, ..base }),
        ("crashes and lost writes", Bounds { crashes: 1, lost_writes: 1, faults: 1, ..base }),
        ("crashes and outdated lists", Bounds { crashes: 1, stale_lists: 1, faults: 1, ..base }),
        ("successive crashes", Bounds { crashes: 2, stale_lists: 1, delays: 1, ..base }),
        ("slow processes", Bounds { delays: 1, lost_writes: 1, faults: 1, ..base }),
        ("unused claims", Bounds { delays: 1, pauses: 1, faults: 1, ..base }),
        ("only lost writes", Bounds { lost_writes: 3, delays: 1, ..base }),
        ("people", Bounds { suspensions: 1, retries: 1, expiries: 1, faults: 1, ..base }),
        ("retries put back", Bounds { retries: 2, put_back: 1, faults: 1, ..base }),
        ("confirmations", Bounds { confirmations: 1, retries: 1, faults: 2, ..base }),
        ("deletion", Bounds { deletions: 1, crashes: 1, faults: 1, ..base }),
        ("permission to read", Bounds { permissions: 1, faults: 1, crashes: 1, polls: 1, ..base }),
        ("changes by others", Bounds { meddling: 1, faults: 1, crashes: 1, ..base }),
        ("another main version", Bounds { moves: 1, faults: 1, crashes: 1, ..base }),
    ]
    .map(|(name, bounds)| Scenario { name, bounds })
    .into()
}

fn large() -> Vec<Scenario> {
    let base = Bounds::NO_FAULTS;
    [
        ("more bad responses", Bounds { faults: 3, polls: 1, clock_steps: 1, ..base }),
        ("more crashes", Bounds { crashes: 2, stale_lists: 1, faults: 1, lost_writes: 1, ..base }),
        (
            "all faults of machines",
            Bounds { crashes: 1, lost_writes: 1, delays: 1, faults: 1, polls: 1, ..base },
        ),
        (
            "all acts of people",
            Bounds { suspensions: 2, retries: 1, put_back: 1, deletions: 1, faults: 1, ..base },
        ),
        ("people while machines fail", Bounds { retries: 2, put_back: 1, lost_writes: 1, faults: 1, ..base }),
    ]
    .map(|(name, bounds)| Scenario { name, bounds })
    .into()
}
