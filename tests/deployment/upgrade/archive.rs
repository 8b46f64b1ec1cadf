//! The archived source of the earlier commit matches that commit.

use std::fmt::Write as _;
use std::process::Command;

use cde_sandbox::process::output;
use cde_sandbox::program::workspace;

use crate::upgrade::earlier::{ARCHIVE, CHECKSUM, COMMIT, PARTS};

#[test]
fn the_archive_has_the_recorded_checksum() {
    let digest = ring::digest::digest(&ring::digest::SHA256, ARCHIVE);
    let mut checksum = String::new();
    for byte in digest.as_ref() {
        write!(checksum, "{byte:02x}").expect("writing to a String succeeds");
    }
    assert_eq!(checksum, CHECKSUM);
}

/// Returns the output of a program for this input, or `None` if it fails.
async fn run(program: &str, args: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    let mut command = Command::new(program);
    command.current_dir(workspace()).args(args);
    let done = output(command, input).await.ok()?;
    done.status.success().then_some(done.stdout)
}

#[tokio::test]
async fn the_archive_matches_the_git_history_if_there_is_one() {
    let kept = run("gzip", &["-dc"], ARCHIVE).await.expect("the archive is unpacked");
    // git writes the commit into each archive. This archive names it too where the history is absent.
    assert!(kept.windows(COMMIT.len()).any(|window| window == COMMIT.as_bytes()));
    let archive = ["-c", "tar.umask=0002", "archive", "--format=tar", COMMIT];
    let archive: Vec<&str> = archive.into_iter().chain(PARTS).collect();
    let has_history = run("git", &["cat-file", "-e", &format!("{COMMIT}^{{commit}}")], b"").await.is_some();
    if has_history {
        let made = run("git", &archive, b"").await.expect("git creates an archive");
        assert!(made == kept, "the archive does not match commit {COMMIT}");
    }
}
