//! Checks that a killed program leaves no processes and no files.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests panic on unexpected results")]

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use cde_sandbox::process::{self, Process, Signal};

const LIMIT: Duration = Duration::from_mins(1);

async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < LIMIT, "after {LIMIT:?} it still does not hold that {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Starts the program that owns `what`, and returns the processes and the directory that it owns.
async fn owner_of(what: &str) -> (Process, Vec<u32>, PathBuf) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_owner"));
    command.arg(what);
    let (owner, mut lines) = process::spawn_lines(command).unwrap();
    let ids = lines.recv().await.unwrap().split(' ').map(|id| id.parse().unwrap()).collect();
    (owner, ids, PathBuf::from(lines.recv().await.unwrap()))
}

async fn leaves_nothing(what: &str) {
    let (mut owner, ids, directory) = owner_of(what).await;
    assert!(ids.iter().all(|id| process::is_running(*id)) && directory.exists());
    owner.signal(Signal::KILL).unwrap();
    eventually("its processes have ended", || !ids.iter().any(|id| process::is_running(*id))).await;
    eventually("what they started has ended", || {
        ids.iter().all(|id| {
            let group = rustix::process::Pid::from_raw((*id).try_into().unwrap()).unwrap();
            rustix::process::test_kill_process_group(group).is_err()
        })
    })
    .await;
    eventually("its directory is removed", || !directory.exists()).await;
}

#[tokio::test]
async fn a_killed_owner_leaves_no_process_and_no_directory() {
    leaves_nothing("child").await;
}

#[tokio::test]
async fn a_killed_owner_of_a_control_plane_leaves_no_server_and_no_file() {
    leaves_nothing("control-plane").await;
}
