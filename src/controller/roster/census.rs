//! What the figures tell of the roster: how many, why, and since when.

use std::collections::BTreeMap;

use crate::api::Reason;

use super::entry::Life;
use super::{Key, Roster};

/// The objects of one kind and reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// How many there are.
    pub count: i64,
    /// Since when the oldest of them has been open, or failed, in unix time.
    pub oldest: Option<i64>,
}

impl Roster {
    /// Watch number `watch` tells of an object that cannot be decoded: it is counted, and nothing else.
    pub fn set_aside(&self, key: &Key, watch: usize) {
        let mut inner = self.lock();
        inner.remove(&key.uid);
        inner.undecodable.insert(key.uid.clone(), (key.kind, watch));
    }

    /// What there is of each kind and reason: open objects, failed ones, and those that cannot be decoded.
    #[must_use]
    pub fn census(&self) -> BTreeMap<(&'static str, &'static str), Group> {
        let mut groups = BTreeMap::<_, Group>::new();
        let inner = self.lock();
        for (kind, _) in inner.undecodable.values() {
            groups.entry((*kind, "Undecodable")).or_default().count += 1;
        }
        for entry in inner.entries.values().filter(|entry| entry.life == Life::Open) {
            let reason = entry.facts.reason.map_or("New", Reason::as_str);
            let group = groups.entry((entry.key.kind, reason)).or_default();
            group.count += 1;
            // Another operator's is no wait of ours.
            if !entry.noticed {
                group.oldest = Some(group.oldest.unwrap_or(i64::MAX).min(entry.facts.since));
            }
        }
        groups
    }

    /// How many open requests belong to an operator with another base address.
    #[must_use]
    pub fn others(&self) -> i64 {
        let inner = self.lock();
        let others = inner.entries.values().filter(|entry| entry.noticed && !entry.facts.finished).count();
        i64::try_from(others).unwrap_or(i64::MAX)
    }
}
