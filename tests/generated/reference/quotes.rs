//! What docs/troubleshooting.md quotes of the operator, the operator says.

use std::fs;
use std::path::Path;

/// The sections whose first columns quote nobody else.
const OWN: [&str; 3] = ["The operator is not ready", "A request waits", "Several operators"];
/// Shorter pieces would be found anywhere.
const SHORTEST: usize = 10;

/// All source, its texts as they are printed.
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

/// What stands between backticks in the first cells of the tables of a section, cut where it leaves something out.
fn quoted(section: &str) -> Vec<&str> {
    let rows = section.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let spans = rows.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    spans.flat_map(|span| span.split('…')).map(str::trim).filter(|piece| piece.len() >= SHORTEST).collect()
}

#[test]
fn what_troubleshooting_quotes_of_the_operator_stands_in_its_source() {
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
