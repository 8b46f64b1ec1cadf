//! The source that is kept of the earlier commit is that commit's.

use std::fmt::Write as _;
use std::process::Command;

use cde_sandbox::process::output;
use cde_sandbox::program::workspace;

use crate::upgrade::earlier::{ARCHIVE, CHECKSUM, COMMIT, PARTS};

#[test]
fn the_archive_is_the_one_that_was_made_of_that_commit() {
    let digest = ring::digest::digest(&ring::digest::SHA256, ARCHIVE);
    let mut checksum = String::new();
    for byte in digest.as_ref() {
        write!(checksum, "{byte:02x}").expect("text takes text");
    }
    assert_eq!(checksum, CHECKSUM);
}

/// What a program gives for this input; nothing where it refuses.
async fn run(program: &str, args: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    let mut command = Command::new(program);
    command.current_dir(workspace()).args(args);
    let done = output(command, input).await.ok()?;
    done.status.success().then_some(done.stdout)
}

#[tokio::test]
async fn where_the_history_is_there_the_archive_holds_what_it_holds() {
    let kept = run("gzip", &["-dc"], ARCHIVE).await.expect("the archive is unpacked");
    // git writes the commit into each archive; this one names it also where the history is absent.
    assert!(kept.windows(COMMIT.len()).any(|window| window == COMMIT.as_bytes()));
    let archive = ["-c", "tar.umask=0002", "archive", "--format=tar", COMMIT];
    let archive: Vec<&str> = archive.into_iter().chain(PARTS).collect();
    let has_history = run("git", &["cat-file", "-e", &format!("{COMMIT}^{{commit}}")], b"").await.is_some();
    if has_history {
        let made = run("git", &archive, b"").await.expect("git makes an archive");
        assert!(made == kept, "the archive is not what git has of {COMMIT}");
    }
}
