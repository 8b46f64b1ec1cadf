//! The runbook is complete and has no outdated entries.

use std::collections::BTreeSet;

use cde_operator::api::Reason;

use crate::monitoring::repository::{alert_names, text};

/// Returns the entries by their headings, in order.
fn entries(document: &str) -> Vec<(&str, &str)> {
    document.split("\n### ").skip(1).filter_map(|part| part.split_once('\n')).collect()
}

#[test]
fn each_reason_and_each_alert_has_a_complete_entry_in_the_runbook() {
    let document = text("docs/runbook.md");
    let entries = entries(&document);
    let mut expected = alert_names();
    expected.extend(Reason::ALL.map(|reason| reason.as_str().to_owned()));
    let found: BTreeSet<String> = entries.iter().map(|(heading, _)| (*heading).to_owned()).collect();
    assert_eq!(found, expected);
    assert_eq!(found.len(), entries.len(), "a duplicate entry");
    for (heading, entry) in entries {
        let entry = entry.split("\n## ").next().unwrap();
        let parts: Vec<&str> =
            entry.split("\n- ").skip(1).filter_map(|part| part.split(' ').next()).collect();
        assert_eq!(parts, ["**Meaning:**", "**Check:**", "**Action:**"], "{heading}");
    }
}

#[test]
fn the_reasons_match_the_crds() {
    let known: BTreeSet<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    for crd in cde_operator::api::crds() {
        let crd = serde_json::to_value(&crd.spec.versions[0].schema).unwrap();
        let reason = &crd["openAPIV3Schema"]["properties"]["status"]["properties"]["reason"]["enum"];
        let defined: BTreeSet<&str> =
            reason.as_array().unwrap().iter().filter_map(|one| one.as_str()).collect();
        assert_eq!(defined, known);
    }
}
