//! The table of faults in `docs/reliability.md` is generated from the doc comments of the tests, and each fault has a
//! test.
//!
//! `UPDATE_DOCS=1 cargo test --test generated reliability::` writes the table.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::compare_between;
use crate::faults::FAULTS;
use crate::protocol_mutations::mutations;

const DOCUMENT: &str = "docs/reliability.md";
const BEGIN: &str = "<!-- faults: made by tests/generated/reliability.rs -->\n";
const END: &str = "<!-- end of faults -->\n";

/// The packages with tests of faults: the directory of their tests, and what selects them for cargo.
const PACKAGES: [(&str, &str); 2] = [("tests", ""), ("kubectl-cde/tests", "-p kubectl-cde ")];

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A test, and the numbers of the faults in its doc comment.
#[derive(Debug)]
pub(crate) struct Test {
    /// Selects the package, for cargo.
    package: &'static str,
    pub(crate) program: String,
    pub(crate) name: String,
    pub(crate) faults: Vec<usize>,
}

impl Test {
    /// Returns the command that runs this test only.
    fn command(&self) -> String {
        let Self { package, program, name, .. } = self;
        format!("`cargo test {package}--test {program} -- --exact {name}`")
    }
}

/// Returns all files with this extension below a directory, in order of their names.
pub(crate) fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path, extension));
        } else if path.extension().is_some_and(|it| it == extension) {
            all.push(path);
        }
    }
    all.sort();
    all
}

pub(crate) fn tests() -> Vec<Test> {
    let mut all = Vec::new();
    for (folder, package) in PACKAGES {
        let folder = root().join(folder);
        all.extend(files(&folder, "rs").iter().flat_map(|file| tests_in(package, &folder, file)));
    }
    all
}

/// Returns the tests of a file: `PROGRAM/MODULE.rs`, or `PROGRAM.rs`.
fn tests_in(package: &'static str, folder: &Path, file: &Path) -> Vec<Test> {
    let path = file.strip_prefix(folder).unwrap().with_extension("");
    let mut parts: Vec<&str> = path.iter().map(|part| part.to_str().unwrap()).collect();
    parts.retain(|part| !matches!(*part, "main" | "mod"));
    let program = parts.remove(0).to_owned();
    let source = fs::read_to_string(file).unwrap();
    let (mut all, mut faults, mut is_test) = (Vec::new(), Vec::new(), false);
    for line in source.lines().map(str::trim) {
        if let Some(doc) = line.strip_prefix("/// ") {
            faults.extend(numbers(doc));
        } else if line.starts_with("#[tokio::test") || line == "#[test]" {
            is_test = true;
        } else if let Some(name) = line.strip_prefix("async fn ").or(line.strip_prefix("fn ")) {
            let name = name.split('(').next().unwrap();
            if std::mem::take(&mut is_test) {
                let name = [&parts[..], &[name]].concat().join("::");
                let faults = std::mem::take(&mut faults);
                all.push(Test { package, program: program.clone(), name, faults });
            }
            faults.clear();
        } else if !line.starts_with("#[") {
            faults.clear();
        }
    }
    all
}

/// Returns the numbers in `Fault 2.`, `Faults 2 and 3: …`, `Fault 9, and fault 4 with a slow server: …`.
fn numbers(doc: &str) -> Vec<usize> {
    if !doc.starts_with("Fault") {
        return Vec::new();
    }
    let head = doc.split([':', '.']).next().unwrap_or_default();
    head.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect()
}

fn table() -> String {
    let (tests, mutations) = (tests(), mutations());
    let mut table = String::new();
    for (theme, first, faults) in FAULTS {
        writeln!(table, "\n### {theme}\n\n| # | Fault | Test | Protocol mutations |\n|---|---|---|---|")
            .unwrap();
        for (number, fault) in (first..).zip(faults) {
            let shown: Vec<String> =
                tests.iter().filter(|test| test.faults.contains(&number)).map(Test::command).collect();
            let broken: Vec<String> = mutations
                .iter()
                .filter(|mutation| mutation.faults.contains(&number))
                .map(|mutation| format!("[{0}](../tests/protocol_mutations/{0}.patch)", mutation.name))
                .collect();
            let (shown, broken) = (shown.join("<br>"), broken.join("<br>"));
            writeln!(table, "| {number} | {fault} | {shown} | {broken} |").unwrap();
        }
    }
    table.push('\n');
    table
}

#[test]
fn the_table_of_faults_is_up_to_date() {
    compare_between(&root().join(DOCUMENT), [BEGIN, END], &table());
}

#[test]
fn each_fault_has_a_test() {
    let tests = tests();
    for (_, first, faults) in FAULTS {
        for fault in first..first + faults.len() {
            assert!(tests.iter().any(|test| test.faults.contains(&fault)), "fault {fault} has no test");
        }
    }
}

#[test]
fn each_fault_of_a_test_has_a_row() {
    let rows = |fault: &usize| {
        FAULTS.iter().any(|(_, first, faults)| (*first..first + faults.len()).contains(fault))
    };
    for test in tests() {
        assert!(test.faults.iter().all(rows), "{test:?}");
    }
}

#[test]
fn the_readme_counts_the_faults() {
    let count: usize = FAULTS.iter().map(|(.., faults)| faults.len()).sum();
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let says = format!("[{count} faults with their tests]({DOCUMENT})");
    assert!(readme.contains(&says), "README.md lacks {says}");
}
