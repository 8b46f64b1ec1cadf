//! Every link of the documentation leads to a file, and to a heading in it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::names::files_of_the_repository;
use crate::reliability::root;

/// The text without its code blocks.
fn prose(text: &str) -> String {
    text.split("\n```").step_by(2).collect::<Vec<_>>().join("\n")
}

/// As Git hosts make them of the headings.
fn anchors(page: &Path) -> BTreeSet<String> {
    let text = prose(&fs::read_to_string(page).expect("a page"));
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let kept = heading.trim_start_matches('#').trim().chars();
        let kept = kept.filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    };
    headings.map(anchor).collect()
}

#[test]
fn every_link_leads_to_a_file_and_a_heading_in_it() {
    let pages = files_of_the_repository(&["md"]);
    assert!(pages.len() > 15, "{pages:?}");
    let mut broken = Vec::new();
    for page in pages {
        let text = prose(&fs::read_to_string(&page).expect("a page"));
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            if file.contains("://") {
                continue;
            }
            let path = if file.is_empty() { page.clone() } else { page.parent().unwrap_or(&page).join(file) };
            let found = path.exists()
                && (anchor.is_empty() || (path.extension().is_some() && anchors(&path).contains(anchor)));
            if !found {
                broken.push(format!("{}: {target}", page.strip_prefix(root()).unwrap_or(&page).display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}
