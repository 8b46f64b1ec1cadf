//! The comparison of each sample's result with the one that its file names, and of the refreshes with what they should be.

use super::ledger::Ledger;
use super::refresh::Refreshes;
use super::sample::{SAMPLES, Sample};
use super::terminal::{heading, say};
use super::watch::Objects;

/// Prints the differences, or that there are none, and returns whether there are none.
pub(crate) fn print(objects: &Objects, ledger: &Ledger, refreshes: &Refreshes) -> bool {
    heading("Summary");
    let differences = SAMPLES.iter().flat_map(|sample| compare(sample, objects, ledger));
    let differences: Vec<String> = differences.chain(refreshes.problems()).collect();
    for difference in &differences {
        say(difference);
    }
    let (total, effects) = (SAMPLES.len(), SAMPLES.iter().map(|sample| sample.effects).sum::<usize>());
    if differences.is_empty() {
        let calls = ledger.total();
        say(&format!(
            "All {total} samples ended as expected: {calls} calls, {effects} changes, at most one per connector."
        ));
        say(&refreshes.sentence());
    } else {
        say(&format!("{} differences in {total} samples and the login.", differences.len()));
    }
    differences.is_empty()
}

fn compare(sample: &Sample, objects: &Objects, ledger: &Ledger) -> Vec<String> {
    let reason = objects.get(sample.name).and_then(|seen| seen.reason.as_deref()).unwrap_or("no status");
    let effects = ledger.effects(sample.connector);
    let Sample { name, reason: promised, effects: expected, .. } = sample;
    let mut differences = Vec::new();
    if reason != *promised {
        differences.push(format!("{name}: expected {promised}, got {reason}."));
    }
    if effects != *expected {
        differences.push(format!(
            "{name}: expected {expected} changes of the connector, the CDE sandbox counted {effects}."
        ));
    }
    differences
}
