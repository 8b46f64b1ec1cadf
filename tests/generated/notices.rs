//! `THIRD-PARTY-NOTICES.txt` names each package that the shipped programs contain, and has the text of its license.
//!
//! cargo-about writes the file, and `CONTRIBUTING.md` has the command. These tests notice a change of `Cargo.lock` that it
//! does not have yet.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use crate::reliability::root;

/// The targets of the release.
const TARGETS: [&str; 2] = ["x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl"];

/// Returns the packages from other sources that the shipped programs contain, as `NAME VERSION`.
fn contained() -> BTreeSet<String> {
    let mut packages = BTreeSet::new();
    for target in TARGETS {
        let tree = Command::new(env!("CARGO"))
            .args(["tree", "--locked", "--offline", "--package", "cde-operator", "--package", "kubectl-cde"])
            .args([
                "--edges",
                "normal,no-proc-macro",
                "--prefix",
                "none",
                "--target",
                target,
                "--format",
                "{p}",
            ])
            .current_dir(root())
            .output()
            .unwrap();
        assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
        for line in String::from_utf8(tree.stdout).unwrap().lines() {
            // The workspace's own packages have a path behind the version.
            let mut words = line.trim_end_matches(" (*)").split(' ');
            if let (Some(name), Some(version), None) = (words.next(), words.next(), words.next()) {
                packages.insert(format!("{name} {}", version.trim_start_matches('v')));
            }
        }
    }
    packages
}

#[test]
fn the_notices_name_each_package_that_a_shipped_program_contains() {
    let text = fs::read_to_string(root().join("THIRD-PARTY-NOTICES.txt")).unwrap();
    let (list, _) = text.split_once("\n====").unwrap();
    let named: BTreeSet<&str> =
        list.lines().filter_map(|line| line.split_once(": ")).map(|(package, _)| package).collect();
    let contained = contained();
    assert!(contained.len() > 100, "{contained:?}");
    let missing: Vec<&String> =
        contained.iter().filter(|package| !named.contains(package.as_str())).collect();
    assert!(
        missing.is_empty(),
        "THIRD-PARTY-NOTICES.txt is outdated, see CONTRIBUTING.md; it lacks {missing:?}"
    );
}
