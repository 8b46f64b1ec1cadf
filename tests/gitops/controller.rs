//! Controllers as processes, and waits for what they do.

use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use cde_harness::{POLL, Request, TestEnv};
use cde_sandbox::process::{self, Process, ScratchDir, scratch_dir};

/// Longer than any controller takes on a busy machine, its own backoff included.
pub(crate) const LIMIT: Duration = Duration::from_mins(3);

/// Returns a tool, which is built where it is missing: one at a time, because a build keeps all cores busy.
pub(crate) async fn built<T: Send + 'static>(tool: fn() -> anyhow::Result<T>) -> T {
    static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _turn = ONE_AT_A_TIME.lock().await;
    let tool = tokio::task::spawn_blocking(tool).await.expect("a thread");
    tool.unwrap_or_else(|error| panic!("{error:#}"))
}

/// Controllers that work together, killed when this value is dropped or this process ends.
#[derive(Debug)]
pub(crate) struct Controllers {
    // The processes end before their files are removed: fields are dropped in this order.
    processes: Mutex<Vec<(String, Process)>>,
    pub(crate) scratch: ScratchDir,
}

impl Controllers {
    pub(crate) fn new() -> Self {
        Self { processes: Mutex::default(), scratch: scratch_dir().expect("a scratch directory") }
    }

    /// Starts one more; its output goes to a log in the scratch directory.
    pub(crate) fn start(&self, name: &str, mut command: Command) {
        // A proxy of the environment does not reach loopback.
        for proxy in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
            command.env_remove(proxy);
        }
        let process = process::spawn_logged(command, &self.log_path(name)).expect("a controller");
        let mut processes = self.processes.lock().unwrap_or_else(PoisonError::into_inner);
        processes.push((name.to_owned(), process));
    }

    /// Ends the test if one of them has ended; with the last lines of its log.
    pub(crate) fn assert_running(&self) {
        let mut processes = self.processes.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, process) in processes.iter_mut() {
            let status = process.try_wait().expect("a process");
            assert!(status.is_none(), "{name} has ended ({status:?}):\n{}", self.tail(name, ""));
        }
    }

    /// Returns the last lines of a controller's log that contain `words`.
    pub(crate) fn tail(&self, name: &str, words: &str) -> String {
        let log = fs::read_to_string(self.log_path(name)).unwrap_or_default();
        let lines: Vec<&str> = log.lines().filter(|line| line.contains(words)).collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    fn log_path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(format!("{name}.log"))
    }
}

/// Returns an address of loopback that nobody else uses, for programs that must know the port on which they listen: all of
/// 127.0.0.0/8 is this machine.
pub(crate) fn own_address() -> Ipv4Addr {
    let random = uuid::Uuid::new_v4().into_bytes();
    Ipv4Addr::new(127, random[0], random[1], 1 + random[2] % 254)
}

/// Looks again and again until there is something to return, and ends the test where there is nothing within [`LIMIT`].
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < LIMIT, "after {LIMIT:?} there is still not: {what}");
        tokio::time::sleep(POLL).await;
    }
}

/// Waits until the object of a request is there, and returns how long that took. Ends the test if a controller has ended.
pub(crate) async fn until_applied(controllers: &Controllers, env: &TestEnv, request: &Request) -> Duration {
    let begun = Instant::now();
    eventually(&request.name, async || {
        controllers.assert_running();
        env.objects(request.kind).get_opt(&request.name).await.expect("an answer")
    })
    .await;
    begun.elapsed()
}

/// Waits until the object of a request is gone.
pub(crate) async fn until_gone(env: &TestEnv, request: &Request) {
    let gone = async || {
        let object = env.objects(request.kind).get_opt(&request.name).await.expect("an answer");
        object.is_none().then_some(())
    };
    eventually(&format!("{} is gone", request.name), gone).await;
}
