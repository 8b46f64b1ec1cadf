//! The patches in `tests/protocol_mutations` apply to the present operator and name existing tests. The script `run`
//! there checks that the tests catch them, which takes longer.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::reliability::{files, root, tests};

const FOLDER: &str = "tests/protocol_mutations";

/// A mistake in the protocol, and the tests that must catch it.
pub(crate) struct Mutation {
    pub(crate) name: String,
    /// Numbers of the faults in `docs/reliability.md`.
    pub(crate) faults: Vec<usize>,
    patch: PathBuf,
    /// The test program and the name of each test.
    caught_by: Vec<(String, String)>,
}

/// Returns all of them, in order of their names.
pub(crate) fn mutations() -> Vec<Mutation> {
    files(&root().join(FOLDER), "patch").into_iter().map(read).collect()
}

fn read(patch: PathBuf) -> Mutation {
    let text = fs::read_to_string(&patch).unwrap();
    let header: Vec<&str> = text.lines().take_while(|line| !line.starts_with("diff ")).collect();
    let all = |key: &str| -> Vec<&str> {
        header.iter().filter_map(|line| line.strip_prefix(key)).map(str::trim).collect()
    };
    let name = patch.file_stem().unwrap().to_str().unwrap().to_owned();
    assert_eq!(all("Mutation:").len(), 1, "{name} says in one line what is broken");
    let caught_by = |line: &str| {
        let (program, name) = line.split_once(' ').expect("a test program and a test");
        (program.to_owned(), name.to_owned())
    };
    Mutation {
        faults: all("Faults:").join(",").split(',').filter_map(|number| number.trim().parse().ok()).collect(),
        caught_by: all("Caught-by:").into_iter().map(caught_by).collect(),
        name,
        patch,
    }
}

#[test]
fn every_protocol_mutation_still_applies_to_the_operator() {
    let outdated = |mutation: &Mutation| {
        let mut git = Command::new("git");
        git.current_dir(root()).args(["apply", "--check"]).arg(&mutation.patch);
        let checked = git.output().expect("git starts");
        let stderr = String::from_utf8_lossy(&checked.stderr).into_owned();
        (!checked.status.success()).then(|| format!("{}: {stderr}", mutation.name))
    };
    let outdated: Vec<String> = mutations().iter().filter_map(outdated).collect();
    assert!(outdated.is_empty(), "make these mistakes in the new code:\n{}", outdated.join("\n"));
}

#[test]
fn every_protocol_mutation_names_tests_that_exist() {
    let tests = tests();
    for Mutation { name, caught_by, .. } in mutations() {
        assert!(!caught_by.is_empty(), "{name} does not say which test catches it");
        for (program, name_of_test) in caught_by {
            let exists = tests.iter().any(|one| one.program == program && one.name == name_of_test);
            assert!(exists, "{name}: there is no {program} {name_of_test}");
        }
    }
}

#[test]
fn every_protocol_mutation_is_in_the_readme() {
    let readme = fs::read_to_string(root().join(FOLDER).join("README.md")).unwrap();
    for Mutation { name, .. } in mutations() {
        assert!(readme.contains(&format!("| [{name}]({name}.patch) |")), "{name} is missing");
    }
}
