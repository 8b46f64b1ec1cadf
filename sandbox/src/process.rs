//! Child processes and directories that do not outlive their owner.
//!
//! Every [`Process`] is killed and every [`ScratchDir`] removed when it is dropped. Where nothing is dropped
//! (`SIGKILL`, an abort, Ctrl-C, statics at the end of `main`), a *reaper* cleans up: one small `sh` per process of
//! ours, which reads the list of what exists from a pipe that only our process holds open. When the pipe closes, the
//! reaper kills the processes, removes the directories and ends.
//!
//! Caveats: a `SIGKILL` of our process in the few microseconds between the start of a child and its registration
//! leaves that child running. Each child leads a process group of its own, so Ctrl-C on the terminal reaches only our
//! process, and everything that a child has started ends with it, unless it moved to yet another group.

use std::fs::{self, DirBuilder, File};
use std::io::{self, BufRead, BufReader, Seek, Write};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

pub use rustix::process::Signal;
use rustix::process::{Pid, WaitId, WaitIdOptions};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// How often a wait checks whether a process has ended.
const POLL: Duration = Duration::from_millis(10);

/// The script of the reaper. A dying process may still write for a moment, hence the repeated `rm`.
const REAPER_SCRIPT: &str = r#"
trap '' HUP INT TERM
set -f
pids=' ' dirs=
newline='
'
while read -r verb what; do
  case $verb in
    kill) pids="$pids$what " ;;
    forget) case $pids in *" $what "*) pids="${pids%% $what *} ${pids#* $what }" ;; esac ;;
    remove) dirs="$dirs$what$newline" ;;
  esac
done
for pid in $pids; do kill -9 "-$pid"; done
IFS=$newline
for dir in $dirs; do
  tries=0
  while [ -e "$dir" ] && [ $tries -lt 50 ]; do
    rm -rf "$dir" || sleep 0.1
    tries=$((tries + 1))
  done
done
"#;

/// The reaper's standard input. The first line starts the reaper.
static REAPER: Mutex<Option<ChildStdin>> = Mutex::new(None);

fn tell_reaper(verb: &str, what: impl std::fmt::Display) -> io::Result<()> {
    let mut reaper = REAPER.lock().unwrap_or_else(PoisonError::into_inner);
    if reaper.is_none() {
        let mut child = Command::new("sh")
            .args(["-c", REAPER_SCRIPT])
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| {
                io::Error::new(error.kind(), format!("cannot start `sh` to clean up after us: {error}"))
            })?;
        *reaper = child.stdin.take();
    }
    match reaper.as_mut() {
        Some(pipe) => pipe.write_all(format!("{verb} {what}\n").as_bytes()),
        None => Err(io::Error::other("the reaper has no standard input")),
    }
}

/// A child process that is killed, with its process group, when this value is dropped or our process ends.
#[derive(Debug)]
pub struct Process {
    child: Child,
    name: String,
    status: Option<ExitStatus>,
}

/// Starts `command` in a process group of its own, with the streams that the command has. Standard input should not be
/// a terminal, because the system stops a background process that reads one.
///
/// # Errors
/// If the program or the reaper cannot be started.
pub fn spawn(mut command: Command) -> io::Result<Process> {
    let name = command.get_program().to_string_lossy().into_owned();
    let child = command
        .process_group(0)
        .spawn()
        .map_err(|error| io::Error::new(error.kind(), format!("cannot start `{name}`: {error}")))?;
    let process = Process { child, name, status: None };
    tell_reaper("kill", process.id())?;
    Ok(process)
}

/// As [`spawn`], without standard input. Both outputs are appended to the file `log`, which is created if it is
/// missing.
///
/// # Errors
/// If the file cannot be opened or the program cannot be started.
pub fn spawn_logged(mut command: Command, log: &Path) -> io::Result<Process> {
    let file = File::options().create(true).append(true).open(log)?;
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    spawn(command)
}

/// Returns the last `count` lines of a log for an error message; empty where there is none.
pub(crate) fn tail(log: &Path, count: usize) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// As [`spawn`], without standard input. The receiver returns each line of both outputs, in order within each output.
/// It is not tied to a runtime (`blocking_recv` and `recv().await`) and ends when both outputs are closed.
///
/// # Errors
/// If the program cannot be started.
pub fn spawn_lines(mut command: Command) -> io::Result<(Process, UnboundedReceiver<String>)> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = spawn(command)?;
    let (lines, receiver) = unbounded_channel();
    if let (Some(out), Some(err)) = (process.child.stdout.take(), process.child.stderr.take()) {
        let other = lines.clone();
        std::thread::spawn(move || forward_lines(out, &lines));
        std::thread::spawn(move || forward_lines(err, &other));
    }
    Ok((process, receiver))
}

