//! The workspace's `Cargo.toml` is the only place that sets the version: manifests and documentation repeat it, and the
//! changelog describes it.
//!
//! `UPDATE_DOCS=1 cargo test --test generated version::` writes it to the places that repeat it.

use std::fs;
use std::path::PathBuf;

use crate::compare;
use crate::reliability::root;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What precedes the version in manifests and in the documentation.
const BEFORE: [&str; 12] = [
    "cde-operator:",
    "cde-operator-",
    "kubectl-cde-",
    "newTag: ",
    "appVersion: ",
    "type: application\nversion: ",
    "?ref=v",
    "--version ",
    "/v",
    "-v",
    "chart's version, ",
    "the version is ",
];

/// Returns the files that repeat the version: Markdown and YAML.
fn files() -> Vec<PathBuf> {
    let mut found = vec![root().join("README.md"), root().join("SECURITY.md")];
    let mut directories = vec![root().join("docs"), root().join("deploy")];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md" || extension == "yaml") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Returns how many bytes at the start of `text` are a version: three numbers, and perhaps `-rc.` and a number.
fn version_length(text: &str) -> Option<usize> {
    let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let mut length = 0;
    for part in 0..3 {
        if part > 0 {
            length += text[length..].starts_with('.').then_some(1)?;
        }
        length += Some(digits(&text[length..])).filter(|count| *count > 0)?;
    }
    if let Some(candidate) = text[length..].strip_prefix("-rc.") {
        length += "-rc.".len() + digits(candidate);
    }
    Some(length)
}

/// Returns `text` with the present version behind each prefix.
fn with_version(text: &str) -> String {
    let (mut result, mut rest) = (String::new(), text);
    let next = |rest: &str| {
        let behind = |before: &&str| {
            rest.match_indices(*before).find_map(|(at, _)| {
                let start = at + before.len();
                Some((start, version_length(&rest[start..])?))
            })
        };
        BEFORE.iter().filter_map(behind).min()
    };
    while let Some((start, length)) = next(rest) {
        result.push_str(&rest[..start]);
        result.push_str(VERSION);
        rest = &rest[start + length..];
    }
    result + rest
}

#[test]
fn every_place_that_repeats_the_version_has_the_present_one() {
    let mut repeated = 0;
    for file in files() {
        let expected = with_version(&fs::read_to_string(&file).unwrap());
        compare(&file, &expected);
        repeated += expected.matches(VERSION).count();
    }
    assert!(repeated > 10, "only {repeated} places were found");
}

#[test]
fn the_chart_is_a_prerelease_exactly_if_the_version_is_one() {
    let chart = fs::read_to_string(root().join("deploy/chart/Chart.yaml")).unwrap();
    let annotation = format!("artifacthub.io/prerelease: \"{}\"", VERSION.contains('-'));
    assert!(chart.contains(&annotation), "Chart.yaml lacks {annotation}");
}

#[test]
fn the_version_is_found_behind_each_prefix_and_nowhere_else() {
    for (text, expected) in [
        ("image: cde-operator:9.8.7-rc.6", format!("image: cde-operator:{VERSION}")),
        ("file cde-operator-9.8.7.tgz.", format!("file cde-operator-{VERSION}.tgz.")),
        ("deploy?ref=v9.8.7 and newTag: 9.8.7.", format!("deploy?ref=v{VERSION} and newTag: {VERSION}.")),
        ("kubectl-cde-v9.8.7-linux-amd64.tar.gz", format!("kubectl-cde-v{VERSION}-linux-amd64.tar.gz")),
        (
            "Kubernetes 1.32.0, cde-operator:latest, cde-operator-system",
            "Kubernetes 1.32.0, cde-operator:latest, cde-operator-system".to_owned(),
        ),
    ] {
        assert_eq!(with_version(text), expected);
    }
}

#[test]
fn the_changelog_has_a_section_for_the_version_and_one_for_what_is_unreleased() {
    let text = fs::read_to_string(root().join("CHANGELOG.md")).unwrap();
    let headings: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert_eq!(headings.first(), Some(&"[Unreleased]"), "{headings:?}");
    let released = headings.iter().any(|heading| heading.starts_with(&format!("[{VERSION}] - ")));
    assert!(released, "CHANGELOG.md has no section `## [{VERSION}] - DATE`: {headings:?}");
}
