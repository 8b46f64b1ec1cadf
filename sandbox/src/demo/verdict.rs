//! Whether every sample came to what its file promises.

use super::ledger::Ledger;
use super::sample::{SAMPLES, Sample};
use super::screen::{heading, say};
use super::watch::Objects;

/// Says what differs, or that nothing does; true if nothing does.
pub(crate) fn judge(objects: &Objects, ledger: &Ledger) -> bool {
    heading("Summary");
    let broken: Vec<String> =
        SAMPLES.iter().flat_map(|sample| differences(sample, objects, ledger)).collect();
    for difference in &broken {
        say(difference);
    }
    let (kept, effects) = (SAMPLES.len(), SAMPLES.iter().map(|sample| sample.effects).sum::<usize>());
    if broken.is_empty() {
        let calls = ledger.total();
        say(&format!(
            "All {kept} samples came to what they promise: {effects} effects, one each, by {calls} calls."
        ));
    } else {
        say(&format!("{} of {kept} samples' promises were not kept.", broken.len()));
    }
    broken.is_empty()
}

fn differences(sample: &Sample, objects: &Objects, ledger: &Ledger) -> Vec<String> {
    let reason = objects.get(sample.name).and_then(|seen| seen.reason.as_deref()).unwrap_or("no status");
    let effects = ledger.effects(sample.connector);
    let Sample { name, reason: promised, effects: expected, .. } = sample;
    let mut differences = Vec::new();
    if reason != *promised {
        differences.push(format!("{name}: {promised} is promised, {reason} is what came of it."));
    }
    if effects != *expected {
        differences.push(format!("{name}: effects promised: {expected}; counted by the CDE: {effects}."));
    }
    differences
}
