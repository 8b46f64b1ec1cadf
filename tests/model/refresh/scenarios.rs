//! The bounds: which events may happen together, and how often, in one history.

use super::state::Bounds;

/// Events that may happen together.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) bounds: Bounds,
}

/// Returns the selected scenarios.
pub(crate) fn all() -> Vec<Scenario> {
    let mut all = normal();
    if crate::scenarios::is_large() {
        all.extend(large());
    }
    all
}

fn normal() -> Vec<Scenario> {
    let base = Bounds::NO_FAULTS;
    let once = Bounds::NOTHING;
    [
        ("bad answers", Bounds { faults: 3, ..base }),
        ("crashes and bad answers", Bounds { crashes: 1, faults: 1, outdated: 1, ..base }),
        ("successive crashes", Bounds { crashes: 2, lost_writes: 1, ..base }),
        ("lost writes", Bounds { lost_writes: 2, faults: 1, crashes: 1, ..once }),
        ("slow processes", Bounds { delays: 2, faults: 1, crashes: 1, ..once }),
        ("slow processes and lost writes", Bounds { delays: 1, lost_writes: 1, faults: 1, ..base }),
        ("new logins", Bounds { logins: 1, crashes: 1, faults: 1, ..base }),
        ("new logins and slow processes", Bounds { logins: 1, delays: 1, lost_writes: 1, ..base }),
        ("logouts", Bounds { logouts: 1, logins: 1, faults: 1, ..base }),
        ("old Secrets", Bounds { put_back: 1, crashes: 1, faults: 1, ..once }),
        ("old Secrets and new logins", Bounds { put_back: 2, logins: 1, ..base }),
        ("labels", Bounds { labels: 2, faults: 1, lost_writes: 1, ..once }),
    ]
    .map(|(name, bounds)| Scenario { name, bounds })
    .into()
}

fn large() -> Vec<Scenario> {
    let base = Bounds::NO_FAULTS;
    let once = Bounds::NOTHING;
    [
        ("more bad answers", Bounds { faults: 4, dues: 2, ..base }),
        (
            "all faults of machines",
            Bounds { crashes: 1, faults: 1, lost_writes: 1, delays: 1, outdated: 1, ..base },
        ),
        ("all acts of people", Bounds { logins: 1, logouts: 1, put_back: 1, labels: 1, faults: 1, ..once }),
        (
            "people while machines fail",
            Bounds { logins: 1, put_back: 1, crashes: 1, lost_writes: 1, delays: 1, ..once },
        ),
    ]
    .map(|(name, bounds)| Scenario { name, bounds })
    .into()
}