/// Reads to the end even if the receiver is gone, because a full pipe would block the child.
fn forward_lines(stream: impl io::Read, lines: &UnboundedSender<String>) {
    for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
        let _ = lines.send(String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned());
    }
}

/// Runs `command` to its end with `stdin` as its whole input, and returns its status and both outputs. It does not
/// block a thread of the runtime. Dropping the future kills the process.
///
/// # Errors
/// If the program cannot be started, or its streams (unnamed temporary files) cannot be read or written.
pub async fn output(mut command: Command, stdin: &[u8]) -> io::Result<Output> {
    let (mut input, mut out, mut err) = (tempfile::tempfile()?, tempfile::tempfile()?, tempfile::tempfile()?);
    input.write_all(stdin)?;
    input.rewind()?;
    command.stdin(input).stdout(out.try_clone()?).stderr(err.try_clone()?);
    let mut process = spawn(command)?;
    let status = loop {
        if let Some(status) = process.try_wait()? {
            break status;
        }
        tokio::time::sleep(POLL).await;
    };
    Ok(Output { status, stdout: read_all(&mut out)?, stderr: read_all(&mut err)? })
}

fn read_all(file: &mut File) -> io::Result<Vec<u8>> {
    file.rewind()?;
    let mut content = Vec::new();
    io::Read::read_to_end(file, &mut content)?;
    Ok(content)
}

impl Process {
    /// The process id, which is that of its process group too.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends `signal` to the process only, as a container runtime does. [`Self::kill`] kills its whole group.
    ///
    /// # Errors
    /// If the process has ended.
    pub fn signal(&mut self, signal: Signal) -> io::Result<()> {
        match self.try_wait()? {
            Some(status) => Err(io::Error::other(format!("`{}` has already ended ({status})", self.name))),
            None => Ok(rustix::process::kill_process(Pid::from_child(&self.child), signal)?),
        }
    }

    /// Stops the process with `SIGSTOP`. When this returns, none of its threads runs. `SIGCONT` resumes it.
    ///
    /// # Errors
    /// If the process has ended.
    pub fn freeze(&mut self) -> io::Result<()> {
        self.signal(Signal::STOP)?;
        // A thread that runs on another core continues for a moment.
        let stands_still = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        rustix::process::waitid(WaitId::Pid(Pid::from_child(&self.child)), stands_still)?;
        Ok(())
    }

