//! docs/troubleshooting.md quotes only messages that the operator writes.

use std::fs;
use std::path::Path;

/// The sections whose first columns quote only the operator.
const OWN: [&str; 3] = ["The operator is not ready", "A request waits", "Several operators"];
/// Shorter pieces would be found anywhere.
const SHORTEST: usize = 10;

/// Returns all source with its texts as they are printed.
fn said(folder: &Path) -> String {
    let mut all = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all += &said(&path);
        } else {
            all += &fs::read_to_string(path).unwrap();
        }
    }
    all
}

/// Returns the texts in backticks in the first cells of a section's tables, split at their ellipses.
fn quoted(section: &str) -> Vec<&str> {
    let rows = section.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let spans = rows.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    spans.flat_map(|span| span.split('…')).map(str::trim).filter(|piece| piece.len() >= SHORTEST).collect()
}

#[test]
fn every_message_quoted_in_troubleshooting_is_in_the_source() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = fs::read_to_string(root.join("docs/troubleshooting.md")).expect("the document");
    let source = said(&root.join("src"));
    for title in OWN {
        let (_, rest) = document.split_once(&format!("\n## {title}\n")).expect("the section");
        let pieces = quoted(rest.split("\n## ").next().unwrap_or_default());
        assert!(pieces.len() >= 3, "{title}: {pieces:?}");
        for piece in pieces {
            assert!(source.contains(piece), "nothing says {piece:?} ({title})");
        }
    }
}
