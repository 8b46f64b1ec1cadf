//! Third-party programs in the user's cache, each built once.
//!
//! What is built from other sources goes to another directory, so nothing is ever out of date. If several processes need
//! the same program, one builds it and the others wait. A build goes into a scratch directory, which is renamed when it is
//! complete. Progress goes to the real standard error, because test harnesses capture only the output of macros.

use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process::{self, tail};

const POLL: Duration = Duration::from_millis(200);
const BETWEEN_LINES: Duration = Duration::from_secs(15);
/// How much of a build's log goes into an error.
const TAIL_LINES: usize = 20;

/// What is built: one or more programs that belong together.
#[derive(Debug)]
pub(crate) struct Build<'a> {
    /// The name in messages and in the cache.
    pub(crate) name: &'a str,
    /// A name for the sources and how they are built.
    pub(crate) fingerprint: String,
    /// The files that a complete build has.
    pub(crate) programs: Vec<&'a str>,
}

impl Build<'_> {
    /// Returns the directory with the programs in `cache`, which is created if it is missing. Where they are not there yet,
    /// `build` gets an empty directory and returns the one below it that has the programs. Blocks, for minutes if it has to
    /// build.
    ///
    /// # Errors
    /// If the build or a file operation fails.
    pub(crate) fn find_or_build(
        &self,
        cache: &Path,
        build: impl FnOnce(&Path) -> Result<PathBuf>,
    ) -> Result<PathBuf> {
        let target = cache.join(&self.fingerprint);
        if self.is_in(&target) {
            return Ok(target);
        }
        fs::create_dir_all(cache)
            .with_context(|| format!("cannot create the cache directory {}", cache.display()))?;
        let _lock = self.lock(cache)?;
        if self.is_in(&target) {
            return Ok(target);
        }
        let scratch = process::scratch_dir_in(cache)?;
        let complete = build(scratch.path())?;
        if target.exists() {
            fs::remove_dir_all(&target)?;
        }
        fs::rename(complete, &target)
            .with_context(|| format!("cannot move what was built to {}", target.display()))?;
        Ok(target)
    }

    fn is_in(&self, dir: &Path) -> bool {
        self.programs.iter().all(|name| dir.join(name).is_file())
    }

    /// Waits until no other process builds in `cache`. The lock ends when the returned file is dropped or its process
    /// ends.
    fn lock(&self, cache: &Path) -> Result<File> {
        let path = cache.join("lock");
        let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
        let mut progress = Progress::new(self.name, "waiting for another process that builds this");
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) => progress.tick(),
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("cannot lock {}", path.display()));
                }
            }
            std::thread::sleep(POLL);
        }
    }
}

/// Returns the directory of `name` in the user's cache. `instead` says what a user can do without a cache.
///
/// # Errors
/// If no cache directory is known.
pub(crate) fn dir_of(name: &str, instead: &str) -> Result<PathBuf> {
    let caches =
        non_empty_var("XDG_CACHE_HOME").or_else(|| non_empty_var("HOME").map(|home| home.join(".cache")));
    let caches =
        caches.with_context(|| format!("neither XDG_CACHE_HOME nor HOME is set; set one, {instead}"))?;
    Ok(caches.join("cde-operator").join(name))
}

pub(crate) fn non_empty_var(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Runs one step of a build to its end, with a line of progress now and then. `log` gets its output.
///
/// # Errors
/// With the last lines of the log, if the step fails or cannot be started.
pub(crate) fn run(name: &str, what: &str, command: Command, log: &Path) -> Result<()> {
    let mut progress = Progress::new(name, what);
    progress.say("so far");
    let mut step = process::spawn_logged(command, log)?;
    loop {
        match step.try_wait()? {
            None => progress.tick(),
            Some(status) if status.success() => {
                progress.say("in all");
                return Ok(());
            }
            Some(status) => {
                bail!("{name}: {what} failed ({status}); its last lines:\n{}", tail(log, TAIL_LINES))
            }
        }
        std::thread::sleep(POLL);
    }
}

/// Prints a line now and then, for people who wonder what a test waits for.
struct Progress {
    name: String,
    what: String,
    begin: Instant,
    said: Instant,
}

impl Progress {
    fn new(name: &str, what: &str) -> Self {
        Self { name: name.to_owned(), what: what.to_owned(), begin: Instant::now(), said: Instant::now() }
    }

    fn tick(&mut self) {
        if self.said.elapsed() >= BETWEEN_LINES {
            self.say("so far");
        }
    }

    fn say(&mut self, until: &str) {
        self.said = Instant::now();
        let seconds = self.begin.elapsed().as_secs();
        let _ = writeln!(std::io::stderr().lock(), "{}: {}, {seconds} s {until}", self.name, self.what);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic on unexpected results")]

    use super::*;

    fn example() -> Build<'static> {
        Build { name: "example", fingerprint: "0123".to_owned(), programs: vec!["one"] }
    }

    #[test]
    fn a_complete_cache_is_used_without_a_build() {
        let cache = process::scratch_dir().unwrap();
        let dir = cache.path().join("0123");
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("one"), "").unwrap();
        let found = example().find_or_build(cache.path(), |_| bail!("it builds")).unwrap();
        assert_eq!(found, dir);
    }

    #[test]
    fn a_failed_step_shows_the_last_lines_of_its_log_and_leaves_nothing_in_the_cache() {
        let cache = process::scratch_dir().unwrap();
        let build = |scratch: &Path| {
            let mut command = Command::new("sh");
            command.args(["-c", "echo no such header; exit 3"]);
            run("example", "building one", command, &scratch.join("log"))?;
            Ok(scratch.to_owned())
        };
        let error = example().find_or_build(cache.path(), build).unwrap_err().to_string();
        assert!(error.contains("building one failed") && error.contains("no such header"), "{error}");
        let left: Vec<_> =
            fs::read_dir(cache.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(left, ["lock"]);
    }
}
