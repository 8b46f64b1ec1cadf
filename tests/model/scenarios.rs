//! The bounds: which things may happen together, and how often, in one history.

use crate::world::Bounds;

/// Set to `large` for more scenarios with wider bounds: some 33 million states more, about ten minutes on two cores.
const SIZE: &str = "CDE_MODEL";

/// What may happen together.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) bounds: Bounds,
}

/// The scenarios that are asked for.
pub(crate) fn all() -> Vec<Scenario> {
    let mut all = normal();
    if std::env::var(SIZE).is_ok_and(|size| size == "large") {
        all.extend(large());
    }
    all
}

fn normal() -> Vec<Scenario> {
    let calm = Bounds::CALM;
    [
        ("bad answers", Bounds { faults: 2, polls: 1, pauses: 1, clock_steps: 1, ..calm }),
        ("crashes and lost writes", Bounds { crashes: 1, lost_writes: 1, faults: 1, ..calm }),
        ("crashes, shown the past", Bounds { crashes: 1, stale_lists: 1, faults: 1, ..calm }),
        ("one crash after another", Bounds { crashes: 2, stale_lists: 1, delays: 1, ..calm }),
        ("slow processes", Bounds { delays: 1, lost_writes: 1, faults: 1, ..calm }),
        ("lost writes alone", Bounds { lost_writes: 3, delays: 1, ..calm }),
        ("people", Bounds { suspensions: 1, retries: 1, expiries: 1, faults: 1, ..calm }),
        ("backoffStep", Bounds { retries: 2, put_back: 1, faults: 1, ..calm }),
        ("deletion", Bounds { deletions: 1, crashes: 1, faults: 1, ..calm }),
        ("rights to read", Bounds { permissions: 1, faults: 1, crashes: 1, polls: 1, ..calm }),
        ("others at work", Bounds { meddling: 1, faults: 1, crashes: 1, ..calm }),
        ("another main version", Bounds { moves: 1, faults: 1, crashes: 1, ..calm }),
    ]
    .map(|(name, bounds)| Scenario { name, bounds })
    .into()
}

fn large() -> Vec<Scenario> {
    let calm = Bounds::CALM;
    [
        ("more bad answers", Bounds { faults: 3, polls: 1, clock_steps: 1, ..calm }),
        ("more crashes", Bounds { crashes: 2, stale_lists: 1, faults: 1, lost_writes: 1, ..calm }),
        (
            "all that machines do",
            Bounds { crashes: 1, lost_writes: 1, delays: 1, faults: 1, polls: 1, ..calm },
        ),
        (
            "all that people do",
            Bounds { suspensions: 2, retries: 1, put_back: 1, deletions: 1, faults: 1, ..calm },
        ),
        ("people while machines fail", Bounds { retries: 2, put_back: 1, lost_writes: 1, faults: 1, ..calm }),
    ]
    .map(|(name, bounds)| Scenario { name, bounds })
    .into()
}