    /// The exit status if the process has ended.
    ///
    /// # Errors
    /// If the operating system does not know it.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        if self.status.is_none() {
            let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            if rustix::process::waitid(WaitId::Pid(Pid::from_child(&self.child)), look)?.is_none() {
                return Ok(None);
            }
        }
        self.kill().map(Some)
    }

    /// Waits until the process ends, for `limit` at most.
    ///
    /// # Errors
    /// If it has not ended by then (it keeps running), or the operating system does not know its status.
    pub async fn wait(&mut self, limit: Duration) -> io::Result<ExitStatus> {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.try_wait()? {
                return Ok(status);
            }
            if begin.elapsed() >= limit {
                let message = format!("`{}` (pid {}) has not ended within {limit:?}", self.name, self.id());
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Kills the process and its group with `SIGKILL` and returns the exit status, or the earlier one if it had
    /// already ended.
    ///
    /// # Errors
    /// If the operating system cannot wait for it.
    pub fn kill(&mut self) -> io::Result<ExitStatus> {
        if let Some(status) = self.status {
            return Ok(status);
        }
        // Until `wait` below, the ID is taken, so neither this kill nor the reaper's can hit an unrelated process.
        let _ = rustix::process::kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = tell_reaper("forget", self.id());
        let status = self.child.wait()?;
        self.status = Some(status);
        Ok(status)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// Returns whether a process with this ID runs. One that has ended and waits to be reaped does not count.
#[must_use]
pub fn is_running(id: u32) -> bool {
    let Some(pid) = i32::try_from(id).ok().and_then(Pid::from_raw) else { return false };
    let ended = fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| stat.contains(") Z "));
    !ended && rustix::process::test_kill_process(pid).is_ok()
}

/// A private directory (mode 0700) that is removed, with its content, when this value is dropped or our process ends.
#[derive(Debug)]
pub struct ScratchDir {
    path: PathBuf,
}

/// Creates a scratch directory in the system's temporary directory. Its path is short enough for Unix sockets.
///
/// # Errors
/// If it cannot be created.
pub fn scratch_dir() -> io::Result<ScratchDir> {
    scratch_dir_in(&std::env::temp_dir())
}

/// Creates a scratch directory in `parent`, for content that will be renamed to a place beside it.
///
/// # Errors
/// If it cannot be created.
pub fn scratch_dir_in(parent: &Path) -> io::Result<ScratchDir> {
    let id = uuid::Uuid::new_v4().simple().to_string();
    let path = std::path::absolute(parent)?.join(format!("cde-{}", &id[..16]));
    // Registered first, so that the directory never exists without anything that would remove it.
    tell_reaper("remove", path.display())?;
    DirBuilder::new().mode(0o700).create(&path).map_err(|error| {
        io::Error::new(error.kind(), format!("cannot create {}: {error}", path.display()))
    })?;
    Ok(ScratchDir { path })
}

impl ScratchDir {
    /// The absolute path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for ScratchDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests panic on unexpected results")]

    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::null());
        command
    }

    fn eventually(what: &str, holds: impl Fn() -> bool) {
        let begin = Instant::now();
        while !holds() {
            assert!(begin.elapsed() < LIMIT, "after {LIMIT:?} it still does not hold that {what}");
            std::thread::sleep(POLL);
        }
    }

    #[test]
    fn the_reaper_does_not_kill_what_it_was_told_to_forget() {
        let (mut spared, mut killed) =
            (spawn(shell("exec sleep 600")).unwrap(), spawn(shell("exec sleep 600")).unwrap());
        let mut reaper =
            Command::new("sh").args(["-c", REAPER_SCRIPT]).stdin(Stdio::piped()).spawn().unwrap();
        let lines = format!("kill {0}\nkill {1}\nforget {0}\nforget 1\n", spared.id(), killed.id());
        reaper.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        assert!(reaper.wait().unwrap().success());
        eventually("the other one is killed", || !is_running(killed.id()));
        assert!(killed.try_wait().unwrap().is_some());
        assert_eq!(spared.try_wait().unwrap(), None);
    }

    #[test]
    fn a_dropped_process_and_what_it_started_are_gone() {
        let (process, mut lines) = spawn_lines(shell("sleep 600 & echo $!; wait")).unwrap();
        let (id, grandchild) = (process.id(), lines.blocking_recv().unwrap().parse().unwrap());
        assert!(is_running(id) && is_running(grandchild));
        drop(process);
        assert!(!is_running(id));
        eventually("the child's own child has ended", || !is_running(grandchild));
    }

    #[tokio::test]
    async fn a_wait_ends_with_the_exit_status_or_at_the_limit() {
        let mut process = spawn(shell("exec sleep 600")).unwrap();
        let error = process.wait(Duration::from_millis(30)).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        process.signal(Signal::TERM).unwrap();
        let status = process.wait(LIMIT).await.unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(15));
        assert_eq!(process.try_wait().unwrap(), Some(status));
        assert!(process.signal(Signal::TERM).unwrap_err().to_string().contains("already ended"));
    }

    #[tokio::test]
    async fn a_command_gets_its_input_and_returns_status_and_outputs() {
        let done = output(shell("cat; echo oops >&2; exit 3"), b"as it came").await.unwrap();
        assert_eq!(
            (done.status.code(), done.stdout.as_slice(), done.stderr.as_slice()),
            (Some(3), &b"as it came"[..], &b"oops\n"[..])
        );
    }

    #[test]
    fn a_frozen_process_does_nothing_until_it_is_resumed() {
        let (mut process, mut lines) = spawn_lines(shell("while echo on; do :; done")).unwrap();
        assert!(lines.blocking_recv().is_some());
        process.freeze().unwrap();
        let stopped = format!("/proc/{}/stat", process.id());
        let is_stopped = || fs::read_to_string(&stopped).unwrap().contains(") T ");
        assert!(is_stopped());
        process.signal(Signal::CONT).unwrap();
        process.freeze().unwrap();
        process.signal(Signal::CONT).unwrap();
        eventually("it continues", || !is_stopped());
    }

    #[test]
    fn the_error_names_a_missing_program() {
        let error = spawn(Command::new("no-such-program")).unwrap_err();
        assert!(error.to_string().contains("cannot start `no-such-program`"), "{error}");
    }

    #[test]
    fn a_scratch_directory_is_private_and_is_removed_with_its_guard() {
        let scratch = scratch_dir().unwrap();
        let path = scratch.path().to_owned();
        fs::create_dir(path.join("inner")).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o700);
        drop(scratch);
        assert!(!path.exists());
    }
}
