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

#[test]
fn links_within_the_two_documents_have_a_target() {
    let documents = ["docs/runbook.md", "docs/observability.md"];
    for name in documents {
        let document = text(name);
        for (_, rest) in document.match_indices("](").map(|(at, _)| document.split_at(at + 2)) {
            let target = rest.split(')').next().unwrap();
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = if file.is_empty() { name.to_owned() } else { format!("docs/{file}") };
            if Path::new(&path).extension().is_some_and(|end| end == "md") {
                let anchors: BTreeSet<String> = text(&path)
                    .lines()
                    .filter(|line| line.starts_with('#'))
                    .map(|line| anchor_of(line.trim_start_matches('#').trim()))
                    .collect();
                assert!(anchor.is_empty() || anchors.contains(anchor), "{name}: {target}");
            } else {
                let path = format!("{}/{path}", env!("CARGO_MANIFEST_DIR"));
                assert!(Path::new(&path).exists(), "{name}: {target}");
            }
        }
    }
}

/// Returns the anchor that Git hosts make of a heading.
fn anchor_of(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}
