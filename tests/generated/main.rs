//! Files that are generated from the source, or checked against it: CRDs, the chart, `docs/reference.md`,
//! `docs/reliability.md`, the version, protocol mutations.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "tests panic on unexpected results, and their names document them"
)]

mod chart;
mod crds;
mod faults;
mod links;
mod names;
mod notices;
mod protocol_mutations;
mod reference;
mod reliability;
mod version;

use std::fs;
use std::path::Path;

/// Compares a file with what it should be, or writes it.
fn compare(file: &Path, expected: &str) {
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(file, expected).unwrap();
    }
    assert!(
        fs::read_to_string(file).unwrap_or_default() == expected,
        "{} is outdated; run `UPDATE_DOCS=1 cargo test --test generated -- --test-threads 1` and look at the change",
        file.display()
    );
}

/// Compares what stands between two lines of a file with what it should be, or writes it.
fn compare_between(file: &Path, [begin, end]: [&str; 2], expected: &str) {
    let text = fs::read_to_string(file).expect("the file");
    let (head, rest) = text.split_once(begin).expect("where it begins");
    let (_, tail) = rest.split_once(end).expect("where it ends");
    compare(file, &format!("{head}{begin}{expected}{end}{tail}"));
}
