//! Child processes and directories that do not outlive whoever made them.
//!
//! Every [`Process`] is killed and every [`ScratchDir`] removed when it is dropped. Where nothing is dropped any
//! more (`SIGKILL`, an abort, Ctrl-C, statics at the end of `main`), a *reaper* does it: one small `sh` per process
//! of ours that reads what exists from a pipe which only we hold open. When the pipe closes it kills, removes, ends.
//!
//! Caveats: a `SIGKILL` of ours in the few microseconds between the start of a child and its registration leaves
//! that child alone. Each child leads a process group of its own, so a Ctrl-C on the terminal reaches only us, and
//! what a child has started goes with it, unless that moved to yet another group.

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

/// How often a wait for the end of a process looks.
const POLL: Duration = Duration::from_millis(10);

/// What the reaper runs. A dying process may still write for a moment, hence the repeated `rm`.
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

/// The reaper's standard input; it starts with the first line told.
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

/// Starts `command` in a process group of its own, its streams as the command has them. Standard input should not
/// be a terminal: a process in the background that reads one is stopped.
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

/// As [`spawn`], without standard input; both outputs are appended to the file `log`, created where missing.
///
/// # Errors
/// If the file cannot be opened or the program not be started.
pub fn spawn_logged(mut command: Command, log: &Path) -> io::Result<Process> {
    let file = File::options().create(true).append(true).open(log)?;
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    spawn(command)
}

/// The last `count` lines of a log, for an error message; empty where there is none.
pub(crate) fn tail(log: &Path, count: usize) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// As [`spawn`], without standard input; each line of both outputs comes from the receiver, in order within one of
/// them. It is not tied to a runtime (`blocking_recv` and `recv().await`) and ends when both outputs are closed.
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

/// Reads to the end even when nobody listens any more: a full pipe would stop the child.
fn forward_lines(stream: impl io::Read, lines: &UnboundedSender<String>) {
    for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
        let _ = lines.send(String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned());
    }
}

/// Runs `command` to its end with `stdin` as its whole input, and gives its status and both outputs. It blocks no
/// thread of the runtime, and the process is killed when the future is dropped.
///
/// # Errors
/// If the program cannot be started, or its streams (unnamed temporary files) not be read or written.
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

    /// Sends `signal` to the process alone, as a container runtime would; [`Self::kill`] means its whole group.
    ///
    /// # Errors
    /// If the process has ended.
    pub fn signal(&mut self, signal: Signal) -> io::Result<()> {
        match self.try_wait()? {
            Some(status) => Err(io::Error::other(format!("`{}` has already ended ({status})", self.name))),
            None => Ok(rustix::process::kill_process(Pid::from_child(&self.child), signal)?),
        }
    }

    /// Stops the process with `SIGSTOP`; when this returns, none of its threads runs any more. `SIGCONT` wakes it.
    ///
    /// # Errors
    /// If the process has ended.
    pub fn freeze(&mut self) -> io::Result<()> {
        self.signal(Signal::STOP)?;
        // A thread that runs elsewhere goes on for a moment.
        let stands_still = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        rustix::process::waitid(WaitId::Pid(Pid::from_child(&self.child)), stands_still)?;
        Ok(())
    }

    /// The exit status if the process has ended.
    ///
    /// # Errors
    /// If the operating system cannot tell.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        if self.status.is_none() {
            let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            if rustix::process::waitid(WaitId::Pid(Pid::from_child(&self.child)), look)?.is_none() {
                return Ok(None);
            }
        }
        self.kill().map(Some)
    }

    /// Waits for the end of the process, for `limit` at most.
    ///
    /// # Errors
    /// If it has not ended by then (it goes on), or the operating system cannot tell.
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

    /// Kills the process and its group with `SIGKILL` and gives the exit status; that of before, if it had ended.
    ///
    /// # Errors
    /// If the operating system cannot wait for it.
    pub fn kill(&mut self) -> io::Result<ExitStatus> {
        if let Some(status) = self.status {
            return Ok(status);
        }
        // Until `wait` below the id is taken, so neither this kill nor the reaper's can hit a stranger.
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

/// Whether a process of this id runs; one that has ended and waits to be reaped does not.
#[must_use]
pub fn is_running(id: u32) -> bool {
    let Some(pid) = i32::try_from(id).ok().and_then(Pid::from_raw) else { return false };
    let ended = fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| stat.contains(") Z "));
    !ended && rustix::process::test_kill_process(pid).is_ok()
}

/// A directory for us alone (mode 0700) that is removed, with all in it, when this value is dropped or our process
/// ends.
#[derive(Debug)]
pub struct ScratchDir {
    path: PathBuf,
}

/// Makes a scratch directory where the system keeps temporary files. Its path is short enough for Unix sockets.
///
/// # Errors
/// If it cannot be made.
pub fn scratch_dir() -> io::Result<ScratchDir> {
    scratch_dir_in(&std::env::temp_dir())
}

/// Makes a scratch directory in `parent`, for what will be renamed to a place beside it.
///
/// # Errors
/// If it cannot be made.
pub fn scratch_dir_in(parent: &Path) -> io::Result<ScratchDir> {
    let id = uuid::Uuid::new_v4().simple().to_string();
    let path = std::path::absolute(parent)?.join(format!("cde-{}", &id[..16]));
    // Registered first, so that there is no moment in which it exists and nobody would remove it.
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
    #![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests may end at what they did not expect")]

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
    fn the_reaper_spares_what_it_was_told_to_forget() {
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
    async fn a_wait_ends_with_the_status_or_with_the_limit() {
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
    async fn a_command_is_fed_its_input_and_gives_status_and_outputs() {
        let done = output(shell("cat; echo oops >&2; exit 3"), b"as it came").await.unwrap();
        assert_eq!(
            (done.status.code(), done.stdout.as_slice(), done.stderr.as_slice()),
            (Some(3), &b"as it came"[..], &b"oops\n"[..])
        );
    }

    #[test]
    fn a_frozen_process_does_nothing_until_it_is_woken() {
        let (mut process, mut lines) = spawn_lines(shell("while echo on; do :; done")).unwrap();
        assert!(lines.blocking_recv().is_some());
        process.freeze().unwrap();
        let stopped = format!("/proc/{}/stat", process.id());
        let is_stopped = || fs::read_to_string(&stopped).unwrap().contains(") T ");
        assert!(is_stopped());
        process.signal(Signal::CONT).unwrap();
        process.freeze().unwrap();
        process.signal(Signal::CONT).unwrap();
        eventually("it goes on", || !is_stopped());
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = spawn(Command::new("no-such-program")).unwrap_err();
        assert!(error.to_string().contains("cannot start `no-such-program`"), "{error}");
    }

    #[test]
    fn a_scratch_directory_is_private_and_goes_with_its_guard() {
        let scratch = scratch_dir().unwrap();
        let path = scratch.path().to_owned();
        fs::create_dir(path.join("inner")).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o700);
        drop(scratch);
        assert!(!path.exists());
    }
}
