//! Names that are no longer used. No code, manifest or page may still contain one.

use std::path::PathBuf;

use crate::reliability::{files, root};

const EXTENSIONS: [&str; 9] = ["rs", "md", "yaml", "yml", "json", "lua", "tpl", "txt", "patch"];
const FOLDERS: [&str; 7] = ["src", "crds", "deploy", "docs", "tests", "sandbox", "bench"];

/// Each in two parts, so that this file does not contain them.
const OLD: [(&str, &str); 10] = [
    ("connector", "Id"),
    ("activeDeadline", "Seconds"),
    ("started", "At"),
    ("lastAttempt", "At"),
    ("nextAttempt", "At"),
    ("completed", "At"),
    ("operation.", "retries"),
    ("lastError.", "at"),
    ("state=\"un", "authorized\""),
    ("cde_operator_", "calls"),
];
/// Reasons that are ordinary words elsewhere, so they count only where they are used as a reason.
const REASONS: [(&str, &str); 4] =
    [("Pend", "ing"), ("Unauth", "orized"), ("NotAll", "owed"), ("Reje", "cted")];
const AROUND: [(&str, &str); 4] = [("`", "`"), ("reason: ", "\n"), ("|", "|"), ("Reason::", "")];

/// Returns the repository's files with these extensions.
pub(crate) fn files_of_the_repository(extensions: &[&str]) -> Vec<PathBuf> {
    let mut all = vec![root().join("README.md"), root().join("CONTRIBUTING.md")];
    for folder in FOLDERS {
        all.extend(extensions.iter().flat_map(|extension| files(&root().join(folder), extension)));
    }
    all
}

/// Returns whether `text` has `word`, and not only as a part of a longer word.
fn has(text: &str, word: &str) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(word).any(|(at, _)| {
        let starts_inside =
            word.starts_with(char::is_alphanumeric) && is_part(text[..at].chars().next_back());
        let ends_inside =
            word.ends_with(char::is_alphanumeric) && is_part(text[at + word.len()..].chars().next());
        !starts_inside && !ends_inside
    })
}

#[test]
fn no_file_contains_a_removed_name() {
    let words = OLD.map(|(one, two)| format!("{one}{two}"));
    let reasons = REASONS
        .iter()
        .flat_map(|(one, two)| AROUND.map(|(before, after)| format!("{before}{one}{two}{after}")));
    let words: Vec<String> = words.into_iter().chain(reasons).collect();
    let all = files_of_the_repository(&EXTENSIONS);
    assert!(all.len() > 300, "the files were found: {}", all.len());
    let mut found = Vec::new();
    for file in all {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let old = words.iter().filter(|word| has(&text, word));
        found.extend(old.map(|word| format!("{}: {}", file.display(), word.trim_end())));
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_word_is_not_found_within_a_longer_word() {
    let word = ["completed", "At"].concat();
    assert!(has(&format!("a {word}."), &word) && has(&word, &word));
    assert!(!has(&format!("{word}s"), &word) && !has(&format!("x{word}"), &word));
}
