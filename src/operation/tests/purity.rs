//! The core uses no I/O, clock or randomness.

use std::fs;
use std::path::{Path, PathBuf};

const FORBIDDEN: [&str; 12] = [
    "kube::",
    "reqwest",
    "tokio",
    "Instant",
    "SystemTime",
    "Timestamp::now",
    "Zoned::now",
    "rand::",
    "new_v4",
    "std::fs",
    "std::env",
    "tracing",
];

fn sources(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

#[test]
fn the_pure_core_names_nothing_that_does_io() {
    let core = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/operation");
    let sources = sources(&core);
    assert!(sources.len() > 10, "only {} sources in {}", sources.len(), core.display());
    for path in sources {
        let text = fs::read_to_string(&path).unwrap();
        for (number, line) in
            text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"))
        {
            let named = FORBIDDEN.iter().find(|word| line.contains(**word));
            assert_eq!(named, None, "{}:{}: {line}", path.display(), number + 1);
        }
    }
}
